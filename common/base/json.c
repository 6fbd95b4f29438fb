#include "common/base/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json_string.h"
#include "common/base/memory.h"

/* Up to so many keys are compared each with each, without sorting; also what needs no heap. */
enum {
    FEW_KEYS = 16
};

struct json_key {
    const char *at; /* decoded: into the document, or into `scratch` where it has escapes */
    size_t n;
    size_t offset;           /* of its opening quote */
    struct json_value value; /* in the outer object only */
};

struct json_frame {
    bool is_object;
    bool is_fresh; /* nothing was read in it yet */
    size_t first_key;
    size_t scratch_used; /* when it was opened */
};

struct json_reader {
    const char *bytes, *p, *end;
    struct json_key *keys; /* of all open objects, the innermost's last */
    size_t key_count, key_room;
    char *scratch; /* decoded keys; never longer than the document, as decoding never lengthens */
    size_t scratch_used;
    int depth, depth_max;
    char *detail;
    size_t detail_size;
    struct json_frame frames[JSON_DEPTH_MAX];
    struct json_key few[FEW_KEYS];
};

/* ---- errors ---- */

__attribute__((format(printf, 2, 3))) static bool fail(struct json_reader *r, const char *fmt,
                                                       ...) {
    static const char prefix[] = "not strict JSON: ";
    int n = snprintf(r->detail, r->detail_size, "%s", prefix);
    if (n > 0 && (size_t)n < r->detail_size) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(r->detail + n, r->detail_size - (size_t)n, fmt, args);
        va_end(args);
    }
    return false;
}

static size_t offset(const struct json_reader *r) {
    return (size_t)(r->p - r->bytes);
}

/* Something else than `wanted` stands at the cursor. */
static bool fail_expected(struct json_reader *r, const char *wanted) {
    if (r->p == r->end)
        return fail(r, "it ends at byte %zu, where %s was expected", offset(r), wanted);
    if (*r->p == '\0')
        return fail(r, "NUL at byte %zu", offset(r));
    return fail(r, "expected %s at byte %zu", wanted, offset(r));
}

/* -1 at the end. */
static int peek(const struct json_reader *r) {
    return r->p < r->end ? (unsigned char)*r->p : -1;
}

static void skip_space(struct json_reader *r) {
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t'))
        r->p++;
}

/* The cursor is on the opening quote. */
static bool read_string(struct json_reader *r, bool *has_escapes) {
    static const char *const faults[] = {
        [JSON_STRING_NUL] = "NUL",
        [JSON_STRING_ESCAPED_NUL] = "NUL, written \\u0000,",
        [JSON_STRING_CONTROL] = "an unescaped control character in a string",
        [JSON_STRING_NOT_UTF8] = "not UTF-8",
        [JSON_STRING_ESCAPE] = "a backslash without one of \" \\ / b f n r t u behind it",
        [JSON_STRING_HEX] = "\\u without four hex digits behind it",
        [JSON_STRING_SURROGATE] = "a lone surrogate",
    };
    enum json_string_fault fault;
    r->p = json_string_check(r->p, r->end, has_escapes, &fault);
    if (fault == JSON_STRING_SOUND)
        return true;
    if (fault == JSON_STRING_OPEN)
        return fail(r, "it ends within a string");
    return fail(r, "%s at byte %zu", faults[fault], offset(r));
}

/* ---- keys ---- */

static struct json_key *add_key(struct json_reader *r) {
    if (r->key_count == r->key_room) {
        r->key_room *= 2;
        if (r->keys == r->few) {
            r->keys = mem_resize(NULL, r->key_room, sizeof *r->keys);
            memcpy(r->keys, r->few, sizeof r->few);
        } else {
            r->keys = mem_resize(r->keys, r->key_room, sizeof *r->keys);
        }
    }
    return &r->keys[r->key_count++];
}

static bool read_key(struct json_reader *r) {
    skip_space(r);
    if (peek(r) != '"')
        return fail_expected(r, "a key in double quotes");
    const char *quote = r->p;
    bool has_escapes;
    if (!read_string(r, &has_escapes))
        return false;
    struct json_key *key = add_key(r);
    key->offset = (size_t)(quote - r->bytes);
    key->at = quote + 1;
    key->n = (size_t)(r->p - quote) - 2;
    if (has_escapes) {
        if (r->scratch == NULL)
            r->scratch = mem_alloc((size_t)(r->end - r->bytes));
        char *decoded = r->scratch + r->scratch_used;
        key->n = json_string_decode(key->at, key->n, decoded);
        key->at = decoded;
        r->scratch_used += key->n;
    }
    skip_space(r);
    if (peek(r) != ':')
        return fail_expected(r, "a colon");
    r->p++;
    return true;
}

