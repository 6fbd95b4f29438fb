#include "common/model/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hex.h"
#include "common/base/json.h"
#include "common/base/json_string.h"
#include "common/base/memory.h"
#include "common/base/sha256.h"

enum {
    DATABASE_CHARACTERS_MAX = 255,
    CATALOG_CHARACTERS_MAX = 256,
    PARAMETER_CHARACTERS_MAX = 1024,
    WORK_GROUP_MAX = 128,
    LOCATION_MAX = 1024,
    BUCKET_MIN = 3,
    BUCKET_MAX = 255,
};

/* --- what a field may hold; `s` is UTF-8 without NUL ------------------------------------------ */

static bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_name(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!is_letter_or_digit(s[i]) && s[i] != '.' && s[i] != '_' && s[i] != '-')
            return false;
    return true;
}

static size_t count_characters(const char *s, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)s[i] & 0xC0) != 0x80;
    return count;
}

static bool is_query_text(const char *s, size_t n) {
    (void)s;
    return n >= 1 && n <= QUERY_TEXT_MAX;
}

static bool is_id(const char *s, size_t n) {
    (void)s;
    return n <= QUERY_ID_MAX;
}

static bool is_database(const char *s, size_t n) {
    return n > 0 && count_characters(s, n) <= DATABASE_CHARACTERS_MAX;
}

static bool is_catalog(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20 && s[i] != '\t')
            return false;
    return n > 0 && count_characters(s, n) <= CATALOG_CHARACTERS_MAX &&
           strstr(s, "\xEF\xBF\xBE") == NULL && strstr(s, "\xEF\xBF\xBF") == NULL;
}

static bool is_work_group(const char *s, size_t n) {
    return n > 0 && n <= WORK_GROUP_MAX && is_name(s, n);
}

/* C0, DEL, and C1, which in UTF-8 is C2 80 to C2 9F. */
static bool has_control_character(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c < 0x20 || c == 0x7F || (c == 0xC2 && (unsigned char)s[i + 1] < 0xA0))
            return true;
    }
    return false;
}

