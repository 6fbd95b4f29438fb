/*
 * The last records of a query: its copy in the dead-letter or rejected topic and its state. What is
 * not acknowledged is sent again until it is, and made shorter where it is too large for its topic;
 * only then is the job FINISHED, and its offset done with. A dead letter is never shortened: where
 * it cannot be written, its query goes back to WAITING.
 */
#ifndef EXECUTOR_QUERY_SETTLE_H
#define EXECUTOR_QUERY_SETTLE_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/loop.h"
#include "common/base/metrics.h"
#include "common/base/must_check.h"
#include "common/kafka/options.h"
#include "common/kafka/producer.h"
#include "common/kafka/status_reader.h"
#include "common/model/status_view.h"
#include "executor/query/job.h"

struct started;
LIST_HEAD(started_list, started);

/* All pointers are borrowed. */
struct settler {
    struct loop *loop;
    const struct kafka_options *kafka; /* for the names of the topics */
    struct producer *producer;
    struct status_view *view;
    struct status_reader *reader; /* which fills the view */
    struct metric *metrics;       /* EXECUTOR_METRICS rows */
    /* A STARTED of started.h is done with; NULL: nobody wants to know. */
    void (*start_published)(void *arg);
    /* A query is WAITING again whose dead letter cannot be written; NULL: the same. */
    void (*waits_again)(void *arg);
    void *arg;
    struct started_list starts; /* started.h's: not acknowledged yet */
    size_t starts_in_flight;    /* how many these are */
};

/*
 * Publishes QUEUED with a reason in passing: it may fail, and nobody waits for it. Not where a
 * later state is known, or the pair is another text's. Call only once the view has caught up, for
 * the job that stands for its pair.
 */
void settle_waiting(struct settler *s, struct job *job, const char *reason);

/*
 * Each of these takes a job to SETTLING, and may finish it within the call where nothing is to be
 * written.
 */
/* STARTED is the last state that is published of it (TRACK_QUERIES=off). */
void settle_started(struct settler *s, struct job *job);
/* SUCCEEDED, FAILED or CANCELLED. `reason` may be NULL. */
void settle_ended(struct settler *s, struct job *job, enum status_state state, const char *reason);
/*
 * It has ended, as the view knows: FINISHED at once, unless another state is the topic's last of
 * the pair. Then the end is published once more, and acknowledged first.
 */
void settle_known(struct settler *s, struct job *job, const struct status *known);
/*
 * To the dead-letter topic; THROTTLED. It holds no slot. Where the topic refuses its copy as too
 * large, or for ten seconds for another reason, it is WAITING again.
 */
void settle_throttled(struct settler *s, struct job *job, const char *code, const char *reason);
/* To the rejected topic; REJECTED, unless that is the state of another text of the same pair. */
void settle_rejected(struct settler *s, struct job *job, const char *code, const char *reason);
/* To the rejected topic, and the state is left alone: it is the first one's of this pair. */
void settle_mismatch(struct settler *s, struct job *job, const char *code, const char *reason);

/*
 * Of a job that is SETTLING: false where Kafka has refused a record of it for longer than a
 * rebalance should wait for. Such a job is dropped when its partition goes away.
 */
bool settle_ends_soon(const struct job *job);

/* Publishes what is known of a pair once more, as it is. Nobody waits for it. */
void settle_republish(struct settler *s, const struct status *known);

/* --- for started.c ---------------------------------------------------------------------------- */

/* The state of the job's pair, now. Strings are borrowed from the job. */
struct status settle_describe(const struct job *job, enum status_state state);
/* Whether it may follow what the view knows. */
bool settle_may_publish(const struct settler *s, const struct status *next);
/* Whether it is what the view knows: the view is ahead of what is acknowledged. */
bool settle_is_published(const struct settler *s, const struct status *state);
/* As producer_send(). `shortened`: how often settle_shorten_state() was true for this state. */
MUST_CHECK rd_kafka_resp_err_t settle_publish(struct settler *s, const struct status *state,
                                              unsigned shortened, producer_done_fn *fn, void *arg);
/* A state was refused with `err`: true where it is to be sent again at once, shorter. */
MUST_CHECK bool settle_shorten_state(rd_kafka_resp_err_t err, unsigned *shortened);
/* How long to wait before a record is sent again; `last_ms`: the wait before, 0: none. */
int64_t settle_backoff_ms(int64_t last_ms);

#endif
