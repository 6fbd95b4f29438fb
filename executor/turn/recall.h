/*
 * Fetches indexed records again before their turns come. Of the first starts to come in each lane
 * those that are not held are fetched: a run of offsets of one partition at a time, beginning with
 * the most urgent record. What was fetched counts as recalled (job_state.h) until it has started.
 *
 * A partition that gives nothing is left alone for a while, and the turns of what waits in it are
 * passed over meanwhile: one broker that is down holds up nobody else.
 */
#ifndef EXECUTOR_TURN_RECALL_H
#define EXECUTOR_TURN_RECALL_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/kafka/refetch.h"
#include "executor/partition.h"
#include "executor/query/job_state.h"
#include "executor/turn/record_index.h"

enum {
    RECALL_MOST = 256, /* starts to come of each lane that are looked at, at most */
    RECALL_GAP = 32    /* offsets that nobody wants, between two of a run, at most */
};

/* All pointers are borrowed. */
struct recall_parts {
    struct loop *loop;
    struct jobs *jobs; /* whose windows they are */
    struct record_index *index;
    size_t records_most; /* that are held at a time, and … */
    size_t bytes_most;   /* … their bytes; one record is fetched in any case */
    /* The record of an entry, which the callee takes: a job takes the place of the entry. */
    void (*recalled)(void *arg, struct index_entry *entry, rd_kafka_message_t *message);
    /* The record of an entry is no longer in its topic: the callee removes the entry. */
    void (*gone)(void *arg, struct index_entry *entry);
    void *arg;
};

struct recall {
    struct recall_parts parts;
    struct kafka_refetch *refetch; /* set by the caller before the first recall_look() */
    struct index_entry *wanted[LANES * RECALL_MOST]; /* of the run under way, ascending offsets */
    size_t wanted_count, wanted_done;                /* the first `wanted_done` have come */
    int64_t progress_ms;     /* loop time of the last record, or of the start */
    struct loop_timer timer; /* ends a run that brings nothing */
};

void recall_init(struct recall *r, const struct recall_parts *parts);
void recall_close(struct recall *r); /* zeroed is fine */
/* The events of the refetch; `arg` is the struct recall. */
void recall_on_record(void *arg, rd_kafka_message_t *message);
void recall_on_ended(void *arg, bool last);

/* Begins a run if one is needed and none is under way. */
void recall_look(struct recall *r);
/* Call before the entries of a partition are dropped. */
void recall_forget(struct recall *r, const struct partition *p);
/* Whether the record of this entry, whose turn it is, is about to come: its turn is kept then. */
bool recall_is_near(const struct recall *r, const struct index_entry *entry);

/*
 * Pure: which of these entries, the most urgent first, are fetched in one run: those of its
 * partition that lie close by. They are moved to the front, ascending, each once; how many.
 */
size_t recall_choose(struct index_entry **entries, size_t count);

#endif
