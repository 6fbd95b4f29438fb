/*
 * One lane's quota as the fleet's leader knows it: learned from what all members report, and shared
 * among them (pure, clock passed in).
 *
 * It learns as admission.h does, by reports instead of calls. The limit is shared max-min fair by
 * demand. A share may always be lowered; one is raised only by what the others are bound not to use
 * any more, so that the sum of what all may hold never exceeds the limit, and one while probing:
 *
 *     sum of quota_bound() <= limit + 1      whatever is under way
 *
 * except by what members are found to hold already (a limit cut, a partition taken over).
 */
#ifndef EXECUTOR_LIMIT_QUOTA_H
#define EXECUTOR_LIMIT_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "executor/limit/probing.h"

/* What a member says of a lane. */
struct quota_report {
    int share;                 /* that it obeys: below the one granted after a throttle */
    int held;                  /* running or being started, … */
    int calls;                 /* … the latter alone */
    int waiting;               /* could be started at once */
    int64_t backlog;           /* all that wait, here and in Kafka */
    int limit;                 /* as it has learned alone; 0: it has not */
    int64_t starts, throttles; /* since it began */
    int64_t throttled_version; /* the grant under which the last throttled call was made */
    /* Looks at what runs, by Athena's clock in seconds: */
    int64_t swept_version; /* the grant that was known when the last complete look began */
    double submitted;      /* the latest SubmissionDateTime seen; 0: none */
    double counted_at;     /* the moment that was asked for last, … */
    int counted;           /* … and how many of its own were active then */
};

/* A member's side of the lane, as the leader keeps it. */
struct quota_member {
    struct quota_report last;
    int64_t version; /* of the grant that `last` was made under */
    bool reported;   /* to this leader */
    bool inherited;  /* from the last leader's grant */
    bool returns;    /* it was governed, and forgotten: what it obeys is not granted any more */
    int share, next; /* granted; to be granted next */
    int share_most;  /* of the grants that it was not seen to obey, and may */
};

enum quota_check {
    QUOTA_CHECK_NONE,
    QUOTA_CHECK_SWEEP, /* all are to look at what they run */
    QUOTA_CHECK_COUNT, /* all are to count what ran at check_at */
};

struct quota {
    int limit;
    bool cold, growing;
    bool news; /* something has started since the limit grew last */
    struct probing probing;
    /* What the last leader's members may hold beyond its last grant, until each has reported. */
    int reserve;
    int64_t cut_version;   /* throttles of calls made under an earlier grant are no news */
    int64_t probe_version; /* the grant with one above the limit; 0: none */
    size_t prober;         /* whose it is */
    enum quota_check check;
    bool check_probe; /* whether the probe found room, else where the edge is */
    int64_t check_version, check_ms;
    double check_at;
    size_t turn; /* who comes first where not all can have one */
    int64_t turn_ms;
};

void quota_init(struct quota *q, int64_t now_ms);
/* Goes on with what another leader has learned. */
void quota_resume(struct quota *q, int64_t now_ms, int limit, bool learned);
/* A member that the last leader has granted this; it has not reported yet. */
void quota_inherit(struct quota *q, struct quota_member *m, int share);
/*
 * Member `i` has reported under grant `version`; `next_version` is that of the next grant. True: a
 * grant is due at once.
 */
bool quota_heard(struct quota *q, struct quota_member *members, size_t count, size_t i,
                 const struct quota_report *report, int64_t version, int64_t next_version,
                 int64_t now_ms);
/* Member `i` is about to be taken out of the array: what it was asked is not waited for. */
void quota_gone(struct quota *q, size_t i);
/* Works out `next` of all. True: somebody waits for it. */
bool quota_share(struct quota *q, struct quota_member *members, size_t count, int64_t next_version,
                 int64_t now_ms);
/* The grant was sent: `next` holds. */
void quota_granted(struct quota_member *members, size_t count);
/* The most that a member may hold now. */
int quota_bound(const struct quota_member *m);

#endif
