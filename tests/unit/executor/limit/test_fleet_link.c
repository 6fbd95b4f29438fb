/*
 * The fleet at its edge: what is read from the quota topic reaches the machine, what the machine
 * decides reaches the admission and the topic. The protocol itself: test_fleet.c.
 */
#include "tests/unit/executor/stubs.h"

#include "common/base/log.h"
#include "common/kafka/topic_reader.h"
#include "executor/limit/fleet_link.h"

#define QUOTA_TOPIC "athena-query-quota"

/* --- the reader of the topic ------------------------------------------------------------------ */

static struct {
    struct topic_reader_events events;
    bool fails_to_open, fails_to_start, started, closed, caught_up;
} reader;

struct topic_reader *topic_reader_open(struct loop *loop, const struct kafka_options *kafka,
                                       const char *topic, const struct topic_reader_events *events,
                                       char *error, size_t error_size) {
    (void)loop, (void)kafka;
    assert_string_equal(topic, QUOTA_TOPIC);
    reader.events = *events;
    if (!reader.fails_to_open)
        return (struct topic_reader *)(void *)&reader;
    snprintf(error, error_size, "no reader");
    return NULL;
}

bool topic_reader_start(struct topic_reader *r, int32_t partitions) {
    (void)r;
    assert_int_equal(partitions, 1);
    reader.started = !reader.fails_to_start;
    return reader.started;
}

bool topic_reader_caught_up(const struct topic_reader *r) {
    (void)r;
    return reader.caught_up;
}

void topic_reader_close(struct topic_reader *r) {
    (void)r;
    reader.closed = true;
}

/* --- one executor ----------------------------------------------------------------------------- */

static struct {
    struct loop *loop;
    struct kafka_options kafka;
    struct slots slots;
    struct fleet_link *link;
    struct fleet_link_facts facts;
    int changed;
    int64_t next_offset;
} t;

static void on_change(void *arg) {
    (void)arg;
    t.changed++;
}

static const struct fleet_link_parts *parts(void) {
    static struct fleet_link_parts p;
    p = (struct fleet_link_parts){
        .loop = t.loop, .kafka = &t.kafka, .slots = &t.slots, .changed = on_change};
    return &p;
}

static int begin(void **state) {
    (void)state;
    char error[64];
    stubs_reset();
    memset(&t, 0, sizeof t);
    memset(&reader, 0, sizeof reader);
    log_init("test", LOG_ERROR, LOG_TEXT);
    t.loop = loop_open();
    t.kafka.names.topics[TOPIC_QUOTA] = QUOTA_TOPIC;
    t.facts.joined = true;
    slots_init(&t.slots, 0, true);
    t.link = fleet_link_open(parts(), error, sizeof error);
    assert_non_null(t.link);
    return 0;
}

static int end(void **state) {
    (void)state;
    fleet_link_close(t.link);
    assert_true(reader.closed);
    loop_close(t.loop);
    stubs_reset();
    return 0;
}

/* The topic is read to its end, as it stands. */
static void catch_up(void) {
    reader.caught_up = true;
    reader.events.batch(reader.events.arg);
}

static void start(void) {
    fleet_link_start(t.link, 1);
    catch_up();
}

static void step(void) {
    fleet_link_step(t.link, &t.facts);
}

/* A record is read from the topic that was written so long ago. */
static void read_aged(const char *key, const char *value, int64_t age_ms) {
    rd_kafka_message_t *message = stub_message(t.next_offset++, key, value, NULL);
    ((struct stub_message *)(void *)message)->written_ms -= age_ms;
    reader.events.record(reader.events.arg, message);
    rd_kafka_message_destroy(message);
}

static void read_record(const char *key, const char *value) {
    read_aged(key, value, 0);
}

static const struct stub_send *last_of(const char *key) {
    for (size_t i = stub_producer.count; i > 0; i--)
        if (strcmp(stub_producer.sends[i - 1].key, key) == 0)
            return &stub_producer.sends[i - 1];
    return NULL;
}

static size_t sent_to(const char *key) {
    size_t count = 0;
    for (size_t i = 0; i < stub_producer.count; i++)
        count += strncmp(stub_producer.sends[i].key, key, strlen(key)) == 0;
    return count;
}

/* The last of what was written comes back out of the topic. */
static void read_back(const char *key) {
    const struct stub_send *send = last_of(key);
    assert_non_null(send);
    read_record(send->key, send->value);
}

/* The id that it has given itself, from its own report. */
static const char *own_key(void) {
    for (size_t i = 0; i < stub_producer.count; i++)
        if (strncmp(stub_producer.sends[i].key, "member/", 7) == 0)
            return stub_producer.sends[i].key;
    fail_msg("it has not reported yet");
    return "";
}

