/*
 * One lane's quota as the leader of the fleet knows it: the limit, learned from the reports of all
 * members, and the share of each (pure, the clock is passed in).
 *
 * The limit is learned by the same steps as in admission.h, from reports instead of answers. It is
 * shared max-min fair by demand. A share may be lowered at any time. It is raised only by what the
 * other members are bound not to use, so that
 *
 *     sum of quota_bound() over all members <= quota_slots()
 *
 * whatever messages are under way, except for what members are found to hold already: after the
 * limit was cut, or where running queries were taken over with a partition.
 *
 * Grants are numbered by `version`. `next_version` is the number of the grant that will be written
 * next; a member that reports `next_version - 1` obeys the last grant.
 */
#ifndef EXECUTOR_LIMIT_QUOTA_H
#define EXECUTOR_LIMIT_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "executor/limit/probing.h"
#include "executor/limit/quota_member.h"

/* Counting what really ran, by Athena's clock. */
enum quota_check {
    QUOTA_CHECK_NONE,
    QUOTA_CHECK_SWEEP, /* every member is to make a complete sweep */
    QUOTA_CHECK_COUNT, /* every member is to count what was active at `check_at` */
};

struct quota {
    int limit;
    int64_t latency_ms; /* of calls, as the leader's own executor sees it; 0: not known */
    bool cold;          /* no start was throttled yet */
    bool growing;       /* the limit is being raised until a start is throttled */
    struct probing probing;
    /* While it grows. */
    bool started_since; /* a query has started since the limit was raised last */
    int64_t raised_ms;  /* when that was, or it began to grow */
    int step;           /* by how much */

    /* What members of the last leader may hold beyond its last grant, until each has reported. */
    int reserve;
    int64_t cut_version; /* a throttle of a call made under an earlier grant is not news */

    int64_t probe_version;  /* the grant with one slot more; 0: no probe is out */
    size_t prober;          /* the member that was granted it */
    int unconfirmed_probes; /* have started; no check has decided yet whether they found room */
    int open_checks;        /* of probes, one after the other, which decided nothing */
    int shared_probes;      /* unconfirmed ones that are shared out like the limit */

    enum quota_check check;
    bool check_is_of_probe; /* asks whether a probe found room; else where the quota is */
    bool check_waits;       /* for the answers to all calls that were out when it began */
    int64_t check_version;  /* the grant that asks */
    int64_t check_ms;       /* when the check began */
    double check_at;        /* Athena's clock, seconds */

    size_t first_served; /* the member that comes first where not each can have a slot */
    int64_t first_served_ms;
};

void quota_init(struct quota *q, int64_t now_ms);
/* Goes on from a limit that another leader, or this executor alone, has learned. */
void quota_resume(struct quota *q, int64_t now_ms, int limit, bool learned);
/* Adds a member to which the last leader has granted this share; it has not reported yet. */
void quota_inherit(struct quota *q, struct quota_member *m, int share);
/*
 * Member `i` has reported, obeying the grant `version`. True: a grant is to be written at once.
 */
bool quota_take_report(struct quota *q, struct quota_member *members, size_t count, size_t i,
                       const struct quota_report *report, int64_t version, int64_t next_version,
                       int64_t now_ms);
/* Member `i` is about to be removed from the array: a probe that it was to make is dropped. */
void quota_forget_member(struct quota *q, size_t i);
/* Sets `next` of all members. True: a grant is to be written at once. */
bool quota_allot(struct quota *q, struct quota_member *members, size_t count, int64_t next_version,
                 int64_t now_ms);
/* How many slots are shared out: the limit, and what is probed above it. */
int quota_slots(const struct quota *q);

#endif
