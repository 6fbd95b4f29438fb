#include "common/kafka/incarnation.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/topic_consumer.h"

enum {
    TICK_MS = 1000,
    LOOK_EVERY_MS = 10000,
    ASLEEP_MS = 2000, /* a tick that comes so late: the process was stopped */
    ANSWER_TIMEOUT_MS = 5000,
    AGAIN_MS = 2000, /* after an error */
    BEYOND_MOST = 2  /* how often in a row before it is believed */
};

/* A partition's witness that is being read again. */
struct sighting {
    TAILQ_ENTRY(sighting) link;
    int32_t partition;
    struct witness asked, candidate; /* the tracker's, when it was asked for */
    int64_t deadline_ms;
    int beyond; /* how often in a row the partition ended before it */
};
TAILQ_HEAD(sighting_list, sighting);

struct incarnation {
    struct topic_consumer *consumer;
    struct loop *loop;
    const char *name;
    struct kafka_commits *commits;
    struct incarnation_events events;
    struct sighting_list sightings;
    struct loop_timer tick;
    int64_t ticked_ms, looked_ms;
};

/* --- asking ----------------------------------------------------------------------------------- */

static struct sighting *incarnation_find(const struct incarnation *i, int32_t partition) {
    struct sighting *s;
    TAILQ_FOREACH(s, &i->sightings, link)
    if (s->partition == partition)
        return s;
    return NULL;
}

static void sighting_end(struct incarnation *i, struct sighting *s) {
    rd_kafka_consume_stop(i->consumer->topic, s->partition);
    TAILQ_REMOVE(&i->sightings, s, link);
    free(s);
}

static bool sighting_read(struct incarnation *i, struct sighting *s) {
    s->deadline_ms = loop_now(i->loop) + ANSWER_TIMEOUT_MS;
    if (topic_consumer_start(i->consumer, s->partition, s->asked.offset))
        return true;
    log_debug("topic %s: partition %d cannot be looked at: %s", i->name, (int)s->partition,
              rd_kafka_err2str(rd_kafka_last_error()));
    return false;
}

static void sighting_begin(struct incarnation *i, const struct kafka_tracker *t) {
    if (!t->witness.known || incarnation_find(i, t->partition) != NULL)
        return;
    struct sighting *s = mem_zero(sizeof *s);
    s->partition = t->partition;
    s->asked = t->witness;
    s->candidate = t->candidate;
    if (!sighting_read(i, s)) {
        free(s);
        return;
    }
    TAILQ_INSERT_TAIL(&i->sightings, s, link);
}

static void incarnation_look(struct incarnation *i) {
    i->looked_ms = loop_now(i->loop);
    for (const struct kafka_tracker *t = kafka_commits_first(i->commits); t != NULL;
         t = TAILQ_NEXT(t, link))
        sighting_begin(i, t);
}

static void incarnation_on_tick(void *arg) {
    struct incarnation *i = arg;
    int64_t now_ms = loop_now(i->loop);
    struct sighting *s = TAILQ_FIRST(&i->sightings);
    while (s != NULL) { /* without an answer: asked again in time */
        struct sighting *next = TAILQ_NEXT(s, link);
        if (now_ms >= s->deadline_ms)
            sighting_end(i, s);
        s = next;
    }
    bool asleep = now_ms - i->ticked_ms >= TICK_MS + ASLEEP_MS;
    if (asleep || now_ms - i->looked_ms >= LOOK_EVERY_MS)
        incarnation_look(i);
    i->ticked_ms = now_ms;
    loop_timer_set(i->loop, &i->tick, TICK_MS, incarnation_on_tick, i);
}

