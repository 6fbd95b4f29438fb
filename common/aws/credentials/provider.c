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
    ADVISORY_S = 15 * 60,  /* before expiry, as in the SDKs: a refresh begins here, */
    MANDATORY_S = 10 * 60, /* and here a warning, where it has not succeeded by then */
    ASK_USABLE_S = 60,     /* between two attempts while the held credentials can be used */
    ASK_UNUSABLE_S = 1,
    REFUSED_PAUSE_MAX_S = 10,
    REFUSED_MEMORY_S = 120, /* a refusal later than this after the one before is a new trouble */
    WAIT_MAX_S = 600        /* the wall clock may be set meanwhile */
};

struct credentials_provider {
    struct credentials_source *sources;
    size_t source_count;
    size_t at; /* the source that is COMING, which is asked first next time; else 0 */
    struct credentials_background background; /* zeroed: none */
    struct loop_timer timer;
    struct credentials held;
    unsigned serial;
    size_t found_in;    /* the source of what is held */
    int64_t refresh_at; /* this and all times below: seconds since the epoch by AWS's clock */
    bool refused;
    int64_t refused_at, refused_pause_s;
    bool asked, coming;
    int64_t asked_at;
    char why[1024], logged[1024]; /* the reason why there are none; the last one logged */
};

/* --- when to ask ------------------------------------------------------------------------------ */

static int64_t to_aws_time(const struct credentials_provider *p, int64_t now) {
    return now + (p->background.clock != NULL ? p->background.clock->offset_s : 0);
}

static bool is_usable(const struct credentials_provider *p, int64_t now) {
    return p->held.access_key_id != NULL && !p->refused &&
           (p->held.expires == 0 || now < p->held.expires);
}

/* When to ask again; INT64_MAX: not before AWS refuses what is held. */
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

static void explain_none(struct credentials_provider *p, const char *details) {
    int n = snprintf(p->why, sizeof p->why, "no credentials are configured; looked in");
    for (size_t i = 0; i < p->source_count && (size_t)n < sizeof p->why; i++)
        n += snprintf(p->why + n, sizeof p->why - (size_t)n, "%s %s", i > 0 ? "," : "",
                      p->sources[i].name);
    if ((size_t)n < sizeof p->why)
        snprintf(p->why + n, sizeof p->why - (size_t)n, "%s", details);
}

/* Sets p->why where it has found none. */
static enum credentials_found provider_ask(struct credentials_provider *p,
                                           struct credentials *found) {
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
            p->at = i; /* the sources before it are not configured */
            snprintf(p->why, sizeof p->why, "credentials are being fetched from %s", s->name);
            return CREDENTIALS_COMING;
        case CREDENTIALS_BROKEN:
            snprintf(p->why, sizeof p->why, "no credentials from %s: %s", s->name, detail);
            return CREDENTIALS_BROKEN;
        }
    }
    explain_none(p, details);
    return CREDENTIALS_NOT_CONFIGURED;
}

static void provider_log_found(struct credentials_provider *p, int64_t now) {
    const char *from = credentials_from(p);
    if (p->held.expires == 0)
        log_info("credentials from %s", from);
    else
        log_info("credentials from %s expire_in_s=%lld", from, (long long)(p->held.expires - now));
    p->logged[0] = '\0';
}

/* Logs the reason once, until it changes. A refresh that fails early is no trouble yet. */
static void provider_log_trouble(struct credentials_provider *p, int64_t now) {
    bool usable = is_usable(p, now);
    if (usable && now < p->held.expires - MANDATORY_S) {
        log_debug("credentials are not refreshed yet: %s", p->why);
        return;
    }
    if (strcmp(p->logged, p->why) == 0)
        return;
    memcpy(p->logged, p->why, sizeof p->logged);
    if (usable)
        log_warn("credentials cannot be refreshed: %s expire_in_s=%lld", p->why,
                 (long long)(p->held.expires - now));
    else
        log_warn("no credentials can be had: %s", p->why);
}

static bool is_same_value(const char *a, const char *b) {
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void provider_hold(struct credentials_provider *p, struct credentials *found, int64_t now) {
    bool same = is_same_value(p->held.access_key_id, found->access_key_id) &&
                is_same_value(p->held.session_token, found->session_token) &&
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
    else if (p->background.loop != NULL && (!same || p->logged[0] != '\0'))
        provider_log_found(p, now);
}

static void provider_on_timer(void *arg);

static void provider_schedule(struct credentials_provider *p, int64_t now) {
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
    if (delay_s > WAIT_MAX_S)
        delay_s = WAIT_MAX_S;
    loop_timer_set(p->background.loop, &p->timer, delay_s > 0 ? delay_s * 1000 : 100,
                   provider_on_timer, p);
}

static void provider_refresh(struct credentials_provider *p, int64_t now) {
    struct credentials found = {0};
    int64_t offset_s = to_aws_time(p, 0);
    enum credentials_found what = provider_ask(p, &found);
    now += to_aws_time(p, 0) - offset_s; /* a source may have set the clock meanwhile */
    p->asked = true;
    p->asked_at = now;
    p->coming = what == CREDENTIALS_COMING;
    if (what == CREDENTIALS_FOUND)
        provider_hold(p, &found, now);
    else if (what != CREDENTIALS_COMING && p->background.loop != NULL)
        provider_log_trouble(p, now);
    provider_schedule(p, now);
}

static void provider_on_timer(void *arg) {
    struct credentials_provider *p = arg;
    int64_t now = to_aws_time(p, loop_wall() / 1000);
    if (is_due(p, now))
        provider_refresh(p, now);
    else
        provider_schedule(p, now);
}

void credentials_wake(struct credentials_provider *p) {
    provider_refresh(p, to_aws_time(p, loop_wall() / 1000));
}

const struct credentials *credentials_held(struct credentials_provider *p, int64_t now,
                                           const char **why) {
    if (is_due(p, to_aws_time(p, now)))
        provider_refresh(p, to_aws_time(p, now));
    if (is_usable(p, to_aws_time(p, now)))
        return &p->held;
    *why = p->why;
    return NULL;
}

const struct credentials *credentials_get(struct credentials_provider *p, int64_t now,
                                          const char **why) {
    const struct credentials *held = credentials_held(p, now, why);
    if (held != NULL && p->background.region != NULL &&
        aws_region_name(p->background.region, why) == NULL)
        return NULL;
    return held;
}

bool credentials_are_coming(const struct credentials_provider *p) {
    return p->coming;
}

void credentials_refused_serial(struct credentials_provider *p, unsigned serial) {
    if (serial != p->serial || p->refused || p->held.access_key_id == NULL)
        return;
    /* A refusal soon after another one: fetching them again helps little. */
    bool again = p->refused_pause_s > 0 && p->asked_at - p->refused_at < REFUSED_MEMORY_S;
    p->refused_pause_s = !again                                         ? ASK_UNUSABLE_S
                         : p->refused_pause_s * 2 < REFUSED_PAUSE_MAX_S ? p->refused_pause_s * 2
                                                                        : REFUSED_PAUSE_MAX_S;
    p->refused = true;
    p->refused_at = p->asked_at;
    snprintf(p->why, sizeof p->why, "AWS refused the credentials");
    provider_schedule(p, p->asked_at);
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

struct aws_region *credentials_region(const struct credentials_provider *p) {
    return p->background.region;
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
    loop_timer_set(b->loop, &p->timer, 0, provider_on_timer,
                   p); /* fetch before the first call needs them */
    return p;
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