/* 0 where they are the same key. Any order will do; comparing lengths first is the fastest. */
static int compare_names(const struct json_key *a, const struct json_key *b) {
    if (a->n != b->n)
        return a->n < b->n ? -1 : 1;
    return a->n == 0 ? 0 : memcmp(a->at, b->at, a->n);
}

static int by_name(const void *a, const void *b) {
    const struct json_key *x = a, *y = b;
    int order = compare_names(x, y);
    return order != 0 ? order : x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int by_offset(const void *a, const void *b) {
    const struct json_key *x = a, *y = b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* The first key in the document that repeats one before it; NULL where there is none. */
static const struct json_key *find_repeated(struct json_key *keys, size_t n) {
    const struct json_key *found = NULL;
    if (n <= FEW_KEYS) {
        for (size_t i = 1; i < n && found == NULL; i++)
            for (size_t j = 0; j < i && found == NULL; j++)
                if (compare_names(&keys[i], &keys[j]) == 0)
                    found = &keys[i];
        return found;
    }
    qsort(keys, n, sizeof *keys, by_name);
    for (size_t i = 1; i < n; i++)
        if (compare_names(&keys[i], &keys[i - 1]) == 0 &&
            (found == NULL || keys[i].offset < found->offset))
            found = &keys[i];
    return found;
}

/* Whether it may be quoted in a message: no text of a query, nothing to escape. */
static bool is_plain_name(const struct json_key *key) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    for (size_t i = 0; i < key->n; i++)
        if (memchr(plain, key->at[i], sizeof plain - 1) == NULL)
            return false;
    return key->n > 0 && key->n <= 40;
}

static bool fail_repeated(struct json_reader *r, const struct json_key *key) {
    if (is_plain_name(key))
        return fail(r, "the key \"%.*s\" comes a second time in its object, at byte %zu",
                    (int)key->n, key->at, key->offset);
    return fail(r, "a key comes a second time in its object, at byte %zu", key->offset);
}

/* ---- values ---- */

static bool open_container(struct json_reader *r, bool is_object) {
    if (r->depth == r->depth_max)
        return fail(r, "nested deeper than %d at byte %zu", r->depth_max, offset(r));
    r->frames[r->depth++] = (struct json_frame){is_object, true, r->key_count, r->scratch_used};
    r->p++;
    return true;
}

/* A value of the outer object has ended at the cursor. */
static void end_member(struct json_reader *r) {
    struct json_value *value = &r->keys[r->key_count - 1].value;
    value->n = (size_t)(r->p - value->at);
}

/* The cursor is on the closing bracket. The outer object's keys stay: report_members() needs them.
 */
static bool close_container(struct json_reader *r) {
    r->p++;
    struct json_frame *frame = &r->frames[--r->depth];
    if (frame->is_object) {
        struct json_key *keys = r->keys + frame->first_key;
        const struct json_key *repeated = find_repeated(keys, r->key_count - frame->first_key);
        if (repeated != NULL)
            return fail_repeated(r, repeated);
    }
    if (r->depth > 0) {
        r->key_count = frame->first_key;
        r->scratch_used = frame->scratch_used;
    }
    if (r->depth == 1)
        end_member(r);
    return true;
}

static bool read_literal(struct json_reader *r, const char *word) {
    size_t n = strlen(word);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
        return fail(r, "expected a value at byte %zu", offset(r));
    r->p += n;
    return true;
}

static bool read_digits(struct json_reader *r) {
    const char *start = r->p;
    while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
        r->p++;
    return r->p > start || fail_expected(r, "a digit");
}

static bool read_number(struct json_reader *r) {
    if (peek(r) == '-')
        r->p++;
    if (peek(r) == '0')
        r->p++; /* a digit behind it is no part of this number */
    else if (!read_digits(r))
        return false;
    if (peek(r) == '.') {
        r->p++;
        if (!read_digits(r))
            return false;
    }
    if (peek(r) == 'e' || peek(r) == 'E') {
        r->p++;
        if (peek(r) == '+' || peek(r) == '-')
            r->p++;
        return read_digits(r);
    }
    return true;
}

static enum json_type type_of(int c) {
    switch (c) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
    case 'f':
        return JSON_BOOL;
    case 'n':
        return JSON_NULL;
    default:
        return JSON_NUMBER;
    }
}

static bool read_scalar(struct json_reader *r, int c) {
    bool has_escapes;
    switch (c) {
    case '"':
        return read_string(r, &has_escapes);
    case 't':
        return read_literal(r, "true");
    case 'f':
        return read_literal(r, "false");
    case 'n':
        return read_literal(r, "null");
    default:
        if (c == '-' || (c >= '0' && c <= '9'))
            return read_number(r);
        return fail_expected(r, "a value");
    }
}

