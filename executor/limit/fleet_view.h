/*
 * What an executor knows of its fleet: the last claim and the last valid grant of the quota topic,
 * and which partitions of the query topic it owns (pure). Member and leader (fleet_member.h,
 * fleet_leader.h) both act on this view; only fleet.c changes it.
 */
#ifndef EXECUTOR_LIMIT_FLEET_VIEW_H
#define EXECUTOR_LIMIT_FLEET_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "executor/limit/fleet_record.h"

enum {
    FLEET_SILENT_MS = 30000, /* a grant older than that is not relied on */
};

struct fleet_view {
    char id[FLEET_ID_MAX];       /* of this executor */
    bool owns_first;             /* partition 0 of the query topic: whoever owns it leads */
    bool owns_all;               /* all of them: then there is no fleet to lead or to follow */
    bool caught_up;              /* all that the quota topic held at the start was read */
    int64_t epoch;               /* the offset of the last claim; -1: none */
    char claimant[FLEET_ID_MAX]; /* whose it is; "": unknown, the claim is no longer in the topic */
    struct fleet_grant grant;    /* the last valid one; version 0: none */
    int64_t grant_ms;            /* when it was written */
};

void fleet_view_init(struct fleet_view *v, const char *id);
void fleet_view_apply_claim(struct fleet_view *v, const char *id, int64_t offset);
/*
 * False: it is of a leader that was replaced, and changes nothing. `age_ms`: since the record was
 * written.
 */
bool fleet_view_apply_grant(struct fleet_view *v, const struct fleet_grant *grant, int64_t age_ms,
                            int64_t now_ms);
/* A member has left or was forgotten: it has no share any more. */
void fleet_view_apply_leave(struct fleet_view *v, const char *id);

bool fleet_view_is_self(const struct fleet_view *v, const char *id);
/* The own share of the last valid grant; NULL: it has none for this executor. Borrowed. */
const struct fleet_share *fleet_view_own_share(const struct fleet_view *v);

#endif
