/* The counters, from counting to the body of PutMetricData; none is lost on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <time.h>

#include <cjson/cJSON.h>

#include "common/aws/cloudwatch.h"
#include "common/aws/credentials/chain.h"
#include "common/aws/credentials/environment.h"
#include "tests/unit/common/base/http/stub_http.h"

enum {
    NEVER_MS = 3600000
};

struct fixture {
    struct loop *loop;
    struct credentials_provider *credentials;
    struct aws_options options;
    struct aws_client *client;
    struct stub stub;
    struct cloudwatch *cloudwatch;
};

static void open_clients(struct fixture *f, int64_t interval_ms) {
    assert_non_null(f->credentials);
    f->client = aws_client_open(f->loop, f->credentials, &f->options, 4);
    assert_non_null(f->client);
    f->cloudwatch = cloudwatch_open(f->loop, f->client, interval_ms);
}

static void set_up(struct fixture *f, const struct stub_reply *script, size_t count,
                   int64_t interval_ms) {
    memset(f, 0, sizeof *f);
    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    unsetenv("AWS_SESSION_TOKEN");
    f->loop = loop_open();
    assert_non_null(f->loop);
    stub_open(&f->stub, f->loop, script, count);
    f->credentials = credentials_open_environment();
    f->options.endpoint = f->stub.url;
    open_clients(f, interval_ms);
}

static void tear_down_clients(struct fixture *f) {
    cloudwatch_close(f->cloudwatch);
    aws_client_close(f->client);
    credentials_close(f->credentials);
}

static void tear_down(struct fixture *f) {
    tear_down_clients(f);
    stub_close(&f->stub);
    loop_close(f->loop);
}

#define SET_UP(f, script) set_up(&(f), script, sizeof(script) / sizeof *(script), NEVER_MS)

static void count(struct fixture *f, enum cloudwatch_counter counter, const char *database,
                  int times) {
    while (times-- > 0)
        cloudwatch_count(f->cloudwatch, counter, database);
}

static bool is_idle(void *arg) {
    return !cloudwatch_busy(arg);
}

static void flush(struct fixture *f) {
    cloudwatch_flush(f->cloudwatch);
    assert_true(stub_run_until(f->loop, is_idle, f->cloudwatch));
}

/* --- reading what was sent -------------------------------------------------------------------- */

static const char *text_of(const cJSON *object, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    assert_non_null(text);
    return text;
}

/* The values of a metric of a database within one request, added up; NULL: of all of them. */
static int64_t sum(const struct stub_request *r, const char *metric, const char *database,
                   int *metrics) {
    int64_t total = 0;
    *metrics = 0;
    cJSON *body = cJSON_Parse(r->body);
    assert_non_null(body);
    assert_string_equal(text_of(body, "Namespace"), "AthenaQuery");
    const cJSON *datum;
    cJSON_ArrayForEach(datum, cJSON_GetObjectItemCaseSensitive(body, "MetricData")) {
        const cJSON *dimensions = cJSON_GetObjectItemCaseSensitive(datum, "Dimensions");
        assert_int_equal(cJSON_GetArraySize(dimensions), 1);
        const cJSON *dimension = cJSON_GetArrayItem(dimensions, 0);
        assert_string_equal(text_of(dimension, "Name"), "DATABASE");
        assert_string_equal(text_of(datum, "Unit"), "Count");
        double stamp = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(datum, "Timestamp"));
        double now_s = (double)loop_wall() / 1000;
        assert_true(stamp > now_s - 30 && stamp < now_s + 1);
        double value = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(datum, "Value"));
        assert_true(value >= 1);
        (*metrics)++;
        if ((metric == NULL || strcmp(text_of(datum, "MetricName"), metric) == 0) &&
            (database == NULL || strcmp(text_of(dimension, "Value"), database) == 0))
            total += (int64_t)value;
    }
    cJSON_Delete(body);
    return total;
}

static void assert_sent(struct fixture *f, size_t request, const char *metric, const char *database,
                        int64_t value) {
    int metrics;
    assert_true(request < f->stub.request_count);
    int64_t found = sum(&f->stub.requests[request], metric, database, &metrics);
    if (found != value)
        fail_msg("%s of %s is %lld, not %lld, in %s", metric, database, (long long)found,
                 (long long)value, f->stub.requests[request].body);
}

static void assert_metrics(struct fixture *f, size_t request, int expected) {
    int metrics;
    assert_true(request < f->stub.request_count);
    sum(&f->stub.requests[request], NULL, NULL, &metrics);
    assert_int_equal(metrics, expected);
}

/* --- tests ------------------------------------------------------------------------------------ */

static const struct stub_reply taken[] = {{.body = "{}"}};

