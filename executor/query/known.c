#include "executor/query/known.h"

#include <string.h>

#include "executor/query/job.h"

bool known_is_same_text(const struct status *known, const struct job *job) {
    return known->has_sha256 && job->has_sha256 &&
           memcmp(known->sha256, job->sha256, sizeof known->sha256) == 0;
}

enum known known_look(const struct status_view *view, const struct job *job, struct status *known) {
    struct status found;
    if (known == NULL)
        known = &found;
    if (!status_view_find(view, job->id.user_id, job->id.query_id, known) || !known->has_sha256 ||
        !job->has_sha256)
        return KNOWN_NOTHING;
    if (!known_is_same_text(known, job)) /* one that was rejected holds no pair */
        return known->state == STATUS_REJECTED ? KNOWN_NOTHING : KNOWN_ANOTHER;
    if (status_is_final(known->state))
        return KNOWN_ENDED;
    return known->state == STATUS_STARTED && known->query_execution_id != NULL ? KNOWN_STARTED
                                                                               : KNOWN_NOTHING;
}
