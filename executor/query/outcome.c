#include "executor/query/outcome.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/aws/client.h"

static const char *const names[] = {
    [OUTCOME_STARTED] = "started",
    [OUTCOME_QUOTA] = "quota",
    [OUTCOME_RATE] = "rate",
    [OUTCOME_AMBIGUOUS] = "ambiguous",
    [OUTCOME_CREDENTIALS] = "credentials",
    [OUTCOME_CONFIGURATION] = "configuration",
    [OUTCOME_DENIED] = "denied",
    [OUTCOME_UNREACHABLE] = "unreachable",
    [OUTCOME_MISMATCH] = "mismatch",
    [OUTCOME_REJECTED] = "rejected",
};
_Static_assert(sizeof names / sizeof *names == OUTCOMES, "a name for each outcome");

const char *outcome_name(enum outcome outcome) {
    return outcome < OUTCOMES ? names[outcome] : "";
}

/* --- codes ------------------------------------------------------------------------------------ */

static const struct {
    const char *code;
    enum outcome outcome;
} codes[] = {
    {"TooManyRequestsException", OUTCOME_QUOTA},
    /* throttling of the API's rate, by any of its names in the SDKs */
    {"Throttling", OUTCOME_RATE},
    {"ThrottlingException", OUTCOME_RATE},
    {"ThrottledException", OUTCOME_RATE},
    {"RequestThrottledException", OUTCOME_RATE},
    {"RequestThrottled", OUTCOME_RATE},
    {"ProvisionedThroughputExceededException", OUTCOME_RATE},
    {"TransactionInProgressException", OUTCOME_RATE},
    {"RequestLimitExceeded", OUTCOME_RATE},
    {"BandwidthLimitExceeded", OUTCOME_RATE},
    {"LimitExceededException", OUTCOME_RATE},
    {"SlowDown", OUTCOME_RATE},
    {"PriorRequestNotComplete", OUTCOME_RATE},
    {"EC2ThrottledException", OUTCOME_RATE},
    /* transient, and Athena's own fault */
    {"RequestTimeout", OUTCOME_AMBIGUOUS},
    {"RequestTimeoutException", OUTCOME_AMBIGUOUS},
    {"InternalServerException", OUTCOME_AMBIGUOUS},
    {"InternalServerError", OUTCOME_AMBIGUOUS},
    {"InternalFailure", OUTCOME_AMBIGUOUS},
    {"ServiceUnavailable", OUTCOME_AMBIGUOUS},
    {"ServiceUnavailableException", OUTCOME_AMBIGUOUS},
    {"RequestAbortedException", OUTCOME_AMBIGUOUS},
    /* credentials and clock */
    {"ExpiredToken", OUTCOME_CREDENTIALS},
    {"ExpiredTokenException", OUTCOME_CREDENTIALS},
    {"TokenRefreshRequired", OUTCOME_CREDENTIALS},
    {"UnrecognizedClientException", OUTCOME_CREDENTIALS},
    {"InvalidClientTokenId", OUTCOME_CREDENTIALS},
    {"InvalidAccessKeyId", OUTCOME_CREDENTIALS},
    {"RequestExpired", OUTCOME_CREDENTIALS},
    {"RequestInTheFuture", OUTCOME_CREDENTIALS},
    {"RequestTimeTooSkewed", OUTCOME_CREDENTIALS},
    {"SignatureDoesNotMatch", OUTCOME_CREDENTIALS},
    {"InvalidSignatureException", OUTCOME_CREDENTIALS},
    {"IncompleteSignature", OUTCOME_CREDENTIALS},
    {"IncompleteSignatureException", OUTCOME_CREDENTIALS},
    {"MissingAuthenticationToken", OUTCOME_CREDENTIALS},
    {"MissingAuthenticationTokenException", OUTCOME_CREDENTIALS},
    {"AuthFailure", OUTCOME_CREDENTIALS},
    /* what no SQL can cause: the account, the endpoint, or something between us and it */
    {"OptInRequired", OUTCOME_CONFIGURATION},
    {"SubscriptionRequiredException", OUTCOME_CONFIGURATION},
    {"UnknownOperationException", OUTCOME_CONFIGURATION},
    {"InvalidAction", OUTCOME_CONFIGURATION},
    {"MissingAction", OUTCOME_CONFIGURATION},
    {"MalformedHttpRequestException", OUTCOME_CONFIGURATION},
};

/* By the HTTP status, for a code that is not in the table; `otherwise` where that decides nothing.
 */
static enum outcome of_status(int status, enum outcome otherwise) {
    switch (status) {
    case 401:
    case 403:
    case 407:
        return OUTCOME_CREDENTIALS;
    case 408:
        return OUTCOME_AMBIGUOUS;
    case 429:
        return OUTCOME_RATE;
    default:
        return otherwise;
    }
}

