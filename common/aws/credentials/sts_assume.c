#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/credentials/document.h"
#include "common/aws/credentials/sts.h"
#include "common/aws/credentials/sts_answer.h"
#include "common/base/buffer.h"
#include "common/base/memory.h"

enum {
    FORM_BYTES_MAX = 128 * 1024
};

/* Always the same: to MSK, another name is another principal, who may not re-authenticate. */
static const char default_session_name[] = "athena-query";

struct assume {
    struct fetch fetch;
    struct sts_call *call;
    bool web_identity;
    char *role_arn;
};

static void release(struct fetch *f) {
    struct assume *a = (struct assume *)f;
    sts_cancel(a->call);
    free(a->role_arn);
}

/* --- what is asked ---------------------------------------------------------------------------- */

const char *sts_assume_fault(const struct sts_assume *a) {
    size_t n = strlen(a->role_arn);
    if (n < 20 || n > 2048 || strncmp(a->role_arn, "arn:", 4) != 0 ||
        !credentials_text_is_sound(a->role_arn))
        return "the role is no ARN";
    n = a->session_name != NULL ? strlen(a->session_name) : 2;
    if (n < 2 || n > 64 ||
        (a->session_name != NULL &&
         strspn(a->session_name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                 "_=,.@+-") != n))
        return "the role's session name must be 2 to 64 of A-Z a-z 0-9 _ = , . @ + -";
    if (a->duration_s != NULL) {
        size_t digits = strspn(a->duration_s, "0123456789");
        long s = strtol(a->duration_s, NULL, 10);
        if (digits == 0 || a->duration_s[digits] != '\0' || s < 900 || s > 43200)
            return "duration_seconds must be from 900 to 43200";
    }
    return NULL;
}

static void add(struct buffer *form, const char *name, const char *value) {
    if (value == NULL)
        return;
    buffer_printf(form, "&%s=", name);
    buffer_percent_encode(form, value, strlen(value));
}

static char *form_of(const struct sts_assume *a) {
    struct buffer form;
    buffer_init(&form, FORM_BYTES_MAX);
    buffer_printf(&form, "Action=%s&Version=2011-06-15",
                  a->web_token != NULL ? "AssumeRoleWithWebIdentity" : "AssumeRole");
    add(&form, "RoleArn", a->role_arn);
    add(&form, "RoleSessionName", a->session_name != NULL ? a->session_name : default_session_name);
    add(&form, "ExternalId", a->external_id);
    add(&form, "DurationSeconds", a->duration_s);
    add(&form, "WebIdentityToken", a->web_token);
    return buffer_take(&form);
}

/* --- what comes back -------------------------------------------------------------------------- */

bool sts_read_credentials(const char *xml, size_t n, bool web_identity, struct credentials *out,
                          char *detail, size_t detail_size) {
    enum {
        KEY_ID,
        SECRET,
        TOKEN,
        EXPIRATION,
        ELEMENTS
    };
#define IN(action, name) action "Response/" action "Result/Credentials/" name
    struct sts_element role[] = {{IN("AssumeRole", "AccessKeyId"), NULL},
                                 {IN("AssumeRole", "SecretAccessKey"), NULL},
                                 {IN("AssumeRole", "SessionToken"), NULL},
                                 {IN("AssumeRole", "Expiration"), NULL}};
    struct sts_element web[] = {{IN("AssumeRoleWithWebIdentity", "AccessKeyId"), NULL},
                                {IN("AssumeRoleWithWebIdentity", "SecretAccessKey"), NULL},
                                {IN("AssumeRoleWithWebIdentity", "SessionToken"), NULL},
                                {IN("AssumeRoleWithWebIdentity", "Expiration"), NULL}};
#undef IN
    struct sts_element *e = web_identity ? web : role;
    int64_t expires;
    if (!sts_answer_read(xml, n, e, ELEMENTS)) {
        snprintf(detail, detail_size, "the answer of STS is not the XML that it should be");
        return false;
    }
    bool sound = true;
    for (int i = 0; i < ELEMENTS; i++)
        sound = sound && e[i].text != NULL && credentials_text_is_sound(e[i].text);
    sound = sound && credentials_time_read(e[EXPIRATION].text, &expires);
    if (sound) {
        *out = (struct credentials){.access_key_id = e[KEY_ID].text,
                                    .secret_access_key = e[SECRET].text,
                                    .session_token = e[TOKEN].text,
                                    .expires = expires};
        e[KEY_ID].text = e[SECRET].text = e[TOKEN].text = NULL;
    } else {
        snprintf(detail, detail_size, "the answer of STS lacks a part of the credentials");
    }
    sts_answer_free(e, ELEMENTS);
    return sound;
}

static void on_reply(void *arg, const struct sts_reply *reply) {
    struct assume *a = arg;
    struct credentials found;
    char detail[128];
    a->call = NULL;
    if (!reply->ok) {
        fetch_fail(&a->fetch, "role %s: %s", a->role_arn, reply->explanation);
    } else if (!sts_read_credentials(reply->xml, reply->xml_len, a->web_identity, &found, detail,
                                     sizeof detail)) {
        fetch_fail(&a->fetch, "role %s: %s", a->role_arn, detail);
    } else {
        fetch_found(&a->fetch, &found, reply->date, "role %s%s", a->role_arn,
                    a->web_identity ? " by web identity" : "");
    }
}

struct fetch *sts_assume_start(const struct fetch_context *ctx, const struct sts_assume *assume,
                               const struct credentials *base, fetch_done_fn *fn, void *arg) {
    struct assume *a = fetch_new(sizeof *a, release, ctx, fn, arg);
    char *form = form_of(assume);
    a->web_identity = assume->web_token != NULL;
    a->role_arn = mem_string(assume->role_arn);
    a->call = sts_start(ctx, form, a->web_identity ? NULL : base, on_reply, a);
    mem_wipe_string(form);
    return &a->fetch;
}
