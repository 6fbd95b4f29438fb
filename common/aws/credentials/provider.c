#include "common/aws/credentials/provider.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/attempts.h"
#include "common/aws/clock.h"
#include "common/aws/region.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/memory.h"

enum {
    ADVISORY_S = 15 * 60,  /* before expiry, as in the SDKs: from here on a new one is fetched, */
    MANDATORY_S = 10 * 60, /* and from here on it is trouble when there is none */
    ASK_USABLE_S = 60,     /* between two attempts while what is held can be used */
    ASK_UNUSABLE_S = 1,
    REFUSED_MOST_S = 10,
    REFUSED_MEMORY_S = 120,
    WAIT_MOST_S = 600
};

struct credentials_provider {
    struct credentials_source *sources;
    size_t source_count;
    size_t at; /* the source that is COMING, where the next asking begins; else 0 */
    struct credentials_background background; /* zeroed: none */
    struct loop_timer timer;
    struct credentials held;
    unsigned serial;
    size_t found_in;    /* the source of what is held */
    int64_t refresh_at; /* seconds since the epoch, as all of these */
    bool refused;
    int64_t refused_at, refused_pause_s;
    bool asked, coming;
    int64_t asked_at;
    char why[1024], said[1024];
};

void credentials_copy(const struct credentials *from, struct credentials *to) {
    *to = (struct credentials){mem_string(from->access_key_id), mem_string(from->secret_access_key),
                               mem_string(from->session_token), from->expires};
}