static bool is_text(const char *text, const char *wanted) {
    return strcmp(text, wanted) == 0;
}

static bool begins_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* --- InvalidRequestException ------------------------------------------------------------------ */

/* What a refusal blames. */
enum blamed {
    BLAMED_QUERY, /* the text, its parameters, or nothing that we know of */
    BLAMED_WORK_GROUP,
    BLAMED_LOCATION,
    BLAMED_BUCKET, /* of the location: it will pass */
    BLAMED_CATALOG,
    BLAMED_DATABASE,
};

/* "1 validation error detected: Value at 'workGroup' failed to satisfy constraint: …" */
static enum blamed blamed_by_validation(const char *message) {
    static const struct {
        const char *field;
        enum blamed blamed;
    } fields[] = {
        {"workGroup'", BLAMED_WORK_GROUP},
        {"resultConfiguration.outputLocation'", BLAMED_LOCATION},
        {"queryExecutionContext.catalog'", BLAMED_CATALOG},
        {"queryExecutionContext.database'", BLAMED_DATABASE},
    };
    static const char before[] = " detected: Value at '";
    const char *at = strstr(message, before);
    for (size_t i = 0; at != NULL && i < sizeof fields / sizeof *fields; i++)
        if (begins_with(at + sizeof before - 1, fields[i].field))
            return fields[i].blamed;
    return BLAMED_QUERY;
}

static bool is_validation(const char *message) {
    size_t digits = strspn(message, "0123456789");
    return digits > 0 && begins_with(message + digits, " validation error");
}

/* "WorkGroup is not found.", "WorkGroup primary is not found.", "WorkGroup is disabled." */
static bool blames_work_group(const char *message) {
    return strncasecmp(message, "WorkGroup ", 10) == 0 &&
           (strstr(message, " not found") != NULL || strstr(message, " disabled") != NULL ||
            strstr(message, " does not exist") != NULL);
}

static bool blames_default_catalog(const struct outcome_input *in) {
    char message[600];
    if (in->default_catalog == NULL)
        return false;
    snprintf(message, sizeof message, "Catalog '%s' does not exist", in->default_catalog);
    return is_text(in->message, message);
}

static enum blamed blamed_by(const struct outcome_input *in) {
    static const char *const of_location[] = {
        "No output location provided.",
        "outputLocation is not a valid S3 path",
        "The S3 location provided to save your query results is invalid",
        "You do not seem to have access to the S3 location of your query results",
    };
    const char *message = in->message;
    if (is_text(in->athena_code, "DATACATALOG_NOT_FOUND"))
        return blames_default_catalog(in) ? BLAMED_CATALOG : BLAMED_QUERY;
    if (!is_text(in->athena_code, "INVALID_INPUT") && in->athena_code[0] != '\0')
        return BLAMED_QUERY;
    if (is_validation(message))
        return blamed_by_validation(message);
    if (blames_work_group(message))
        return BLAMED_WORK_GROUP;
    if (begins_with(message, "Unable to verify/create output bucket"))
        return BLAMED_BUCKET;
    for (size_t i = 0; i < sizeof of_location / sizeof *of_location; i++)
        if (begins_with(message, of_location[i]))
            return BLAMED_LOCATION;
    return BLAMED_QUERY;
}

/* Whether the request chose itself what is blamed. A work group brings its location along. */
static bool chose(const struct query *q, enum blamed blamed) {
    static const struct query nothing;
    q = q != NULL ? q : &nothing;
    switch (blamed) {
    case BLAMED_WORK_GROUP:
        return q->work_group != NULL;
    case BLAMED_LOCATION:
    case BLAMED_BUCKET:
        return q->work_group != NULL || q->output_location != NULL;
    case BLAMED_CATALOG:
        return q->catalog != NULL;
    case BLAMED_DATABASE:
        return q->database != NULL;
    case BLAMED_QUERY:
        break;
    }
    return true;
}

static bool is_malformed(const struct outcome_input *in) {
    return is_text(in->athena_code, "MALFORMED_QUERY");
}

/* Athena repeats the message of its data catalog, which has a rate of its own. */
static bool is_catalog_rate(const struct outcome_input *in) {
    return !is_malformed(in) && begins_with(in->message, "Rate exceeded");
}

static bool is_mismatch(const struct outcome_input *in) {
    static const char said[] = "Idempotent parameters do not match";
    const char *behind = in->message + sizeof said - 1;
    return is_text(in->athena_code, "IDEMPOTENT_PARAMETER_MISMATCH") ||
           (!is_malformed(in) && begins_with(in->message, said) &&
            (is_text(behind, "") || is_text(behind, ".")));
}

