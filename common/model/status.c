#include "common/model/status.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/hex.h"
#include "common/base/json.h"
#include "common/base/json_string.h"
#include "common/base/memory.h"

/* --- states ----------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int rank;
} states[] = {
    [STATUS_NONE] = {"", 0},
    [STATUS_QUEUED] = {"QUEUED", 1},
    [STATUS_THROTTLED] = {"THROTTLED", 2},
    [STATUS_REJECTED] = {"REJECTED", 3},
    [STATUS_STARTED] = {"STARTED", 4},
    [STATUS_SUCCEEDED] = {"SUCCEEDED", 5},
    [STATUS_FAILED] = {"FAILED", 5},
    [STATUS_CANCELLED] = {"CANCELLED", 5},
};

enum {
    STATES = sizeof states / sizeof *states,
    RANK_FINAL = 5
};

const char *status_state_name(enum status_state state) {
    return states[state].name;
}

enum status_state status_state_parse(const char *name, size_t n) {
    for (size_t i = STATUS_NONE + 1; i < STATES; i++)
        if (strlen(states[i].name) == n && memcmp(states[i].name, name, n) == 0)
            return (enum status_state)i;
    return STATUS_NONE;
}

bool status_is_final(enum status_state state) {
    return states[state].rank == RANK_FINAL;
}

bool status_is_same_text(const struct status *a, const struct status *b) {
    if (!a->has_sha256 || !b->has_sha256)
        return a->has_sha256 == b->has_sha256;
    return memcmp(a->sha256, b->sha256, sizeof a->sha256) == 0;
}

/* Whether Athena has started it: from then on the pair is that query's, whatever the text. */
static bool is_execution(const struct status *s) {
    return s->state >= STATUS_STARTED && s->query_execution_id != NULL;
}

bool status_may_follow(const struct status *known, const struct status *next) {
    if (next->state == STATUS_NONE)
        return false;
    if (known == NULL || known->state == STATUS_NONE)
        return true;
    if (states[next->state].rank < states[known->state].rank)
        return false;
    if (!is_execution(next) && !status_is_same_text(known, next) &&
        !(known->state == STATUS_REJECTED && next->state == STATUS_REJECTED))
        return false;
    return !status_is_final(known->state) || next->updated_at_ms >= known->updated_at_ms;
}

/* --- keys ------------------------------------------------------------------------------------- */

void status_key(const char *user_id, const char *query_id, char out[STATUS_KEY_MAX]) {
    struct buffer b = {.data = out, .room = STATUS_KEY_MAX, .max = STATUS_KEY_MAX - 1};
    buffer_percent_encode(&b, user_id, strnlen(user_id, QUERY_ID_MAX));
    buffer_putc(&b, '/');
    buffer_percent_encode(&b, query_id, strnlen(query_id, QUERY_ID_MAX));
}

static bool decode_part(const char *s, size_t n, char out[QUERY_ID_MAX + 1]) {
    int len = hex_percent_decode(s, n, out, QUERY_ID_MAX);
    return len == 0 || (len > 0 && query_id_valid(out, (size_t)len));
}