static void test_counters_by_database(void **state) {
    (void)state;
    struct fixture f;
    SET_UP(f, taken);
    count(&f, CLOUDWATCH_START, "sales", 3);
    count(&f, CLOUDWATCH_THROTTLED, "sales", 2);
    count(&f, CLOUDWATCH_START, "web", 5);
    count(&f, CLOUDWATCH_RESTARTED, "web", 1);
    flush(&f);
    assert_int_equal(f.stub.request_count, 1);
    char *target = stub_header(&f.stub.requests[0], "X-Amz-Target");
    assert_string_equal(target, "GraniteServiceVersion20100801.PutMetricData");
    free(target);
    assert_metrics(&f, 0, 4);
    assert_sent(&f, 0, "StartQueryCount", "sales", 3);
    assert_sent(&f, 0, "ThrottlingErrorCount", "sales", 2);
    assert_sent(&f, 0, "StartQueryCount", "web", 5);
    assert_sent(&f, 0, "RestartQueryCount", "web", 1);
    flush(&f); /* nothing is left */
    assert_int_equal(f.stub.request_count, 1);
    tear_down(&f);
}

static void test_names(void **state) {
    (void)state;
    static char long_name[301], cut[256];
    memset(long_name, 'a', 300);
    memset(cut, 'a', 255);
    static const struct {
        const char *database, *sent;
    } cases[] = {
        {"default", "default"},
        {"a \"b\" \\c", "a \"b\" \\c"},
        {"gr\xc3\xb6\xc3\x9f"
         "e \xe2\x82\xac",
         "gr??e ?"},
        {"tab\tnul\x01", "tab?nul?"},
        {":colon:s", "?colon:s"},
        {"", "?"},
        {"   ", "?"},
        {"\x7f", "?"},
        {long_name, cut},
    };
    struct fixture f;
    SET_UP(f, taken);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        count(&f, CLOUDWATCH_START, cases[i].database, 1);
        flush(&f);
        assert_int_equal(f.stub.request_count, i + 1);
        assert_sent(&f, i, "StartQueryCount", cases[i].sent, 1);
    }
    tear_down(&f);
}

static void set_flag(void *arg) {
    *(bool *)arg = true;
}

static bool is_true(void *arg) {
    return *(bool *)arg;
}

static void test_interval(void **state) {
    (void)state;
    struct fixture f;
    set_up(&f, taken, 1, 20);
    bool passed = false;
    struct loop_timer while_idle = {0};
    loop_timer_set(f.loop, &while_idle, 100, set_flag, &passed);
    assert_true(stub_run_until(f.loop, is_true, &passed));
    assert_int_equal(f.stub.request_count, 0); /* nothing counted, nothing sent */
    for (size_t i = 0; i < 3; i++) {
        count(&f, CLOUDWATCH_START, "a", (int)i + 1);
        while (f.stub.request_count <= i)
            assert_true(loop_run_once(f.loop));
        assert_true(stub_run_until(f.loop, is_idle, f.cloudwatch));
        assert_sent(&f, i, "StartQueryCount", "a", (int64_t)i + 1);
    }
    tear_down(&f);
}

static void test_what_fails_is_kept(void **state) {
    (void)state;
    static const struct stub_reply failures[] = {
        {.status = 400, .body = "{\"__type\":\"InvalidParameterValueException\"}"},
        {.status = 403},
        {.what = STUB_CUT, .raw = "HTTP/1.1 200 OK\r\n"}, /* else libcurl sends again */
        {.body = "{}"},
    };
    struct fixture f;
    SET_UP(f, failures);
    count(&f, CLOUDWATCH_START, "a", 1);
    flush(&f);
    count(&f, CLOUDWATCH_START, "a", 10);
    count(&f, CLOUDWATCH_RESTARTED, "b", 1);
    flush(&f);
    flush(&f);
    count(&f, CLOUDWATCH_START, "a", 100);
    flush(&f);
    assert_int_equal(f.stub.request_count, 4);
    assert_sent(&f, 0, "StartQueryCount", "a", 1);
    assert_sent(&f, 1, "StartQueryCount", "a", 11);
    assert_sent(&f, 3, "StartQueryCount", "a", 111);
    assert_sent(&f, 3, "RestartQueryCount", "b", 1);
    flush(&f);
    assert_int_equal(f.stub.request_count, 4);
    tear_down(&f);
}