static enum outcome of_invalid_request(const struct outcome_input *in) {
    if (is_mismatch(in))
        return OUTCOME_MISMATCH;
    if (is_malformed(in))
        return OUTCOME_REJECTED;
    if (is_catalog_rate(in))
        return OUTCOME_RATE;
    enum blamed blamed = blamed_by(in);
    if (!chose(in->query, blamed))
        return OUTCOME_CONFIGURATION;
    /* A bucket of its own must not hold up the others. */
    return blamed == BLAMED_BUCKET ? OUTCOME_DENIED : OUTCOME_REJECTED;
}

/* --- all answers ------------------------------------------------------------------------------ */

static bool is_denial(const char *code) {
    return is_text(code, "AccessDeniedException") || is_text(code, "AccessDenied") ||
           is_text(code, "NotAuthorized");
}

static enum outcome of_code(const struct outcome_input *in) {
    if (is_text(in->code, "InvalidRequestException"))
        return of_invalid_request(in);
    if (is_denial(in->code)) /* the right is asked of the work group alone */
        return chose(in->query, BLAMED_WORK_GROUP) ? OUTCOME_REJECTED : OUTCOME_DENIED;
    if (is_text(in->code, "MetadataException") && is_catalog_rate(in))
        return OUTCOME_RATE;
    /* Of a value that has the wrong type it says so; without a word the body was broken on its way.
     */
    if (is_text(in->code, "SerializationException"))
        return in->message[0] == '\0' ? OUTCOME_CONFIGURATION : OUTCOME_REJECTED;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (is_text(codes[i].code, in->code))
            return codes[i].outcome;
    return of_status(in->status, OUTCOME_REJECTED);
}

/*
 * With a 5xx the query may run, whatever code the answer carries, so it is never dead-lettered. A
 * code that blames the credentials still counts: every other query would meet it, too.
 */
static enum outcome of_server_error(const struct outcome_input *in) {
    return of_code(in) == OUTCOME_CREDENTIALS ? OUTCOME_CREDENTIALS : OUTCOME_AMBIGUOUS;
}

struct outcome_input outcome_input_of(const struct aws_answer *answer) {
    return (struct outcome_input){
        .answered = answer->http.result == HTTP_ANSWERED,
        .unsent = answer->http.result == HTTP_UNSENT,
        .no_credentials = answer->no_credentials,
        .status = answer->http.status,
        .code = answer->code,
        .athena_code = answer->athena_code,
        .message = answer->message,
    };
}

static enum outcome of_answer(const struct outcome_input *in) {
    if (in->no_credentials)
        return OUTCOME_CREDENTIALS;
    if (in->unsent)
        return OUTCOME_UNREACHABLE;
    if (!in->answered)
        return OUTCOME_AMBIGUOUS;
    if (in->status == 200)
        return in->id != NULL && in->id[0] != '\0' ? OUTCOME_STARTED : OUTCOME_AMBIGUOUS;
    if (in->status >= 500)
        return of_server_error(in);
    if (in->code[0] == '\0' || in->status < 400) /* not what the API sends: perhaps it runs */
        return of_status(in->status, OUTCOME_AMBIGUOUS);
    return of_code(in);
}

/*
 * Whether a refusal says that the first call cannot have started the query either. Athena looks at
 * syntax and sizes before it looks for the token, and those never change. At the work group, the
 * location and the rights it looks before, too, and those may have changed since.
 */
static bool is_of_the_query_itself(const struct outcome_input *in) {
    return is_malformed(in) ||
           (is_text(in->athena_code, "INVALID_INPUT") && is_validation(in->message) &&
            blamed_by_validation(in->message) == BLAMED_QUERY);
}

enum outcome outcome_of_start(const struct outcome_input *in) {
    enum outcome outcome = of_answer(in);
    bool may_run = in->perhaps_started && !is_of_the_query_itself(in);
    return outcome == OUTCOME_REJECTED && may_run ? OUTCOME_AMBIGUOUS : outcome;
}

enum outcome outcome_of_poll(const struct outcome_input *in) {
    struct outcome_input poll = *in;
    poll.query = NULL;
    if (in->answered && in->status == 200)
        return OUTCOME_STARTED;
    enum outcome outcome = of_answer(&poll);
    /* What is wrong with one of the queries must not stop all starts. */
    if (is_text(in->code, "InvalidRequestException") && outcome != OUTCOME_RATE &&
        outcome != OUTCOME_AMBIGUOUS)
        return OUTCOME_REJECTED;
    return outcome == OUTCOME_QUOTA    ? OUTCOME_RATE
           : outcome == OUTCOME_DENIED ? OUTCOME_CREDENTIALS
                                       : outcome;
}