/* Most keys: nothing in them is percent-encoded. */
static bool read_plain_key(const char *s, size_t n, const char *slash, char user_id[],
                           char query_id[]) {
    size_t user_len = (size_t)(slash - s), query_len = n - user_len - 1;
    if (user_len > QUERY_ID_MAX || query_len > QUERY_ID_MAX || query_len == 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (s + i != slash && !hex_is_unreserved((unsigned char)s[i]))
            return false;
    memcpy(user_id, s, user_len);
    memcpy(query_id, slash + 1, query_len);
    user_id[user_len] = query_id[query_len] = '\0';
    return true;
}

bool status_key_read(const void *key, size_t n, char user_id[QUERY_ID_MAX + 1],
                     char query_id[QUERY_ID_MAX + 1]) {
    const char *s = key, *slash = n > 0 ? memchr(s, '/', n) : NULL;
    char again[STATUS_KEY_MAX];
    if (slash != NULL && read_plain_key(s, n, slash, user_id, query_id))
        return true;
    if (slash == NULL || !decode_part(s, (size_t)(slash - s), user_id) ||
        !decode_part(slash + 1, n - (size_t)(slash - s) - 1, query_id) || query_id[0] == '\0')
        return false;
    /* Refuse other encodings of the same ids: a pair has one key, or compaction would keep two. */
    status_key(user_id, query_id, again);
    return strlen(again) == n && memcmp(again, s, n) == 0;
}

/* --- moments: 2026-01-02T03:04:05.678Z -------------------------------------------------------- */

enum {
    MOMENT_LEN = 24
};
#define MOMENT_MAX INT64_C(253402300799999) /* the end of the year 9999 */

static void put_digits(char *to, int64_t number, int n) {
    for (; n > 0; number /= 10)
        to[--n] = (char)('0' + number % 10);
}

/* The date that is `days` after the epoch (Hinnant, "chrono-compatible low-level date algorithms").
   A year begins in March here, so that the leap day is its last. */
static void write_date(int64_t days, char *to) {
    days += 719468; /* from the first of March of the year 0 */
    int64_t era = days / 146097, day_of_era = days % 146097;
    int64_t year =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day = day_of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * day + 2) / 153;
    put_digits(to + 8, day - (153 * month + 2) / 5 + 1, 2);
    month = month < 10 ? month + 3 : month - 9;
    put_digits(to + 5, month, 2);
    put_digits(to, year + era * 400 + (month <= 2), 4);
}

/* By hand, like read_moment(): each QUEUED of the receiver has one. */
static void write_moment(int64_t ms, char out[MOMENT_LEN + 1]) {
    static const int64_t day_ms = 86400000;
    ms = ms < 0 ? 0 : ms > MOMENT_MAX ? MOMENT_MAX : ms;
    memcpy(out, "0000-00-00T00:00:00.000Z", MOMENT_LEN + 1);
    int64_t of_day = ms % day_ms;
    write_date(ms / day_ms, out);
    put_digits(out + 11, of_day / 3600000, 2);
    put_digits(out + 14, of_day / 60000 % 60, 2);
    put_digits(out + 17, of_day / 1000 % 60, 2);
    put_digits(out + 20, of_day % 1000, 3);
}

/* -1 where they are not all digits. */
static int moment_digits(const char *s, int n) {
    int number = 0;
    for (int i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return -1;
        number = number * 10 + (s[i] - '0');
    }
    return number;
}

static bool is_leap_year(int year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days since the epoch; -1 where there is no such day, or where it was before the epoch. */
static int64_t moment_days(int year, int month, int day) {
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    if (year < 1970 || month < 1 || month > 12 || day < 1)
        return -1;
    bool leap = is_leap_year(year);
    if (day > before[month] - before[month - 1] + (leap && month == 2))
        return -1;
    int past = year - 1;
    int64_t leaps = past / 4 - past / 100 + past / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400);
    return (int64_t)(year - 1970) * 365 + leaps + before[month - 1] + (leap && month > 2) + day - 1;
}

