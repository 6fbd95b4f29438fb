/*
 * Which query is started when: records come in, wait, and have their turn. What the answer to a
 * start means for its query is executor/query/answer.h's.
 */
#ifndef EXECUTOR_TURN_DISPATCH_H
#define EXECUTOR_TURN_DISPATCH_H

#include <librdkafka/rdkafka.h>

#include "common/aws/client.h"
#include "common/base/loop.h"
#include "common/base/metrics.h"
#include "common/kafka/status_reader.h"
#include "common/model/status_view.h"
#include "executor/config.h"
#include "executor/limit/gate.h"
#include "executor/limit/pace.h"
#include "executor/limit/slot.h"
#include "executor/query/answer.h"
#include "executor/query/job_state.h"
#include "executor/query/settle.h"
#include "executor/query/start_request.h"
#include "executor/turn/recall.h"
#include "executor/turn/record_index.h"

/* All borrowed. */
struct dispatch_parts {
    struct loop *loop;
    const struct executor_config *config;
    struct aws_client *aws;
    struct jobs *jobs;
    struct record_index *index;
    struct recall *recall;
    struct slots *slots;
    struct pace *pace;
    struct gate *gate;
    struct status_reader *reader;
    struct status_view *view;
    struct settler *settler;
    struct answers *answers;
    struct metric *metrics; /* EXECUTOR_METRICS rows */
    /* Around each pass: the limits may be brought up to date first; what is left is known then. */
    void (*pass_begins)(void *arg);
    void (*pass_ends)(void *arg);
    /* How many records wait in Kafka, as far as it is known; asked once a pass. */
    int64_t (*unread)(void *arg);
    /* Whether all is received that waited in the partitions when they were assigned, or as much of
     * it as a start may wait for: nothing starts before, since turns are not known yet. */
    bool (*caught_up)(void *arg);
    void *arg;
};

struct dispatch {
    struct dispatch_parts parts;
    struct start_defaults defaults;
    int64_t unread;     /* records that wait in Kafka, at the last pass */
    int next;           /* lanes take turns, and with them what is asked again */
    int64_t started_ms; /* loop time of the last call for a query that had not been asked for */
    struct loop_task pass;
    struct loop_timer timer;
    bool stopping; /* nothing new is started */
};

void dispatch_init(struct dispatch *d, const struct dispatch_parts *parts);
/*
 * Something may be started now that could not be before: a pass is made at the end of this
 * iteration of the loop, once, however often this is called.
 */
void dispatch_soon(struct dispatch *d);
/* Nothing new is started from now on; what is under way goes on. */
void dispatch_stop(struct dispatch *d);
void dispatch_close(struct dispatch *d); /* zeroed is fine */

/* How many of a lane wait here, and of either in Kafka, as the last pass found it. */
int64_t dispatch_backlog(const struct dispatch *d, enum lane lane);
/* What could be started at once if there were room; nothing while nothing may be started. */
int dispatch_startable(const struct dispatch *d, enum lane lane);
/* Nothing waits, is being asked for, or runs. */
bool dispatch_is_idle(const struct dispatch *d);

/* The events of executor/partitions.h; `arg` is the struct dispatch. */
void dispatch_record(void *arg, struct partition *p, rd_kafka_message_t *message);
bool dispatch_is_full(void *arg, const struct partition *p, bool was_full);
void dispatch_revoking(void *arg, struct partition *p);
void dispatch_gone(void *arg, struct partition *p);
/* Those of executor/turn/recall.h. */
void dispatch_recalled(void *arg, struct index_entry *entry, rd_kafka_message_t *message);
void dispatch_record_gone(void *arg, struct index_entry *entry);

#endif
