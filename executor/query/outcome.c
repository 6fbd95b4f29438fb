#include "executor/query/outcome.h"

#include <stddef.h>
#include <string.h>

#include "common/aws/client.h"

const char *outcome_name(enum outcome outcome) {
    switch (outcome) {
    case OUTCOME_STARTED:
        return "started";
    case OUTCOME_QUOTA:
        return "quota";
    case OUTCOME_RATE:
        return "rate";
    case OUTCOME_AMBIGUOUS:
        return "ambiguous";
    case OUTCOME_CREDENTIALS:
        return "credentials";
    case OUTCOME_MISMATCH:
        return "mismatch";
    case OUTCOME_REJECTED:
        return "rejected";
    case OUTCOMES:
        break;
    }
    return "";
}

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
    {"OptInRequired", OUTCOME_CREDENTIALS},
    {"NotAuthorized", OUTCOME_CREDENTIALS},
    {"AccessDenied", OUTCOME_CREDENTIALS},
    {"AccessDeniedException", OUTCOME_CREDENTIALS},
    /* Athena's code for what can never run, whatever the HTTP status */
    {"InvalidRequestException", OUTCOME_REJECTED},
};

/* For a code that is not in the table. `otherwise`: where the HTTP status decides nothing either.
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

static enum outcome of_code(const struct outcome_input *in) {
    if (strcmp(in->code, "InvalidRequestException") == 0 &&
        strstr(in->message, "Idempotent parameters do not match") != NULL)
        return OUTCOME_MISMATCH; /* Athena has no code of its own for it */
    if (in->chose_resources &&
        (strcmp(in->code, "AccessDeniedException") == 0 || strcmp(in->code, "AccessDenied") == 0))
        return OUTCOME_REJECTED;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(codes[i].code, in->code) == 0)
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
        .no_credentials = answer->no_credentials,
        .status = answer->http.status,
        .code = answer->code,
        .message = answer->message,
    };
}

enum outcome outcome_of_start(const struct outcome_input *in) {
    if (in->no_credentials)
        return OUTCOME_CREDENTIALS;
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

enum outcome outcome_of_poll(const struct outcome_input *in) {
    struct outcome_input poll = *in;
    poll.chose_resources = false;
    if (in->answered && in->status == 200)
        return OUTCOME_STARTED;
    enum outcome outcome = outcome_of_start(&poll);
    return outcome == OUTCOME_QUOTA      ? OUTCOME_RATE
           : outcome == OUTCOME_MISMATCH ? OUTCOME_REJECTED
                                         : outcome;
}