/* The repetitions of a call carry what it carried; what is counted meanwhile comes after it. */
static void test_tried_again(void **state) {
    (void)state;
    static const struct stub_reply troubles[] = {
        {.status = 500},
        {.status = 400, .body = "{\"__type\":\"ThrottlingException\"}"},
        {.body = "{}"},
    };
    struct fixture f;
    SET_UP(f, troubles);
    count(&f, CLOUDWATCH_START, "a", 1);
    cloudwatch_flush(f.cloudwatch);
    while (f.stub.request_count == 0)
        assert_true(loop_run_once(f.loop));
    count(&f, CLOUDWATCH_START, "a", 10);
    cloudwatch_flush(f.cloudwatch);
    assert_true(stub_run_until(f.loop, is_idle, f.cloudwatch));
    assert_int_equal(f.stub.request_count, 4);
    for (size_t i = 0; i < 3; i++)
        assert_sent(&f, i, "StartQueryCount", "a", 1);
    assert_sent(&f, 3, "StartQueryCount", "a", 10);
    flush(&f);
    assert_int_equal(f.stub.request_count, 4);
    tear_down(&f);
}

static void test_three_attempts_and_no_more(void **state) {
    (void)state;
    static const struct stub_reply troubles[] = {
        {.status = 429}, {.status = 503}, {.status = 500}, {.body = "{}"}};
    struct fixture f;
    SET_UP(f, troubles);
    count(&f, CLOUDWATCH_START, "a", 1);
    flush(&f);
    assert_int_equal(f.stub.request_count, 3);
    flush(&f);
    assert_int_equal(f.stub.request_count, 4);
    assert_sent(&f, 3, "StartQueryCount", "a", 1);
    tear_down(&f);
}

static bool has_three(void *arg) {
    return ((struct stub *)arg)->request_count == 3;
}

/* Nobody answers: tried again, but not by a program that stops. */
static void test_no_answer(void **state) {
    (void)state;
    static const struct stub_reply silence[] = {
        {.what = STUB_CUT, .raw = "HTTP/1.1 200 OK\r\n"}}; /* else libcurl sends again */
    struct fixture f;
    set_up(&f, silence, 1, 20);
    count(&f, CLOUDWATCH_START, "a", 1);
    assert_true(stub_run_until(f.loop, has_three, &f.stub));
    tear_down(&f);
    SET_UP(f, silence);
    count(&f, CLOUDWATCH_START, "a", 1);
    flush(&f);
    assert_int_equal(f.stub.request_count, 1);
    tear_down(&f);
}

/* AWS's clock is an hour ahead: learned from the refusal, and the call is made again. */
static void test_wrong_clock(void **state) {
    (void)state;
    char date[64], day[16];
    time_t theirs = time(NULL) + 3600;
    struct tm t;
    strftime(date, sizeof date, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime_r(&theirs, &t));
    const struct stub_reply skewed[] = {
        {.status = 403, .headers = date, .body = "{\"__type\":\"RequestTimeTooSkewed\"}"},
        {.headers = date, .body = "{}"}};
    struct fixture f;
    SET_UP(f, skewed);
    tear_down_clients(&f); /* the default provider has no clock */
    f.credentials = credentials_open_chain(f.loop, &f.options);
    open_clients(&f, NEVER_MS);
    count(&f, CLOUDWATCH_START, "a", 1);
    flush(&f);
    assert_int_equal(f.stub.request_count, 2);
    strftime(day, sizeof day, "%Y%m%dT%H", &t);
    char *signed_at = stub_header(&f.stub.requests[1], "X-Amz-Date");
    assert_memory_equal(signed_at, day, 11);
    free(signed_at);
    tear_down(&f);
}

static void test_no_credentials(void **state) {
    (void)state;
    struct fixture f;
    SET_UP(f, taken);
    unsetenv("AWS_SECRET_ACCESS_KEY");
    count(&f, CLOUDWATCH_START, "a", 1);
    flush(&f);
    assert_int_equal(f.stub.request_count, 0);
    assert_false(cloudwatch_busy(f.cloudwatch));
    tear_down(&f);
}

/* What is counted while a call is under way is not in it, and not lost with it. */
static void test_counting_goes_on_during_a_call(void **state) {
    (void)state;
    static const struct stub_reply slow[] = {{.body = "{}", .delay_ms = 30}};
    struct fixture f;
    SET_UP(f, slow);
    count(&f, CLOUDWATCH_START, "a", 1);
    cloudwatch_flush(f.cloudwatch);
    assert_true(cloudwatch_busy(f.cloudwatch));
    count(&f, CLOUDWATCH_START, "a", 10);
    count(&f, CLOUDWATCH_START, "b", 5);
    cloudwatch_flush(f.cloudwatch); /* asks for another, once this one is through */
    assert_true(stub_run_until(f.loop, is_idle, f.cloudwatch));
    assert_int_equal(f.stub.request_count, 2);
    assert_sent(&f, 0, "StartQueryCount", "a", 1);
    assert_sent(&f, 0, "StartQueryCount", "b", 0);
    assert_sent(&f, 1, "StartQueryCount", "a", 10);
    assert_sent(&f, 1, "StartQueryCount", "b", 5);
    tear_down(&f);
}

