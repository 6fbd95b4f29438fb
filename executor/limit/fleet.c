#include "executor/limit/fleet.h"

void fleet_init(struct fleet *f, const char *id) {
    fleet_view_init(&f->view, id);
    fleet_member_init(&f->member);
    fleet_leader_init(&f->leader);
}

void fleet_owns(struct fleet *f, bool first, bool all) {
    f->view.owns_first = first;
    f->view.owns_all = all;
}

void fleet_apply_claim(struct fleet *f, const char *id, int64_t offset) {
    fleet_view_apply_claim(&f->view, id, offset);
    fleet_leader_apply_claim(&f->leader);
}

void fleet_apply_grant(struct fleet *f, const struct fleet_grant *grant, int64_t age_ms,
                       int64_t now_ms) {
    if (fleet_view_apply_grant(&f->view, grant, age_ms, now_ms) &&
        fleet_view_own_share(&f->view) != NULL)
        fleet_member_granted(&f->member, now_ms);
}

void fleet_apply_report(struct fleet *f, const struct fleet_report *report, int64_t now_ms) {
    fleet_leader_apply_report(&f->leader, &f->view, report, now_ms);
}

void fleet_apply_leave(struct fleet *f, const char *id) {
    fleet_leader_apply_leave(&f->leader, id);
    if (fleet_view_is_self(&f->view, id))
        fleet_member_forgotten(&f->member);
    fleet_view_apply_leave(&f->view, id);
}

void fleet_caught_up(struct fleet *f, int64_t now_ms) {
    f->view.caught_up = true;
    fleet_member_granted(&f->member, now_ms);
}

void fleet_sweep_begins(struct fleet *f, uint64_t sweep) {
    fleet_member_sweep_begins(&f->member, &f->view, sweep);
}

double fleet_count_at(const struct fleet *f, uint64_t sweep, enum lane lane) {
    return fleet_member_count_at(&f->member, &f->view, sweep, lane);
}

int64_t fleet_counts_before(const struct fleet *f, enum lane lane) {
    int64_t version = f->member.check_version[lane];
    return version > 0 ? version : INT64_MAX;
}

void fleet_swept(struct fleet *f, uint64_t sweep, enum lane lane, double submitted, int counted) {
    fleet_member_swept(&f->member, &f->view, sweep, lane, submitted, counted);
}

void fleet_step(struct fleet *f, int64_t now_ms, struct admission a[LANES],
                const struct fleet_work work[LANES], struct fleet_due *due) {
    *due = (struct fleet_due){.claim = false};
    fleet_member_follow(&f->member, &f->view, now_ms, a);
    fleet_leader_step(&f->leader, &f->view, now_ms, a, due);
    due->report = fleet_member_reports(&f->member, &f->view, now_ms, a, work);
}
