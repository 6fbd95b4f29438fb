#include "common/aws/cloudwatch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "common/aws/attempts.h"
#include "common/aws/error.h"
#include "common/base/buffer.h"
#include "common/base/log.h"
#include "common/base/memory.h"

enum {
    METRICS_A_CALL = 1000,
    NAME_MAX_BYTES = 255, /* as long as a database's name gets in Athena */
    BODY_MAX = 1024 * 1024,
    ATTEMPTS = 3,
    WARN_EVERY_MS = 60000
};

static const char *const metric_names[CLOUDWATCH_COUNTERS] = {
    [CLOUDWATCH_START] = "StartQueryCount",
    [CLOUDWATCH_THROTTLED] = "ThrottlingErrorCount",
    [CLOUDWATCH_RESTARTED] = "RestartQueryCount",
};

struct counts {
    int64_t of[CLOUDWATCH_COUNTERS];
};

struct database {
    char name[NAME_MAX_BYTES + 1];
    struct counts counted; /* and not accepted by CloudWatch yet */
    struct counts due;     /* of these: still to be sent in this round */
    struct counts sent;    /* of these: in the call under way */
    UT_hash_handle hh;
};

/*
 * A round sends what is counted when it begins, in as many calls as that needs, one after another.
 * It ends with the first call that fails.
 */
struct cloudwatch {
    struct loop *loop;
    struct aws_client *client;
    int64_t interval_ms;
    struct loop_timer timer;
    struct database *databases; /* a hash by name */
    struct buffer body;         /* of the call under way, kept for its next attempt */
    bool sending;               /* a round is under way: a call, or the pause before an attempt */
    struct aws_call *call;
    struct loop_timer retry;
    int made;      /* attempts at sending this body */
    bool stopping; /* cloudwatch_flush() was called */
    bool again;    /* begin another round as soon as this one has ended well */
    bool warned;
    int64_t warned_at_ms;
};

/* --- counting --------------------------------------------------------------------------------- */

static bool is_all_blanks(const char *s) {
    return s[strspn(s, " ")] == '\0';
}

/* A character of several bytes becomes one '?'. */
static void make_name(const char *database, char name[NAME_MAX_BYTES + 1]) {
    size_t n = 0;
    for (const char *s = database; *s != '\0' && n < NAME_MAX_BYTES; s++) {
        unsigned char c = (unsigned char)*s;
        if ((c & 0xC0) == 0x80)
            continue;
        name[n] = c < ' ' || c > '~' || (n == 0 && c == ':') ? '?' : (char)c;
        n++;
    }
    name[n] = '\0';
    if (is_all_blanks(name))
        strcpy(name, "?");
}

static struct database *find_database(struct cloudwatch *c, const char *database) {
    char name[NAME_MAX_BYTES + 1];
    struct database *d;
    make_name(database, name);
    HASH_FIND_STR(c->databases, name, d);
    if (d == NULL && HASH_COUNT(c->databases) >= CLOUDWATCH_DATABASES_MAX) {
        strcpy(name, CLOUDWATCH_OTHER);
        HASH_FIND_STR(c->databases, name, d);
    }
    if (d == NULL) {
        d = mem_zero(sizeof *d);
        strcpy(d->name, name);
        HASH_ADD_STR(c->databases, name, d);
    }
    return d;
}

void cloudwatch_count(struct cloudwatch *c, enum cloudwatch_counter counter, const char *database) {
    if (c != NULL)
        find_database(c, database)->counted.of[counter]++;
}

static bool is_nothing(const struct counts *counts) {
    for (int i = 0; i < CLOUDWATCH_COUNTERS; i++)
        if (counts->of[i] != 0)
            return false;
    return true;
}

/* --- sending ---------------------------------------------------------------------------------- */

static void add_metric(struct buffer *body, const struct database *d, int counter, int64_t now_s) {
    buffer_printf(body,
                  "%s{\"MetricName\":\"%s\",\"Dimensions\":[{\"Name\":\"DATABASE\",\"Value\":",
                  body->data[body->len - 1] == '[' ? "" : ",", metric_names[counter]);
    buffer_json_string(body, d->name, strlen(d->name));
    buffer_printf(body, "}],\"Timestamp\":%" PRId64 ",\"Value\":%" PRId64 ",\"Unit\":\"Count\"}",
                  now_s, d->sent.of[counter]);
}

/* Moves as many counters as fit one call from due to sent. False: nothing was due. */
static bool make_body(struct cloudwatch *c) {
    struct buffer *body = &c->body;
    int metrics = 0;
    int64_t now_s = loop_wall() / 1000;
    buffer_init(body, BODY_MAX);
    buffer_puts(body, "{\"Namespace\":\"AthenaQuery\",\"MetricData\":[");
    for (struct database *d = c->databases; d != NULL; d = d->hh.next)
        for (int i = 0; i < CLOUDWATCH_COUNTERS && metrics < METRICS_A_CALL; i++) {
            if (d->due.of[i] == 0)
                continue;
            d->sent.of[i] = d->due.of[i];
            d->due.of[i] = 0;
            add_metric(body, d, i, now_s);
            metrics++;
        }
    buffer_puts(body, "]}");
    return metrics > 0;
}