/* By hand: strptime() and timegm() would take longer than all else that is read of a record. */
static bool read_moment(const char *s, size_t n, int64_t *ms) {
    if (n != MOMENT_LEN || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' ||
        s[16] != ':' || s[19] != '.' || s[23] != 'Z')
        return false;
    int64_t days =
        moment_days(moment_digits(s, 4), moment_digits(s + 5, 2), moment_digits(s + 8, 2));
    int hour = moment_digits(s + 11, 2), minute = moment_digits(s + 14, 2);
    int second = moment_digits(s + 17, 2), thousandths = moment_digits(s + 20, 3);
    if (days < 0 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
        second > 59 || thousandths < 0)
        return false;
    *ms = (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + thousandths;
    return true;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* A copy of at most `max` bytes of sound UTF-8. */
static char *clean_text(const char *s, size_t max) {
    static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
    size_t n = strlen(s), len = 0;
    char *out = mem_alloc(max + 1);
    while (n > 0) {
        size_t take = json_utf8_sequence(s, n);
        const char *from = take > 0 ? s : replacement;
        size_t put = take > 0 ? take : sizeof replacement - 1;
        if (put > max - len)
            break;
        memcpy(out + len, from, put);
        len += put;
        s += take > 0 ? take : 1;
        n -= take > 0 ? take : 1;
    }
    out[len] = '\0';
    return out;
}

static bool is_clean(const char *s, size_t n) {
    for (size_t i = 0, length; i < n; i += length)
        if ((length = json_utf8_sequence(s + i, n - i)) == 0)
            return false;
    return true;
}

static void status_write_text(struct buffer *out, const char *name, const char *text, size_t max) {
    buffer_putc(out, '"');
    buffer_puts(out, name);
    buffer_puts(out, "\":");
    if (text == NULL) {
        buffer_puts(out, "null");
        return;
    }
    size_t n = strlen(text);
    if (n <= max && is_clean(text, n)) {
        buffer_json_string(out, text, n);
        return;
    }
    char *clean = clean_text(text, max);
    buffer_json_string(out, clean, strlen(clean));
    free(clean);
}

static void status_write_sha256(const struct status *s, struct buffer *out) {
    buffer_puts(out, ",\"sha256\":");
    if (!s->has_sha256) {
        buffer_puts(out, "null");
        return;
    }
    char hex[2 * sizeof s->sha256 + 1];
    hex_write(s->sha256, sizeof s->sha256, hex);
    buffer_putc(out, '"');
    buffer_puts(out, hex);
    buffer_putc(out, '"');
}

void status_write(const struct status *s, bool with_sha256, struct buffer *out) {
    char moment[MOMENT_LEN + 1];
    write_moment(s->updated_at_ms, moment);
    const char *user_id = s->user_id != NULL && s->user_id[0] != '\0' ? s->user_id : NULL;
    buffer_putc(out, '{');
    status_write_text(out, "queryId", s->query_id, QUERY_ID_MAX);
    buffer_putc(out, ',');
    status_write_text(out, "userId", user_id, QUERY_ID_MAX);
    buffer_puts(out, ",\"state\":\"");
    buffer_puts(out, status_state_name(s->state));
    buffer_puts(out, "\",");
    status_write_text(out, "queryExecutionId", s->query_execution_id, STATUS_EXECUTION_ID_MAX);
    buffer_putc(out, ',');
    status_write_text(out, "outputLocation", s->output_location, STATUS_LOCATION_MAX);
    buffer_puts(out, ",\"attempt\":");
    buffer_number(out, s->attempt);
    buffer_putc(out, ',');
    status_write_text(out, "reason", s->reason, STATUS_REASON_MAX);
    buffer_puts(out, ",\"updatedAt\":\"");
    buffer_add(out, moment, MOMENT_LEN);
    buffer_putc(out, '"');
    if (with_sha256)
        status_write_sha256(s, out);
    buffer_putc(out, '}');
}

/* --- reading ---------------------------------------------------------------------------------- */

struct status_reading {
    struct status *out;
    char *room; /* for the next text: a decoded one with its NUL is shorter than it was in quotes */
    bool dated;
};

/* NULL where the value is no string of at most `max` bytes. */
static char *status_read_string(struct status_reading *r, struct json_value value, size_t max,
                                size_t *n) {
    if (value.type != JSON_STRING)
        return NULL;
    char *text = r->room;
    *n = json_string_decode(value.at + 1, value.n - 2, text);
    if (*n > max)
        return NULL;
    text[*n] = '\0';
    r->room += *n + 1;
    return text;
}

static bool status_read_text(struct status_reading *r, struct json_value value, size_t max,
                             char **out) {
    size_t n;
    if (value.type == JSON_NULL)
        return true;
    return (*out = status_read_string(r, value, max, &n)) != NULL;
}

static bool status_read_state(struct status_reading *r, struct json_value value) {
    size_t n;
    const char *s = status_read_string(r, value, 16, &n);
    r->out->state = s != NULL ? status_state_parse(s, n) : STATUS_NONE;
    return r->out->state != STATUS_NONE;
}

static bool status_read_updated_at(struct status_reading *r, struct json_value value) {
    size_t n;
    const char *s = status_read_string(r, value, MOMENT_LEN, &n);
    r->dated = s != NULL && read_moment(s, n, &r->out->updated_at_ms);
    return r->dated;
}

/* A whole number as status_write() writes it, up to 2^53: beyond that, other readers round it. */
static bool status_read_attempt(struct status_reading *r, struct json_value value) {
    struct status *out = r->out;
    if (value.type != JSON_NUMBER || value.n > 16)
        return false;
    for (size_t i = 0; i < value.n; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return false;
        out->attempt = out->attempt * 10 + (value.at[i] - '0');
    }
    return out->attempt <= INT64_C(1) << 53;
}

static bool status_read_sha256(struct status_reading *r, struct json_value value) {
    struct status *out = r->out;
    if (value.type == JSON_NULL)
        return true;
    size_t n;
    const char *s = status_read_string(r, value, 2 * sizeof out->sha256, &n);
    out->has_sha256 = s != NULL && hex_read(s, n, out->sha256, sizeof out->sha256);
    return out->has_sha256;
}

#define NAME(name) name, sizeof(name) - 1
static const struct {
    const char *name;
    size_t name_len;
    size_t place; /* of the text in struct status */
    size_t max;
} texts[] = {
    {NAME("queryId"), offsetof(struct status, query_id), QUERY_ID_MAX},
    {NAME("userId"), offsetof(struct status, user_id), QUERY_ID_MAX},
    {NAME("queryExecutionId"), offsetof(struct status, query_execution_id),
     STATUS_EXECUTION_ID_MAX},
    {NAME("outputLocation"), offsetof(struct status, output_location), STATUS_LOCATION_MAX},
    {NAME("reason"), offsetof(struct status, reason), STATUS_REASON_MAX},
};
static const struct {
    const char *name;
    size_t name_len;
    bool (*read)(struct status_reading *r, struct json_value value);
} members[] = {
    {NAME("state"), status_read_state},
    {NAME("attempt"), status_read_attempt},
    {NAME("sha256"), status_read_sha256},
    {NAME("updatedAt"), status_read_updated_at},
};
#undef NAME

static bool status_read_member(void *arg, const char *key, size_t key_len,
                               struct json_value value) {
    struct status_reading *r = arg;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].name_len == key_len && memcmp(texts[i].name, key, key_len) == 0)
            return status_read_text(r, value, texts[i].max,
                                    (char **)((char *)r->out + texts[i].place));
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (members[i].name_len == key_len && memcmp(members[i].name, key, key_len) == 0)
            return members[i].read(r, value);
    return true;
}

