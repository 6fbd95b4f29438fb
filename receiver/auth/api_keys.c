#include "receiver/auth/api_keys.h"

#include <errno.h>
#include <math.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bucket.h"
#include "common/base/hex.h"
#include "common/base/memory.h"
#include "common/base/sha256.h"

enum {
    FILE_MAX = 4 * 1024 * 1024,
    NAME_MAX_BYTES = 128
};

struct api_key {
    char *name;
    uint8_t sha256[32];
    bool limited;
    struct bucket bucket; /* of requests */
};

struct api_keys {
    struct api_key *rows;
    size_t count;
};

/* A decimal number from 0 to 1e9, without sign, exponent or blanks. */
static bool read_number(const char *s, double *out) {
    size_t n = strlen(s);
    if (n == 0 || strspn(s, "0123456789.") != n || s[0] == '.' || s[n - 1] == '.')
        return false;
    char *end;
    *out = strtod(s, &end);
    return *end == '\0' && *out <= 1e9;
}

/* Cuts the next field off; NULL: there is none. */
static char *next_field(char **rest) {
    return *rest != NULL ? strsep(rest, ":") : NULL;
}

static const char *read_row(char *line, struct api_key *row) {
    char *rest = line, *name = next_field(&rest), *hash = next_field(&rest);
    char *rate = next_field(&rest), *burst = next_field(&rest);
    if (name[0] == '\0' || strlen(name) > NAME_MAX_BYTES)
        return "needs a name of 1 to 128 bytes before the first colon";
    if (hash == NULL || !hex_read(hash, strlen(hash), row->sha256, sizeof row->sha256))
        return "needs the key's SHA-256 as 64 hex digits after the name";
    if (rest != NULL)
        return "has more than name:sha256:requests-per-second:burst";
    double per_s = 0, room = 0;
    if (rate != NULL && !read_number(rate, &per_s))
        return "requests-per-second must be a number of 0 or more";
    row->limited = rate != NULL;
    room = ceil(per_s);
    if (burst != NULL && (!read_number(burst, &room) || room < 1))
        return "burst must be a number of 1 or more";
    bucket_init(&row->bucket, per_s, room, 0);
    row->name = mem_string(name);
    return NULL;
}

static bool has_name(const struct api_keys *keys, const struct api_key *row) {
    for (size_t i = 0; i < keys->count; i++)
        if (strcmp(keys->rows[i].name, row->name) == 0 ||
            memcmp(keys->rows[i].sha256, row->sha256, 32) == 0)
            return true;
    return false;
}

static void take_line(struct api_keys *keys, char *line, size_t number, struct buffer *faults) {
    size_t n = strlen(line);
    while (n > 0 && strchr(" \t\r", line[n - 1]) != NULL)
        line[--n] = '\0';
    line += strspn(line, " \t");
    if (*line == '\0' || *line == '#')
        return;
    struct api_key row = {0};
    const char *fault = read_row(line, &row);
    if (fault == NULL && has_name(keys, &row))
        fault = "has the name or the hash of a line above";
    if (fault != NULL) {
        buffer_printf(faults, "line %zu: %s\n", number, fault);
        free(row.name);
        return;
    }
    keys->rows = mem_resize(keys->rows, keys->count + 1, sizeof *keys->rows);
    keys->rows[keys->count++] = row;
}

struct api_keys *api_keys_read(const char *text, size_t n, struct buffer *faults) {
    struct api_keys *keys = mem_zero(sizeof *keys);
    size_t before = faults->len;
    if (memchr(text, '\0', n) != NULL)
        buffer_puts(faults, "line 1: the file is not text\n");
    char *copy = mem_bytes(text, n), *rest = copy, *line;
    for (size_t number = 1; (line = strsep(&rest, "\n")) != NULL; number++)
        take_line(keys, line, number, faults);
    free(copy);
    if (keys->count == 0 && faults->len == before)
        buffer_puts(faults, "line 1: there is no key in the file\n");
    if (faults->len > before) {
        api_keys_free(keys);
        return NULL;
    }
    return keys;
}

struct api_keys *api_keys_load(const char *path, struct buffer *faults) {
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        buffer_printf(faults, "cannot be read: %s\n", strerror(errno));
        return NULL;
    }
    struct buffer text;
    buffer_init(&text, FILE_MAX);
    char piece[4096];
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;)
        buffer_add(&text, piece, n);
    struct api_keys *keys = NULL;
    if (ferror(f))
        buffer_printf(faults, "cannot be read: %s\n", strerror(errno));
    else if (text.failed)
        buffer_printf(faults, "is larger than %d bytes\n", FILE_MAX);
    else
        keys = api_keys_read(buffer_text(&text), text.len, faults);
    fclose(f);
    buffer_free(&text);
    return keys;
}

void api_keys_free(struct api_keys *keys) {
    if (keys == NULL)
        return;
    for (size_t i = 0; i < keys->count; i++)
        free(keys->rows[i].name);
    free(keys->rows);
    free(keys);
}

size_t api_keys_count(const struct api_keys *keys) {
    return keys->count;
}

static struct api_key *api_keys_find(struct api_keys *keys, const char *key) {
    uint8_t hash[SHA256_LEN];
    struct api_key *found = NULL;
    sha256(key, strlen(key), hash);
    for (size_t i = 0; i < keys->count; i++)
        if (CRYPTO_memcmp(keys->rows[i].sha256, hash, sizeof hash) == 0)
            found = &keys->rows[i];
    return found;
}

struct api_key_check api_keys_check(struct api_keys *keys, const char *key, int64_t now_ms) {
    struct api_key *k = key != NULL ? api_keys_find(keys, key) : NULL;
    if (k == NULL)
        return (struct api_key_check){API_KEY_UNKNOWN, NULL, 0};
    if (!k->limited)
        return (struct api_key_check){API_KEY_TAKEN, k->name, 0};
    if (k->bucket.per_s <= 0)
        return (struct api_key_check){API_KEY_SHUT, k->name, 0};
    int64_t wait_ms = bucket_wait_ms(&k->bucket, now_ms);
    if (wait_ms > 0)
        return (struct api_key_check){API_KEY_BUSY, k->name, wait_ms};
    bucket_take(&k->bucket);
    return (struct api_key_check){API_KEY_TAKEN, k->name, 0};
}

void api_keys_inherit(struct api_keys *keys, const struct api_keys *from) {
    for (size_t i = 0; i < keys->count; i++)
        for (size_t j = 0; j < from->count; j++) {
            struct api_key *to = &keys->rows[i];
            const struct api_key *old = &from->rows[j];
            if (strcmp(to->name, old->name) == 0 && memcmp(to->sha256, old->sha256, 32) == 0)
                bucket_inherit(&to->bucket, &old->bucket);
        }
}
