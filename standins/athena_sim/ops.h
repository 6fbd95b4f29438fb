/*
 * What the stand-in does with a request: find the service, check the signature, make trouble
 * where it was asked to, run the operation. No sockets and no clock of its own; it writes nothing
 * but the ledger.
 *
 *     athena_sim_ops.c     routing, signatures, the /_ endpoints
 *     athena_sim_athena.c  Athena's operations
 *     athena_sim_aws.c     CloudWatch's and STS's
 */
#ifndef STANDINS_ATHENA_SIM_OPS_H
#define STANDINS_ATHENA_SIM_OPS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "standins/athena_sim/canned.h"
#include "standins/athena_sim/http.h"
#include "standins/athena_sim/state.h"
#include "standins/athena_sim/verify.h"

/* All that POST /_set can change. Shares are from 0 to 1. */
struct sim_settings {
    double fail_5xx, cut_after_start, nonsense, jitter;
    double rate;      /* StartQueryExecution calls a second; 0: no limit */
    int64_t expired;  /* 0 or 1 */
    int64_t delay_ms; /* an answer to StartQueryExecution is held back */
    int64_t query_ms;
    int64_t active_dml, active_ddl;
    int64_t forget_tokens; /* 1: once, now; it reads as 0 */
};

struct sim_call_counts {
    uint64_t aws_calls, start_calls, get_calls, batch_calls, stop_calls, metric_calls, sts_calls;
    uint64_t rate_limited, failed_5xx, cut, nonsense, expired, bad_signature, invalid, denied;
    uint64_t canned;
};

struct sim {
    struct sim_settings settings;
    int64_t read_delay_ms; /* other answers are held back, at most for settings.delay_ms */
    int64_t burst;         /* calls that settings.rate allows at once; 0: those of a second */
    struct sim_state state;
    struct sim_canned_list canned;
    struct sim_call_counts counts;
    struct sim_credential *credentials; /* owned with their strings; the first is the configured */
    size_t credential_count;
    int ledger_fd;   /* -1: none */
    uint64_t random; /* seed, then state */
    double rate_tokens;
    int64_t rate_at_us;
    cJSON *metrics; /* array of all datums, each with its Namespace */
};

double sim_burst(const struct sim *sim); /* as settings.rate and `burst` are now */

/* `session_token` may be NULL. */
void sim_init(struct sim *sim, const struct sim_settings *settings, uint64_t seed,
              const char *access_key_id, const char *secret_access_key, const char *session_token);
void sim_free(struct sim *sim);

void sim_answer_request(struct sim *sim, const struct sim_request *r, int64_t now_us,
                        struct sim_answer *answer);

/* --- between the files named above ------------------------------------------------------------ */

struct sim_call {
    struct sim *sim;
    const struct sim_request *r;
    const cJSON *in; /* the request's JSON; NULL for STS */
    int64_t now_us;
    struct sim_answer *answer;
};

double sim_random(struct sim *sim); /* from 0 up to 1 */
void sim_new_uuid(char out[37]);
void sim_issue_credential(struct sim *sim, int64_t expires_s); /* the newest is the last */

void sim_start_query_execution(const struct sim_call *call);
void sim_get_query_execution(const struct sim_call *call);
void sim_batch_get_query_execution(const struct sim_call *call);
void sim_stop_query_execution(const struct sim_call *call);
void sim_put_metric_data(const struct sim_call *call);
/* STS, in XML. An Action that needs no signature is known by sim_sts_is_unsigned(). */
void sim_sts(const struct sim_call *call);
bool sim_sts_is_unsigned(const struct sim_request *r);
void sim_sts_error(struct sim_answer *answer, unsigned status, const char *code,
                   const char *message);

#endif
