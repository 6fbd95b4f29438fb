/*
 * Reads the status topic from its start into a status_view, for as long as the program lives.
 */
#ifndef COMMON_KAFKA_STATUS_READER_H
#define COMMON_KAFKA_STATUS_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/kafka/options.h"
#include "common/model/status_view.h"

struct status_reader;

/* Called after each batch that changed the view, and once when the view has caught up. */
struct status_reader *status_reader_open(struct loop *loop, const struct options_common *common,
                                         struct status_view *view, loop_fn *changed, void *arg,
                                         char *error, size_t error_size);
/*
 * `covered` is called for each record that the view has ignored, once it had caught up: where
 * nothing follows it, the topic ends in a wrong state for this pair, and compaction would keep that
 * one.
 */
typedef void status_covered_fn(void *arg, const struct status *late);
void status_reader_watch(struct status_reader *r, status_covered_fn *covered, void *arg);
/* Begins, once the topic is known to have `partitions`. */
bool status_reader_start(struct status_reader *r, int32_t partitions);
bool status_reader_caught_up(const struct status_reader *r); /* stays true once it was */
void status_reader_close(struct status_reader *r);

#endif
