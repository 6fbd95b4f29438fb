#include "standins/athena_sim/json.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"

enum {
    FINGERPRINT_MAX = 16 << 20,
    NESTING_MAX = 64
};

/* --- reading ---------------------------------------------------------------------------------- */

/* The length of the sequence at `s`, 0: it is none (RFC 3629: no surrogates, none too long). */
static size_t utf8_sequence(const unsigned char *s, size_t n) {
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (len == 0 || s[0] > 0xf4 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return len;
}

/*
 * cJSON would end a string at an escaped NUL, passes over a byte order mark, and lets raw bytes of
 * any kind through.
 */
static bool bytes_sound(const char *text, size_t n) {
    bool in_string = false;
    if (n == 0 || strchr("{ \t\r\n", text[0]) == NULL)
        return false;
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)text[i];
        size_t len = utf8_sequence((const unsigned char *)text + i, n - i);
        if (len == 0 || c == '\0' || (in_string && c < 0x20))
            return false;
        in_string ^= c == '"';
        if (in_string && c == '\\') {
            if (n - i >= 6 && memcmp(text + i, "\\u0000", 6) == 0)
                return false;
            len = n - i >= 2 && (unsigned char)text[i + 1] < 0x80 ? 2 : 1;
        }
        i += len;
    }
    return true;
}

static bool names_differ(const cJSON *item, int depth) {
    if (depth > NESTING_MAX)
        return false;
    for (const cJSON *a = item->child; a != NULL; a = a->next) {
        if (cJSON_IsObject(item))
            for (const cJSON *b = a->next; b != NULL; b = b->next)
                if (strcmp(a->string, b->string) == 0)
                    return false;
        if (!names_differ(a, depth + 1))
            return false;
    }
    return true;
}

cJSON *sim_json_object(const char *text, size_t n) {
    const char *end = NULL;
    if (!bytes_sound(text, n))
        return NULL;
    cJSON *json = cJSON_ParseWithLengthOpts(text, n + 1, &end, true);
    if (json != NULL && cJSON_IsObject(json) && end == text + n && names_differ(json, 0))
        return json;
    cJSON_Delete(json);
    return NULL;
}

cJSON *sim_json_member(const cJSON *object, const char *name) {
    cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNull(member) ? NULL : member;
}

size_t sim_utf8_length(const char *s) {
    size_t length = 0;
    for (; *s != '\0'; s++)
        length += ((unsigned char)*s & 0xc0) != 0x80;
    return length;
}

/* --- fingerprints ----------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b) {
    return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

static void add_canonical(struct buffer *b, const cJSON *item);

static void add_canonical_object(struct buffer *b, const cJSON *object) {
    size_t count = (size_t)cJSON_GetArraySize(object), kept = 0;
    const cJSON **members = mem_alloc(count * sizeof *members);
    for (const cJSON *m = object->child; m != NULL; m = m->next)
        if (!cJSON_IsNull(m))
            members[kept++] = m;
    if (kept > 0)
        qsort(members, kept, sizeof *members, compare_names);
    buffer_putc(b, '{');
    for (size_t i = 0; i < kept; i++) {
        buffer_json_string(b, members[i]->string, strlen(members[i]->string));
        buffer_putc(b, ':');
        add_canonical(b, members[i]);
        buffer_putc(b, ',');
    }
    buffer_putc(b, '}');
    free(members);
}

static void add_canonical(struct buffer *b, const cJSON *item) {
    if (cJSON_IsString(item)) {
        buffer_json_string(b, item->valuestring, strlen(item->valuestring));
    } else if (cJSON_IsNumber(item)) {
        buffer_printf(b, "%.17g", item->valuedouble);
    } else if (cJSON_IsObject(item)) {
        add_canonical_object(b, item);
    } else if (cJSON_IsArray(item)) {
        buffer_putc(b, '[');
        for (const cJSON *e = item->child; e != NULL; e = e->next) {
            add_canonical(b, e);
            buffer_putc(b, ',');
        }
        buffer_putc(b, ']');
    } else {
        buffer_puts(b, cJSON_IsTrue(item) ? "true" : cJSON_IsFalse(item) ? "false" : "null");
    }
}

void sim_json_fingerprint(const cJSON *object, const char *const *names, size_t count,
                          uint8_t out[32]) {
    struct buffer b;
    buffer_init(&b, FINGERPRINT_MAX);
    for (size_t i = 0; i < count; i++) {
        const cJSON *member = sim_json_member(object, names[i]);
        buffer_printf(&b, "%s=", names[i]);
        if (member != NULL)
            add_canonical(&b, member);
        buffer_putc(&b, '\n');
    }
    SHA256((const unsigned char *)buffer_text(&b), b.len, out);
    buffer_free(&b);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void set_body(struct sim_answer *answer, unsigned status, char *body) {
    free(answer->body);
    answer->status = status;
    answer->body = body;
    answer->body_len = body != NULL ? strlen(body) : 0;
}

void sim_answer_json(struct sim_answer *answer, unsigned status, cJSON *body) {
    set_body(answer, status, cJSON_PrintUnformatted(body));
    if (answer->content_type == NULL)
        answer->content_type = "application/json";
    cJSON_Delete(body);
}

void sim_answer_text(struct sim_answer *answer, unsigned status, const char *content_type,
                     const char *text) {
    set_body(answer, status, mem_string(text));
    answer->content_type = content_type;
}

void sim_answer_error(struct sim_answer *answer, unsigned status, const char *code,
                      const char *message, const char *reason) {
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "__type", code);
    cJSON_AddStringToObject(body, "Message", message);
    if (reason != NULL)
        cJSON_AddStringToObject(body, "Reason", reason);
    sim_answer_json(answer, status, body);
}
