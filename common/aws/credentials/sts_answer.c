#include "common/aws/credentials/sts_answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/error.h"
#include "common/base/memory.h"

enum {
    PATH_MAX_BYTES = 256
};

struct xml_reader {
    const char *at, *end;
    char path[PATH_MAX_BYTES]; /* of the open elements */
    size_t path_len;
    struct sts_element *elements;
    size_t count;
    struct sts_element *open; /* the wanted element that is being read; NULL: none */
    size_t open_len;
    bool begun; /* the outermost element was seen */
};

static bool xml_starts(const struct xml_reader *r, const char *what) {
    size_t n = strlen(what);
    return (size_t)(r->end - r->at) >= n && memcmp(r->at, what, n) == 0;
}

static bool xml_skip_to(struct xml_reader *r, const char *what) {
    const char *found = memmem(r->at, (size_t)(r->end - r->at), what, strlen(what));
    if (found == NULL)
        return false;
    r->at = found + strlen(what);
    return true;
}

/* --- text ------------------------------------------------------------------------------------- */

static void xml_put(struct xml_reader *r, const char *bytes, size_t n) {
    if (r->open == NULL)
        return;
    memcpy(r->open->text + r->open_len, bytes, n); /* there is room for the rest of the document */
    r->open_len += n;
}

static bool xml_put_character(struct xml_reader *r, unsigned long c) {
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
    xml_put(r, out, n);
    return true;
}

static bool xml_read_entity(struct xml_reader *r) {
    static const struct {
        const char *name;
        char c;
    } named[] = {
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''},
    };
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (xml_starts(r, named[i].name)) {
            r->at += strlen(named[i].name);
            xml_put(r, &named[i].c, 1);
            return true;
        }
    bool hex = xml_starts(r, "&#x");
    const char *digits = r->at + (hex ? 3 : 2);
    const char *allowed = hex ? "0123456789abcdefABCDEF" : "0123456789";
    size_t left = xml_starts(r, "&#") ? (size_t)(r->end - digits) : 0, n = 0;
    while (n < left && n < 8 && digits[n] != '\0' && strchr(allowed, digits[n]) != NULL)
        n++;
    if (n == 0 || n >= left || digits[n] != ';')
        return false;
    unsigned long c = strtoul(digits, NULL, hex ? 16 : 10);
    r->at = digits + n + 1;
    return xml_put_character(r, c);
}

static bool xml_read_text(struct xml_reader *r) {
    if (*r->at == '&')
        return r->path_len > 0 && xml_read_entity(r);
    if (r->path_len == 0 && strchr(" \t\r\n", *r->at) == NULL)
        return false;
    if (*r->at == '\0')
        return false;
    xml_put(r, r->at++, 1);
    return true;
}

/* --- elements --------------------------------------------------------------------------------- */

static size_t xml_name_length(const struct xml_reader *r) {
    size_t n = 0;
    while (r->at + n < r->end && strchr(" \t\r\n/>", r->at[n]) == NULL)
        n++;
    return n;
}

static bool xml_open_wanted(struct xml_reader *r) {
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

static void xml_close_element(struct xml_reader *r) {
    r->open = NULL;
    char *slash = strrchr(r->path, '/');
    r->path_len = slash != NULL ? (size_t)(slash - r->path) : 0;
    r->path[r->path_len] = '\0';
}

/* Skips from behind the name to behind the `>` that stands in no quotes. */
static bool xml_skip_attributes(struct xml_reader *r, bool *empty) {
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

static bool xml_read_start(struct xml_reader *r) {
    r->at++;
    size_t n = xml_name_length(r);
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
    if (!xml_skip_attributes(r, &empty) || !xml_open_wanted(r))
        return false;
    if (empty)
        xml_close_element(r);
    return true;
}

static bool xml_read_end(struct xml_reader *r) {
    r->at += 2;
    size_t n = xml_name_length(r);
    const char *slash = strrchr(r->path, '/'), *name = slash != NULL ? slash + 1 : r->path;
    if (n == 0 || strlen(name) != n || memcmp(name, r->at, n) != 0)
        return false;
    r->at += n;
    while (r->at < r->end && strchr(" \t\r\n", *r->at) != NULL)
        r->at++;
    if (r->at == r->end || *r->at != '>')
        return false;
    r->at++;
    xml_close_element(r);
    return true;
}

static bool xml_read_next(struct xml_reader *r) {
    if (*r->at != '<')
        return xml_read_text(r);
    if (xml_starts(r, "</"))
        return xml_read_end(r);
    if (xml_starts(r, "<!--"))
        return xml_skip_to(r, "-->");
    if (xml_starts(r, "<?"))
        return xml_skip_to(r, "?>");
    return !xml_starts(r, "<!") && xml_read_start(r);
}

bool sts_answer_read(const char *xml, size_t n, struct sts_element *elements, size_t count) {
    struct xml_reader r = {.at = xml, .end = xml + n, .elements = elements, .count = count};
    for (size_t i = 0; i < count; i++)
        elements[i].text = NULL;
    if (n >= 3 && memcmp(xml, "\xef\xbb\xbf", 3) == 0)
        r.at += 3;
    bool sound = true;
    while (sound && r.at < r.end)
        sound = xml_read_next(&r);
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
    /* The sentences behind the first one quote what was signed, the session token included. */
    if (strcmp(code, "SignatureDoesNotMatch") == 0)
        message[strcspn(message, ".\n")] = '\0';
    sts_answer_free(e, 2);
}
