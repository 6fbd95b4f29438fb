/* The records of the quota topic: what is written is read back; what is none of them is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "executor/limit/fleet_record.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool read_text(const char *key, const char *value, struct fleet_record *out) {
    return fleet_record_read(key, key != NULL ? strlen(key) : 0, value,
                             value != NULL ? strlen(value) : 0, out);
}

/* Reads what was written under the key of its kind. */
static void read_back(enum fleet_kind kind, const struct buffer *value, struct fleet_record *out) {
    char key[FLEET_KEY_MAX];
    fleet_record_key(kind, "m1", key);
    assert_false(value->failed);
    assert_true(fleet_record_read(key, strlen(key), value->data, value->len, out));
    assert_int_equal(out->kind, kind);
}

static void test_keys(void **state) {
    (void)state;
    static const struct {
        enum fleet_kind kind;
        const char *want;
    } rows[] = {{FLEET_CLAIM, "claim"},
                {FLEET_GRANT, "grant"},
                {FLEET_REPORT, "member/m1"},
                {FLEET_LEAVE, "member/m1"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        char key[FLEET_KEY_MAX];
        fleet_record_key(rows[i].kind, "m1", key);
        assert_string_equal(key, rows[i].want);
    }
}

static void test_claim(void **state) {
    (void)state;
    static struct fleet_record record;
    struct buffer value;
    buffer_init(&value, FLEET_VALUE_MAX);
    fleet_write_claim("m1", &value);
    assert_string_equal(buffer_text(&value), "{\"claim\":{\"id\":\"m1\"}}");
    read_back(FLEET_CLAIM, &value, &record);
    assert_string_equal(record.id, "m1");
    buffer_free(&value);
}

/* The largest grant there can be fits a record, too. */
static void test_grant(void **state) {
    (void)state;
    static struct fleet_grant grant;
    static struct fleet_record record;
    struct buffer value;
    grant = (struct fleet_grant){.epoch = 12, .version = 345, .count = FLEET_MEMBERS_MAX};
    grant.lanes[LANE_DML].limit = 20;
    grant.lanes[LANE_DML].learned = true;
    grant.lanes[LANE_DML].check = QUOTA_CHECK_COUNT;
    grant.lanes[LANE_DML].check_at = 1700000000.125;
    grant.lanes[LANE_DDL].limit = 1;
    for (size_t i = 0; i < grant.count; i++) {
        snprintf(grant.shares[i].id, FLEET_ID_MAX, "%039zu", i);
        grant.shares[i].lanes[LANE_DML] = (int)i;
        grant.shares[i].lanes[LANE_DDL] = 1000000;
    }
    buffer_init(&value, FLEET_VALUE_MAX);
    fleet_write_grant(&grant, &value);
    read_back(FLEET_GRANT, &value, &record);
    struct buffer again;
    buffer_init(&again, FLEET_VALUE_MAX);
    fleet_write_grant(&record.grant, &again);
    assert_string_equal(buffer_text(&again), buffer_text(&value));
    buffer_free(&again);
    buffer_free(&value);
}

static void test_report(void **state) {
    (void)state;
    static struct fleet_record record;
    struct fleet_report report;
    memset(&report, 0, sizeof report);
    fleet_id_copy(report.id, "m1");
    report.version = -1; /* it obeys no grant yet */
    report.lanes[LANE_DML] = (struct quota_report){
        .share = 1,
        .held = 2,
        .calls = 3,
        .waiting = 4,
        .backlog = INT64_C(5000000000),
        .limit = 6,
        .starts = INT64_C(7000000000),
        .throttles = 8,
        .throttled_version = 9,
        .swept_version = 10,
        .submitted = 1700000000.5,
        .counted_at = 1700000001.25,
        .counted = 11,
    };
    struct buffer value;
    buffer_init(&value, FLEET_VALUE_MAX);
    fleet_write_report(&report, &value);
    read_back(FLEET_REPORT, &value, &record);
    struct buffer again;
    buffer_init(&again, FLEET_VALUE_MAX);
    fleet_write_report(&record.report, &again);
    assert_string_equal(buffer_text(&again), buffer_text(&value));
    assert_non_null(strstr(buffer_text(&value), "\"backlog\":5000000000"));
    assert_non_null(strstr(buffer_text(&value), "\"countedAt\":1700000001.250"));
    buffer_free(&again);
    buffer_free(&value);
}

static void test_leave(void **state) {
    (void)state;
    static struct fleet_record record;
    assert_true(read_text("member/m1", NULL, &record));
    assert_int_equal(record.kind, FLEET_LEAVE);
    assert_string_equal(record.id, "m1");
}

/* Another version of the program, or somebody by hand, may have written it. */
static void test_numbers_out_of_range_are_0(void **state) {
    (void)state;
    static struct fleet_record record;
    assert_true(
        read_text("member/m1",
                  "{\"report\":{\"id\":\"m1\",\"version\":1,\"more\":[],\"lanes\":["
                  "{\"share\":-5,\"held\":1e9,\"calls\":\"3\",\"waiting\":2,\"limit\":null},"
                  "{\"backlog\":1e300,\"counted\":7}]}}",
                  &record));
    const struct quota_report *dml = &record.report.lanes[LANE_DML];
    assert_int_equal(dml->share, 0);
    assert_int_equal(dml->held, 0);
    assert_int_equal(dml->calls, 0);
    assert_int_equal(dml->waiting, 2);
    assert_int_equal(dml->limit, 0);
    assert_int_equal(record.report.lanes[LANE_DDL].backlog, 0);
    assert_int_equal(record.report.lanes[LANE_DDL].counted, 7);
    assert_true(read_text("grant",
                          "{\"grant\":{\"epoch\":1,\"version\":2,\"lanes\":[{\"check\":77},{}],"
                          "\"shares\":[{\"id\":\"a\",\"lanes\":[-3,2]}]}}",
                          &record));
    assert_int_equal(record.grant.lanes[LANE_DML].check, QUOTA_CHECK_NONE);
    assert_int_equal(record.grant.shares[0].lanes[LANE_DML], 0);
    assert_int_equal(record.grant.shares[0].lanes[LANE_DDL], 2);
}

static void test_what_is_none_of_them(void **state) {
    (void)state;
    static const struct {
        const char *key, *value;
    } rows[] = {
        {"claim", ""},
        {"claim", "{"},
        {"claim", "[]"},
        {"claim", "{}"},
        {"claim", "{\"claim\":{}}"},
        {"claim", "{\"claim\":{\"id\":\"\"}}"},
        {"claim", "{\"claim\":{\"id\":5}}"},
        {"claim", "{\"claim\":{\"id\":\"0123456789012345678901234567890123456789\"}}"},
        {"grant", "{\"grant\":{\"epoch\":1,\"version\":0,\"lanes\":[{},{}],\"shares\":[]}}"},
        {"grant", "{\"grant\":{\"epoch\":1,\"version\":1,\"lanes\":[{}],\"shares\":[]}}"},
        {"grant", "{\"grant\":{\"epoch\":1,\"version\":1,\"lanes\":[{},{}],\"shares\":[{}]}}"},
        {"member/m1", "{\"report\":{\"id\":\"m1\",\"lanes\":[{}]}}"},
        {"member/m1", "{\"report\":{\"lanes\":[{},{}]}}"},
        {"member/", NULL},
        {"member/0123456789012345678901234567890123456789", NULL},
        {"claim", NULL},
        {NULL, NULL},
    };
    static struct fleet_record record;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (read_text(rows[i].key, rows[i].value, &record))
            fail_msg("%s: %s", rows[i].key, rows[i].value);
}

/* A share that no quota of Athena comes near would overflow the sum of all. */
static void test_shares_out_of_range_are_0(void **state) {
    (void)state;
    static struct fleet_record record;
    assert_true(read_text("grant",
                          "{\"grant\":{\"epoch\":1,\"version\":2,\"lanes\":[{},{}],\"shares\":["
                          "{\"id\":\"a\",\"lanes\":[1000000,1000001]},"
                          "{\"id\":\"b\",\"lanes\":[2147483647,1e300]},"
                          "{\"id\":\"c\",\"lanes\":[\"3\",null]}]}}",
                          &record));
    static const int want[][LANES] = {{1000000, 0}, {0, 0}, {0, 0}};
    assert_int_equal(record.grant.count, COUNT(want));
    for (size_t i = 0; i < COUNT(want); i++)
        for (int lane = 0; lane < LANES; lane++)
            assert_int_equal(record.grant.shares[i].lanes[lane], want[i][lane]);
}

/* --- bytes that nobody wrote ------------------------------------------------------------------ */

static const char *const values[] = {
    "{\"claim\":{\"id\":\"m1\"}}",
    ("{\"grant\":{\"epoch\":1,\"version\":2,\"lanes\":[{\"limit\":5,\"learned\":true,\"check\":2,"
     "\"checkAt\":1700000000.125},{\"limit\":1}],\"shares\":[{\"id\":\"m1\",\"lanes\":[1,2]},"
     "{\"id\":\"m2\",\"lanes\":[3,4]}]}}"),
    ("{\"report\":{\"id\":\"m1\",\"version\":3,\"lanes\":[{\"share\":1,\"held\":2,\"backlog\":5e9,"
     "\"submitted\":1700000000.5},{\"counted\":11}]}}"),
};

/* What was read is within the bounds of its struct, whatever the bytes were. */
static void check_bounds(const struct fleet_record *r) {
    switch (r->kind) {
    case FLEET_CLAIM:
    case FLEET_LEAVE:
        assert_in_range(strnlen(r->id, FLEET_ID_MAX), 1, FLEET_ID_MAX - 1);
        break;
    case FLEET_REPORT:
        assert_in_range(strnlen(r->report.id, FLEET_ID_MAX), 1, FLEET_ID_MAX - 1);
        for (int lane = 0; lane < LANES; lane++)
            assert_in_range(r->report.lanes[lane].held, 0, 1000000);
        break;
    case FLEET_GRANT:
        assert_in_range(r->grant.count, 0, FLEET_MEMBERS_MAX);
        for (size_t i = 0; i < r->grant.count; i++) {
            assert_in_range(strnlen(r->grant.shares[i].id, FLEET_ID_MAX), 1, FLEET_ID_MAX - 1);
            assert_in_range(r->grant.shares[i].lanes[LANE_DML], 0, 1000000);
        }
        for (int lane = 0; lane < LANES; lane++)
            assert_in_range(r->grant.lanes[lane].check, QUOTA_CHECK_NONE, QUOTA_CHECK_COUNT);
    }
}

/* Reads a copy that ends with its last byte, so that a sanitizer sees whoever reads beyond. */
static bool read_exact(const char *value, size_t len) {
    static struct fleet_record record;
    char *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, value, len);
    bool read = fleet_record_read("grant", 5, copy, len, &record);
    if (read)
        check_bounds(&record);
    free(copy);
    return read;
}

