/*
 * A member's side of one lane, as the leader of the fleet keeps it: what it reported and what it
 * was granted; and how a number of slots is divided among all members (pure).
 */
#ifndef EXECUTOR_LIMIT_QUOTA_MEMBER_H
#define EXECUTOR_LIMIT_QUOTA_MEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* What a member has made of the share of a grant. */
struct quota_fill {
    int64_t version;     /* of the grant */
    bool full;           /* it has filled the share once */
    bool settled;        /* and the calls that were out then are answered */
    int64_t answers_due; /* starts and throttles, since it began, when they are */
};

struct quota_member {
    struct quota_report last; /* report */
    int64_t version;          /* of the grant that it obeyed when it wrote `last` */
    struct quota_fill fill;
    bool reported;      /* to this leader */
    bool inherited;     /* known from the last leader's grant */
    bool was_forgotten; /* and is back: the share that it may still obey is not granted any more */
    int share;          /* granted */
    int next;           /* to be granted next */
    int share_max;      /* the highest share of the grants that it may obey by now */
};

/* A report of a member that obeys the grant `version`. */
void quota_fill_update(struct quota_fill *f, const struct quota_report *r, int64_t version);

/* The most that a member may hold now, by its last report and the grants since. */
int quota_bound(const struct quota_member *m);
/* What it holds by now: with work waiting a member fills its share before a report says so. */
int quota_estimate(const struct quota_member *m);

/* Sums over all members. */
int quota_estimate_all(const struct quota_member *members, size_t count);
int quota_held_all(const struct quota_member *members, size_t count);
int quota_calls_all(const struct quota_member *members, size_t count);
int64_t quota_backlog_all(const struct quota_member *members, size_t count);
bool quota_any_waits(const struct quota_member *members, size_t count);

struct quota_division {
    int limit; /* slots to be shared by demand */
    int above; /* slots that `prober` gets beside that */
    size_t prober;
    size_t first; /* the member that comes first where not each can have a slot */
    int reserve;  /* slots that members may hold of which the leader does not know yet */
    bool frozen;  /* no share is raised */
};

/*
 * Sets `next` of all members: max-min fair by demand, and so that no member gets what another may
 * still hold. True: a member with work would get more, and some share changes.
 */
bool quota_divide(const struct quota_division *d, struct quota_member *members, size_t count);
/* A grant of `next` of all members was written. */
void quota_granted(struct quota_member *members, size_t count);

#endif
