/*
 * Athena's answer to StartQueryExecution → what becomes of the query (pure). The README has the
 * table, "What becomes of it". Error codes are those of Athena's API reference and of the AWS SDKs'
 * `standard` retry mode (its classes of throttling and transient errors).
 */
#ifndef EXECUTOR_QUERY_OUTCOME_H
#define EXECUTOR_QUERY_OUTCOME_H

#include <stdbool.h>

enum outcome {
    OUTCOME_STARTED,     /* it has an id */
    OUTCOME_QUOTA,       /* TooManyRequestsException: the quota of active queries is used up */
    OUTCOME_RATE,        /* the API's rate was exceeded: slow down, try again here */
    OUTCOME_AMBIGUOUS,   /* perhaps it has started: ask again here with the same token */
    OUTCOME_CREDENTIALS, /* credentials or clock are at fault, not the query: take no more work */
    OUTCOME_MISMATCH,    /* the token was used with other parameters before */
    OUTCOME_REJECTED,    /* it can never run */
    OUTCOMES,
};

const char *outcome_name(enum outcome outcome); /* for logs and metrics: "started" … */

struct outcome_input {
    bool answered;        /* a whole HTTP answer was received */
    bool no_credentials;  /* nothing was sent, because there were none to sign with */
    int status;           /* HTTP */
    const char *code;     /* error code, "" where none */
    const char *message;  /* "" where none */
    const char *id;       /* QueryExecutionId; NULL or "": none */
    bool chose_resources; /* the request chose its own workgroup, location, catalog or database */
};

struct aws_answer;

/* The strings are borrowed from `answer`. The caller sets `id` and `chose_resources`. */
struct outcome_input outcome_input_of(const struct aws_answer *answer);

enum outcome outcome_of_start(const struct outcome_input *in);

/* The same for BatchGetQueryExecution. STARTED: it was answered. Never QUOTA or MISMATCH. */
enum outcome outcome_of_poll(const struct outcome_input *in);

#endif
