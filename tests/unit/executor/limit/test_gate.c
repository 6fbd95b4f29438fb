/* The gate: how long it is closed, when it trusts the credentials again, and what /readyz says. */
#include "tests/unit/executor/stubs.h"

#include "common/base/log.h"
#include "executor/limit/gate.h"

static struct {
    struct loop *loop;
    struct gate gate;
    int closed, opened;
} t;

static void on_closed(void *arg) {
    (void)arg;
    assert_true(t.gate.closed);
    t.closed++;
}

static void on_opened(void *arg) {
    (void)arg;
    assert_false(t.gate.closed);
    t.opened++;
}

static int begin(void **state) {
    (void)state;
    const struct gate_events events = {on_closed, on_opened, NULL};
    stubs_reset();
    memset(&t, 0, sizeof t);
    log_init("test", LOG_ERROR, LOG_TEXT);
    t.loop = loop_open();
    gate_init(&t.gate, t.loop, NULL, &events);
    return 0;
}

static int end(void **state) {
    (void)state;
    gate_close(&t.gate);
    loop_close(t.loop);
    return 0;
}

static void refuse(const char *message, const char *code, const char *error) {
    const struct aws_answer answer = {
        .http = {.error = error}, .message = message, .code = code, .credentials = 7};
    gate_refused(&t.gate, GATE_CREDENTIALS, &answer);
}

static const struct aws_answer plain = {.http = {.error = ""}, .message = "why", .code = ""};

/* Closed for so long, and not a moment longer. */
static void expect_closed_for(int64_t ms) {
    assert_true(t.gate.closed);
    stub_run(t.loop, ms - STUB_STEP_MS);
    assert_true(t.gate.closed);
    stub_run(t.loop, STUB_STEP_MS);
    assert_false(t.gate.closed);
    assert_true(t.gate.suspect);
}

/* Longer with each call that is refused, up to five seconds; from the start after one that works.
 */
static void test_pauses(void **state) {
    (void)state;
    static const int64_t pauses_ms[] = {500, 1000, 2000, 4000, 5000, 5000};
    for (size_t i = 0; i < sizeof pauses_ms / sizeof *pauses_ms; i++) {
        refuse("no", "", "");
        expect_closed_for(pauses_ms[i]);
        assert_int_equal(t.closed, i + 1);
        assert_int_equal(t.opened, i + 1);
    }
    gate_worked(&t.gate);
    assert_false(t.gate.suspect);
    refuse("no", "", "");
    expect_closed_for(500);
}

/* Calls that were under way together are one reason to close, not several. */
static void test_refused_while_closed(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++)
        refuse("no", "", "");
    assert_int_equal(t.closed, 1);
    assert_int_equal(stub_credentials.refused, 5); /* the provider is to know of each */
    assert_int_equal(stub_credentials.serial, 7);
    expect_closed_for(500);
}

/* A call that was under way when the gate closed has worked after all. */
static void test_worked_while_closed(void **state) {
    (void)state;
    refuse("no", "", "");
    gate_worked(&t.gate);
    assert_false(t.gate.closed);
    assert_false(t.gate.suspect);
    assert_int_equal(t.opened, 1);
    stub_run(t.loop, 10000);
    assert_int_equal(t.opened, 1); /* its timer is stopped */
    gate_worked(&t.gate);
    assert_int_equal(t.opened, 1); /* nothing has changed */
}