static void cloudwatch_on_answer(void *arg, const struct aws_answer *answer);

static void cloudwatch_call(void *arg) {
    struct cloudwatch *c = arg;
    c->made++;
    c->call = aws_start(c->client, &aws_cloudwatch, "PutMetricData", buffer_text(&c->body),
                        c->body.len, CLOUDWATCH_TIMEOUT_MS, cloudwatch_on_answer, c);
}

/* False: the round has nothing more to send. */
static bool send_next(struct cloudwatch *c) {
    c->sending = make_body(c);
    c->made = 0;
    if (c->sending)
        cloudwatch_call(c);
    else
        buffer_free(&c->body);
    return c->sending;
}

static void begin_round(struct cloudwatch *c) {
    c->again = false;
    for (struct database *d = c->databases; d != NULL; d = d->hh.next)
        d->due = d->counted;
    send_next(c);
}

/* Drops databases whose counters are zero, to make room for others. */
static void cloudwatch_settle(struct cloudwatch *c, bool accepted) {
    for (struct database *d = c->databases, *next; d != NULL; d = next) {
        next = d->hh.next;
        for (int i = 0; i < CLOUDWATCH_COUNTERS; i++) {
            if (accepted)
                d->counted.of[i] -= d->sent.of[i];
            else
                d->due.of[i] = 0;
            d->sent.of[i] = 0;
        }
        if (is_nothing(&d->counted)) {
            HASH_DEL(c->databases, d);
            free(d);
        }
    }
}

static void warn(struct cloudwatch *c, const struct aws_answer *a) {
    int64_t now_ms = loop_now(c->loop);
    if (c->warned && now_ms - c->warned_at_ms < WARN_EVERY_MS)
        return;
    c->warned = true;
    c->warned_at_ms = now_ms;
    log_warn("counters not sent to CloudWatch, kept for the next interval status=%d code=%s "
             "error=%s",
             a->http.status, a->code, a->http.error[0] != '\0' ? a->http.error : a->message);
}

/*
 * As in the SDKs' standard mode, and where the refusal has set the clock right. During a stop only
 * a call that was answered is worth another attempt.
 */
static bool cloudwatch_is_worth_retry(const struct cloudwatch *c, const struct aws_answer *a) {
    if (c->made >= ATTEMPTS || a->no_credentials)
        return false;
    if (a->http.result != HTTP_ANSWERED)
        return !c->stopping;
    return a->http.status >= 500 || a->http.status == 429 || aws_error_is_passing(a->code) ||
           a->credentials == 0;
}

static void cloudwatch_on_answer(void *arg, const struct aws_answer *answer) {
    struct cloudwatch *c = arg;
    bool accepted = answer->http.result == HTTP_ANSWERED && answer->http.status / 100 == 2;
    c->call = NULL;
    if (!accepted && cloudwatch_is_worth_retry(c, answer)) {
        loop_timer_set(c->loop, &c->retry, attempts_delay_ms(c->made), cloudwatch_call, c);
        return;
    }
    c->sending = false;
    buffer_free(&c->body);
    cloudwatch_settle(c, accepted);
    if (!accepted) {
        c->again = false;
        warn(c, answer);
    } else if (!send_next(c) && c->again) {
        begin_round(c);
    }
}

static void cloudwatch_on_interval(void *arg) {
    struct cloudwatch *c = arg;
    loop_timer_set(c->loop, &c->timer, c->interval_ms, cloudwatch_on_interval, c);
    if (!c->sending)
        begin_round(c);
}

/* --- what callers use ------------------------------------------------------------------------- */

struct cloudwatch *cloudwatch_open(struct loop *loop, struct aws_client *client,
                                   int64_t interval_ms) {
    struct cloudwatch *c = mem_zero(sizeof *c);
    c->loop = loop;
    c->client = client;
    c->interval_ms = interval_ms;
    loop_timer_set(loop, &c->timer, interval_ms, cloudwatch_on_interval, c);
    return c;
}

void cloudwatch_flush(struct cloudwatch *c) {
    if (c == NULL)
        return;
    c->stopping = true;
    if (c->sending)
        c->again = true;
    else
        begin_round(c);
}

bool cloudwatch_busy(const struct cloudwatch *c) {
    return c != NULL && c->sending;
}

void cloudwatch_close(struct cloudwatch *c) {
    if (c == NULL)
        return;
    if (c->call != NULL)
        aws_cancel(c->call);
    loop_timer_cancel(c->loop, &c->timer);
    loop_timer_cancel(c->loop, &c->retry);
    if (c->sending)
        buffer_free(&c->body);
    int64_t lost = 0;
    for (struct database *d = c->databases, *next; d != NULL; d = next) {
        next = d->hh.next;
        for (int i = 0; i < CLOUDWATCH_COUNTERS; i++)
            lost += d->counted.of[i];
        HASH_DEL(c->databases, d);
        free(d);
    }
    if (lost > 0)
        log_warn("counters were not sent to CloudWatch before the end count=%" PRId64, lost);
    free(c);
}
