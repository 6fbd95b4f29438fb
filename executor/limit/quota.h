/*
 * One lane's quota as the leader of the fleet knows it: the limit, learned from the reports of all
 * members, and the share of each (pure, the clock is passed in).
 *
 * The limit is learned by the same steps as in admission.h, from reports instead of answers. It is
 * shared max-min fair by demand. A share may be lowered at any time. It is raised only by what the
 * other members are bound not to use, so that
 *
 *     sum of quota_bound() over all members <= limit, + 1 while a probe is out
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

/* What a member reports of a lane. */
struct quota_report {
    int share;                 /* that it obeys; after a throttle below what was granted */
    int held;                  /* slots: queries that run, and calls that may start one */
    int calls;                 /* the latter alone */
    int waiting;               /* queries that it could start at once */
    int64_t backlog;           /* all that wait, those in Kafka included */
    int limit;                 /* that it learned alone; 0: it has learned none */
    int64_t starts, throttles; /* since its process began */
    int64_t throttled_version; /* the grant under which the last throttled call was made */
    /* Of its sweeps over what it runs; moments are Athena's, in seconds since the epoch. */
    int64_t swept_version; /* the grant that was known when the last complete sweep began */
    double submitted;      /* the latest SubmissionDateTime seen; 0: none */
    double counted_at;     /* the moment for which it was last asked to count … */
    int counted;           /* … and how many of its queries were active then */
};

/* A member's side of the lane, as the leader keeps it. */
struct quota_member {
    struct quota_report last; /* report */
    int64_t version;          /* of the grant that it obeyed when it wrote `last` */
    bool reported;            /* to this leader */
    bool inherited;           /* known from the last leader's grant */
    bool was_forgotten; /* and is back: the share that it may still obey is not granted any more */
    int share;          /* granted */
    int next;           /* to be granted next */
    int share_max;      /* the highest share of the grants that it may obey by now */
};

/* Counting what really ran, by Athena's clock. */
enum quota_check {
    QUOTA_CHECK_NONE,
    QUOTA_CHECK_SWEEP, /* every member is to make a complete sweep */
    QUOTA_CHECK_COUNT, /* every member is to count what was active at `check_at` */
};

struct quota {
    int limit;
    bool cold;          /* no start was throttled yet */
    bool growing;       /* the limit is being raised until a start is throttled */
    bool started_since; /* a query has started since the limit was raised last */
    struct probing probing;
    /* What members of the last leader may hold beyond its last grant, until each has reported. */
    int reserve;
    int64_t cut_version;   /* throttles of calls made under an earlier grant change nothing */
    int64_t probe_version; /* the grant with one above the limit; 0: no probe is out */
    size_t prober;         /* the member that was granted it */
    enum quota_check check;
    bool check_is_of_probe; /* asks whether the probe found room; else where the quota is */
    int64_t check_version;  /* the grant that asks */
    int64_t check_ms;       /* when the check began */
    double check_at;        /* Athena's clock, seconds */
    size_t first_served;    /* the member that comes first where not each can have a slot */
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
/* A grant of `next` of all members was written. */
void quota_granted(struct quota_member *members, size_t count);
/* The most that a member may hold now, by its last report and the grants since. */
int quota_bound(const struct quota_member *m);

#endif
