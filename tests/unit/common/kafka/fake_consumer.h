/*
 * librdkafka's consumer without librdkafka: for tests of what a member of a group does in which
 * order. Included by one test program, whose definitions go before those of the library.
 *
 * The test is the broker: it assigns, revokes, hands out records and answers commits, one at a
 * time. Configurations and lists of partitions are librdkafka's own. Time is the test's, too:
 * nothing waits. Whatever a real broker would refuse (a commit by a member that owns nothing) and
 * whatever would lose a record fails the test.
 */
#ifndef TESTS_UNIT_COMMON_KAFKA_FAKE_CONSUMER_H
#define TESTS_UNIT_COMMON_KAFKA_FAKE_CONSUMER_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/memory.h"
#include "common/kafka/options.h"

enum {
    FAKE_PARTITIONS = 4
};

#define FAKE_TOPIC "athena-query"
#define FAKE_GROUP "athena-query-executor"

/* What comes out of a queue, in order: of the consumer a rebalance or a record, of commits answers.
 */
struct fake_event {
    TAILQ_ENTRY(fake_event) link;
    rd_kafka_resp_err_t err; /* of an answer; of a rebalance: which one */
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_message_t *message; /* NULL: a rebalance */
};
TAILQ_HEAD(fake_events, fake_event);

struct fake_queue {
    struct fake_events events;
    int fd; /* of the wake-up, -1: none */
};

static struct fake_consumer {
    void *opaque;
    void (*rebalance)(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                      rd_kafka_topic_partition_list_t *list, void *opaque);
    struct fake_queue records, commits;
    struct fake_events sent; /* commits that are not answered yet */
    bool subscribed, assigned, lost, destroyed, paused[FAKE_PARTITIONS];
    bool unassign_due;  /* a rebalance waits for rd_kafka_assign(NULL) */
    bool refuse_commit; /* rd_kafka_commit_queue() fails at once */
    bool silent;        /* rd_kafka_committed() times out */
    int commits_sent, messages_alive;
    int sought[FAKE_PARTITIONS];        /* how often to the start */
    int64_t committed[FAKE_PARTITIONS]; /* as the broker has it, -1: nothing */
    char *metadata[FAKE_PARTITIONS];    /* owned, NULL: none */
    int64_t high[FAKE_PARTITIONS];      /* the end, as the last fetch has shown it */
    int64_t clock_ms;                   /* ahead of the real one */
} fake;

/* Looked at before a commit is sent and when one is stored; NULL: nothing more is checked. */
static void (*fake_on_commit)(int32_t partition, int64_t offset, const char *metadata);

/* --- time ------------------------------------------------------------------------------------- */

int clock_gettime(clockid_t clock, struct timespec *t) {
    int result = (int)syscall(SYS_clock_gettime, clock, t);
    t->tv_sec += fake.clock_ms / 1000;
    t->tv_nsec += fake.clock_ms % 1000 * 1000000;
    if (t->tv_nsec >= 1000000000) {
        t->tv_sec++;
        t->tv_nsec -= 1000000000;
    }
    return result;
}

static void fake_wake(void *arg) {
    (void)arg;
}

/* Iterations of the loop until all that is due was served; `ms` have passed before. */
static inline void fake_run(struct loop *loop, int64_t ms) {
    struct loop_timer now = {0};
    fake.clock_ms += ms;
    for (int i = 0; i < 4; i++) {
        loop_timer_set(loop, &now, 0, fake_wake, NULL);
        assert_true(loop_run_once(loop));
    }
    loop_timer_cancel(loop, &now);
}

/* --- the handle ------------------------------------------------------------------------------- */

static rd_kafka_t *fake_handle(void) {
    return (rd_kafka_t *)(void *)&fake;
}

void rd_kafka_conf_set_opaque(rd_kafka_conf_t *conf, void *opaque) {
    (void)conf;
    fake.opaque = opaque;
}

void rd_kafka_conf_set_rebalance_cb(rd_kafka_conf_t *conf,
                                    void (*cb)(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                                               rd_kafka_topic_partition_list_t *list,
                                               void *opaque)) {
    (void)conf;
    fake.rebalance = cb;
}

