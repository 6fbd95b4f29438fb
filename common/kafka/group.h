/*
 * Members of consumer groups that commit their offsets themselves.
 */
#ifndef COMMON_KAFKA_GROUP_H
#define COMMON_KAFKA_GROUP_H

#include <librdkafka/rdkafka.h>

#include "common/kafka/options.h"

/* As kafka_conf(); the caller's until kafka_open() takes it. */
rd_kafka_conf_t *kafka_group_conf(const struct options_common *common, const char *group);
/*
 * Leaves the group, so that others take over at once, blocking for 3 s at most. Who does not get to
 * leave is expelled when its session times out. Afterwards the handle is only good for being
 * closed.
 */
void kafka_group_leave(rd_kafka_t *rk);

#endif