static bool is_location(const char *s, size_t n) {
    static const char scheme[] = "s3://";
    if (n > LOCATION_MAX || strncmp(s, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *bucket = s + sizeof scheme - 1;
    size_t length = strcspn(bucket, "/");
    return length >= BUCKET_MIN && length <= BUCKET_MAX && is_name(bucket, length) &&
           is_letter_or_digit(bucket[0]) && is_letter_or_digit(bucket[length - 1]) &&
           !has_control_character(s, n);
}

bool query_id_valid(const char *s, size_t n) {
    if (n == 0 || n > QUERY_ID_MAX)
        return false;
    for (size_t i = 0, length; i < n; i += length) {
        length = json_utf8_sequence(s + i, n - i);
        if (length == 0 || s[i] == '\0')
            return false;
    }
    return true;
}

/* --- reading ---------------------------------------------------------------------------------- */

struct query_reading {
    struct query *out;
    char *detail;
    size_t detail_size;
    bool failed;
    bool user_failed;
};

struct query_field {
    const char *name;
    size_t at; /* of its char * in struct query */
    bool (*is_sound)(const char *s, size_t n);
    const char *wanted;
    bool required;        /* else null is as good as absent */
    bool empty_is_absent; /* else it is an error of its own */
};

#define FIELD(member) offsetof(struct query, member)

static const struct query_field fields[] = {
    {"query", FIELD(text), is_query_text, "a string of 1 to 262144 bytes", true, false},
    {"queryId", FIELD(query_id), is_id, "a string of at most 128 bytes or null", false, true},
    {"userId", FIELD(user_id), is_id, "a string of at most 128 bytes or null", false, true},
    {"database", FIELD(database), is_database, "a string of 1 to 255 characters or null", false,
     false},
    {"catalog", FIELD(catalog), is_catalog,
     "a string of 1 to 256 characters, none of them a control character, or null", false, false},
    {"workGroup", FIELD(work_group), is_work_group,
     "a string of 1 to 128 of the characters a-z A-Z 0-9 . _ - or null", false, false},
    {"outputLocation", FIELD(output_location), is_location,
     "a string like s3://bucket/prefix/ with a valid bucket name, of at most 1024 bytes and "
     "without control characters, or null",
     false, false},
};

static const char parameters_name[] = "executionParameters";
static const char parameters_wanted[] =
    "an array of at least one string, each of 1 to 1024 characters, or null";

static const char reuse_name[] = "resultReuseMaxAgeMinutes";
static const char reuse_wanted[] =
    "a whole number from 0 to 10080, without fraction or exponent, or null";

/* Only the first fault is reported. */
static void query_complain(struct query_reading *r, const char *name, const char *fault,
                           const char *wanted) {
    if (!r->failed)
        snprintf(r->detail, r->detail_size, "\"%s\" %s %s", name, fault, wanted);
    r->failed = true;
}

static char **field_place(const struct query_field *field, struct query *q) {
    return (char **)((char *)q + field->at);
}

static bool query_read_field(struct query_reading *r, const struct query_field *field,
                             struct json_value value) {
    if (value.type == JSON_NULL && !field->required)
        return true;
    if (value.type != JSON_STRING) {
        query_complain(r, field->name, "must be", field->wanted);
        return false;
    }
    size_t n;
    char *s = json_decode_string(value, &n);
    bool is_absent = n == 0 && field->empty_is_absent;
    bool ok = is_absent || field->is_sound(s, n);
    if (!ok)
        query_complain(r, field->name, n == 0 ? "is empty; it must be" : "must be", field->wanted);
    if (!ok || is_absent) {
        free(s);
        return ok;
    }
    *field_place(field, r->out) = s;
    if (field->at == FIELD(text))
        r->out->text_len = n;
    return true;
}

static bool count_parameter(void *arg, struct json_value value) {
    size_t *count = arg;
    (*count)++;
    return value.type == JSON_STRING;
}

static bool query_read_parameter(void *arg, struct json_value value) {
    struct query *q = arg;
    size_t n;
    char *s = json_decode_string(value, &n);
    q->parameters[q->parameter_count++] = s;
    return n > 0 && count_characters(s, n) <= PARAMETER_CHARACTERS_MAX;
}

static bool query_read_parameters(struct query *q, struct json_value array) {
    size_t count = 0;
    if (!json_read_array(array, count_parameter, &count) || count == 0)
        return false;
    q->parameters = mem_resize(NULL, count, sizeof *q->parameters);
    return json_read_array(array, query_read_parameter, q);
}

/* The value is a sound JSON number, so one that consists of digits alone is a whole number. */
static bool query_read_reuse(struct query *q, struct json_value value) {
    int minutes = 0;
    for (size_t i = 0; i < value.n; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return false;
        minutes = minutes * 10 + (value.at[i] - '0');
        if (minutes > QUERY_REUSE_MINUTES_MAX)
            return false;
    }
    q->reuses_result = true;
    q->reuse_max_age_minutes = minutes;
    return true;
}

static bool is_named(const char *name, const char *key, size_t key_len) {
    return strlen(name) == key_len && memcmp(name, key, key_len) == 0;
}

static bool query_read_member(void *arg, const char *key, size_t key_len, struct json_value value) {
    struct query_reading *r = arg;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (!is_named(fields[i].name, key, key_len))
            continue;
        bool ok = query_read_field(r, &fields[i], value);
        r->user_failed = r->user_failed || (!ok && fields[i].at == FIELD(user_id));
        return true;
    }
    if (value.type == JSON_NULL)
        return true;
    if (is_named(parameters_name, key, key_len) &&
        (value.type != JSON_ARRAY || !query_read_parameters(r->out, value)))
        query_complain(r, parameters_name, "must be", parameters_wanted);
    if (is_named(reuse_name, key, key_len) &&
        (value.type != JSON_NUMBER || !query_read_reuse(r->out, value)))
        query_complain(r, reuse_name, "must be", reuse_wanted);
    return true; /* read on after a fault: the ids may follow */
}

/* Frees all but the ids, and the queryId, too, where it would name another query. */
static void query_keep_ids(struct query *q, bool user_failed) {
    struct query ids = {.user_id = q->user_id};
    if (!user_failed) {
        ids.query_id = q->query_id;
        q->query_id = NULL;
    }
    q->user_id = NULL;
    query_free(q);
    *q = ids;
}

bool query_read(const void *bytes, size_t n, struct query *out, char *detail, size_t detail_size) {
    *out = (struct query){0};
    struct query_reading r = {.out = out, .detail = detail, .detail_size = detail_size};
    if (!json_read_object(bytes, n, QUERY_DEPTH_MAX, query_read_member, &r, detail, detail_size))
        return false;
    if (out->text == NULL)
        query_complain(&r, fields[0].name, "is missing; it must be", fields[0].wanted);
    if (r.failed)
        query_keep_ids(out, r.user_failed);
    return !r.failed;
}

void query_free(struct query *q) {
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        free(*field_place(&fields[i], q));
    for (size_t i = 0; i < q->parameter_count; i++)
        free(q->parameters[i]);
    free(q->parameters);
    *q = (struct query){0};
}

/* --- digests ---------------------------------------------------------------------------------- */

/* Writes eight bytes, the most significant first. Returns the address behind them. */
static uint8_t *put_number(uint8_t *to, uint64_t number) {
    for (int shift = 56; shift >= 0; shift -= 8)
        *to++ = (uint8_t)(number >> shift);
    return to;
}

static uint8_t *put_text(uint8_t *to, const char *s, size_t n) {
    to = put_number(to, n);
    memcpy(to, s, n);
    return to + n;
}

void query_sha256(const struct query *q, uint8_t out[32]) {
    if (q->parameter_count == 0) {
        sha256(q->text, q->text_len, out);
        return;
    }
    size_t total = q->text_len;
    for (size_t i = 0; i < q->parameter_count; i++)
        total += 1 + strlen(q->parameters[i]);
    char *bytes = mem_alloc(total), *end = bytes + q->text_len;
    memcpy(bytes, q->text, q->text_len);
    for (size_t i = 0; i < q->parameter_count; i++) {
        size_t n = strlen(q->parameters[i]);
        *end++ = '\0';
        memcpy(end, q->parameters[i], n);
        end += n;
    }
    sha256(bytes, total, out);
    free(bytes);
}

void query_token(const char *stage, const char *user_id, const char *query_id, char out[65]) {
    const char *parts[] = {stage, user_id, query_id};
    size_t lengths[3], total = 0;
    for (int i = 0; i < 3; i++) {
        parts[i] = parts[i] != NULL ? parts[i] : "";
        lengths[i] = strlen(parts[i]);
        total += 8 + lengths[i];
    }
    uint8_t *encoded = mem_alloc(total), *end = encoded;
    for (int i = 0; i < 3; i++)
        end = put_text(end, parts[i], lengths[i]);
    uint8_t digest[32];
    sha256(encoded, total, digest);
    free(encoded);
    hex_write(digest, sizeof digest, out);
}

void query_id_derive(const char *topic, int32_t partition, int64_t offset, int64_t timestamp_ms,
                     char out[37]) {
    size_t topic_len = strlen(topic), total = 8 + topic_len + 3 * 8;
    uint8_t *encoded = mem_alloc(total);
    uint8_t *end = put_text(encoded, topic, topic_len);
    end = put_number(end, (uint64_t)partition);
    end = put_number(end, (uint64_t)offset);
    put_number(end, (uint64_t)timestamp_ms);
    uint8_t digest[32];
    sha256(encoded, total, digest);
    free(encoded);
    digest[6] = (uint8_t)((digest[6] & 0x0F) | 0x80); /* version 8: an application's own rule */
    digest[8] = (uint8_t)((digest[8] & 0x3F) | 0x80); /* the variant of RFC 9562 */
    static const size_t groups[] = {4, 2, 2, 2, 6};
    const uint8_t *from = digest;
    for (size_t i = 0; i < 5; i++) {
        hex_write(from, groups[i], out);
        from += groups[i];
        out += 2 * groups[i];
        if (i < 4)
            *out++ = '-';
    }
}
