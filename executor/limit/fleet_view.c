#include "executor/limit/fleet_view.h"

#include <string.h>

void fleet_view_init(struct fleet_view *v, const char *id) {
    memset(v, 0, sizeof *v);
    fleet_id_copy(v->id, id);
    v->epoch = -1;
}

static size_t find_share(const struct fleet_grant *g, const char *id) {
    size_t i = 0;
    while (i < g->count && strcmp(g->shares[i].id, id) != 0)
        i++;
    return i;
}

void fleet_view_apply_claim(struct fleet_view *v, const char *id, int64_t offset) {
    v->epoch = offset;
    fleet_id_copy(v->claimant, id);
}

bool fleet_view_apply_grant(struct fleet_view *v, const struct fleet_grant *grant, int64_t age_ms,
                            int64_t now_ms) {
    if (grant->epoch < v->epoch)
        return false;
    if (grant->epoch > v->epoch) { /* compaction has removed the claim of this grant */
        v->epoch = grant->epoch;
        v->claimant[0] = '\0';
    }
    v->grant = *grant;
    v->grant_ms = now_ms - (age_ms > 0 ? age_ms : 0);
    return true;
}

void fleet_view_apply_leave(struct fleet_view *v, const char *id) {
    struct fleet_grant *g = &v->grant;
    size_t i = find_share(g, id);
    if (i < g->count)
        g->shares[i] = g->shares[--g->count];
}

bool fleet_view_is_self(const struct fleet_view *v, const char *id) {
    return strcmp(v->id, id) == 0;
}

const struct fleet_share *fleet_view_own_share(const struct fleet_view *v) {
    size_t i = find_share(&v->grant, v->id);
    return i < v->grant.count ? &v->grant.shares[i] : NULL;
}
