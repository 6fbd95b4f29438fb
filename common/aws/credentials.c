#include "common/aws/credentials.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

enum {
    REFRESH_BEFORE_S = 15 * 60, /* of expiry, as the SDKs do */
    ASK_USABLE_S = 60,          /* between two attempts while what is held can be used */
    ASK_UNUSABLE_S = 1
};

typedef struct credentials_source make_source_fn(void);

/* In the SDKs' order. */
static make_source_fn *const all_sources[] = {
    credentials_environment,
};

enum {
    ALL_SOURCES = sizeof all_sources / sizeof *all_sources
};

struct credentials_provider {
    struct credentials_source *sources;
    size_t source_count;
    struct credentials held;
    bool refused;
    bool asked;
    int64_t asked_at; /* seconds since the epoch */
    char why[512];
};

static void wipe_string(char *s) {
    if (s != NULL)
        mem_wipe_free(s, strlen(s));
}

void credentials_wipe(struct credentials *c) {
    wipe_string(c->access_key_id);
    wipe_string(c->secret_access_key);
    wipe_string(c->session_token);
    *c = (struct credentials){0};
}

/* --- the environment -------------------------------------------------------------------------- */

static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value != NULL && *value != '\0' ? value : NULL;
}

/* They go into headers, where a line's end would begin another. */
static bool is_sound(const char *value) {
    for (; *value != '\0'; value++)
        if (*value <= ' ' || *value > '~')
            return false;
    return true;
}

static enum credentials_found fetch_environment(void *state, struct credentials *out, char *detail,
                                                size_t detail_size) {
    (void)state;
    static const char id_name[] = "AWS_ACCESS_KEY_ID", secret_name[] = "AWS_SECRET_ACCESS_KEY",
                      token_name[] = "AWS_SESSION_TOKEN";
    const char *id = variable(id_name), *secret = variable(secret_name),
               *token = variable(token_name);
    if (id == NULL && secret == NULL)
        return CREDENTIALS_NOT_CONFIGURED;
    if (id == NULL || secret == NULL) {
        snprintf(detail, detail_size, "%s is set without %s", id != NULL ? id_name : secret_name,
                 id != NULL ? secret_name : id_name);
        return CREDENTIALS_BROKEN;
    }
    const char *odd = !is_sound(id)                       ? id_name
                      : !is_sound(secret)                 ? secret_name
                      : token != NULL && !is_sound(token) ? token_name
                                                          : NULL;
    if (odd != NULL) {
        snprintf(detail, detail_size, "%s holds a blank or another character that no key has", odd);
        return CREDENTIALS_BROKEN;
    }
    *out = (struct credentials){mem_string(id), mem_string(secret), mem_string(token), 0};
    return CREDENTIALS_FOUND;
}

struct credentials_source credentials_environment(void) {
    return (struct credentials_source){"the environment", fetch_environment, NULL};
}

/* --- the provider ----------------------------------------------------------------------------- */

static bool is_usable(const struct credentials_provider *p, int64_t now) {
    return p->held.access_key_id != NULL && !p->refused &&
           (p->held.expires == 0 || now < p->held.expires);
}

static bool is_due(const struct credentials_provider *p, int64_t now) {
    bool usable = is_usable(p, now);
    if (usable && (p->held.expires == 0 || now < p->held.expires - REFRESH_BEFORE_S))
        return false;
    int64_t pause_s = usable ? ASK_USABLE_S : ASK_UNUSABLE_S;
    return !p->asked || now < p->asked_at || now - p->asked_at >= pause_s;
}

/* Leaves in `why` what to say when it has found none. */
static enum credentials_found ask(struct credentials_provider *p, struct credentials *found) {
    for (size_t i = 0; i < p->source_count; i++) {
        const struct credentials_source *s = &p->sources[i];
        char detail[256] = "";
        switch (s->fetch(s->state, found, detail, sizeof detail)) {
        case CREDENTIALS_FOUND:
            return CREDENTIALS_FOUND;
        case CREDENTIALS_NOT_CONFIGURED:
            break;
        case CREDENTIALS_COMING:
            snprintf(p->why, sizeof p->why, "credentials are being fetched from %s", s->name);
            return CREDENTIALS_COMING;
        case CREDENTIALS_BROKEN:
            snprintf(p->why, sizeof p->why, "no credentials from %s: %s", s->name, detail);
            return CREDENTIALS_BROKEN;
        }
    }
    int n = snprintf(p->why, sizeof p->why, "no credentials are configured; looked in");
    for (size_t i = 0; i < p->source_count && (size_t)n < sizeof p->why; i++)
        n += snprintf(p->why + n, sizeof p->why - (size_t)n, "%s %s", i > 0 ? "," : "",
                      p->sources[i].name);
    return CREDENTIALS_NOT_CONFIGURED;
}

const struct credentials *credentials_get(struct credentials_provider *p, int64_t now,
                                          const char **why) {
    if (is_due(p, now)) {
        struct credentials found = {0};
        p->asked = true;
        p->asked_at = now;
        if (ask(p, &found) == CREDENTIALS_FOUND) {
            credentials_wipe(&p->held);
            p->held = found;
            p->refused = false;
            if (!is_usable(p, now))
                snprintf(p->why, sizeof p->why, "the credentials have expired");
        }
    }
    if (is_usable(p, now))
        return &p->held;
    *why = p->why;
    return NULL;
}

void credentials_refused(struct credentials_provider *p) {
    p->refused = true;
    snprintf(p->why, sizeof p->why, "AWS refused the credentials");
}

struct credentials_provider *credentials_open(const struct credentials_source *sources,
                                              size_t count) {
    struct credentials_provider *p = mem_zero(sizeof *p);
    p->sources = mem_resize(NULL, count, sizeof *sources);
    for (size_t i = 0; i < count; i++)
        p->sources[i] = sources[i];
    p->source_count = count;
    return p;
}

struct credentials_provider *credentials_open_default(void) {
    struct credentials_source sources[ALL_SOURCES];
    for (size_t i = 0; i < ALL_SOURCES; i++)
        sources[i] = all_sources[i]();
    return credentials_open(sources, ALL_SOURCES);
}

void credentials_close(struct credentials_provider *p) {
    if (p == NULL)
        return;
    credentials_wipe(&p->held);
    free(p->sources);
    free(p);
}
