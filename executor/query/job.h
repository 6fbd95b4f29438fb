/*
 * One record of the query topic on its way to its end.
 */
#ifndef EXECUTOR_QUERY_JOB_H
#define EXECUTOR_QUERY_JOB_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/aws/client.h"
#include "common/base/loop.h"
#include "common/kafka/record.h"
#include "common/model/query.h"
#include "common/model/status.h"
#include "executor/limit/admission.h"
#include "executor/partitions.h"
#include "executor/turn/lane.h"
#include "executor/turn/notice.h"
#include "executor/turn/window.h"

/*
 * WAITING → STARTING → RUNNING → SETTLING → finished, with BACKING_OFF between two calls, and
 * straight to SETTLING for what is throttled or rejected.
 */
enum job_state {
    JOB_WAITING,     /* in the window; nothing has been sent, or it was refused before it began */
    JOB_STARTING,    /* a call of StartQueryExecution is under way */
    JOB_BACKING_OFF, /* its timer will bring it back */
    JOB_RUNNING,     /* it has an execution id, the tracker looks after it */
    JOB_SETTLING,    /* its last records are on their way; finished when they are acknowledged */
};

/* What it holds of its lane's admission. */
enum job_slot {
    SLOT_NONE,
    SLOT_PERMIT, /* a call is under way under `permit` */
    SLOT_HELD,   /* it runs, or perhaps runs */
};

/* A record that must be acknowledged before the job is finished. */
struct job_send {
    bool wanted, in_flight, acked;
};

struct executor;

struct job {
    struct executor *executor;
    TAILQ_ENTRY(job) in_partition; /* while `partition` is not NULL */
    TAILQ_ENTRY(job) in_list;      /* of the tracker (RUNNING), or of those to be asked again */
    struct partition *partition;   /* NULL: taken away; nothing is finished then */
    int64_t offset;
    enum job_state state;

    /* The record, until it runs: then the text and the bytes are no longer needed. */
    rd_kafka_message_t *message; /* owned; NULL once it was let go */
    struct query query;
    struct record_headers headers;
    struct record_identity id;
    int64_t received_ms; /* the record's time stamp, UTC */
    uint8_t sha256[32];
    bool has_sha256; /* false for what is no request */
    char token[65];
    enum lane lane;

    /* Waiting. */
    struct window_item in_window;
    struct notice notice;

    /* Starting. */
    struct aws_call *call;
    enum job_slot slot;
    struct admission_permit permit;
    unsigned tries;          /* ambiguous answers in a row */
    int64_t rate_limited_ms; /* loop time of the first API-rate throttle in a row, 0: none */
    unsigned mismatches;
    bool perhaps_started; /* an answer was ambiguous: it is never given up from then on */
    struct loop_timer timer;

    /* Running. */
    size_t text_bytes;     /* of the SQL: Athena sends it back with every look */
    char *execution_id;    /* owned */
    char *output_location; /* owned */
    int64_t started_ms;    /* loop time */
    double submitted;      /* by Athena's clock, seconds; 0: not looked at yet */
    unsigned untold;       /* looks at which Athena did not tell of it */
    uint64_t sweep;        /* the last sweep that looked at it */

    /* Settling. */
    struct job_send copy, status;
    const char *copy_topic;
    enum status_state final_state;
    char *error_code, *reason; /* owned, NULL: none */
    int64_t send_again_ms;     /* the wait after the last send that failed; 0: none has */
    bool cut;                  /* the rejected topic does not take it whole */
};

/* Takes `message`; reads it. False: it is no valid request, and `why` says what to mend. */
bool job_read(struct job *job, rd_kafka_message_t *message, const char *stage, char *why,
              size_t why_size);
/* When it first came into the query topic, UTC ms: being moved back does not change it. */
int64_t job_first_seen_ms(const struct job *job);
/* Whose place in the window that is; NULL for NULL. */
struct job *job_of_item(struct window_item *item);
/* The bytes of the record are no longer needed. */
void job_release_message(struct job *job);
void job_free(struct job *job);

#endif