/* A scalar whole; of a container only the opening bracket. */
static bool read_value(struct json_reader *r) {
    skip_space(r);
    int c = peek(r);
    bool is_member = r->depth == 1;
    if (is_member)
        r->keys[r->key_count - 1].value = (struct json_value){type_of(c), r->p, 0};
    if (c == '{' || c == '[')
        return open_container(r, c == '{');
    if (!read_scalar(r, c))
        return false;
    if (is_member)
        end_member(r);
    return true;
}

/* The next member or element of the innermost container, or its end. */
static bool read_next(struct json_reader *r) {
    struct json_frame *frame = &r->frames[r->depth - 1];
    skip_space(r);
    if (peek(r) == (frame->is_object ? '}' : ']'))
        return close_container(r);
    if (!frame->is_fresh) {
        if (peek(r) != ',')
            return fail_expected(r, frame->is_object ? "a comma or }" : "a comma or ]");
        r->p++;
    }
    frame->is_fresh = false;
    return (!frame->is_object || read_key(r)) && read_value(r);
}

static bool read_document(struct json_reader *r) {
    if (r->end - r->p >= 3 && memcmp(r->p, "\xEF\xBB\xBF", 3) == 0)
        return fail(r, "it begins with a byte order mark, at byte 0");
    skip_space(r);
    if (peek(r) != '{')
        return fail_expected(r, "an object");
    if (!open_container(r, true))
        return false;
    while (r->depth > 0)
        if (!read_next(r))
            return false;
    skip_space(r);
    return r->p == r->end || fail(r, "something follows the object, at byte %zu", offset(r));
}

static bool report_members(struct json_reader *r, json_member_fn *fn, void *arg) {
    if (r->key_count > FEW_KEYS) /* these were sorted by name */
        qsort(r->keys, r->key_count, sizeof *r->keys, by_offset);
    for (size_t i = 0; i < r->key_count; i++)
        if (!fn(arg, r->keys[i].at, r->keys[i].n, r->keys[i].value))
            return false;
    return true;
}

bool json_read_object(const char *bytes, size_t n, int depth_max, json_member_fn *fn, void *arg,
                      char *detail, size_t detail_size) {
    if (n == 0)
        bytes = ""; /* NULL, perhaps */

    struct json_reader r; /* large: its frames and keys are not cleared, but written before read */
    r.bytes = r.p = bytes;
    r.end = bytes + n;
    r.keys = r.few;
    r.key_count = 0;
    r.key_room = FEW_KEYS;
    r.scratch = NULL;
    r.scratch_used = 0;
    r.depth = 0;
    r.depth_max = depth_max < JSON_DEPTH_MAX ? depth_max : JSON_DEPTH_MAX;
    r.detail = detail;
    r.detail_size = detail_size;
    bool ok = read_document(&r) && report_members(&r, fn, arg);
    if (r.keys != r.few)
        free(r.keys);
    free(r.scratch);
    return ok;
}

/* ---- what was checked already ---- */

static const char *skip_checked_string(const char *p) {
    for (p++; *p != '"'; p++)
        if (*p == '\\')
            p++;
    return p + 1;
}

static const char *skip_checked_value(const char *p) {
    size_t depth = 0;
    do {
        if (*p == '"') {
            p = skip_checked_string(p);
            continue;
        }
        if (*p == '{' || *p == '[')
            depth++;
        else if (*p == '}' || *p == ']')
            depth--;
        p++;
    } while (depth > 0);
    return p;
}

/* A number or a word goes on to the next delimiter, which a value in an array always has. */
static const char *skip_checked_scalar(const char *p) {
    while (strchr(",] \t\r\n", *p) == NULL)
        p++;
    return p;
}

bool json_read_array(struct json_value array, json_element_fn *fn, void *arg) {
    static const char between[] = ", \t\r\n";
    const char *p = array.at + 1, *last = array.at + array.n - 1;
    for (;;) {
        while (p < last && strchr(between, *p) != NULL)
            p++;
        if (p == last)
            return true;
        enum json_type type = type_of((unsigned char)*p);
        bool is_scalar = type == JSON_NULL || type == JSON_BOOL || type == JSON_NUMBER;
        const char *end = is_scalar ? skip_checked_scalar(p) : skip_checked_value(p);
        if (!fn(arg, (struct json_value){type, p, (size_t)(end - p)}))
            return false;
        p = end;
    }
}

char *json_decode_string(struct json_value string, size_t *len) {
    char *text = mem_alloc(string.n - 1); /* without the quotes, with a NUL */
    *len = json_string_decode(string.at + 1, string.n - 2, text);
    text[*len] = '\0';
    return text;
}
