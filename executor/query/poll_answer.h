/*
 * An answer of BatchGetQueryExecution, one execution after the other (pure).
 */
#ifndef EXECUTOR_QUERY_POLL_ANSWER_H
#define EXECUTOR_QUERY_POLL_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/model/status.h"

/* Strings are borrowed from the answer; "" where there is none. Times in seconds, 0: none. */
struct poll_execution {
    const char *id;
    enum status_state state;
    const char *reason, *output_location;
    double submitted, completed;
    double scanned_bytes;
};

struct cJSON;

struct poll_answer {
    struct cJSON *root; /* owned */
    const struct cJSON *next, *next_unprocessed;
    const char *unprocessed; /* what Athena says of the first that it leaves out; "" */
};

/*
 * False: it makes no sense. To be closed in either case. Half a surrogate pair in a string, which
 * SQL or a reason may have been cut to, is read as U+FFFD.
 */
bool poll_answer_open(struct poll_answer *a, const char *body, size_t len);
/* False: there are no more. */
bool poll_answer_next(struct poll_answer *a, struct poll_execution *e);
/* The id of the next execution that Athena no longer knows; NULL: there are no more. */
const char *poll_answer_next_lost(struct poll_answer *a);
/* Whether an error of Athena says that an execution is not known. `code`, `message`: "" for none.
 */
bool poll_answer_is_lost(const char *code, const char *message);
void poll_answer_close(struct poll_answer *a);

#endif