rd_kafka_t *rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *error, size_t size) {
    (void)error, (void)size;
    assert_int_equal(type, RD_KAFKA_CONSUMER);
    rd_kafka_conf_destroy(conf);
    return fake_handle();
}

rd_kafka_resp_err_t rd_kafka_poll_set_consumer(rd_kafka_t *rk) {
    (void)rk;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void rd_kafka_destroy_flags(rd_kafka_t *rk, int flags) {
    (void)rk, (void)flags;
    fake.destroyed = true;
}

/* --- queues ----------------------------------------------------------------------------------- */

rd_kafka_queue_t *rd_kafka_queue_get_consumer(rd_kafka_t *rk) {
    (void)rk;
    return (rd_kafka_queue_t *)(void *)&fake.records;
}

/* The first one is that of the commits; another is made for leaving the group. */
rd_kafka_queue_t *rd_kafka_queue_new(rd_kafka_t *rk) {
    (void)rk;
    return (rd_kafka_queue_t *)(void *)&fake.commits;
}

void rd_kafka_queue_destroy(rd_kafka_queue_t *queue) {
    (void)queue;
}

void rd_kafka_queue_io_event_enable(rd_kafka_queue_t *queue, int fd, const void *payload,
                                    size_t size) {
    (void)payload, (void)size;
    ((struct fake_queue *)(void *)queue)->fd = fd;
}

static void fake_push(struct fake_queue *queue, struct fake_event *event) {
    const uint64_t one = 1;
    TAILQ_INSERT_TAIL(&queue->events, event, link);
    if (queue->fd >= 0)
        assert_int_equal(write(queue->fd, &one, sizeof one), sizeof one);
}

static struct fake_event *fake_pop(struct fake_events *events) {
    struct fake_event *event = TAILQ_FIRST(events);
    if (event != NULL)
        TAILQ_REMOVE(events, event, link);
    return event;
}

static void fake_free(struct fake_event *event) {
    if (event->list != NULL)
        rd_kafka_topic_partition_list_destroy(event->list);
    free(event);
}

rd_kafka_event_t *rd_kafka_queue_poll(rd_kafka_queue_t *queue, int timeout_ms) {
    (void)timeout_ms;
    return (rd_kafka_event_t *)(void *)fake_pop(&((struct fake_queue *)(void *)queue)->events);
}

rd_kafka_resp_err_t rd_kafka_event_error(rd_kafka_event_t *event) {
    return ((struct fake_event *)(void *)event)->err;
}

rd_kafka_event_type_t rd_kafka_event_type(const rd_kafka_event_t *event) {
    (void)event;
    return RD_KAFKA_EVENT_OFFSET_COMMIT;
}

rd_kafka_topic_partition_list_t *rd_kafka_event_topic_partition_list(rd_kafka_event_t *event) {
    return ((struct fake_event *)(void *)event)->list;
}

void rd_kafka_event_destroy(rd_kafka_event_t *event) {
    fake_free((struct fake_event *)(void *)event);
}

/* --- records ---------------------------------------------------------------------------------- */

static inline void fake_record(int32_t partition, int64_t offset) {
    struct fake_event *event = mem_zero(sizeof *event);
    event->message = mem_zero(sizeof *event->message);
    *event->message = (rd_kafka_message_t){.partition = partition, .offset = offset};
    fake.messages_alive++;
    fake_push(&fake.records, event);
}

void rd_kafka_message_destroy(rd_kafka_message_t *message) {
    fake.messages_alive--;
    free(message);
}

int64_t rd_kafka_message_timestamp(const rd_kafka_message_t *message,
                                   rd_kafka_timestamp_type_t *type) {
    *type = RD_KAFKA_TIMESTAMP_CREATE_TIME;
    return 1000 + message->offset;
}

/* The test hands out the partition's records from its start again. */
rd_kafka_error_t *rd_kafka_seek_partitions(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list,
                                           int timeout_ms) {
    (void)rk, (void)timeout_ms;
    assert_int_equal(list->elems[0].offset, RD_KAFKA_OFFSET_BEGINNING);
    fake.sought[list->elems[0].partition]++;
    return NULL;
}

rd_kafka_message_t *rd_kafka_consumer_poll(rd_kafka_t *rk, int timeout_ms) {
    (void)timeout_ms;
    struct fake_event *event;
    rd_kafka_message_t *message = NULL;
    while (message == NULL && (event = fake_pop(&fake.records.events)) != NULL) {
        message = event->message;
        if (message == NULL)
            fake.rebalance(rk, event->err, event->list, fake.opaque);
        fake_free(event);
    }
    return message;
}

static void fake_set_paused(rd_kafka_topic_partition_list_t *list, bool paused) {
    for (int i = 0; i < list->cnt; i++)
        fake.paused[list->elems[i].partition] = paused;
}

rd_kafka_resp_err_t rd_kafka_pause_partitions(rd_kafka_t *rk,
                                              rd_kafka_topic_partition_list_t *list) {
    (void)rk;
    fake_set_paused(list, true);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t rd_kafka_resume_partitions(rd_kafka_t *rk,
                                               rd_kafka_topic_partition_list_t *list) {
    (void)rk;
    fake_set_paused(list, false);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t rd_kafka_get_watermark_offsets(rd_kafka_t *rk, const char *topic,
                                                   int32_t partition, int64_t *low, int64_t *high) {
    (void)rk, (void)topic;
    *low = 0;
    *high = fake.high[partition];
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* --- rebalances ------------------------------------------------------------------------------- */

rd_kafka_resp_err_t rd_kafka_subscribe(rd_kafka_t *rk,
                                       const rd_kafka_topic_partition_list_t *topics) {
    (void)rk;
    assert_string_equal(topics->elems[0].topic, FAKE_TOPIC);
    fake.subscribed = true;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void fake_rebalance(rd_kafka_resp_err_t err, const int32_t *partitions, size_t count) {
    struct fake_event *event = mem_zero(sizeof *event);
    event->err = err;
    event->list = rd_kafka_topic_partition_list_new((int)count + 1);
    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(event->list, FAKE_TOPIC, partitions[i]);
    fake_push(&fake.records, event);
}

/* The broker assigns partitions 0 to count - 1. */
static inline void fake_assign(size_t count) {
    static const int32_t partitions[FAKE_PARTITIONS] = {0, 1, 2, 3};
    assert_false(fake.assigned);
    fake.lost = false;
    fake_rebalance(RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, partitions, count);
}

static inline void fake_revoke(bool lost) {
    fake.lost = lost;
    fake.unassign_due = true;
    fake_rebalance(RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS, NULL, 0);
}

int rd_kafka_assignment_lost(rd_kafka_t *rk) {
    (void)rk;
    return fake.lost;
}

rd_kafka_resp_err_t rd_kafka_assign(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *list) {
    (void)rk;
    fake.assigned = list != NULL;
    if (list == NULL)
        fake.unassign_due = false;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t rd_kafka_committed(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list,
                                       int timeout_ms) {
    (void)rk, (void)timeout_ms;
    if (fake.silent)
        return RD_KAFKA_RESP_ERR__TIMED_OUT;
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *tp = &list->elems[i];
        int64_t committed = fake.committed[tp->partition];
        tp->offset = committed >= 0 ? committed : RD_KAFKA_OFFSET_INVALID;
        free(tp->metadata);
        tp->metadata = mem_string(fake.metadata[tp->partition]);
        tp->metadata_size = tp->metadata != NULL ? strlen(tp->metadata) : 0;
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_error_t *rd_kafka_consumer_close_queue(rd_kafka_t *rk, rd_kafka_queue_t *queue) {
    (void)queue;
    fake.subscribed = false;
    if (fake.assigned)
        fake.rebalance(rk, RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS, NULL, fake.opaque);
    return NULL;
}

int rd_kafka_consumer_closed(rd_kafka_t *rk) {
    (void)rk;
    return !fake.assigned;
}

/* --- commits ---------------------------------------------------------------------------------- */

rd_kafka_resp_err_t
rd_kafka_commit_queue(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *list,
                      rd_kafka_queue_t *queue,
                      void (*cb)(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                                 rd_kafka_topic_partition_list_t *offsets, void *opaque),
                      void *opaque) {
    (void)rk, (void)queue, (void)cb, (void)opaque;
    assert_true(fake.assigned);
    assert_false(fake.lost);
    if (fake.refuse_commit)
        return RD_KAFKA_RESP_ERR__STATE;
    for (int i = 0; i < list->cnt; i++)
        if (fake_on_commit != NULL)
            fake_on_commit(list->elems[i].partition, list->elems[i].offset,
                           list->elems[i].metadata);
    struct fake_event *event = mem_zero(sizeof *event);
    event->list = rd_kafka_topic_partition_list_copy(list);
    TAILQ_INSERT_TAIL(&fake.sent, event, link);
    fake.commits_sent++;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void fake_store(const rd_kafka_topic_partition_t *tp) {
    fake.committed[tp->partition] = tp->offset;
    free(fake.metadata[tp->partition]);
    fake.metadata[tp->partition] =
        tp->metadata_size > 0 ? mem_bytes(tp->metadata, tp->metadata_size) : NULL;
}

/* Answers the oldest commit that was sent: `err` of the whole, or of its last partition. */
static inline void fake_answer(rd_kafka_resp_err_t err, bool of_one) {
    struct fake_event *event = fake_pop(&fake.sent);
    assert_non_null(event);
    for (int i = 0; i < event->list->cnt; i++) {
        rd_kafka_topic_partition_t *tp = &event->list->elems[i];
        bool refused = err != RD_KAFKA_RESP_ERR_NO_ERROR && (!of_one || i == event->list->cnt - 1);
        tp->err = refused && of_one ? err : RD_KAFKA_RESP_ERR_NO_ERROR;
        if (!refused)
            fake_store(tp);
    }
    event->err = of_one ? RD_KAFKA_RESP_ERR_NO_ERROR : err;
    fake_push(&fake.commits, event);
}

static inline bool fake_is_committing(void) {
    return !TAILQ_EMPTY(&fake.sent);
}

/* --- life ------------------------------------------------------------------------------------- */

static inline void fake_reset(void) {
    int64_t clock_ms = fake.clock_ms; /* a clock that goes back would be no clock */
    fake = (struct fake_consumer){.records.fd = -1, .commits.fd = -1, .clock_ms = clock_ms};
    TAILQ_INIT(&fake.records.events);
    TAILQ_INIT(&fake.commits.events);
    TAILQ_INIT(&fake.sent);
    for (int i = 0; i < FAKE_PARTITIONS; i++)
        fake.committed[i] = -1;
    fake_on_commit = NULL;
    log_init("test", LOG_ERROR, LOG_TEXT);
}

static inline struct kafka_options fake_options(void) {
    struct kafka_options kafka = {.bootstrap_servers = "localhost:9", .keep_done_ms = -1};
    kafka.names.topics[TOPIC_QUERY] = kafka.names.topics[TOPIC_DEADLETTER] = FAKE_TOPIC;
    kafka.names.groups[GROUP_EXECUTOR] = kafka.names.groups[GROUP_REDRIVER] = FAKE_GROUP;
    return kafka;
}

/* After the member is closed: nothing is left of what it was given. */
static inline void fake_end(void) {
    struct fake_event *event;
    while ((event = fake_pop(&fake.sent)) != NULL ||
           (event = fake_pop(&fake.commits.events)) != NULL)
        fake_free(event);
    while ((event = fake_pop(&fake.records.events)) != NULL) {
        if (event->message != NULL)
            rd_kafka_message_destroy(event->message);
        fake_free(event);
    }
    assert_true(fake.destroyed);
    assert_false(fake.assigned);
    assert_int_equal(fake.messages_alive, 0);
    for (int i = 0; i < FAKE_PARTITIONS; i++)
        free(fake.metadata[i]);
}

#endif
