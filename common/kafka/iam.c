#include "common/kafka/iam.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/msk_iam.h"
#include "common/aws/region.h"
#include "common/base/log.h"
#include "common/base/memory.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

enum {
    LOOK_EVERY_MS = 1000,
    LOOK_SOON_MS = 100, /* while there are none: the program's start waits for them */
    REFUSED_EVERY_S = 60,
    REGION_MAX = 64,
    PRINCIPAL_MAX = 200,
    TOKEN_MAX = 64 * 1024
};

struct kafka_iam {
    struct loop *loop;
    struct credentials_provider *provider;
    const struct aws_options *options;
    struct loop_timer look_timer;
    int64_t refused_at, signed_at; /* seconds since the epoch; after a refusal */
    rd_kafka_t **handles;
    size_t handle_count;
    char principal[PRINCIPAL_MAX]; /* "": no credentials */

    pthread_mutex_t mutex; /* over what follows; written by the loop's thread only */
    struct credentials copy;
    char region[REGION_MAX]; /* where there is a copy */
    char why[512];           /* where there is none */
    bool coming;             /* the provider is still fetching the first ones */
};

/* --- any thread ------------------------------------------------------------------------------- */

static bool sign_token(const struct kafka_iam *iam, int64_t now, struct buffer *token, char *error,
                       size_t error_size) {
    if (iam->copy.access_key_id == NULL)
        snprintf(error, error_size, "%s", iam->why);
    else if (msk_iam_expires(&iam->copy, now) <= now)
        snprintf(error, error_size, "the AWS credentials have expired");
    else if (!msk_iam_token(iam->region, &iam->copy, now, "athena-query/" VERSION, token))
        snprintf(error, error_size, "the token for Amazon MSK cannot be signed");
    else
        return true;
    return false;
}

void kafka_iam_set_token(struct kafka_iam *iam, rd_kafka_t *rk) {
    char error[512];
    struct buffer token;
    buffer_init(&token, TOKEN_MAX);
    /* Held while it is set, too: a failure must not replace a token of newer credentials. */
    pthread_mutex_lock(&iam->mutex);
    int64_t now = loop_wall() / 1000;
    if (iam->coming) {
        /* librdkafka asks once and waits: iam_look() sets the token. */
    } else if (!sign_token(iam, now, &token, error, sizeof error) ||
               rd_kafka_oauthbearer_set_token(rk, buffer_text(&token),
                                              msk_iam_expires(&iam->copy, now) * 1000,
                                              iam->copy.access_key_id, NULL, 0, error,
                                              sizeof error) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_oauthbearer_set_token_failure(rk, error);
    }
    pthread_mutex_unlock(&iam->mutex);
    size_t len = token.len;
    mem_wipe_free(buffer_take(&token), len);
}

/* --- the loop --------------------------------------------------------------------------------- */

static bool is_same_text(const char *a, const char *b) {
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool is_same(const struct credentials *a, const struct credentials *b) {
    return is_same_text(a->access_key_id, b->access_key_id) &&
           is_same_text(a->secret_access_key, b->secret_access_key) &&
           is_same_text(a->session_token, b->session_token) && a->expires == b->expires;
}

/* The region is that of all calls; there is one where there are credentials. NULL: not known. */
static const char *find_region(struct kafka_iam *iam) {
    const char *why;
    struct aws_region *region = credentials_region(iam->provider);
    return region != NULL ? aws_region_name(region, &why) : aws_options_region(iam->options);
}

static bool are_coming(const struct kafka_iam *iam) {
    const struct aws_region *region = credentials_region(iam->provider);
    return credentials_are_coming(iam->provider) ||
           (region != NULL && aws_region_is_pending(region));
}

static void name_principal(struct kafka_iam *iam, const struct credentials *held) {
    iam->principal[0] = '\0';
    if (held != NULL)
        snprintf(iam->principal, sizeof iam->principal, "%s (%s)", held->access_key_id,
                 credentials_from(iam->provider));
}

/* `now_held` NULL: there are none. True where the handles need another token or a failure. */
static bool copy_credentials(struct kafka_iam *iam, const struct credentials *now_held,
                             const char *region, const char *why) {
    static const struct credentials none;
    const struct credentials *from = now_held != NULL ? now_held : &none;
    bool changed = !is_same(&iam->copy, from) || strcmp(iam->region, region) != 0;
    bool waited = iam->coming;
    pthread_mutex_lock(&iam->mutex);
    iam->coming = now_held == NULL && are_coming(iam);
    if (now_held == NULL)
        snprintf(iam->why, sizeof iam->why, "%s", why);
    if (changed) {
        snprintf(iam->region, sizeof iam->region, "%s", region);
        credentials_wipe(&iam->copy);
        iam->copy = (struct credentials){mem_string(from->access_key_id),
                                         mem_string(from->secret_access_key),
                                         mem_string(from->session_token), from->expires};
    }
    pthread_mutex_unlock(&iam->mutex);
    return now_held != NULL ? changed : waited && !iam->coming;
}

static void set_tokens(struct kafka_iam *iam) {
    for (size_t i = 0; i < iam->handle_count; i++)
        kafka_iam_set_token(iam, iam->handles[i]);
}

static void iam_look(void *arg) {
    struct kafka_iam *iam = arg;
    const char *why = "no region is known";
    const struct credentials *held = credentials_get(iam->provider, loop_wall() / 1000, &why);
    const char *region = held != NULL ? find_region(iam) : NULL;
    if (region == NULL)
        held = NULL;
    name_principal(iam, held);
    if (copy_credentials(iam, held, region != NULL ? region : "", why))
        set_tokens(iam);
    loop_timer_set(iam->loop, &iam->look_timer, held != NULL ? LOOK_EVERY_MS : LOOK_SOON_MS,
                   iam_look, iam);
}

struct kafka_iam *kafka_iam_open(struct loop *loop, struct credentials_provider *provider,
                                 const struct aws_options *options) {
    struct kafka_iam *iam = mem_zero(sizeof *iam);
    iam->loop = loop;
    iam->provider = provider;
    iam->options = options;
    pthread_mutex_init(&iam->mutex, NULL);
    iam_look(iam);
    return iam;
}

void kafka_iam_close(struct kafka_iam *iam) {
    if (iam == NULL)
        return;
    loop_timer_cancel(iam->loop, &iam->look_timer);
    credentials_wipe(&iam->copy);
    pthread_mutex_destroy(&iam->mutex);
    free(iam->handles);
    free(iam);
}

void kafka_iam_add(struct kafka_iam *iam, rd_kafka_t *rk) {
    iam->handles = mem_resize(iam->handles, iam->handle_count + 1, sizeof(rd_kafka_t *));
    iam->handles[iam->handle_count++] = rk;
}

void kafka_iam_remove(struct kafka_iam *iam, rd_kafka_t *rk) {
    for (size_t i = 0; i < iam->handle_count; i++)
        if (iam->handles[i] == rk) {
            iam->handles[i] = iam->handles[--iam->handle_count];
            return;
        }
}

void kafka_iam_refused(struct kafka_iam *iam) {
    int64_t now = loop_wall() / 1000;
    if (iam->copy.access_key_id == NULL)
        return;
    if (now != iam->signed_at) { /* the old one may have been signed by a clock that was wrong */
        iam->signed_at = now;
        set_tokens(iam);
    }
    if (now - iam->refused_at >= REFUSED_EVERY_S) {
        iam->refused_at = now;
        credentials_refused(iam->provider);
    }
}

const char *kafka_iam_principal(const struct kafka_iam *iam) {
    return iam->principal;
}
