/*
 * Athena's answer to StartQueryExecution → what becomes of the query (pure).
 *
 * The table "What becomes of a query" of the interface, in one place. Codes are those of Athena's
 * API reference and of the AWS SDKs' `standard` retry classes.
 */
#ifndef EXECUTOR_QUERY_OUTCOME_H
#define EXECUTOR_QUERY_OUTCOME_H

#include <stdbool.h>

enum outcome {
    OUTCOME_STARTED,     /* it has an id */
    OUTCOME_QUOTA,       /* TooManyRequestsException: to the dead-letter topic */
    OUTCOME_RATE,        /* the API's rate: slow down, try again here */
    OUTCOME_AMBIGUOUS,   /* perhaps started: try again here with the same token */
    OUTCOME_CREDENTIALS, /* nobody's query is at fault: stop taking work */
    OUTCOME_MISMATCH,    /* the token was used with other parameters */
    OUTCOME_REJECTED,    /* it can never run */
    OUTCOMES,
};

const char *outcome_name(enum outcome outcome); /* for logs and metrics: "started" … */

struct outcome_input {
    bool answered;        /* a whole HTTP answer came */
    bool no_credentials;  /* nothing was sent for want of credentials */
    int status;           /* HTTP */
    const char *code;     /* error code, "" where none */
    const char *message;  /* "" where none */
    const char *id;       /* QueryExecutionId, NULL or "" where none */
    bool chose_resources; /* the request chose its own workgroup, location, catalog or database */
};

struct aws_answer;

/* What `answer` tells, borrowed from it; `id` and `chose_resources` are left to the caller. */
struct outcome_input outcome_input_of(const struct aws_answer *answer);

enum outcome outcome_of_start(const struct outcome_input *in);

/* The same for BatchGetQueryExecution: STARTED means that it answered. Never QUOTA or MISMATCH. */
enum outcome outcome_of_poll(const struct outcome_input *in);

#endif
