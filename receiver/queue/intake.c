#include "receiver/queue/intake.h"

#include <string.h>

/* RFC 9562, 5.4. */
static void write_uuid(const uint8_t random[INTAKE_RANDOM], char out[QUERY_ID_MAX + 1]) {
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;
    for (size_t i = 0; i < INTAKE_RANDOM; i++) {
        uint8_t byte = random[i];
        if (i == 6)
            byte = (uint8_t)((byte & 0x0f) | 0x40);
        if (i == 8)
            byte = (uint8_t)((byte & 0x3f) | 0x80);
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[at++] = '-';
        out[at++] = digits[byte >> 4];
        out[at++] = digits[byte & 15];
    }
    out[at] = '\0';
}

/* query_read() has bounded it. */
static void copy_id(const char *id, char out[QUERY_ID_MAX + 1]) {
    memcpy(out, id, strlen(id) + 1);
}

bool intake_read(const void *body, size_t n, const uint8_t random[INTAKE_RANDOM],
                 struct intake *out, char *detail, size_t detail_size) {
    struct query q;
    bool sound = query_read(body, n, &q, detail, detail_size);
    if (sound) {
        *out = (struct intake){.given = q.query_id == NULL};
        if (q.user_id != NULL)
            copy_id(q.user_id, out->user_id);
        if (out->given)
            write_uuid(random, out->query_id);
        else
            copy_id(q.query_id, out->query_id);
        query_sha256(&q, out->sha256);
    }
    query_free(&q);
    return sound;
}