/* A grant of the leader `epoch`, with this share of DML for this executor. */
static void read_grant(int epoch, int version, int share, int64_t age_ms) {
    char value[512];
    snprintf(value, sizeof value,
             "{\"grant\":{\"epoch\":%d,\"version\":%d,\"lanes\":[{\"limit\":20,\"learned\":true},"
             "{\"limit\":20,\"learned\":true}],\"shares\":[{\"id\":\"%s\",\"lanes\":[%d,3]}]}}",
             epoch, version, own_key() + strlen("member/"), share);
    read_aged("grant", value, age_ms);
}

static const struct admission *dml(void) {
    return &t.slots.admission[LANE_DML];
}

/* --- before there is a fleet ------------------------------------------------------------------ */

static void test_open(void **state) {
    (void)state;
    char error[64] = "";
    reader.fails_to_open = true;
    assert_null(fleet_link_open(parts(), error, sizeof error));
    assert_string_equal(error, "no reader");
    fleet_link_close(NULL);
}

/* Without the topic, before the group was joined, before the topic was read: it learns alone. */
static void test_alone_until(void **state) {
    (void)state;
    static const struct {
        const char *what;
        int32_t partitions;
        bool fails_to_start, joined, caught_up, writes;
    } rows[] = {
        {"no quota topic", 0, false, true, true, false},
        {"a quota topic of two partitions", 2, false, true, true, false},
        {"it cannot be read", 1, true, true, true, false},
        {"not joined", 1, false, false, true, false},
        {"not read to its end", 1, false, true, false, false},
        {"all of it", 1, false, true, true, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        end(NULL);
        begin(NULL);
        reader.fails_to_start = rows[i].fails_to_start;
        t.facts.joined = rows[i].joined;
        fleet_link_start(t.link, rows[i].partitions);
        if (rows[i].caught_up)
            catch_up();
        step();
        if ((stub_producer.count > 0) != rows[i].writes || dml()->governed != rows[i].writes)
            fail_msg("%s", rows[i].what);
    }
}

/* A rebalance takes the partitions away for a moment; it stays in the fleet. */
static void test_joined_once(void **state) {
    (void)state;
    start();
    step();
    t.facts.joined = false;
    stub_clock_ms += 1000;
    stub_iterate(t.loop);
    size_t sent = stub_producer.count;
    step();
    assert_int_equal(stub_producer.count, sent + 1);
}

/* It owns all partitions: there is nobody to share with. */
static void test_owns_all(void **state) {
    (void)state;
    t.facts.owns_first = t.facts.owns_all = true;
    start();
    step();
    assert_int_equal(stub_producer.count, 0);
    assert_false(dml()->governed);
    assert_false(fleet_link_leads(t.link));
    assert_ptr_equal(fleet_link_learns(t.link, LANE_DML), &dml()->probing);
    assert_int_equal(fleet_link_limit(t.link, LANE_DML), dml()->limit);
}

/* --- a member --------------------------------------------------------------------------------- */

static void test_member(void **state) {
    (void)state;
    start();
    t.facts.work[LANE_DML] = (struct fleet_work){.waiting = 2, .backlog = 9};
    step();
    const struct stub_send *report = last_of(own_key());
    assert_string_equal(report->topic, QUOTA_TOPIC);
    assert_null(report->fn); /* the next one says what a lost one would have */
    assert_non_null(strstr(report->value, "\"waiting\":2,\"backlog\":9"));
    assert_null(fleet_link_learns(t.link, LANE_DML)); /* another one does */
    read_grant(5, 7, 4, 0);
    step();
    assert_true(dml()->governed);
    assert_int_equal(dml()->share, 4);
    assert_int_equal(t.slots.admission[LANE_DDL].share, 3);
    assert_int_equal(fleet_link_limit(t.link, LANE_DML), 20);
    assert_false(fleet_link_leads(t.link));
    assert_non_null(strstr(last_of(own_key())->value, "\"version\":7")); /* it obeys, and says so */
}

/* What is not understood, and grants of leaders that were replaced, change nothing. */
static void test_what_changes_nothing(void **state) {
    (void)state;
    start();
    step();
    read_grant(5, 7, 4, 0);
    step();
    static const struct {
        const char *key, *value;
    } rows[] = {
        {"grant", "{"},
        {"grant", "{\"grant\":{\"epoch\":4,\"version\":9,\"lanes\":[{},{}],\"shares\":[]}}"},
        {"grant", "{\"grant\":{}}"},
        {"claim", "{\"claim\":{}}"},
        {"member/other", "{\"report\":{\"id\":\"other\",\"version\":1,\"lanes\":[{},{}]}}"},
        {"member/other", NULL},
        {"claim", NULL},
        {NULL, NULL},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        read_record(rows[i].key, rows[i].value);
        step();
        if (dml()->share != 4 || !dml()->governed)
            fail_msg("%s %s", rows[i].key, rows[i].value);
    }
    read_grant(4, 8, 1, 0); /* of an earlier epoch */
    step();
    assert_int_equal(dml()->share, 4);
    read_grant(5, 8, 1, 0);
    step();
    assert_int_equal(dml()->share, 1);
}

/* A leader that is silent for half a minute has none: it goes on alone, with what it was granted.
 */
static void test_silence(void **state) {
    (void)state;
    start();
    step();
    read_grant(5, 7, 4, 0);
    step();
    for (int i = 0; i < 31; i++) {
        stub_run(t.loop, 1000);
        step();
        assert_int_equal(dml()->governed, i < 29);
    }
    assert_int_equal(dml()->limit, 4);
    assert_ptr_equal(fleet_link_learns(t.link, LANE_DML), &dml()->probing);
}

/* The others thought that it was gone, and have its share: it starts nothing until it has another.
 */
static void test_forgotten(void **state) {
    (void)state;
    start();
    step();
    read_grant(5, 7, 4, 0);
    step();
    size_t sent = stub_producer.count;
    read_record(own_key(), NULL);
    step();
    assert_int_equal(dml()->share, 0);
    assert_int_equal(stub_producer.count, sent + 1); /* it is there */
    read_grant(5, 8, 2, 0);
    step();
    assert_int_equal(dml()->share, 2);
}

/* --- the leader ------------------------------------------------------------------------------- */

static void lead(void) {
    t.facts.owns_first = true;
    start();
    step();
    read_back("claim");
    step();
    assert_true(fleet_link_leads(t.link));
}

static void test_leads(void **state) {
    (void)state;
    t.facts.owns_first = true;
    start();
    step();
    assert_int_equal(sent_to("claim"), 1);
    assert_int_equal(sent_to("grant"), 0);
    assert_false(fleet_link_leads(t.link));
    step();
    assert_int_equal(sent_to("claim"), 1); /* it is on its way */
    read_back("claim");
    step();
    assert_true(fleet_link_leads(t.link));
    assert_int_equal(sent_to("grant"), 1);
    assert_non_null(strstr(last_of("grant")->value, "\"epoch\":0"));
    assert_non_null(fleet_link_learns(t.link, LANE_DML));
    assert_ptr_not_equal(fleet_link_learns(t.link, LANE_DML), &dml()->probing);
    read_back(own_key());
    step();
    read_back("grant");
    step(); /* it obeys its own grant as the others do */
    assert_true(dml()->governed);
    assert_true(dml()->share >= 0);
    read_record("claim", "{\"claim\":{\"id\":\"other\"}}");
    step();
    assert_false(fleet_link_leads(t.link));
}

static void test_no_longer_owns_the_first(void **state) {
    (void)state;
    lead();
    t.facts.owns_first = false;
    step();
    assert_false(fleet_link_leads(t.link));
    size_t grants = sent_to("grant");
    stub_run(t.loop, 3000);
    step();
    assert_int_equal(sent_to("grant"), grants);
}

/* A member that is silent is forgotten, by a tombstone under its key. */
static void test_forgets_a_member(void **state) {
    (void)state;
    lead();
    read_record("member/other", "{\"report\":{\"id\":\"other\",\"version\":1,\"lanes\":[{},{}]}}");
    stub_run(t.loop, 1000); /* it has no work: that can wait for the next grant */
    step();
    assert_non_null(strstr(last_of("grant")->value, "\"id\":\"other\""));
    for (int i = 0; i < 14; i++) { /* its own reports come back, so it is not cut off itself */
        stub_run(t.loop, 1000);
        step();
        read_back(own_key());
    }
    assert_non_null(last_of("member/other"));
    assert_null(last_of("member/other")->value);
    read_record("member/other", NULL);
    step();
    assert_null(strstr(last_of("grant")->value, "\"id\":\"other\""));
}

/* The last leader's limit is gone on from while it is fresh; else what was learned alone since. */
static void test_age_of_the_last_grant(void **state) {
    (void)state;
    static const struct {
        int64_t age_ms;
        const char *limit;
    } rows[] = {{0, "\"limit\":20"}, {29000, "\"limit\":20"}, {31000, "\"limit\":3"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        end(NULL);
        begin(NULL);
        start();
        step();
        read_grant(5, 7, 4, rows[i].age_ms);
        for (int lane = 0; lane < LANES; lane++)
            admission_learn_alone(&t.slots.admission[lane], loop_now(t.loop), 3, true);
        t.next_offset = 10; /* of the claim, which follows those of the last leader */
        t.facts.owns_first = true;
        step();
        read_back("claim");
        step();
        assert_non_null(strstr(last_of("grant")->value, rows[i].limit));
    }
}

/* Reports from before it began say nothing of now. */
static void test_reports_before_it_caught_up(void **state) {
    (void)state;
    t.facts.owns_first = true;
    fleet_link_start(t.link, 1);
    read_record("member/old", "{\"report\":{\"id\":\"old\",\"version\":1,\"lanes\":[{},{}]}}");
    catch_up();
    step();
    read_back("claim");
    step();
    assert_null(strstr(last_of("grant")->value, "\"id\":\"old\""));
}

/* --- sweeps ----------------------------------------------------------------------------------- */

/* Sweeps overlap; what counts is what each of them knew when it began. */
static void test_sweeps(void **state) {
    (void)state;
    start();
    step();
    fleet_link_sweep_begins(t.link, 1);
    read_grant(5, 7, 4, 0);
    read_record("grant",
                "{\"grant\":{\"epoch\":5,\"version\":8,\"lanes\":[{\"check\":2,\"checkAt\":1234.5},"
                "{\"check\":2,\"checkAt\":1234.5}],\"shares\":[]}}");
    step();
    fleet_link_sweep_begins(t.link, 2);
    assert_true(fleet_link_count_at(t.link, 1, LANE_DML) <= 0); /* it began before that */
    assert_true(fleet_link_count_at(t.link, 2, LANE_DML) > 1234);
    fleet_link_swept(t.link, 2, LANE_DML, 1200.25, 6);
    fleet_link_swept(t.link, 1, LANE_DML, 1100, 3);
    step();
    const char *report = last_of(own_key())->value;
    assert_non_null(strstr(report, "\"submitted\":1200.250,\"countedAt\":1234.500,\"counted\":6"));
    assert_non_null(strstr(report, "\"sweptVersion\":8"));
}

/* --- the end, and errors ---------------------------------------------------------------------- */

static void test_leave(void **state) {
    (void)state;
    fleet_link_leave(t.link); /* it has never been there */
    assert_int_equal(stub_producer.count, 0);
    end(NULL);
    begin(NULL);
    start();
    step();
    fleet_link_leave(t.link);
    const struct stub_send *last = &stub_producer.sends[stub_producer.count - 1];
    assert_string_equal(last->key, own_key());
    assert_null(last->value);
    size_t sent = stub_producer.count;
    fleet_link_leave(t.link);
    stub_run(t.loop, 2000);
    step();
    assert_int_equal(stub_producer.count, sent); /* nothing follows the tombstone */
}

/* Ten times a second, whether anything is read or not; the caller then makes a step. */
static void test_steps_are_asked_for(void **state) {
    (void)state;
    stub_run(t.loop, 1000);
    assert_int_equal(t.changed, 0);
    fleet_link_start(t.link, 1);
    stub_run(t.loop, 1000);
    assert_int_equal(t.changed, 10);
    reader.events.batch(reader.events.arg);
    assert_int_equal(t.changed, 11);
}

/* Nobody waits for a record: what is not taken is said by the next one. */
static void test_not_taken(void **state) {
    (void)state;
    stub_producer.refuses = RD_KAFKA_RESP_ERR__QUEUE_FULL;
    start();
    step();
    assert_int_equal(stub_producer.count, 0);
    stub_producer.refuses = RD_KAFKA_RESP_ERR_NO_ERROR;
    stub_run(t.loop, 1000);
    step();
    assert_int_equal(stub_producer.count, 1);
}

#define WITH_LINK(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_LINK(test_open),
        WITH_LINK(test_alone_until),
        WITH_LINK(test_joined_once),
        WITH_LINK(test_owns_all),
        WITH_LINK(test_member),
        WITH_LINK(test_what_changes_nothing),
        WITH_LINK(test_silence),
        WITH_LINK(test_forgotten),
        WITH_LINK(test_leads),
        WITH_LINK(test_no_longer_owns_the_first),
        WITH_LINK(test_forgets_a_member),
        WITH_LINK(test_age_of_the_last_grant),
        WITH_LINK(test_reports_before_it_caught_up),
        WITH_LINK(test_sweeps),
        WITH_LINK(test_leave),
        WITH_LINK(test_steps_are_asked_for),
        WITH_LINK(test_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
