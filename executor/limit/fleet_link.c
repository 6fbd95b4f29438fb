#include "executor/limit/fleet_link.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hex.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/topic_reader.h"
#include "executor/limit/fleet_record.h"

enum {
    STEP_EVERY_MS = 100,
};

struct fleet_link {
    struct fleet_link_parts parts;
    struct fleet fleet;
    struct topic_reader *reader;
    struct loop_timer timer;
    bool started; /* the topic is there */
    bool joined;  /* it has had partitions assigned once */
    bool left;
    bool alone; /* the topic has more than one partition */
};

/* --- writing ---------------------------------------------------------------------------------- */

/* Nobody waits for these: the next one says what a lost one would have. */
static void write_record(struct fleet_link *l, enum fleet_kind kind, const char *id,
                         const struct buffer *value) {
    char key[FLEET_KEY_MAX];
    fleet_record_key(kind, id, key);
    const struct producer_record record = {
        .topic = l->parts.kafka->names.topics[TOPIC_QUOTA],
        .key = key,
        .key_len = strlen(key),
        .value = value != NULL ? buffer_text(value) : NULL,
        .value_len = value != NULL ? value->len : 0,
    };
    rd_kafka_resp_err_t err = producer_send(l->parts.producer, &record, NULL, NULL);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_debug("quota topic: not written: %s", rd_kafka_err2str(err));
}

static void send_due(struct fleet_link *l, const struct fleet_due *due) {
    const struct fleet *f = &l->fleet;
    struct buffer value;
    buffer_init(&value, FLEET_VALUE_MAX);
    if (due->claim) {
        log_info("fleet: claims to lead, it has partition 0");
        fleet_write_claim(f->view.id, &value);
        write_record(l, FLEET_CLAIM, f->view.id, &value);
        buffer_clear(&value);
    }
    if (due->tombstone)
        write_record(l, FLEET_LEAVE, due->gone, NULL);
    if (due->grant) {
        fleet_write_grant(&f->leader.grant, &value);
        write_record(l, FLEET_GRANT, f->view.id, &value);
        buffer_clear(&value);
    }
    if (due->report) {
        fleet_write_report(&f->member.report, &value);
        write_record(l, FLEET_REPORT, f->view.id, &value);
    }
    buffer_free(&value);
}

/* --- steps ------------------------------------------------------------------------------------ */

static void log_change(struct fleet_link *l, bool governed, bool led) {
    const struct fleet *f = &l->fleet;
    if (governed != f->member.governed)
        log_info("fleet: %s limit=%d share=%d",
                 f->member.governed ? "governed by its leader" : "learns alone",
                 fleet_link_limit(l, LANE_DML), l->parts.slots->admission[LANE_DML].share);
    if (led != f->leader.leads)
        log_info("fleet: %s epoch=%lld", f->leader.leads ? "leads" : "leads no more",
                 (long long)f->view.epoch);
}

static void log_grant(const struct fleet *f) {
    for (int lane = 0; lane < LANES; lane++) {
        const struct quota *q = &f->leader.quota[lane];
        if (f->leader.members[lane][0].last.held > 0 || q->limit > 1)
            log_debug("fleet: grant version=%lld lane=%s limit=%d members=%zu cold=%d growing=%d "
                      "streak=%d gap=%.0f since=%lld probe=%d check=%d",
                      (long long)f->leader.grant.version, lane_name((enum lane)lane), q->limit,
                      f->leader.count, q->cold, q->growing, q->probing.throttles_in_row,
                      q->probing.gap_starts, (long long)q->probing.starts_since,
                      q->probe_version != 0, (int)q->check);
    }
}

void fleet_link_step(struct fleet_link *l, const struct fleet_link_facts *facts) {
    struct fleet *f = &l->fleet;
    struct fleet_due due;
    l->joined |= facts->joined;
    if (!l->started || !l->joined || l->left)
        return;
    fleet_owns(f, facts->owns_first, facts->owns_all || l->alone);
    bool governed = f->member.governed, led = f->leader.leads;
    fleet_step(f, loop_now(l->parts.loop), l->parts.slots->admission, facts->work, &due);
    log_change(l, governed, led);
    if (due.grant)
        log_grant(f);
    send_due(l, &due);
}

static void fleet_link_on_timer(void *arg) {
    struct fleet_link *l = arg;
    loop_timer_set(l->parts.loop, &l->timer, STEP_EVERY_MS, fleet_link_on_timer, l);
    l->parts.changed(l->parts.arg);
}

/* --- looks at what runs ----------------------------------------------------------------------- */

void fleet_link_sweep_begins(struct fleet_link *l, uint64_t sweep) {
    fleet_sweep_begins(&l->fleet, sweep);
}

