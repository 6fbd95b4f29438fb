/*
 * The fleet at its edge: the quota topic is read and written, the machine of fleet.h is driven, and
 * what it decides reaches the admission of both lanes. Without the topic each executor learns
 * alone.
 */
#ifndef EXECUTOR_LIMIT_FLEET_LINK_H
#define EXECUTOR_LIMIT_FLEET_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/kafka/options.h"
#include "common/kafka/producer.h"
#include "executor/limit/fleet.h"
#include "executor/limit/slot.h"

struct fleet_link;

/* All borrowed. */
struct fleet_link_parts {
    struct loop *loop;
    const struct kafka_options *kafka;
    struct producer *producer;
    struct slots *slots; /* what it governs */
    /* A step is due: something was read, or a tenth of a second has passed. */
    void (*changed)(void *arg);
    void *arg;
};

/* How it stands with this executor when a step is made. */
struct fleet_link_facts {
    bool joined;     /* it has had partitions assigned: else it cannot know whether it is alone */
    bool owns_first; /* partition 0 of the query topic */
    bool owns_all;
    struct fleet_work work[LANES];
};

/* NULL: see `error`. */
struct fleet_link *fleet_link_open(const struct fleet_link_parts *parts, char *error,
                                   size_t error_size);
/* Begins, if the quota topic is there: `partitions` is how many it has, 0 where it is not. */
void fleet_link_start(struct fleet_link *l, int32_t partitions);
/* Writes the others that this executor goes. */
void fleet_link_leave(struct fleet_link *l);
void fleet_link_close(struct fleet_link *l); /* takes NULL */

/* Something that counts has changed: shares are looked at, and what is due is written. */
void fleet_link_step(struct fleet_link *l, const struct fleet_link_facts *facts);
/* As fleet_sweep_begins(), fleet_count_at(), fleet_counts_before() and fleet_swept() of fleet.h. */
void fleet_link_sweep_begins(struct fleet_link *l, uint64_t sweep);
double fleet_link_count_at(const struct fleet_link *l, uint64_t sweep, enum lane lane);
int64_t fleet_link_counts_before(const struct fleet_link *l, enum lane lane);
void fleet_link_swept(struct fleet_link *l, uint64_t sweep, enum lane lane, double submitted,
                      int counted);

/* What may run, by the fleet's leader where there is one. */
int fleet_link_limit(const struct fleet_link *l, int lane);
bool fleet_link_leads(const struct fleet_link *l);
/* What this executor learns with, alone or as the leader; NULL: another one learns for it. */
const struct probing *fleet_link_learns(const struct fleet_link *l, int lane);

#endif