static void test_ready(void **state) {
    (void)state;
    enum {
        OPEN,
        CLOSED,
        SUSPECT
    };
    static const struct {
        int gate;
        bool idle, has_credentials;
        const char *why; /* "": ready */
    } rows[] = {
        {OPEN, false, true, ""},
        {OPEN, true, false, "credentials: none in this test\n"},
        {CLOSED, false, true, "credentials: refused\n"},
        {CLOSED, true, true, "credentials: refused\n"},
        {SUSPECT, false, true, "credentials: refused\n"},
        {SUSPECT, true, true, ""}, /* no call is made that could work */
        {SUSPECT, true, false, "credentials: none in this test\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buffer why;
        buffer_init(&why, 1024);
        gate_worked(&t.gate);
        if (rows[i].gate != OPEN)
            refuse("refused", "", "");
        if (rows[i].gate == SUSPECT)
            stub_run(t.loop, 500);
        stub_credentials.has = rows[i].has_credentials;
        bool ready = gate_ready(&t.gate, rows[i].idle, &why);
        assert_int_equal(ready, rows[i].why[0] == '\0');
        assert_string_equal(buffer_text(&why), rows[i].why);
        buffer_free(&why);
    }
}

/* What is known of the reason, the most telling first. */
static void test_reasons(void **state) {
    (void)state;
    static const struct {
        const char *message, *code, *error, *why;
    } rows[] = {
        {"a message", "ACode", "an error", "credentials: a message"},
        {"", "ACode", "an error", "credentials: ACode"},
        {"", "", "an error", "credentials: an error"},
        {"", "", "", "credentials: refused without a reason"},
        {"", "", NULL, "credentials: refused without a reason"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        refuse(rows[i].message, rows[i].code, rows[i].error);
        assert_string_equal(t.gate.why, rows[i].why);
    }
    char longest[1000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    refuse(longest, "", "");
    assert_int_equal(strlen(t.gate.why), sizeof t.gate.why - 1);
}

/* Each cause has its words, and credentials alone are fetched again. */
static void test_causes(void **state) {
    (void)state;
    static const struct {
        enum gate_cause cause;
        const char *why, *reason;
    } rows[] = {
        {GATE_CREDENTIALS, "credentials: why", "credentials"},
        {GATE_CONFIGURATION, "configuration: why", "configuration"},
        {GATE_DENIED, "rights: why", "denies"},
        {GATE_UNREACHABLE, "Athena cannot be reached: why", "cannot be reached"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        gate_refused(&t.gate, rows[i].cause, &plain);
        assert_int_equal(t.gate.cause, rows[i].cause);
        assert_string_equal(t.gate.why, rows[i].why);
        assert_non_null(strstr(gate_reason(rows[i].cause), rows[i].reason));
        assert_null(strstr(gate_reason(rows[i].cause), "why"));
    }
    assert_int_equal(stub_credentials.refused, 1);
}

/* One that is denied is perhaps the only one; two are everybody. */
static void test_denied(void **state) {
    (void)state;
    assert_false(gate_denied(&t.gate, "one", &plain));
    assert_false(gate_denied(&t.gate, "one", &plain));
    assert_false(t.gate.suspect);
    assert_true(gate_denied(&t.gate, "two", &plain));
    assert_true(t.gate.closed);
    stub_run(t.loop, 500);
    assert_true(gate_denied(&t.gate, "one", &plain)); /* whoever is tried next */
    expect_closed_for(1000);
    gate_worked(&t.gate); /* one of another work group */
    assert_true(gate_denied(&t.gate, "two", &plain));
    gate_worked(&t.gate);
    gate_allowed(&t.gate); /* one of the same */
    assert_false(gate_denied(&t.gate, "two", &plain));
    assert_false(gate_denied(&t.gate, "two", &plain));
    assert_true(gate_denied(&t.gate, "three", &plain));
}

/* Who is denied has been heard: whatever else the gate was closed for is over. */
static void test_denied_after_another_cause(void **state) {
    (void)state;
    gate_refused(&t.gate, GATE_UNREACHABLE, &plain);
    assert_false(gate_denied(&t.gate, "one", &plain));
    assert_false(t.gate.suspect);
}

static void test_close(void **state) {
    (void)state;
    refuse("no", "", "");
    gate_close(&t.gate);
    stub_run(t.loop, 10000);
    assert_int_equal(t.opened, 0);
    struct gate zeroed;
    memset(&zeroed, 0, sizeof zeroed);
    gate_close(&zeroed);
}

#define WITH_GATE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_GATE(test_pauses),
        WITH_GATE(test_refused_while_closed),
        WITH_GATE(test_worked_while_closed),
        WITH_GATE(test_ready),
        WITH_GATE(test_reasons),
        WITH_GATE(test_causes),
        WITH_GATE(test_denied),
        WITH_GATE(test_denied_after_another_cause),
        WITH_GATE(test_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
