/*
 * The executors of one query topic as a fleet: one of them, the leader, learns the quota for all,
 * and each starts queries within its share. docs/fleet.md has the protocol and why it holds.
 *
 * This is one executor's part of it, as a state machine without I/O: it is given what is read from
 * the quota topic, in the order of that topic, and says what is to be written. Every clock is the
 * loop's, in ms, and is passed in.
 *
 * Nothing in here decides about a query. Whatever goes wrong costs time, or a throttled start, and
 * throttled queries are tried again by the redriver.
 */
#ifndef EXECUTOR_LIMIT_FLEET_H
#define EXECUTOR_LIMIT_FLEET_H

#include <stdbool.h>
#include <stdint.h>

#include "executor/limit/admission.h"
#include "executor/limit/fleet_leader.h"
#include "executor/limit/fleet_member.h"
#include "executor/limit/fleet_record.h"
#include "executor/limit/fleet_view.h"

struct fleet {
    struct fleet_view view;     /* what is known of the fleet */
    struct fleet_member member; /* this executor's own share and report */
    struct fleet_leader leader; /* used while this executor leads */
};

/* `id`: another one for each run of a process. */
void fleet_init(struct fleet *f, const char *id);
/* Whether this executor owns partition 0 of the query topic, and whether it owns them all. */
void fleet_owns(struct fleet *f, bool first, bool all);

/*
 * A record was read from the quota topic; `age_ms`: since it was written. Of what the topic held
 * before this executor began, only claims, grants and leaves are applied; fleet_caught_up() is
 * called once behind that.
 */
void fleet_apply_claim(struct fleet *f, const char *id, int64_t offset);
void fleet_apply_grant(struct fleet *f, const struct fleet_grant *grant, int64_t age_ms,
                       int64_t now_ms);
void fleet_apply_report(struct fleet *f, const struct fleet_report *report, int64_t now_ms);
void fleet_apply_leave(struct fleet *f, const char *id);
void fleet_caught_up(struct fleet *f, int64_t now_ms);

/* A sweep over all queries that run here begins. `sweep`: an ascending number; sweeps overlap. */
void fleet_sweep_begins(struct fleet *f, uint64_t sweep);
/*
 * The moment, seconds by Athena's clock, for which the leader wants to know from this sweep how
 * many queries of this executor were active; 0: for none.
 */
double fleet_count_at(const struct fleet *f, uint64_t sweep, enum lane lane);
/*
 * Of which queries the latest submission is reported: of those whose permit is of an earlier grant
 * than this, the one that began the check under way. What has started since found slots whose
 * queries had ended, while shares could not grow. INT64_MAX: no check is under way.
 */
int64_t fleet_counts_before(const struct fleet *f, enum lane lane);
/*
 * The sweep has looked at them all. `submitted`: the latest SubmissionDateTime it saw of such
 * queries, 0: none; `counted`: how many were active at fleet_count_at().
 */
void fleet_swept(struct fleet *f, uint64_t sweep, enum lane lane, double submitted, int counted);

/*
 * To be called after anything above and anything in `a` has changed, and at least ten times a
 * second. Governs `a`, or lets it learn alone. `due`: what is to be written; its grant is
 * `f->leader.grant`, its report `f->member.report`.
 */
void fleet_step(struct fleet *f, int64_t now_ms, struct admission a[LANES],
                const struct fleet_work work[LANES], struct fleet_due *due);

#endif
