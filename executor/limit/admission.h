/*
 * How many queries of one lane may run, learned from what Athena answers (pure, clock passed in).
 *
 * Completion-clocked AIMD:
 * - cold: start until throttled, few calls at once; the limit is then what we hold;
 * - after that one start for each end that is seen, and now and then one above the limit (a probe,
 *   probing.h), while the backlog is long: a query that is refused waits for the redriver, and
 *   towards the end that costs more than a slot could win;
 * - a throttle below the limit means that somebody else took slots: the limit is what we hold,
 *   and three quarters of it while throttles follow each other;
 * - a probe that works may only have refilled a slot whose end we had not seen: only a real rise,
 *   by the server's own time stamps, moves the limit. It has cost nothing, so the next follows it,
 *   one call at a time, until one is refused or a rise is seen;
 * - while nothing is known, or slots were found, up to four calls are out at once.
 * Throttling of the API's rate never comes here: that is the pace's (below).
 *
 * Every permit is given back exactly once: by started, throttled, uncertain or cancelled.
 *
 * Where several executors share the quota, one of them learns for all (fleet.h, quota.h): the
 * others and it are then governed, and start within the share that they were told.
 */
#ifndef EXECUTOR_LIMIT_ADMISSION_H
#define EXECUTOR_LIMIT_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "executor/limit/probing.h"

struct admission {
    int limit;   /* as learned */
    int held;    /* running, as far as we know */
    int pending; /* permits out: calls under way */
    bool cold, growing;
    int64_t asked_ms; /* when the last permit was given */
    int grown;        /* starts since it began to grow */
    int above;        /* probes that have started something, which no sweep has told of yet; … */
    bool met;       /* … the next one was refused: the edge is met, should they tell of a rise */
    uint32_t epoch; /* one more at each throttle: permits from before it bring no news */
    struct probing probing;
    /* What the next sweep is to tell; armed once that sweep has begun. */
    enum admission_check {
        CHECK_NONE,
        CHECK_EDGE,
        CHECK_PROBE
    } check;
    bool check_armed;
    bool check_again; /* a probe has started something since */
    /* Governed by the fleet: at most `share` is held, and nothing is learned here. */
    bool governed;
    int share;
    int64_t version; /* of the grant that tells the share */
    /* What the fleet's leader learns from; since the process began. */
    int64_t starts, throttles;
    int64_t throttled_version; /* the grant under which the last throttled call was made */
};

struct admission_permit {
    bool probe;
    uint32_t epoch;
    int64_t version;
};

void admission_init(struct admission *a);
/* Slots that are taken: of what runs, and of calls that may start something. */
int admission_out(const struct admission *a);
/*
 * True: one call may be made now, and `permit` goes with it. `backlog`: how many wait to be
 * started, in Kafka too.
 */
bool admission_want(struct admission *a, int64_t now_ms, int64_t backlog,
                    struct admission_permit *permit);
/* Whether all that the quota is known to allow is taken: what waits then waits for the quota. */
bool admission_is_full(const struct admission *a);
void admission_started(struct admission *a, const struct admission_permit *permit);
void admission_throttled(struct admission *a, int64_t now_ms,
                         const struct admission_permit *permit);
/* The call said nothing about the quota (rejected, no credentials, API rate, given up). */
void admission_cancelled(struct admission *a);
/*
 * The call may have started its query and nobody knows: it counts as running. What is learned
 * later of it is told by admission_confirmed() or admission_ended().
 */
void admission_uncertain(struct admission *a);
/* One that was uncertain has an id: it runs. */
void admission_confirmed(struct admission *a);
/* A query runs that we did not start now: it is followed by what its status says. */
void admission_found(struct admission *a);
/* `n` queries have ended, do not run after all, or were handed to another owner. */
void admission_ended(struct admission *a, int n);
/* Governed from now on, by this share; a grant that is known already changes nothing. */
void admission_govern(struct admission *a, int share, int64_t version);
/* Others have been given its share: it starts nothing until another version is granted. */
void admission_forgotten(struct admission *a);
/* Learns alone again, from this limit on; `learned`: false while nobody knows the limit. */
void admission_alone(struct admission *a, int64_t now_ms, int limit, bool learned);
void admission_sweep_begins(struct admission *a);
/*
 * After a sweep over all that ran when it began: how many of ours ran at the moment the last of
 * them was submitted, by Athena's SubmissionDateTime and CompletionDateTime.
 */
void admission_swept(struct admission *a, int peak);

/*
 * The pace of calls under ThrottlingException: none until the first one, then AIMD. Athena allows
 * 20 calls of StartQueryExecution a second, 80 in a burst (Service Quotas of Athena).
 */
struct pace {
    double rate; /* calls a second; 0: not limited */
    double tokens;
    int64_t filled_ms;
    int64_t cut_ms; /* of the last cut */
    /* The calls of the last second tell what was too much. */
    int64_t second_ms;
    int calls, calls_before;
};

void pace_init(struct pace *p);
/* True: a call may be made now. pace_take() makes it. */
bool pace_open(struct pace *p, int64_t now_ms);
void pace_take(struct pace *p, int64_t now_ms);
void pace_throttled(struct pace *p, int64_t now_ms);
/* A call went well: the pace rises by one a second for each second. */
void pace_worked(struct pace *p);

#endif
