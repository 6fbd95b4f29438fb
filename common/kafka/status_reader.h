/*
 * Reads the status topic from its start into a status_view, for as long as the program lives.
 */
#ifndef COMMON_KAFKA_STATUS_READER_H
#define COMMON_KAFKA_STATUS_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/kafka/options.h"
#include "common/model/status_view.h"

struct status_reader;

/*
 * `changed` is called after each batch that was read, and once when the view has caught up. `view`
 * is borrowed and must outlive the reader. NULL on failure, with the reason in `error`.
 */
struct status_reader *status_reader_open(struct loop *loop, const struct kafka_options *kafka,
                                         struct status_view *view, loop_fn *changed, void *arg,
                                         char *error, size_t error_size);
/*
 * Once the view has caught up, `covered` is called for each record that the view ignores because
 * it holds a later state. Where no other record of the pair follows, compaction keeps that record:
 * the topic would end with a wrong state for the pair.
 */
typedef void status_covered_fn(void *arg, const struct status *late);
void status_reader_watch(struct status_reader *r, status_covered_fn *covered, void *arg);
/* Records whose value `is_own` answers with true are not read: the view knows what they say. */
typedef bool status_is_own_fn(void *arg, const void *value, size_t n);
void status_reader_skip_own(struct status_reader *r, status_is_own_fn *is_own, void *arg);
/* Begins, once the topic is known to have `partitions`. */
bool status_reader_start(struct status_reader *r, int32_t partitions);
/*
 * From now on it has not caught up until all is read that was acknowledged to any writer before
 * this call (topic_reader.h).
 */
void status_reader_renew(struct status_reader *r);
bool status_reader_caught_up(const struct status_reader *r); /* true until the next renewal */
void status_reader_close(struct status_reader *r);

#endif
