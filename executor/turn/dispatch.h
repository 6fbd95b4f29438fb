/*
 * Which query is started when: records come in, wait, and have their turn. What the answer to a
 * start means for its query is answer.h's.
 */
#ifndef EXECUTOR_TURN_DISPATCH_H
#define EXECUTOR_TURN_DISPATCH_H

#include <librdkafka/rdkafka.h>

#include "executor/executor.h"

void dispatch_init(struct executor *x);
/* Starts what may be started now. Call whenever that may have changed. */
void dispatch_run(struct executor *x);
/* How many of a lane wait to be started. */
int dispatch_waiting(const struct executor *x, enum lane lane);
/* Whether any waits, of either lane. */
bool dispatch_any_waits(const struct executor *x);
/* How many of a lane wait here, and of either in Kafka, as the last dispatch found it. */
int64_t dispatch_backlog(const struct executor *x, enum lane lane);

/* The three events of executor/partitions.h; `arg` is the executor. */
void dispatch_record(void *arg, struct partition *p, rd_kafka_message_t *message);
void dispatch_revoking(void *arg, struct partition *p);
void dispatch_gone(void *arg, struct partition *p);

/* The job has come to its end: its offset is done with. Frees it. */
void dispatch_finish(struct executor *x, struct job *job);
/*
 * Its offset is not done with: the next owner begins anew. Frees it, or where a record of it is
 * under way, at the next call.
 */
void dispatch_drop(struct executor *x, struct job *job);

/* Nothing waits, is being asked for, or runs. */
bool dispatch_is_idle(const struct executor *x);

#endif
