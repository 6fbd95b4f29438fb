/*
 * The executors of one query topic as a fleet: one of them learns the quota for all, and each
 * starts within its share. docs/fleet.md tells the protocol and why it holds.
 *
 * This is the part of one member, and of the leader where it is that: a state machine without I/O.
 * It is told what is read from the quota topic, in the order of that topic, and says what to write.
 * Nothing in here decides over a query: whatever goes wrong costs time, or a throttle, which the
 * dead-letter topic absorbs.
 */
#ifndef EXECUTOR_LIMIT_FLEET_H
#define EXECUTOR_LIMIT_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "executor/limit/admission.h"
#include "executor/limit/quota.h"
#include "executor/turn/lane.h"

#ifndef FLEET_MEMBERS_MAX    /* a test that looks at every state makes it small */
#define FLEET_MEMBERS_MAX 64 /* who finds no room learns alone */
#endif

enum {
    FLEET_ID_MAX = 40,
    FLEET_SILENT_MS = 30000, /* without a share from a leader for so long a member learns alone */
    FLEET_GONE_MS = 12000,   /* a member not heard of for so long has lost its partitions */
    FLEET_REPORT_MS = 1000,
    FLEET_GRANT_MS = 1000,
};

struct fleet_report {
    char id[FLEET_ID_MAX];
    int64_t version; /* of the grant that it obeys */
    struct quota_report lanes[LANES];
};

/* What waits in a lane. */
struct fleet_work {
    int waiting;     /* could be started at once */
    int64_t backlog; /* that, and what waits in Kafka */
};

struct fleet_share {
    char id[FLEET_ID_MAX];
    int lanes[LANES];
};

struct fleet_grant {
    int64_t epoch; /* the offset of the leader's claim: a grant of an earlier epoch is not heeded */
    int64_t version;
    struct {
        int limit;
        bool learned;
        enum quota_check check;
        double check_at;
    } lanes[LANES];
    size_t count;
    struct fleet_share shares[FLEET_MEMBERS_MAX];
};

/* What fleet_step() wants written, in this order. */
struct fleet_due {
    bool claim, report, grant;
    bool bury; /* a tombstone for `buried` */
    char buried[FLEET_ID_MAX];
};

struct fleet {
    char id[FLEET_ID_MAX];
    bool caught_up; /* with the quota topic; until then it learns alone */
    bool owns_first, owns_all;
    bool governed;
    bool forgotten; /* it has read its own tombstone: others have its share */
    int64_t epoch;  /* the offset of the last claim; -1: none */
    char claimant[FLEET_ID_MAX];
    int64_t claimed_ms; /* when ours was written; 0: it was not */

    struct fleet_grant grant; /* the last valid one; version 0: none */
    int64_t grant_ms;         /* when it was written */
    int64_t heard_ms;         /* when a grant had a share for us; or we have just begun */
    struct fleet_report sent; /* the last report */
    int64_t sent_ms, sent_epoch;
    int64_t sweeping_version; /* the grant that was known when the look under way began */
    struct {
        int64_t version;
        double submitted, counted_at;
        int counted;
    } swept[LANES];

    /* As the leader. */
    bool leads, grant_due;
    struct fleet_grant led; /* the last one written */
    int64_t led_ms;
    int64_t heard_self_ms; /* when its own report, or the claim, was read back */
    struct quota quota[LANES];
    size_t count;
    char ids[FLEET_MEMBERS_MAX][FLEET_ID_MAX];
    int64_t member_heard_ms[FLEET_MEMBERS_MAX];
    struct quota_member members[LANES][FLEET_MEMBERS_MAX];
};

/* `id`: unique for each run of a process. */
void fleet_init(struct fleet *f, const char *id);
/* Of the query topic: whether this executor has partition 0, which leads, and whether all. */
void fleet_owns(struct fleet *f, bool first, bool all);

/*
 * What is read from the topic; `age_ms`: of the record. Of its past only claims and grants are told
 * of, and the end of the past once.
 */
void fleet_heard_claim(struct fleet *f, const char *id, int64_t offset);
void fleet_heard_grant(struct fleet *f, const struct fleet_grant *grant, int64_t age_ms,
                       int64_t now_ms);
void fleet_heard_report(struct fleet *f, const struct fleet_report *report, int64_t now_ms);
void fleet_heard_leave(struct fleet *f, const char *id);
void fleet_caught_up(struct fleet *f, int64_t now_ms);

/* A complete look at all that runs here begins; it has ended. */
void fleet_sweep_begins(struct fleet *f);
/* 0: nobody asks how many ran at a moment; else Athena's clock in seconds. */
double fleet_asks_at(const struct fleet *f, enum lane lane);
/* `submitted`: the latest start seen, 0: none; `counted`: how many ran at fleet_asks_at(). */
void fleet_swept(struct fleet *f, enum lane lane, double submitted, int counted);

/*
 * To be called after anything above and anything in `a` has changed, and at least ten times a
 * second. Governs `a`, or lets it learn alone.
 */
void fleet_step(struct fleet *f, int64_t now_ms, struct admission a[LANES],
                const struct fleet_work work[LANES], struct fleet_due *due);

#endif
