/*
 * Athena's answer to a call → what becomes of the query (pure). The README has the table, "What
 * becomes of it".
 *
 * Error codes are those of Athena's API reference, of the "Common Error Types" of AWS's services
 * and of the `standard` retry mode of the AWS SDKs (its throttling and transient errors). Within
 * InvalidRequestException AthenaErrorCode counts, and where several causes share one, the form of
 * the message, from its first character on. The message of a MALFORMED_QUERY is never looked at: it
 * may quote SQL.
 */
#ifndef EXECUTOR_QUERY_OUTCOME_H
#define EXECUTOR_QUERY_OUTCOME_H

#include <stdbool.h>

#include "common/model/query.h"

enum outcome {
    OUTCOME_STARTED,       /* it has an id */
    OUTCOME_QUOTA,         /* TooManyRequestsException: the quota of active queries is used up */
    OUTCOME_RATE,          /* the API's rate was exceeded: slow down, try again here */
    OUTCOME_AMBIGUOUS,     /* perhaps it has started: ask again here with the same token */
    OUTCOME_CREDENTIALS,   /* credentials or clock are refused: nobody's query is at fault */
    OUTCOME_CONFIGURATION, /* the account, the endpoint or a default is: nobody's query is at fault
                            */
    OUTCOME_DENIED,        /* one of these, or only this query: it waits, others are tried */
    OUTCOME_UNREACHABLE,   /* nothing was sent: the connection was never made */
    OUTCOME_MISMATCH,      /* the token was used with other parameters before */
    OUTCOME_REJECTED,      /* it can never run */
    OUTCOMES,
};

const char *outcome_name(enum outcome outcome); /* for logs and metrics: "started" … */

/* Strings are "" where there is none. */
struct outcome_input {
    bool answered;       /* a whole HTTP answer was received */
    bool unsent;         /* not one byte of the request was sent */
    bool no_credentials; /* it was not sent because there were none to sign with */
    int status;          /* HTTP */
    const char *code, *athena_code, *message;

    /* Of a start. */
    const char *id;              /* QueryExecutionId; NULL or "": none */
    const struct query *query;   /* what the request chose itself; NULL: nothing */
    const char *default_catalog; /* ATHENA_CATALOG; NULL: none */
    bool perhaps_started;        /* an earlier answer was AMBIGUOUS */
};

struct aws_answer;

/* What the answer says; strings are borrowed from it. The caller sets the members of a start. */
struct outcome_input outcome_input_of(const struct aws_answer *answer);

enum outcome outcome_of_start(const struct outcome_input *in);

/*
 * The same for BatchGetQueryExecution. STARTED: it was answered. Never QUOTA, DENIED or MISMATCH.
 */
enum outcome outcome_of_poll(const struct outcome_input *in);

#endif
