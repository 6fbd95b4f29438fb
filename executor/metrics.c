#include "executor/metrics.h"

#define COUNTER(name, help)                                                                        \
    {                                                                                              \
        name, NULL, help, METRIC_COUNTER, NULL, 0, {                                               \
            0                                                                                      \
        }                                                                                          \
    }
#define LABELED(name, labels, help)                                                                \
    {                                                                                              \
        name, labels, help, METRIC_COUNTER, NULL, 0, {                                             \
            0                                                                                      \
        }                                                                                          \
    }
#define GAUGE(name, labels, help)                                                                  \
    {                                                                                              \
        name, labels, help, METRIC_GAUGE, NULL, 0, {                                               \
            0                                                                                      \
        }                                                                                          \
    }
#define SECONDS(name, bounds, help)                                                                \
    {                                                                                              \
        name, NULL, help, METRIC_HISTOGRAM, bounds, 0, {                                           \
            0                                                                                      \
        }                                                                                          \
    }

#define ANSWERS(outcome)                                                                           \
    LABELED("athena_query_start_answers_total", "outcome=\"" outcome "\"",                         \
            "What StartQueryExecution was answered.")
#define NEWS(at, lane, why)                                                                        \
    [METRIC_NEWS + (at)] =                                                                         \
        LABELED("athena_query_limit_news_total", "lane=\"" lane "\",why=\"" why "\"",              \
                "What was learned of the limit: found by raising it, taken by others, a probe "    \
                "refused, risen.")
#define NEWS_OF(lane, name)                                                                        \
    NEWS((lane)*PROBING_NEWS + PROBING_FOUND, name, "found"),                                      \
        NEWS((lane)*PROBING_NEWS + PROBING_TAKEN, name, "taken"),                                  \
        NEWS((lane)*PROBING_NEWS + PROBING_REFUSED, name, "refused"),                              \
        NEWS((lane)*PROBING_NEWS + PROBING_RISEN, name, "risen")
/* The rows above name each member of these: whoever adds one adds its row. */
_Static_assert(OUTCOMES == 10, "a row of ANSWERS for each outcome");
_Static_assert(LANES == 2 && PROBING_NEWS == 4, "a row of NEWS_OF for each lane and news");

#define ENDED(state)                                                                               \
    LABELED("athena_query_ended_total", "state=\"" state "\"", "Queries that have ended.")