void credentials_wipe(struct credentials *c) {
    mem_wipe_string(c->access_key_id);
    mem_wipe_string(c->secret_access_key);
    mem_wipe_string(c->session_token);
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

static int64_t ours_to_aws(const struct credentials_provider *p, int64_t now) {
    return now + (p->background.clock != NULL ? p->background.clock->offset_s : 0);
}

static bool is_usable(const struct credentials_provider *p, int64_t now) {
    return p->held.access_key_id != NULL && !p->refused &&
           (p->held.expires == 0 || now < p->held.expires);
}

/* When to ask again after p->asked_at; INT64_MAX: not before something happens. */
static int64_t next_ask(const struct credentials_provider *p, int64_t now) {
    if (!is_usable(p, now))
        return p->asked_at + (p->refused ? p->refused_pause_s : ASK_UNUSABLE_S);
    if (p->held.expires == 0)
        return INT64_MAX;
    int64_t pause_s = (p->held.expires - p->asked_at) / 2;
    pause_s = pause_s > ASK_USABLE_S ? ASK_USABLE_S : pause_s < 1 ? 1 : pause_s;
    int64_t at = p->asked_at + pause_s;
    return at > p->refresh_at ? at : p->refresh_at;
}

static bool is_due(const struct credentials_provider *p, int64_t now) {
    return !p->asked || now < p->asked_at || now >= next_ask(p, now);
}

static void say_none(struct credentials_provider *p, const char *details) {
    int n = snprintf(p->why, sizeof p->why, "no credentials are configured; looked in");
    for (size_t i = 0; i < p->source_count && (size_t)n < sizeof p->why; i++)
        n += snprintf(p->why + n, sizeof p->why - (size_t)n, "%s %s", i > 0 ? "," : "",
                      p->sources[i].name);
    if ((size_t)n < sizeof p->why)
        snprintf(p->why + n, sizeof p->why - (size_t)n, "%s", details);
}

/* Leaves in `why` what to say when it has found none. */
static enum credentials_found ask(struct credentials_provider *p, struct credentials *found) {
    char details[512] = "";
    size_t i = p->at, n = 0;
    for (p->at = 0; i < p->source_count; i++) {
        const struct credentials_source *s = &p->sources[i];
        char detail[512] = "";
        switch (s->fetch(s->state, found, detail, sizeof detail)) {
        case CREDENTIALS_FOUND:
            p->found_in = i;
            return CREDENTIALS_FOUND;
        case CREDENTIALS_NOT_CONFIGURED:
            if (detail[0] != '\0' && n < sizeof details)
                n += (size_t)snprintf(details + n, sizeof details - n, "; %s: %s", s->name, detail);
            break;
        case CREDENTIALS_COMING:
            p->at = i; /* those before it have said that they are not configured */
            snprintf(p->why, sizeof p->why, "credentials are being fetched from %s", s->name);
            return CREDENTIALS_COMING;
        case CREDENTIALS_BROKEN:
            snprintf(p->why, sizeof p->why, "no credentials from %s: %s", s->name, detail);
            return CREDENTIALS_BROKEN;
        }
    }
    say_none(p, details);
    return CREDENTIALS_NOT_CONFIGURED;
}

static void say_found(struct credentials_provider *p, int64_t now) {
    const char *from = credentials_from(p);
    if (p->held.expires == 0)
        log_info("credentials from %s", from);
    else
        log_info("credentials from %s expire_in_s=%lld", from, (long long)(p->held.expires - now));
    p->said[0] = '\0';
}

/* Once, until it changes; nothing of a first failure to refresh ahead of time. */
static void say_trouble(struct credentials_provider *p, int64_t now) {
    bool usable = is_usable(p, now);
    if (usable && now < p->held.expires - MANDATORY_S) {
        log_debug("credentials are not refreshed yet: %s", p->why);
        return;
    }
    if (strcmp(p->said, p->why) == 0)
        return;
    memcpy(p->said, p->why, sizeof p->said);
    if (usable)
        log_warn("credentials cannot be refreshed: %s expire_in_s=%lld", p->why,
                 (long long)(p->held.expires - now));
    else
        log_warn("no credentials can be had: %s", p->why);
}

static bool is_same_text(const char *a, const char *b) {
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void hold(struct credentials_provider *p, struct credentials *found, int64_t now) {
    bool same = is_same_text(p->held.access_key_id, found->access_key_id) &&
                is_same_text(p->held.session_token, found->session_token) &&
                p->held.expires == found->expires;
    credentials_wipe(&p->held);
    p->held = *found;
    p->refused = false;
    p->serial++;
    p->refresh_at = found->expires - ADVISORY_S;
    if (p->background.loop != NULL)
        p->refresh_at += (int64_t)(attempts_random() * (ADVISORY_S - MANDATORY_S));
    if (!is_usable(p, now))
        snprintf(p->why, sizeof p->why, "the credentials have expired");
    else if (p->background.loop != NULL && (!same || p->said[0] != '\0'))
        say_found(p, now);
}

static void on_timer(void *arg);

static void schedule(struct credentials_provider *p, int64_t now) {
    if (p->background.loop == NULL)
        return;
    int64_t at = next_ask(p, now);
    if (is_usable(p, now) && p->held.expires != 0 && at > p->held.expires)
        at = p->held.expires;
    if (at == INT64_MAX) {
        loop_timer_cancel(p->background.loop, &p->timer);
        return;
    }
    int64_t delay_s = at > now ? at - now : 0;
    if (delay_s > WAIT_MOST_S) /* the clock of the day may be set */
        delay_s = WAIT_MOST_S;
    loop_timer_set(p->background.loop, &p->timer, delay_s > 0 ? delay_s * 1000 : 100, on_timer, p);
}

static void refresh(struct credentials_provider *p, int64_t now) {
    struct credentials found = {0};
    int64_t offset_s = ours_to_aws(p, 0);
    enum credentials_found what = ask(p, &found);
    now += ours_to_aws(p, 0) - offset_s; /* a source may have set the clock */
    p->asked = true;
    p->asked_at = now;
    p->coming = what == CREDENTIALS_COMING;
    if (what == CREDENTIALS_FOUND)
        hold(p, &found, now);
    else if (what != CREDENTIALS_COMING && p->background.loop != NULL)
        say_trouble(p, now);
    schedule(p, now);
}

static void on_timer(void *arg) {
    struct credentials_provider *p = arg;
    int64_t now = ours_to_aws(p, loop_wall() / 1000);
    if (is_due(p, now))
        refresh(p, now);
    else
        schedule(p, now);
}

void credentials_wake(struct credentials_provider *p) {
    refresh(p, ours_to_aws(p, loop_wall() / 1000));
}

const struct credentials *credentials_held(struct credentials_provider *p, int64_t now,
                                           const char **why) {
    if (is_due(p, ours_to_aws(p, now)))
        refresh(p, ours_to_aws(p, now));
    if (is_usable(p, ours_to_aws(p, now)))
        return &p->held;
    *why = p->why;
    return NULL;
}

const struct credentials *credentials_get(struct credentials_provider *p, int64_t now,
                                          const char **why) {
    const struct credentials *held = credentials_held(p, now, why);
    if (held != NULL && p->background.place != NULL &&
        aws_place_region(p->background.place, why) == NULL)
        return NULL;
    return held;
}

bool credentials_are_coming(const struct credentials_provider *p) {
    return p->coming;
}

void credentials_refused_serial(struct credentials_provider *p, unsigned serial) {
    if (serial != p->serial || p->refused || p->held.access_key_id == NULL)
        return;
    /* Soon after they were asked for because of a refusal: another fetch helps little. */
    bool again = p->refused_pause_s > 0 && p->asked_at - p->refused_at < REFUSED_MEMORY_S;
    p->refused_pause_s = !again                                    ? ASK_UNUSABLE_S
                         : p->refused_pause_s * 2 < REFUSED_MOST_S ? p->refused_pause_s * 2
                                                                   : REFUSED_MOST_S;
    p->refused = true;
    p->refused_at = p->asked_at;
    snprintf(p->why, sizeof p->why, "AWS refused the credentials");
    schedule(p, p->asked_at);
}

void credentials_refused(struct credentials_provider *p) {
    credentials_refused_serial(p, p->serial);
}

unsigned credentials_serial(const struct credentials_provider *p) {
    return p->serial;
}

const char *credentials_from(const struct credentials_provider *p) {
    if (p->held.access_key_id == NULL)
        return "";
    const char *from =
        p->background.from != NULL ? p->background.from(p->background.arg, p->found_in) : "";
    return from[0] != '\0' ? from : p->sources[p->found_in].name;
}

struct aws_clock *credentials_clock(const struct credentials_provider *p) {
    return p->background.clock;
}

struct aws_place *credentials_place(const struct credentials_provider *p) {
    return p->background.place;
}

struct credentials_provider *credentials_open(const struct credentials_source *sources,
                                              size_t count) {
    struct credentials_provider *p = mem_zero(sizeof *p);
    p->sources = mem_resize(NULL, count, sizeof *sources);
    for (size_t i = 0; i < count; i++)
        p->sources[i] = sources[i];
    p->source_count = count;
    p->serial = 1;
    return p;
}

struct credentials_provider *credentials_open_background(const struct credentials_source *sources,
                                                         size_t count,
                                                         const struct credentials_background *b) {
    struct credentials_provider *p = credentials_open(sources, count);
    p->background = *b;
    loop_timer_set(b->loop, &p->timer, 0, on_timer, p); /* before anybody asks */
    return p;
}

struct credentials_provider *credentials_open_default(void) {
    const struct credentials_source environment = credentials_environment();
    return credentials_open(&environment, 1);
}

void credentials_close(struct credentials_provider *p) {
    if (p == NULL)
        return;
    if (p->background.loop != NULL)
        loop_timer_cancel(p->background.loop, &p->timer);
    if (p->background.close != NULL)
        p->background.close(p->background.arg);
    credentials_wipe(&p->held);
    free(p->sources);
    free(p);
}
