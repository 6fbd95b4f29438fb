/*
 * What the parts of the executor share. main.c opens and closes it all; dispatch.c decides what is
 * started when, answer.c what an answer means for a query, settle.c gets the last records of a
 * query acknowledged, tracker.c follows what runs.
 */
#ifndef EXECUTOR_EXECUTOR_H
#define EXECUTOR_EXECUTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/aws/client.h"
#include "common/aws/cloudwatch.h"
#include "common/base/loop.h"
#include "common/kafka/producer.h"
#include "common/kafka/status_reader.h"
#include "common/kafka/topics.h"
#include "executor/config.h"
#include "executor/limit/admission.h"
#include "executor/limit/fleet_link.h"
#include "executor/limit/limit_log.h"
#include "executor/limit/pace.h"
#include "executor/metrics.h"
#include "executor/partitions.h"
#include "executor/query/job.h"
#include "executor/query/repair.h"
#include "executor/query/start_request.h"
#include "executor/query/tracker.h"
#include "executor/turn/gate.h"
#include "executor/turn/window.h"

struct executor {
    struct loop *loop;
    const struct executor_config *config;
    struct start_defaults defaults;
    struct producer *producer;
    struct topics *topics;
    struct status_view *view;
    struct status_reader *reader;
    struct partitions *partitions;
    struct credentials_provider *credentials;
    struct aws_client *aws;
    struct cloudwatch *cloudwatch; /* NULL: off */

    struct window window[LANES]; /* what waits: users take turns */
    int64_t unread;              /* records that wait in Kafka, at the last dispatch */
    int turn;                    /* lanes take turns, too, and what is asked again */
    struct job_list again;       /* perhaps started: to be asked again */
    struct admission admission[LANES];
    struct learning learning[LANES];
    struct pace pace;
    struct gate gate;
    int calls;          /* of StartQueryExecution under way */
    int ambiguous;      /* ambiguous answers in a row, over all queries */
    int64_t started_ms; /* loop time of the last call for a query that had not been asked for */
    struct loop_timer dispatch_timer, notice_timer;
    bool stopping; /* nothing new is started */

    struct tracker tracker;
    struct fleet_link *fleet;
    struct repairs repairs;
    struct metric metrics[EXECUTOR_METRICS];
};

#endif
