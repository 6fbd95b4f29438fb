/*
 * What the status topic knows of a job's pair (pure). AWS documents nowhere how long Athena
 * remembers a ClientRequestToken, so where the topic knows that a query has started, Athena is not
 * asked to start it.
 */
#ifndef EXECUTOR_QUERY_KNOWN_H
#define EXECUTOR_QUERY_KNOWN_H

#include <stdbool.h>

#include "common/model/status.h"
#include "common/model/status_view.h"

struct job;

enum known {
    KNOWN_NOTHING, /* nothing that decides: not known, or not started, or REJECTED */
    KNOWN_STARTED, /* this query has started, and has an execution id */
    KNOWN_ENDED,   /* this query has ended */
    KNOWN_ANOTHER, /* the pair is that of a query with another text or other parameters */
};

/* `known` is what the view has, borrowed as status_view_find() says; NULL for who needs it not. */
enum known known_look(const struct status_view *view, const struct job *job, struct status *known);

/* Whether both have the same text and executionParameters. */
bool known_is_same_text(const struct status *known, const struct job *job);

#endif