bool status_read(const void *value, size_t n, struct status_room *room, struct status *out) {
    static char none[] = "";
    char detail[160];
    *out = (struct status){0};
    struct status_reading r = {.out = out, .room = room->bytes};
    bool ok =
        value != NULL && n <= sizeof room->bytes &&
        json_read_object(value, n, JSON_DEPTH_MAX, status_read_member, &r, detail, sizeof detail) &&
        out->query_id != NULL && out->query_id[0] != '\0' && out->state != STATUS_NONE && r.dated;
    if (!ok)
        *out = (struct status){0};
    else if (out->user_id == NULL)
        out->user_id = none;
    return ok;
}

bool status_peek_ended(const void *value, size_t n, int64_t *updated_at_ms) {
    static const char state_is[] = "\"state\":\"", updated_at_is[] = "\"updatedAt\":\"";
    static const char *const ended[] = {"SUCCEEDED\"", "FAILED\"", "CANCELLED\"", "REJECTED\""};
    const char *end = (const char *)value + n;
    const char *at = value != NULL ? memmem(value, n, state_is, sizeof state_is - 1) : NULL;
    if (at == NULL)
        return false;
    at += sizeof state_is - 1;
    bool is_ended = false;
    for (size_t i = 0; i < sizeof ended / sizeof *ended && !is_ended; i++) {
        size_t len = strlen(ended[i]);
        is_ended = (size_t)(end - at) > len && memcmp(at, ended[i], len) == 0;
    }
    if (!is_ended)
        return false;
    at = memmem(at, (size_t)(end - at), updated_at_is, sizeof updated_at_is - 1);
    if (at == NULL || end - at < (ptrdiff_t)sizeof updated_at_is - 1 + MOMENT_LEN)
        return false;
    return read_moment(at + sizeof updated_at_is - 1, MOMENT_LEN, updated_at_ms);
}