static void test_cut_short(void **state) {
    (void)state;
    for (size_t v = 0; v < COUNT(values); v++) {
        assert_true(read_exact(values[v], strlen(values[v])));
        for (size_t len = 0; len < strlen(values[v]); len++)
            assert_false(read_exact(values[v], len));
    }
}

static void test_any_byte_changed(void **state) {
    (void)state;
    static const char others[] = "\0 {}[],:\"9-e\\\xff";
    for (size_t v = 0; v < COUNT(values); v++)
        for (size_t at = 0; at < strlen(values[v]); at++)
            for (size_t i = 0; i < sizeof others - 1; i++) {
                char changed[1024];
                size_t len = strlen(values[v]);
                memcpy(changed, values[v], len);
                changed[at] = others[i];
                read_exact(changed, len);
            }
}

static void test_nested(void **state) {
    (void)state;
    char value[20000];
    memset(value, '[', sizeof value);
    assert_false(read_exact(value, sizeof value));
    memcpy(value, "{\"report\":", 10);
    assert_false(read_exact(value, sizeof value));
}

/* A fleet of more members than there is room for: the first of them count. */
static void test_too_many_shares(void **state) {
    (void)state;
    static struct fleet_record record;
    struct buffer value;
    buffer_init(&value, FLEET_VALUE_MAX);
    buffer_puts(&value, "{\"grant\":{\"epoch\":1,\"version\":1,\"lanes\":[{},{}],\"shares\":[");
    for (int i = 0; i <= FLEET_MEMBERS_MAX; i++)
        buffer_printf(&value, "%s{\"id\":\"m%d\",\"lanes\":[1,1]}", i > 0 ? "," : "", i);
    buffer_puts(&value, "]}}");
    read_back(FLEET_GRANT, &value, &record);
    assert_int_equal(record.grant.count, FLEET_MEMBERS_MAX);
    buffer_free(&value);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_claim),
        cmocka_unit_test(test_grant),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_leave),
        cmocka_unit_test(test_numbers_out_of_range_are_0),
        cmocka_unit_test(test_what_is_none_of_them),
        cmocka_unit_test(test_shares_out_of_range_are_0),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_any_byte_changed),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_too_many_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
