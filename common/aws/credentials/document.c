#include "common/aws/credentials/document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/base/json.h"
#include "common/base/memory.h"

/* --- time ------------------------------------------------------------------------------------- */

/* The number of two digits at `*s`, which is moved behind them; -1: there are none. */
static int two_digits(const char **s) {
    const char *at = *s;
    if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9')
        return -1;
    *s += 2;
    return (at[0] - '0') * 10 + at[1] - '0';
}

static bool read_offset(const char *s, int64_t *offset_s) {
    int sign = *s == '-' ? -1 : 1;
    if (*s == 'Z' || *s == 'z') {
        *offset_s = 0;
        return s[1] == '\0';
    }
    if (*s != '+' && *s != '-')
        return false;
    s++;
    int hours = two_digits(&s);
    if (*s == ':')
        s++;
    int minutes = hours >= 0 ? two_digits(&s) : -1;
    *offset_s = sign * ((int64_t)hours * 3600 + minutes * 60);
    return minutes >= 0 && hours < 24 && minutes < 60 && *s == '\0';
}

/* The parts of a date and a time, two digits each; the year is two parts. */
static bool read_time_parts(const char **s, int parts[7]) {
    static const char behind[7] = {'\0', '-', '-', 'T', ':', ':', '\0'};
    for (int i = 0; i < 7; i++) {
        parts[i] = two_digits(s);
        if (parts[i] < 0 || (behind[i] != '\0' && *(*s)++ != behind[i]))
            return false;
    }
    return true;
}

bool credentials_time_read(const char *text, int64_t *seconds) {
    int parts[7];
    int64_t offset_s;
    if (!read_time_parts(&text, parts))
        return false;
    if (*text == '.') {
        size_t digits = strspn(++text, "0123456789");
        if (digits == 0)
            return false;
        text += digits;
    }
    struct tm t = {.tm_year = parts[0] * 100 + parts[1] - 1900,
                   .tm_mon = parts[2] - 1,
                   .tm_mday = parts[3],
                   .tm_hour = parts[4],
                   .tm_min = parts[5],
                   .tm_sec = parts[6]};
    if (parts[2] < 1 || parts[2] > 12 || parts[3] < 1 || parts[3] > 31 || parts[4] > 23 ||
        parts[5] > 59 || parts[6] > 60 || !read_offset(text, &offset_s))
        return false;
    *seconds = (int64_t)timegm(&t) - offset_s;
    return true;
}

/* --- the document ----------------------------------------------------------------------------- */

enum {
    KEY_ID,
    SECRET,
    TOKEN,
    EXPIRATION,
    CODE,
    MEMBERS
};

struct document {
    enum document_kind kind;
    char *members[MEMBERS]; /* owned */
    bool is_version_1;
    const char *odd; /* a member that is no string */
};

static const char *const names[MEMBERS] = {
    [KEY_ID] = "AccessKeyId", [SECRET] = "SecretAccessKey",
    [TOKEN] = NULL,           [EXPIRATION] = "Expiration",
    [CODE] = "Code",
};

static const char *name_of(const struct document *d, int member) {
    if (member == TOKEN)
        return d->kind == DOCUMENT_PROCESS ? "SessionToken" : "Token";
    return names[member];
}

static bool document_read_member(void *arg, const char *key, size_t key_len,
                                 struct json_value value) {
    struct document *d = arg;
    size_t len;
    if (key_len == 7 && memcmp(key, "Version", 7) == 0)
        d->is_version_1 = value.type == JSON_NUMBER && value.n == 1 && value.at[0] == '1';
    for (int i = 0; i < MEMBERS; i++) {
        const char *name = name_of(d, i);
        if (strlen(name) != key_len || memcmp(name, key, key_len) != 0 || value.type == JSON_NULL)
            continue;
        if (value.type == JSON_STRING)
            d->members[i] = json_decode_string(value, &len);
        else
            d->odd = name;
    }
    return true;
}

static bool document_check(struct document *d, int64_t *expires, char *detail, size_t detail_size) {
    char **m = d->members;
    if (d->odd != NULL) {
        snprintf(detail, detail_size, "its %s is no string", d->odd);
    } else if (d->kind == DOCUMENT_PROCESS && !d->is_version_1) {
        snprintf(detail, detail_size, "its Version is not 1");
    } else if (m[CODE] != NULL && strcasecmp(m[CODE], "Success") != 0) {
        snprintf(detail, detail_size, "it answers with the code %.64s",
                 credentials_text_is_sound(m[CODE]) ? m[CODE] : "of none");
    } else if (m[EXPIRATION] != NULL && !credentials_time_read(m[EXPIRATION], expires)) {
        snprintf(detail, detail_size, "its Expiration is no time");
    } else {
        for (int i = KEY_ID; i <= TOKEN; i++) {
            bool wanted = i != TOKEN;
            if (m[i] == NULL ? wanted : !credentials_text_is_sound(m[i])) {
                snprintf(detail, detail_size, "its %s is %s", name_of(d, i),
                         m[i] == NULL ? "missing" : "not what a key looks like");
                return false;
            }
        }
        return true;
    }
    return false;
}

bool credentials_document_read(enum document_kind kind, const char *json, size_t n,
                               struct credentials *out, char *detail, size_t detail_size) {
    struct document d = {.kind = kind};
    int64_t expires = 0;
    char fault[160];
    bool sound =
        json_read_object(json, n, JSON_DEPTH_MAX, document_read_member, &d, fault, sizeof fault);
    if (!sound)
        snprintf(detail, detail_size, "it is not JSON: %s", fault);
    else
        sound = document_check(&d, &expires, detail, detail_size);
    if (sound) {
        *out = (struct credentials){.access_key_id = d.members[KEY_ID],
                                    .secret_access_key = d.members[SECRET],
                                    .session_token = d.members[TOKEN],
                                    .expires = expires};
        d.members[KEY_ID] = d.members[SECRET] = d.members[TOKEN] = NULL;
    }
    for (int i = 0; i < MEMBERS; i++)
        mem_wipe_string(d.members[i]);
    return sound;
}