void incarnation_look_soon(struct incarnation *i) {
    i->looked_ms = loop_now(i->loop) - LOOK_EVERY_MS;
    loop_timer_set(i->loop, &i->tick, 0, incarnation_on_tick, i);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void incarnation_conclude(struct incarnation *i, const struct sighting *s,
                                 enum witness_verdict verdict) {
    struct kafka_tracker *t = kafka_commits_find(i->commits, s->partition);
    if (t == NULL || !witness_equal(&t->witness, &s->asked))
        return; /* it was revoked, or has begun again */
    if (verdict == WITNESS_OTHER || verdict == WITNESS_BEYOND) {
        log_warn("topic %s: partition %d is not the one of before: the topic was created again, or "
                 "records were lost; it is read from its start",
                 i->name, (int)s->partition);
        i->events.changed(i->events.arg, s->partition);
        return;
    }
    if (s->candidate.known) {
        t->witness = s->candidate;
        t->candidate = (struct witness){0};
    }
    if (verdict == WITNESS_SAME && i->events.same != NULL)
        i->events.same(i->events.arg, s->partition);
}

/* Asks once more where a new leader may not have learned its end yet. False: it was asked. */
static bool sighting_believes(struct incarnation *i, struct sighting *s,
                              enum witness_verdict verdict) {
    if (verdict != WITNESS_BEYOND || ++s->beyond >= BEYOND_MOST)
        return true;
    rd_kafka_consume_stop(i->consumer->topic, s->partition);
    return !sighting_read(i, s);
}

static void incarnation_take(struct incarnation *i, const rd_kafka_message_t *message) {
    struct sighting *s = incarnation_find(i, message->partition);
    bool at_end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
    if (s == NULL)
        return;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR && !at_end) {
        log_debug("topic %s: %s", i->name, rd_kafka_message_errstr(message));
        i->looked_ms = loop_now(i->loop) - LOOK_EVERY_MS + AGAIN_MS;
        sighting_end(i, s);
        return;
    }
    rd_kafka_timestamp_type_t type;
    const struct witness seen =
        witness_of(message->offset, at_end ? -1 : rd_kafka_message_timestamp(message, &type),
                   at_end ? NULL : message->payload, at_end ? 0 : message->len);
    enum witness_verdict verdict = witness_judge(&s->asked, &seen, at_end);
    if (!sighting_believes(i, s, verdict))
        return;
    incarnation_conclude(i, s, verdict);
    sighting_end(i, s);
}

static void incarnation_on_records(void *arg) {
    struct incarnation *i = arg;
    rd_kafka_message_t *message;
    while ((message = rd_kafka_consume_queue(i->consumer->records, 0)) != NULL) {
        incarnation_take(i, message);
        rd_kafka_message_destroy(message);
    }
}

/* --- life ------------------------------------------------------------------------------------- */

static rd_kafka_conf_t *incarnation_conf(const struct kafka_options *kafka) {
    rd_kafka_conf_t *conf = topic_consumer_conf(kafka);
    /* One record is wanted: the broker sends one batch all the same. */
    kafka_set(conf, "fetch.message.max.bytes", "1024");
    kafka_set(conf, "queued.min.messages", "1");
    return conf;
}

struct incarnation *incarnation_open(struct loop *loop, const struct kafka_options *kafka,
                                     const char *topic, struct kafka_commits *commits,
                                     const struct incarnation_events *events, char *error,
                                     size_t error_size) {
    struct incarnation *i = mem_zero(sizeof *i);
    i->loop = loop;
    i->name = topic;
    i->commits = commits;
    i->events = *events;
    TAILQ_INIT(&i->sightings);
    i->consumer = topic_consumer_open(loop, kafka, incarnation_conf(kafka), topic,
                                      incarnation_on_records, i, error, error_size);
    if (i->consumer == NULL) {
        free(i);
        return NULL;
    }
    if (topic_consumer_topic(i->consumer) == NULL) {
        snprintf(error, error_size, "topic %s cannot be looked at", topic);
        incarnation_close(i);
        return NULL;
    }
    i->ticked_ms = i->looked_ms = loop_now(loop);
    loop_timer_set(loop, &i->tick, TICK_MS, incarnation_on_tick, i);
    return i;
}

void incarnation_close(struct incarnation *i) {
    struct sighting *s;
    if (i == NULL)
        return;
    loop_timer_cancel(i->loop, &i->tick);
    while ((s = TAILQ_FIRST(&i->sightings)) != NULL)
        sighting_end(i, s);
    topic_consumer_close(i->consumer);
    free(i);
}
