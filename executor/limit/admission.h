/*
 * How many queries of one lane may be active in Athena, learned from what Athena answers (pure, the
 * clock is passed in).
 *
 * Athena refuses a start beyond the account's quota of active queries with
 * TooManyRequestsException (a throttle, here), and has no call that reports the quota or how much
 * of it others use. So the executor keeps a limit of its own, by additive increase and
 * multiplicative decrease clocked by the ends of queries:
 * - Cold, it starts queries until one is throttled. The limit is then what it holds. Each call that
 *   is out at that moment may be throttled, too. So the calls beyond what is known to run are a
 *   share of the burst at most; within it they double from one round trip to the next.
 * - From then on it starts one query for each end that it sees, as many at once as slots are free,
 *   and now and then one above the limit: a probe (probing.h).
 * - A throttle below the limit means that others have taken slots. The limit becomes what is held,
 *   and three quarters of it while throttles follow each other.
 * - A probe that starts has either found room or taken the slot of a query whose end was not seen
 *   yet. The next sweep of the tracker decides: only when more queries than the limit really ran at
 *   once, by Athena's time stamps, does the limit rise. Until then further probes follow, one call
 *   at a time.
 * A throttle of the API's rate (ThrottlingException) is another matter: see pace.h.
 *
 * Each permit is given back exactly once: by started, throttled, uncertain or cancelled.
 *
 * Where several executors share the quota, the leader of the fleet learns for all (fleet.h,
 * quota.h). Each of them, the leader's own executor included, is then governed: it starts queries
 * within the share that it was granted and learns nothing here.
 */
#ifndef EXECUTOR_LIMIT_ADMISSION_H
#define EXECUTOR_LIMIT_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "executor/limit/probing.h"

/* What the next complete sweep is to decide. */
enum admission_check {
    ADMISSION_CHECK_NONE,
    ADMISSION_CHECK_EDGE,  /* how many ran when the limit had been raised to the first throttle */
    ADMISSION_CHECK_PROBE, /* whether a probe that started has found room */
};

#define ADMISSION_ANY_GENERATION UINT32_MAX

struct admission {
    int limit;
    int running;  /* queries that run or perhaps run, as far as this executor knows */
    int calls;    /* permits that are out: calls under way */
    bool cold;    /* no start was throttled yet */
    bool growing; /* the limit is being raised until a start is throttled */
    struct probing probing;

    int starts_growing; /* since it began to grow */
    int64_t growing_ms; /* when the first call since then was made; -1: none was */
    int64_t latency_ms; /* of calls, smoothed; 0: none was answered yet */

    int probes;             /* calls above the limit that are under way */
    int unconfirmed_probes; /* have started; no sweep has decided yet whether they found room */
    bool edge_met;          /* a throttle came after those: if they found room, it ends there */

    /* Counts throttles. A permit of an earlier one was out when the limit was set last. */
    uint32_t generation;
    int old_calls; /* such permits */

    enum admission_check check;
    uint32_t edge_generation; /* of the permits that were given while the limit grew */
    uint64_t check_sweep;     /* the sweep that decides; 0: the next one that begins */
    /*
     * Checks in a row that saw no rise, though no probe was throttled. Where calls take long, ended
     * queries that were not seen leave room for one probe after the other, and hide a rise.
     */
    int open_checks;
    bool check_once_more; /* a probe has started since that sweep began */

    bool governed; /* at most `share` is held, and nothing is learned */
    int share;
    int64_t version; /* of the grant that set `share` */

    /* Since the process began; reported to the leader, which learns from them. */
    int64_t starts, throttles;
    int64_t throttled_version; /* the grant under which the last throttled call was made */
};

/* Goes with one call of StartQueryExecution, from its making to its answer. */
struct admission_permit {
    bool probe;
    uint32_t generation;
    int64_t version;
    int64_t made_ms;
};

void admission_init(struct admission *a);
/* Slots that are taken: by what runs, and by calls that may start something. */
int admission_held(const struct admission *a);
/*
 * True: one call may be made now, and `permit` goes with it. `backlog`: queries that wait to be
 * started, those in Kafka included.
 */
bool admission_acquire(struct admission *a, int64_t now_ms, int64_t backlog,
                       struct admission_permit *permit);
/* Whether all slots known to exist are taken: what waits then waits for the quota. */
bool admission_is_full(const struct admission *a);

/* The call of a permit has started its query. */
void admission_started(struct admission *a, int64_t now_ms, const struct admission_permit *permit);
/* … was answered with TooManyRequestsException. */
void admission_throttled(struct admission *a, int64_t now_ms,
                         const struct admission_permit *permit);
/* … has shown nothing about the quota: rejected, no credentials, API rate, given up. */
void admission_cancelled(struct admission *a, const struct admission_permit *permit);
/*
 * … has perhaps started its query. It counts as running from now on; admission_confirmed() or
 * admission_ended() follows when more is known.
 */
void admission_uncertain(struct admission *a, const struct admission_permit *permit);
/* A query that was uncertain has an execution id: it runs. */
void admission_confirmed(struct admission *a);

/* A query runs that was not started under a permit, such as one taken over with a partition. */
void admission_found(struct admission *a);
/* `n` queries have ended, do not run after all, or were handed to another owner. */
void admission_ended(struct admission *a, int n);

/* The fleet's leader has granted this share; a version that is known already changes nothing. */
void admission_govern(struct admission *a, int share, int64_t version);
/* The leader has given the share to others: nothing is started until another version is granted. */
void admission_revoke_share(struct admission *a);
/* Learns alone again, from this limit on; `learned` false: it is cold. */
void admission_learn_alone(struct admission *a, int64_t now_ms, int limit, bool learned);

/*
 * The tracker begins to look at every query that runs now. `sweep`: an ascending number, not 0.
 * Sweeps may overlap; they end in any order.
 */
void admission_sweep_begins(struct admission *a, uint64_t sweep);
/*
 * What the check under way asks for: how many of ours were active at once, at most, when queries of
 * this generation of permits were submitted. So many the quota has allowed since the throttle
 * before the growth; 0: none was. ADMISSION_ANY_GENERATION: how many were active at the last
 * submission.
 */
uint32_t admission_generation(const struct admission *a);
/*
 * This sweep has looked at them all. `peak`: what admission_generation() asks for, by Athena's
 * SubmissionDateTime and CompletionDateTime.
 */
void admission_swept(struct admission *a, uint64_t sweep, int peak);

#endif