static const struct metric table[] = {
    [METRIC_STARTS] =
        COUNTER("athena_query_start_total", "Calls to StartQueryExecution, repetitions included."),
    [METRIC_THROTTLED] =
        COUNTER("athena_query_throttled_total", "Calls answered with TooManyRequestsException."),
    [METRIC_ANSWERS + OUTCOME_STARTED] = ANSWERS("started"),
    [METRIC_ANSWERS + OUTCOME_QUOTA] = ANSWERS("quota"),
    [METRIC_ANSWERS + OUTCOME_RATE] = ANSWERS("rate"),
    [METRIC_ANSWERS + OUTCOME_AMBIGUOUS] = ANSWERS("ambiguous"),
    [METRIC_ANSWERS + OUTCOME_CREDENTIALS] = ANSWERS("credentials"),
    [METRIC_ANSWERS + OUTCOME_CONFIGURATION] = ANSWERS("configuration"),
    [METRIC_ANSWERS + OUTCOME_DENIED] = ANSWERS("denied"),
    [METRIC_ANSWERS + OUTCOME_UNREACHABLE] = ANSWERS("unreachable"),
    [METRIC_ANSWERS + OUTCOME_MISMATCH] = ANSWERS("mismatch"),
    [METRIC_ANSWERS + OUTCOME_REJECTED] = ANSWERS("rejected"),
    [METRIC_RECEIVED] = COUNTER("athena_query_received_total", "Records taken from Kafka."),
    [METRIC_GONE] = COUNTER("athena_query_gone_total",
                            "Records that were deleted from the query topic while they waited."),
    [METRIC_DEADLETTERED] =
        COUNTER("athena_query_deadlettered_total", "Queries sent to the dead-letter topic."),
    [METRIC_REJECTED] =
        COUNTER("athena_query_rejected_total", "Records sent to the rejected topic."),
    [METRIC_SUCCEEDED] = ENDED("SUCCEEDED"),
    [METRIC_FAILED] = ENDED("FAILED"),
    [METRIC_CANCELLED] = ENDED("CANCELLED"),
    [METRIC_POLLS] = COUNTER("athena_query_poll_total", "Calls to BatchGetQueryExecution."),
    [METRIC_POLL_ERRORS] =
        COUNTER("athena_query_poll_errors_total", "Calls to BatchGetQueryExecution that failed."),
    [METRIC_SEND_ERRORS] = COUNTER("athena_query_send_errors_total",
                                   "Records that Kafka did not take and that are sent again."),
    [METRIC_SCANNED_BYTES] =
        COUNTER("athena_query_scanned_bytes_total", "Bytes that ended queries have scanned."),
    [METRIC_RUNNING] = GAUGE("athena_query_running", NULL, "Queries followed in Athena."),
    [METRIC_WAITING] =
        GAUGE("athena_query_waiting", NULL, "Records taken from Kafka that wait to be started."),
    [METRIC_INDEXED] = GAUGE("athena_query_indexed", NULL,
                             "Of these, records that are known by user and offset only; they are "
                             "fetched again before their turn."),
    [METRIC_UNREAD] = GAUGE("athena_query_unread", NULL,
                            "Records of the owned partitions that were not received yet: beyond "
                            "the index, where that is full, users have no turns."),
    [METRIC_CALLS] =
        GAUGE("athena_query_start_in_flight", NULL, "Calls to StartQueryExecution under way."),
    [METRIC_LIMIT + LANE_DML] =
        GAUGE("athena_query_limit", "lane=\"dml\"", "Queries that may run at once, as learned."),
    [METRIC_LIMIT + LANE_DDL] =
        GAUGE("athena_query_limit", "lane=\"ddl\"", "Queries that may run at once, as learned."),
    [METRIC_SHARE + LANE_DML] =
        GAUGE("athena_query_share", "lane=\"dml\"", "How much of the limit is this executor's."),
    [METRIC_SHARE + LANE_DDL] =
        GAUGE("athena_query_share", "lane=\"ddl\"", "How much of the limit is this executor's."),
    NEWS_OF(LANE_DML, "dml"),
    NEWS_OF(LANE_DDL, "ddl"),
    [METRIC_LEADS] =
        GAUGE("athena_query_fleet_leader", NULL, "1 where this executor learns the limit for all."),
    [METRIC_HELD + LANE_DML] =
        GAUGE("athena_query_held", "lane=\"dml\"", "Slots of the quota that are held."),
    [METRIC_HELD + LANE_DDL] =
        GAUGE("athena_query_held", "lane=\"ddl\"", "Slots of the quota that are held."),
    [METRIC_LAG] = GAUGE("athena_query_lag", NULL,
                         "Records of the owned partitions not yet done with; -1: not known."),
    [METRIC_OLDEST_AGE] = GAUGE("athena_query_oldest_age_seconds", NULL,
                                "Age of the oldest record that is not done with."),
    [METRIC_PARTITIONS] = GAUGE("athena_query_partitions", NULL, "Partitions owned."),
    [METRIC_GATE] = GAUGE("athena_query_credentials_refused", NULL,
                          "1 while no query is started: credentials or configuration are refused, "
                          "or Athena cannot be reached."),
    [METRIC_STUCK] = GAUGE("athena_query_stuck_records", NULL,
                           "Records whose copy or state Kafka has refused for a minute: the "
                           "committed offset of their partition cannot pass them."),
    [METRIC_LOST] = COUNTER("athena_query_lost_total",
                            "Queries, by offsets, that the query topic's retention took before "
                            "they were done with."),
    [METRIC_START_SECONDS] = SECONDS("athena_query_start_seconds", metrics_seconds,
                                     "How long calls to StartQueryExecution took."),
    [METRIC_WAIT_SECONDS] = SECONDS("athena_query_wait_seconds", metrics_long_seconds,
                                    "From the first sight of a query to its start."),
    [METRIC_RUN_SECONDS] =
        SECONDS("athena_query_run_seconds", metrics_long_seconds, "How long queries ran."),
};
_Static_assert(sizeof table == EXECUTOR_METRICS * sizeof *table, "a row for each metric");

void executor_metrics_init(struct metric rows[EXECUTOR_METRICS]) {
    for (int i = 0; i < EXECUTOR_METRICS; i++)
        rows[i] = table[i];
}
