/*
 * One record of the query topic on its way to its end.
 *
 * How long a job lives: from job_new() until it is FINISHED, INDEXED or DROPPED, and from then on
 * until the end of that iteration of the loop (common/base/loop.h, loop_defer). So whoever holds a
 * job may call what finishes it and still read it afterwards; whoever keeps a pointer beyond its
 * callback must be in one of the lists of job_state.h, which the job leaves when it ends. Its
 * `partition` is NULL from the moment it has ended, for partitions do not outlive their last job.
 */
#ifndef EXECUTOR_QUERY_JOB_H
#define EXECUTOR_QUERY_JOB_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/aws/client.h"
#include "common/base/key_table.h"
#include "common/base/loop.h"
#include "common/kafka/held_record.h"
#include "common/kafka/record.h"
#include "common/model/query.h"
#include "common/model/status.h"
#include "executor/limit/lane.h"
#include "executor/limit/slot.h"
#include "executor/partition.h"
#include "executor/turn/notice.h"
#include "executor/turn/window.h"

/* job_transition() of job_state.h is the only writer; its table says what may follow what. */
enum job_state {
    JOB_RECEIVED,          /* nothing was looked up about it yet */
    JOB_BEHIND,            /* a repetition: another job stands for its pair, and goes first */
    JOB_WAITING,           /* in the window; nothing was sent, or it was refused before it began */
    JOB_STARTING,          /* its turn: a call of StartQueryExecution is under way */
    JOB_AMBIGUOUS_BACKOFF, /* perhaps started; its timer makes it one to be asked again */
    JOB_ASK_AGAIN,         /* perhaps started; to be asked again as soon as a call may be made */
    JOB_REFUSED_BACKOFF,   /* refused for a while; its timer puts it back into the window */
    JOB_RUNNING,           /* it has an execution id, the tracker follows it */
    JOB_SETTLING,          /* its last records are on their way */
    JOB_FINISHED,          /* its offset is finished; freed at the end of the iteration */
    JOB_INDEXED,           /* an entry of record_index.h waits in its place; freed likewise */
    JOB_DROPPED,           /* it is the next owner's; freed at the end of the iteration */
    JOB_STATES,
};

struct jobs;
struct job;
struct job_send;
struct answers;
struct settler;

/*
 * What the report of a record needs, from producer_send() until the report: it is the report's own,
 * for the job may end before. settle.c allocates and frees it.
 */
struct job_flight {
    struct job *job; /* NULL: it has ended, or has no use for the report any more */
    struct job_send *send;
};

/* A record that must be acknowledged before the job is finished. Each fails on its own account. */
struct job_send {
    bool wanted, acked;
    struct job_flight *flight; /* NULL: none is under way */
    struct loop_timer timer;   /* sends it again */
    int64_t wait_ms;           /* the wait after the last failure; 0: none has failed */
    int64_t failing_ms;        /* loop time of the first failure since it was acknowledged */
    rd_kafka_resp_err_t err;   /* the last one */
    unsigned shortened;        /* how often it was too large for its topic and made shorter */
};

struct job {
    struct jobs *jobs; /* whose lists it is in; borrowed */
    enum job_state state;
    TAILQ_ENTRY(job) in_list;
    struct job_list *list;         /* that `in_list` belongs to; NULL: in none of them */
    TAILQ_ENTRY(job) in_partition; /* while `partition` is not NULL */
    struct partition *partition;   /* NULL: it has ended, or the partition was taken away */
    int64_t offset;

    /* The record, until it runs: then the text and the bytes are no longer needed. */
    struct held_record *message; /* owned; NULL once it was released */
    struct query query;          /* parsed while it is read and while it is STARTING, else zeroed */
    struct record_headers headers;
    struct record_identity id;
    int64_t received_ms; /* the record's time stamp, UTC */
    uint8_t sha256[32];
    bool has_sha256; /* false for what is no request */
    bool is_allowed; /* it chose no work group or output location that it may not */
    char token[65];
    enum lane lane;

    /* Its pair. */
    bool stands_for_pair;    /* pairs.h's */
    struct key_node by_pair; /* pairs.h's */
    struct job_list behind;  /* BEHIND it */
    struct job *first;       /* it is BEHIND that one */
    bool pair_ended;         /* that one has ended, and its end, of this text, is in the topic */

    /* Waiting. */
    struct window_item in_window;
    struct window_item *place; /* of an entry, which it replaces when it waits; NULL: a new place */
    bool is_recalled;          /* it was fetched again: it counts as such, not for its partition */
    bool keeps_place;          /* when it waits next: before those of its user that came after it */
    struct notice notice;

    /* Starting. */
    struct answers *answers; /* who takes the answer to its call; borrowed */
    struct aws_call *call;
    struct slot slot;
    unsigned tries;          /* ambiguous answers in a row */
    int64_t rate_limited_ms; /* loop time of the first API-rate throttle in a row, 0: none */
    unsigned refusals;       /* in a row, for what is no query's fault */
    int64_t refused_ms;      /* loop time of the last one */
    unsigned mismatches;
    bool perhaps_started; /* an answer was ambiguous: it is never given up from then on */
    struct loop_timer timer;

    /* Running. */
    size_t text_bytes;     /* of SQL and parameters: Athena sends them back with every look */
    char *execution_id;    /* owned */
    char *output_location; /* owned */
    int64_t started_ms;    /* loop time */
    double submitted;      /* by Athena's clock, seconds; 0: not looked at yet */
    unsigned unreported;   /* looks whose answer did not name it */
    unsigned lost_looks;   /* in a row, whose answer said that Athena does not know it */
    int64_t lost_ms;       /* loop time of the first of them */
    size_t batch_max;      /* with how many it may be asked for; 0: with any number */
    uint64_t sweep, poll;  /* the last sweep, and the last call, that asked for it */

    /* Settling. */
    struct settler *settler; /* who sends them; borrowed */
    struct job_send copy, status;
    const char *copy_topic;
    enum status_state final_state;
    char *error_code, *reason; /* owned, NULL: none */
    bool has_no_copy; /* the dead-letter topic does not take it: it waits for the quota here */
};

/*
 * Takes `message`, whose bytes then wait in its partition; reads it. False: it is no valid request,
 * and `why` says what to mend. Call job_forget_query() when what was parsed was looked at.
 */
bool job_read(struct job *job, rd_kafka_message_t *message, const char *stage, char *why,
              size_t why_size);
/* Parses the record, which job_read() has found valid, once more. Nothing where it is parsed. */
void job_parse_query(struct job *job);
/* What was parsed takes more memory than the bytes: only few jobs have it at a time. */
void job_forget_query(struct job *job);
/* When it first came into the query topic, UTC ms: being moved back does not change it. */
int64_t job_first_seen_ms(const struct job *job);
/* What waiting takes, the record and the job itself; only while it has its record. */
size_t job_held_bytes(const struct job *job);
/* Whose place in the window that is; NULL for NULL. */
struct job *job_of_item(struct window_item *item);
/* The bytes of the record are no longer needed: they no longer count for the partition either. */
void job_release_message(struct job *job);
/* For job_state.c: all others end a job by job_transition(). */
void job_free(struct job *job);

#endif
