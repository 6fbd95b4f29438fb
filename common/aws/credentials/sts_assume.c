#include "common/aws/credentials/sts_assume.h"

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

/* Never changes: MSK takes another name for another principal and refuses to re-authenticate it. */
static const char default_session_name[] = "athena-query";

struct assume_fetch {
    struct fetch fetch;
    struct sts_call *call;
    bool web_identity;
    char *role_arn;
};

static void assume_release(struct fetch *f) {
    struct assume_fetch *a = (struct assume_fetch *)f;
    sts_cancel(a->call);
    free(a->role_arn);
}

/* --- the request ------------------------------------------------------------------------------ */

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

static void form_add(struct buffer *form, const char *name, const char *value) {
    if (value == NULL)
        return;
    buffer_printf(form, "&%s=", name);
    buffer_percent_encode(form, value, strlen(value));
}

static char *assume_form(const struct sts_assume *a) {
    struct buffer form;
    buffer_init(&form, FORM_BYTES_MAX);
    buffer_printf(&form, "Action=%s&Version=2011-06-15",
                  a->web_token != NULL ? "AssumeRoleWithWebIdentity" : "AssumeRole");
    form_add(&form, "RoleArn", a->role_arn);
    form_add(&form, "RoleSessionName",
             a->session_name != NULL ? a->session_name : default_session_name);
    form_add(&form, "ExternalId", a->external_id);
    form_add(&form, "DurationSeconds", a->duration_s);
    form_add(&form, "WebIdentityToken", a->web_token);
    return buffer_take(&form);
}

/* --- the answer ------------------------------------------------------------------------------- */

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

static void assume_on_result(void *arg, const struct sts_result *result) {
    struct assume_fetch *a = arg;
    struct credentials found;
    char detail[128];
    a->call = NULL;
    if (!result->ok) {
        fetch_fail(&a->fetch, "role %s: %s", a->role_arn, result->explanation);
    } else if (!sts_read_credentials(result->xml, result->xml_len, a->web_identity, &found, detail,
                                     sizeof detail)) {
        fetch_fail(&a->fetch, "role %s: %s", a->role_arn, detail);
    } else {
        fetch_found(&a->fetch, &found, result->date, "role %s%s", a->role_arn,
                    a->web_identity ? " by web identity" : "");
    }
}

struct fetch *sts_assume_start(const struct fetch_context *ctx, const struct sts_assume *assume,
                               const struct credentials *base, fetch_done_fn *fn, void *arg) {
    struct assume_fetch *a = fetch_new(sizeof *a, assume_release, ctx, fn, arg);
    char *form = assume_form(assume);
    a->web_identity = assume->web_token != NULL;
    a->role_arn = mem_string(assume->role_arn);
    a->call = sts_start(ctx, form, a->web_identity ? NULL : base, assume_on_result, a);
    mem_wipe_string(form);
    return &a->fetch;
}