static void count_databases(struct fixture *f, const char *prefix, int databases) {
    for (int i = 0; i < databases; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s%d", prefix, i);
        for (int counter = 0; counter < CLOUDWATCH_COUNTERS; counter++)
            count(f, (enum cloudwatch_counter)counter, name, 1);
    }
}

static void test_bounds(void **state) {
    (void)state;
    struct fixture f;
    SET_UP(f, taken);
    count_databases(&f, "a", 600);
    flush(&f);
    assert_int_equal(f.stub.request_count, 2); /* 1503 metrics, 1000 a call */
    assert_metrics(&f, 0, 1000);
    assert_metrics(&f, 1, 503);
    int metrics;
    assert_int_equal(sum(&f.stub.requests[0], NULL, NULL, &metrics) +
                         sum(&f.stub.requests[1], NULL, NULL, &metrics),
                     1800);
    assert_sent(&f, 1, "StartQueryCount", CLOUDWATCH_OTHER, 100);
    /* Databases whose counters were sent make room for others. */
    count_databases(&f, "b", 500);
    flush(&f);
    assert_int_equal(f.stub.request_count, 4);
    assert_sent(&f, 3, NULL, CLOUDWATCH_OTHER, 0);
    tear_down(&f);
}

/* The second call of a round fails: the first call's counts are gone, its own are kept. */
static void test_half_a_round(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.body = "{}"}, {.status = 403}, {.body = "{}"}};
    struct fixture f;
    SET_UP(f, script);
    count_databases(&f, "a", 400);
    flush(&f);
    assert_int_equal(f.stub.request_count, 2);
    flush(&f);
    assert_int_equal(f.stub.request_count, 3);
    assert_metrics(&f, 0, 1000);
    assert_metrics(&f, 1, 200);
    assert_metrics(&f, 2, 200);
    tear_down(&f);
}

static void test_one_warning_a_minute(void **state) {
    (void)state;
    static const struct stub_reply failing[] = {{.status = 403}};
    struct fixture f;
    SET_UP(f, failing);
    FILE *log = tmpfile();
    int kept = dup(STDERR_FILENO);
    assert_non_null(log);
    dup2(fileno(log), STDERR_FILENO);
    count(&f, CLOUDWATCH_START, "a", 1);
    for (int i = 0; i < 5; i++)
        flush(&f);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(log);
    char line[1024];
    assert_non_null(fgets(line, sizeof line, log));
    assert_non_null(strstr(line, "WARN"));
    assert_non_null(strstr(line, "status=403"));
    assert_null(fgets(line, sizeof line, log));
    fclose(log);
    tear_down(&f);
}

static void test_close_before_a_repetition(void **state) {
    (void)state;
    static const struct stub_reply busy[] = {{.status = 503}};
    struct fixture f;
    SET_UP(f, busy);
    count(&f, CLOUDWATCH_START, "a", 1);
    cloudwatch_flush(f.cloudwatch);
    while (f.stub.request_count == 0)
        assert_true(loop_run_once(f.loop));
    for (int i = 0; i < 3; i++)
        assert_true(loop_run_once(f.loop));
    assert_true(cloudwatch_busy(f.cloudwatch));
    tear_down(&f);
}

static void test_close_during_a_call(void **state) {
    (void)state;
    static const struct stub_reply silent[] = {{.what = STUB_SILENT}};
    struct fixture f;
    SET_UP(f, silent);
    count(&f, CLOUDWATCH_START, "a", 1);
    cloudwatch_flush(f.cloudwatch);
    while (f.stub.request_count == 0)
        assert_true(loop_run_once(f.loop));
    tear_down(&f);
}

static void test_off(void **state) {
    (void)state;
    cloudwatch_count(NULL, CLOUDWATCH_START, "a");
    cloudwatch_flush(NULL);
    assert_false(cloudwatch_busy(NULL));
    cloudwatch_close(NULL);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_by_database),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_interval),
        cmocka_unit_test(test_what_fails_is_kept),
        cmocka_unit_test(test_tried_again),
        cmocka_unit_test(test_three_attempts_and_no_more),
        cmocka_unit_test(test_no_answer),
        cmocka_unit_test(test_wrong_clock),
        cmocka_unit_test(test_no_credentials),
        cmocka_unit_test(test_counting_goes_on_during_a_call),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_half_a_round),
        cmocka_unit_test(test_one_warning_a_minute),
        cmocka_unit_test(test_close_before_a_repetition),
        cmocka_unit_test(test_close_during_a_call),
        cmocka_unit_test(test_off),
    };
    stub_no_proxies();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