double fleet_link_count_at(const struct fleet_link *l, uint64_t sweep, enum lane lane) {
    return fleet_count_at(&l->fleet, sweep, lane);
}

int64_t fleet_link_counts_before(const struct fleet_link *l, enum lane lane) {
    return fleet_counts_before(&l->fleet, lane);
}

void fleet_link_swept(struct fleet_link *l, uint64_t sweep, enum lane lane, double submitted,
                      int counted) {
    fleet_swept(&l->fleet, sweep, lane, submitted, counted);
}

/* --- reading ---------------------------------------------------------------------------------- */

static int64_t age_ms(const rd_kafka_message_t *message) {
    rd_kafka_timestamp_type_t type;
    int64_t written_ms = rd_kafka_message_timestamp(message, &type);
    return type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? 0 : loop_wall() - written_ms;
}

static void fleet_link_take(void *arg, const rd_kafka_message_t *message) {
    struct fleet_link *l = arg;
    struct fleet_record record;
    int64_t now_ms = loop_now(l->parts.loop);
    if (!fleet_record_read(message->key, message->key_len, message->payload, message->len,
                           &record)) {
        log_debug("quota topic: not understood: offset=%lld", (long long)message->offset);
        return;
    }
    switch (record.kind) {
    case FLEET_CLAIM:
        fleet_apply_claim(&l->fleet, record.id, message->offset);
        break;
    case FLEET_GRANT:
        fleet_apply_grant(&l->fleet, &record.grant, age_ms(message), now_ms);
        break;
    case FLEET_REPORT:
        if (l->fleet.view.caught_up)
            fleet_apply_report(&l->fleet, &record.report, now_ms);
        break;
    case FLEET_LEAVE:
        fleet_apply_leave(&l->fleet, record.id);
        break;
    }
}

static void fleet_link_take_batch(void *arg) {
    struct fleet_link *l = arg;
    if (!l->fleet.view.caught_up && topic_reader_caught_up(l->reader))
        fleet_caught_up(&l->fleet, loop_now(l->parts.loop));
    l->parts.changed(l->parts.arg);
}

/* --- life ------------------------------------------------------------------------------------- */

static bool make_id(char id[FLEET_ID_MAX]) {
    unsigned char bytes[16];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return false;
    hex_write(bytes, sizeof bytes, id);
    return true;
}

struct fleet_link *fleet_link_open(const struct fleet_link_parts *parts, char *error,
                                   size_t error_size) {
    struct fleet_link *l = mem_zero(sizeof *l);
    const struct kafka_options *kafka = parts->kafka;
    const struct topic_reader_events events = {fleet_link_take, fleet_link_take_batch, l};
    char id[FLEET_ID_MAX];
    l->parts = *parts;
    if (!make_id(id))
        snprintf(error, error_size, "no random bytes");
    else
        l->reader = topic_reader_open(parts->loop, kafka, kafka->names.topics[TOPIC_QUOTA], &events,
                                      error, error_size);
    if (l->reader == NULL) {
        free(l);
        return NULL;
    }
    fleet_init(&l->fleet, id);
    return l;
}

void fleet_link_start(struct fleet_link *l, int32_t partitions) {
    const char *topic = l->parts.kafka->names.topics[TOPIC_QUOTA];
    l->alone = partitions > 1; /* records would be read in different orders */
    if (l->started && !l->alone)
        return; /* the reader follows a topic that goes away and comes back */
    if (partitions != 1) {
        log_warn("the quota is learned alone: topic %s %s", topic,
                 partitions == 0 ? "is not there" : "must have one partition");
        return;
    }
    l->started = topic_reader_start(l->reader, partitions);
    if (l->started)
        loop_timer_set(l->parts.loop, &l->timer, STEP_EVERY_MS, fleet_link_on_timer, l);
}

void fleet_link_leave(struct fleet_link *l) {
    if (l->started && !l->left)
        write_record(l, FLEET_LEAVE, l->fleet.view.id, NULL);
    l->left = true;
}

void fleet_link_close(struct fleet_link *l) {
    if (l == NULL)
        return;
    loop_timer_cancel(l->parts.loop, &l->timer);
    topic_reader_close(l->reader);
    free(l);
}

int fleet_link_limit(const struct fleet_link *l, int lane) {
    const struct admission *a = &l->parts.slots->admission[lane];
    return a->governed ? l->fleet.view.grant.lanes[lane].limit : a->limit;
}

bool fleet_link_leads(const struct fleet_link *l) {
    return l->fleet.leader.leads;
}

const struct probing *fleet_link_learns(const struct fleet_link *l, int lane) {
    const struct fleet *f = &l->fleet;
    const struct admission *a = &l->parts.slots->admission[lane];
    if (!a->governed)
        return &a->probing;
    return f->leader.leads ? &f->leader.quota[lane].probing : NULL;
}
