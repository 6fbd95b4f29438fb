/*
 * One executor as a member of the fleet: it obeys the share of the last valid grant and reports
 * what it does (pure, the clock is passed in). docs/fleet.md has the rules.
 */
#ifndef EXECUTOR_LIMIT_FLEET_MEMBER_H
#define EXECUTOR_LIMIT_FLEET_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "executor/limit/admission.h"
#include "executor/limit/fleet_view.h"

enum {
    FLEET_SWEEPS = 16,      /* sweeps that overlap; of more it is not known under which grant */
    FLEET_REPORT_MS = 1000, /* between two reports, unless something changes that counts */
    FLEET_GROWING_MS = 25,  /* between two that show how many run, while no limit is known */
};

/* What waits in a lane. */
struct fleet_work {
    int waiting;     /* queries that could be started at once */
    int64_t backlog; /* those and what waits in Kafka */
};

struct fleet_member {
    bool governed;      /* else it learns alone */
    bool was_forgotten; /* it has read its own tombstone: others have its share */
    int64_t share_ms;   /* when a grant with a share for it was read last, or it had caught up */
    int64_t check_version[LANES];      /* of the grant that began the check; 0: none is under way */
    struct fleet_report report;        /* the last one written */
    int64_t report_ms, report_epoch;   /* when, and the epoch of then */
    struct quota_fill fill[LANES];     /* what it has made of its share, and … */
    struct quota_fill reported[LANES]; /* … what of that it has reported */
    /* Of its sweeps over what it runs; several overlap. */
    struct {
        uint64_t number;
        int64_t version; /* of the grant that was known when it began */
    } sweeps[FLEET_SWEEPS];
    struct {
        int64_t version; /* the same, of the last sweep that has ended */
        double submitted, counted_at;
        int counted;
    } swept[LANES];
};

void fleet_member_init(struct fleet_member *m);
/* The quota topic was read to its end, or a grant with an own share was read. */
void fleet_member_granted(struct fleet_member *m, int64_t now_ms);
/* Its own tombstone was read. */
void fleet_member_forgotten(struct fleet_member *m);

/* As fleet_sweep_begins(), fleet_count_at() and fleet_swept() of fleet.h. */
void fleet_member_sweep_begins(struct fleet_member *m, const struct fleet_view *v, uint64_t sweep);
double fleet_member_count_at(const struct fleet_member *m, const struct fleet_view *v,
                             uint64_t sweep, enum lane lane);
void fleet_member_swept(struct fleet_member *m, const struct fleet_view *v, uint64_t sweep,
                        enum lane lane, double submitted, int counted);

/* Brings `a` in line with the view: governed by the own share, or learning alone. */
void fleet_member_follow(struct fleet_member *m, const struct fleet_view *v, int64_t now_ms,
                         struct admission a[LANES]);
/* True: `m->report` was renewed and is to be written. */
bool fleet_member_reports(struct fleet_member *m, const struct fleet_view *v, int64_t now_ms,
                          const struct admission a[LANES], const struct fleet_work work[LANES]);

#endif
