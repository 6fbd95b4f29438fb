/*
 * The leader of the fleet: it keeps what each member has reported, learns the limit of each lane
 * from that, and grants shares (pure, the clock is passed in). Every executor has this state; it is
 * used in the one that owns partition 0 of the query topic. docs/fleet.md has the rules.
 */
#ifndef EXECUTOR_LIMIT_FLEET_LEADER_H
#define EXECUTOR_LIMIT_FLEET_LEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "executor/limit/admission.h"
#include "executor/limit/fleet_view.h"
#include "executor/limit/quota.h"

enum {
    /*
     * A member that was not heard of for so long is forgotten. By then the group has taken its
     * partitions away (session.timeout.ms, 10 s by default), so it starts nothing.
     */
    FLEET_GONE_MS = 12000,
    FLEET_GRANT_MS = 1000, /* between two grants, unless a member waits for one */
};

struct fleet_leader {
    bool leads;               /* it has read its own claim and no later one */
    int64_t claim_ms;         /* when its claim was written; 0: none is under way */
    bool grant_due;           /* a grant is to be written at once */
    struct fleet_grant grant; /* the last one written */
    int64_t grant_ms;         /* when */
    int64_t own_report_ms;    /* when its own report, or its claim, was read back last */
    struct quota quota[LANES];
    size_t count; /* of members, this executor included */
    char ids[FLEET_MEMBERS_MAX][FLEET_ID_MAX];
    int64_t report_ms[FLEET_MEMBERS_MAX]; /* when a report of each was read last */
    struct quota_member members[LANES][FLEET_MEMBERS_MAX];
};

void fleet_leader_init(struct fleet_leader *l);
/* A claim was read, whoever wrote it. */
void fleet_leader_apply_claim(struct fleet_leader *l);
void fleet_leader_apply_report(struct fleet_leader *l, const struct fleet_view *v,
                               const struct fleet_report *report, int64_t now_ms);
/* A member has left or was forgotten. */
void fleet_leader_apply_leave(struct fleet_leader *l, const char *id);
/*
 * Claims the lead, leads or stops leading. `a`: what this executor has learned alone. Sets in `due`
 * what is to be written; a grant is `l->grant`.
 */
void fleet_leader_step(struct fleet_leader *l, const struct fleet_view *v, int64_t now_ms,
                       const struct admission a[LANES], struct fleet_due *due);

#endif
