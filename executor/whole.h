/*
 * The parts of an executor, for the two files that see all of them: executor.c, which opens, ties
 * and closes them, and report.c, which looks at them for the admin endpoint.
 */
#ifndef EXECUTOR_WHOLE_H
#define EXECUTOR_WHOLE_H

#include "common/aws/client.h"
#include "common/aws/cloudwatch.h"
#include "common/aws/credentials/provider.h"
#include "common/base/loop.h"
#include "common/base/metrics.h"
#include "common/kafka/producer.h"
#include "common/kafka/status_reader.h"
#include "common/kafka/topics.h"
#include "common/model/status_view.h"
#include "executor/config.h"
#include "executor/limit/fleet_link.h"
#include "executor/limit/gate.h"
#include "executor/limit/limit_log.h"
#include "executor/limit/pace.h"
#include "executor/limit/slot.h"
#include "executor/metrics.h"
#include "executor/partitions.h"
#include "executor/query/answer.h"
#include "executor/query/job_state.h"
#include "executor/query/repair.h"
#include "executor/query/settle.h"
#include "executor/query/tracker.h"
#include "executor/turn/dispatch.h"
#include "executor/turn/notifier.h"
#include "executor/turn/recall.h"
#include "executor/turn/record_index.h"

struct executor {
    struct loop *loop;              /* borrowed */
    struct executor_config *config; /* borrowed */

    /* At the edge. */
    struct credentials_provider *credentials;
    struct aws_client *aws;
    struct cloudwatch *cloudwatch; /* NULL: off */
    struct producer *producer;
    struct status_view *view;
    struct status_reader *reader;
    struct partitions *partitions;
    struct topics *topics;

    /* How many may run. */
    struct slots slots;
    struct pace pace;
    struct gate gate;
    struct fleet_link *fleet;
    struct limit_log limit_log;

    /* One query's life. */
    struct jobs jobs;
    struct settler settler;
    struct tracker tracker;
    struct answers answers;
    struct repairs repairs;

    /* Who is next. */
    struct record_index index;
    struct recall recall;
    struct notifier notifier;
    struct dispatch dispatch;

    struct metric metrics[EXECUTOR_METRICS];
};

#endif
