#include "common/aws/credentials/sts_answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/error.h"
#include "common/base/memory.h"

enum {
    PATH_MAX_BYTES = 256
};

struct reader {
    const char *at, *end;
    char path[PATH_MAX_BYTES]; /* of the open elements */
    size_t path_len;
    struct sts_element *elements;
    size_t count;
    struct sts_element *open; /* the wanted one that we are in */
    size_t open_len;
    bool begun; /* the outermost element was seen */
};

static bool starts(const struct reader *r, const char *what) {
    size_t n = strlen(what);
    return (size_t)(r->end - r->at) >= n && memcmp(r->at, what, n) == 0;
}

static bool skip_to(struct reader *r, const char *what) {
    const char *found = memmem(r->at, (size_t)(r->end - r->at), what, strlen(what));
    if (found == NULL)
        return false;
    r->at = found + strlen(what);
    return true;
}

/* --- text ------------------------------------------------------------------------------------- */

static void put(struct reader *r, const char *bytes, size_t n) {
    if (r->open == NULL)
        return;
    memcpy(r->open->text + r->open_len, bytes, n); /* it has room for the whole document */
    r->open_len += n;
}

static bool put_character(struct reader *r, unsigned long c) {
    char out[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return false;
    if (n == 1) {
        out[0] = (char)c;
    } else {
        static const unsigned lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
        for (size_t i = n - 1; i > 0; i--, c >>= 6)
            out[i] = (char)(0x80 | (c & 0x3f));
        out[0] = (char)(lead[n] | c);
    }
    put(r, out, n);
    return true;
}

static bool read_entity(struct reader *r) {
    static const struct {
        const char *name;
        char c;
    } named[] = {
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''},
    };
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (starts(r, named[i].name)) {
            r->at += strlen(named[i].name);
            put(r, &named[i].c, 1);
            return true;
        }
    bool hex = starts(r, "&#x");
    const char *digits = r->at + (hex ? 3 : 2);
    const char *allowed = hex ? "0123456789abcdefABCDEF" : "0123456789";
    size_t left = starts(r, "&#") ? (size_t)(r->end - digits) : 0, n = 0;
    while (n < left && n < 8 && digits[n] != '\0' && strchr(allowed, digits[n]) != NULL)
        n++;
    if (n == 0 || n >= left || digits[n] != ';')
        return false;
    unsigned long c = strtoul(digits, NULL, hex ? 16 : 10);
    r->at = digits + n + 1;
    return put_character(r, c);
}

static bool read_text(struct reader *r) {
    if (*r->at == '&')
        return r->path_len > 0 && read_entity(r);
    if (r->path_len == 0 && strchr(" \t\r\n", *r->at) == NULL)
        return false;
    if (*r->at == '\0')
        return false;
    put(r, r->at++, 1);
    return true;
}

/* --- elements --------------------------------------------------------------------------------- */

static size_t name_length(const struct reader *r) {
    size_t n = 0;
    while (r->at + n < r->end && strchr(" \t\r\n/>", r->at[n]) == NULL)
        n++;
    return n;
}

static bool open_wanted(struct reader *r) {
    for (size_t i = 0; i < r->count; i++) {
        if (strcmp(r->elements[i].path, r->path) != 0)
            continue;
        if (r->elements[i].text != NULL)
            return false;
        r->open = &r->elements[i];
        r->open->text = mem_zero((size_t)(r->end - r->at) + 1);
        r->open_len = 0;
    }
    return true;
}

static void close_element(struct reader *r) {
    r->open = NULL;
    char *slash = strrchr(r->path, '/');
    r->path_len = slash != NULL ? (size_t)(slash - r->path) : 0;
    r->path[r->path_len] = '\0';
}

/* Behind the name: attributes, of which none matters, up to the `>` that is in no quotes. */
static bool skip_attributes(struct reader *r, bool *empty) {
    char quote = '\0';
    for (; r->at < r->end; r->at++) {
        if (quote != '\0') {
            if (*r->at == quote)
                quote = '\0';
        } else if (*r->at == '"' || *r->at == '\'') {
            quote = *r->at;
        } else if (*r->at == '<') {
            return false;
        } else if (*r->at == '>') {
            *empty = r->at[-1] == '/';
            r->at++;
            return true;
        }
    }
    return false;
}

static bool read_start(struct reader *r) {
    r->at++;
    size_t n = name_length(r);
    bool empty = false;
    if (n == 0 || r->open != NULL || (r->path_len == 0 && r->begun) ||
        r->path_len + n + 2 > sizeof r->path)
        return false;
    r->begun = true;
    if (r->path_len > 0)
        r->path[r->path_len++] = '/';
    memcpy(r->path + r->path_len, r->at, n);
    r->path_len += n;
    r->path[r->path_len] = '\0';
    r->at += n;
    if (!skip_attributes(r, &empty) || !open_wanted(r))
        return false;
    if (empty)
        close_element(r);
    return true;
}

static bool read_end(struct reader *r) {
    r->at += 2;
    size_t n = name_length(r);
    const char *slash = strrchr(r->path, '/'), *name = slash != NULL ? slash + 1 : r->path;
    if (n == 0 || strlen(name) != n || memcmp(name, r->at, n) != 0)
        return false;
    r->at += n;
    while (r->at < r->end && strchr(" \t\r\n", *r->at) != NULL)
        r->at++;
    if (r->at == r->end || *r->at != '>')
        return false;
    r->at++;
    close_element(r);
    return true;
}

static bool read_next(struct reader *r) {
    if (*r->at != '<')
        return read_text(r);
    if (starts(r, "</"))
        return read_end(r);
    if (starts(r, "<!--"))
        return skip_to(r, "-->");
    if (starts(r, "<?"))
        return skip_to(r, "?>");
    return !starts(r, "<!") && read_start(r);
}

bool sts_answer_read(const char *xml, size_t n, struct sts_element *elements, size_t count) {
    struct reader r = {.at = xml, .end = xml + n, .elements = elements, .count = count};
    for (size_t i = 0; i < count; i++)
        elements[i].text = NULL;
    if (n >= 3 && memcmp(xml, "\xef\xbb\xbf", 3) == 0)
        r.at += 3;
    bool sound = true;
    while (sound && r.at < r.end)
        sound = read_next(&r);
    sound = sound && r.begun && r.path_len == 0;
    if (!sound)
        sts_answer_free(elements, count);
    return sound;
}

void sts_answer_free(struct sts_element *elements, size_t count) {
    for (size_t i = 0; i < count; i++) {
        mem_wipe_string(elements[i].text);
        elements[i].text = NULL;
    }
}

void sts_answer_error(const char *xml, size_t n, char *code, char *message, size_t size) {
    struct sts_element e[] = {{"ErrorResponse/Error/Code", NULL},
                              {"ErrorResponse/Error/Message", NULL}};
    code[0] = message[0] = '\0';
    if (!sts_answer_read(xml, n, e, 2))
        return;
    aws_error_code(e[0].text != NULL ? e[0].text : "", code, size);
    snprintf(message, size, "%s", e[1].text != NULL ? e[1].text : "");
    /* Behind its first sentence is what STS would have signed, the session token with it. */
    if (strcmp(code, "SignatureDoesNotMatch") == 0)
        message[strcspn(message, ".\n")] = '\0';
    sts_answer_free(e, 2);
}
