/*
 * The last records of a query: its copy in the dead-letter or rejected topic and its state. What is
 * not acknowledged is sent again until it is; only then is the job FINISHED, and its offset done
 * with. Each of these takes a job to SETTLING but the first two, and may finish it within the call
 * where nothing is to be written.
 */
#ifndef EXECUTOR_QUERY_SETTLE_H
#define EXECUTOR_QUERY_SETTLE_H

#include "common/base/loop.h"
#include "common/base/metrics.h"
#include "common/kafka/options.h"
#include "common/kafka/producer.h"
#include "common/kafka/status_reader.h"
#include "common/model/status_view.h"
#include "executor/query/job.h"

/* All pointers are borrowed. */
struct settler {
    struct loop *loop;
    const struct kafka_options *kafka; /* for the names of the topics */
    struct producer *producer;
    struct status_view *view;
    struct status_reader *reader; /* which fills the view */
    struct metric *metrics;       /* EXECUTOR_METRICS rows */
    /* A STARTED of settle_running() was acknowledged, or failed; NULL: nobody wants to know. */
    void (*start_published)(void *arg);
    void *arg;
    size_t starts_in_flight; /* of them that are not reported yet */
};

/*
 * Publishes QUEUED with a reason in passing: it may fail, and nobody waits for it. Not where a
 * later state is known, or the pair is or may be another text's. Call only once the view has caught
 * up.
 */
void settle_waiting(struct settler *s, struct job *job, const char *reason);
/*
 * Publishes STARTED in passing: a state to come says the same and more. Only who gives the query's
 * partition away waits for `starts_in_flight` to be 0: the next owner goes by what it reads.
 */
void settle_running(struct settler *s, struct job *job);

/* STARTED is the last state that is published of it (TRACK_QUERIES=off). */
void settle_started(struct settler *s, struct job *job);
/* SUCCEEDED, FAILED or CANCELLED. `reason` may be NULL. */
void settle_ended(struct settler *s, struct job *job, enum status_state state, const char *reason);
/*
 * It has ended, as the view knows: FINISHED at once, unless another state is the topic's last of
 * the pair. Then the end is published once more, and acknowledged first.
 */
void settle_known(struct settler *s, struct job *job, const struct status *known);
/* To the dead-letter topic; THROTTLED. */
void settle_throttled(struct settler *s, struct job *job, const char *code, const char *reason);
/* To the rejected topic; REJECTED, unless that is the state of another text of the same pair. */
void settle_rejected(struct settler *s, struct job *job, const char *code, const char *reason);
/* To the rejected topic, and the state is left alone: it is the first one's of this pair. */
void settle_mismatch(struct settler *s, struct job *job, const char *code, const char *reason);

/* Publishes what is known of a pair once more, as it is. Nobody waits for it. */
void settle_republish(struct settler *s, const struct status *known);

#endif
