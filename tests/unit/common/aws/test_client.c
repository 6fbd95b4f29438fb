/*
 * Signed calls against a scripted server. Their signatures are checked with the verification of
 * athena-sim, which shares no code with the signer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/aws/client.h"
#include "common/aws/credentials/environment.h"
#include "standins/athena_sim/verify.h"
#include "tests/unit/common/base/http/stub_http.h"

#define ACCESS_KEY "AKIDEXAMPLE"
#define SECRET_KEY "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

enum {
    HEADERS_MAX = 32
};

struct outcome {
    int times;
    enum http_result result;
    int status;
    bool no_credentials;
    char code[64], message[64], reason[64], athena_code[64], error[128], body[64];
};

struct fixture {
    struct loop *loop;
    struct credentials_provider *credentials;
    struct aws_options options;
    struct aws_client *client;
    struct stub stub;
};

static void on_answer(void *arg, const struct aws_answer *a) {
    struct outcome *t = arg;
    t->times++;
    t->result = a->http.result;
    t->status = a->http.status;
    t->no_credentials = a->no_credentials;
    snprintf(t->code, sizeof t->code, "%s", a->code);
    snprintf(t->message, sizeof t->message, "%s", a->message);
    snprintf(t->reason, sizeof t->reason, "%s", a->reason);
    snprintf(t->athena_code, sizeof t->athena_code, "%s", a->athena_code);
    snprintf(t->error, sizeof t->error, "%s", a->http.error);
    snprintf(t->body, sizeof t->body, "%s", a->http.body);
}

static void set_up(struct fixture *f, const struct stub_reply *script, size_t count) {
    memset(f, 0, sizeof *f);
    setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY, 1);
    setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY, 1);
    unsetenv("AWS_SESSION_TOKEN");
    f->loop = loop_open();
    assert_non_null(f->loop);
    stub_open(&f->stub, f->loop, script, count);
    f->credentials = credentials_open_environment();
    f->options.region = "eu-central-1";
    f->options.endpoint = f->stub.url;
    f->client = aws_client_open(f->loop, f->credentials, &f->options, 4);
    assert_non_null(f->client);
}

static void tear_down(struct fixture *f) {
    aws_client_close(f->client);
    credentials_close(f->credentials);
    stub_close(&f->stub);
    loop_close(f->loop);
}

#define SET_UP(f, script) set_up(&(f), script, sizeof(script) / sizeof *(script))

static struct aws_call *start(struct fixture *f, const struct aws_service *service,
                              const char *operation, const char *body, struct outcome *outcome) {
    *outcome = (struct outcome){0};
    struct aws_call *call =
        aws_start(f->client, service, operation, body, strlen(body), 8000, on_answer, outcome);
    assert_non_null(call);
    assert_int_equal(outcome->times, 0);
    return call;
}

static bool is_over(void *arg) {
    return ((struct outcome *)arg)->times > 0;
}

static void call(struct fixture *f, const struct aws_service *service, const char *operation,
                 const char *body, struct outcome *outcome) {
    start(f, service, operation, body, outcome);
    assert_true(stub_run_until(f->loop, is_over, outcome));
    assert_int_equal(outcome->times, 1);
}

/* --- what is sent ----------------------------------------------------------------------------- */

struct parsed {
    char *text, *method, *target;
    struct sim_header headers[HEADERS_MAX];
    size_t header_count;
};

static void parse(const struct stub_request *r, struct parsed *p) {
    memset(p, 0, sizeof *p);
    char *line_state, *word_state;
    p->text = mem_string(r->head);
    char *line = strtok_r(p->text, "\r\n", &line_state);
    p->method = strtok_r(line, " ", &word_state);
    p->target = strtok_r(NULL, " ", &word_state);
    while ((line = strtok_r(NULL, "\r\n", &line_state)) != NULL) {
        char *colon = strstr(line, ": ");
        assert_non_null(colon);
        assert_true(p->header_count < HEADERS_MAX);
        *colon = '\0';
        p->headers[p->header_count++] = (struct sim_header){line, colon + 2};
    }
}

static const char *value_of(const struct parsed *p, const char *name) {
    const char *found = NULL;
    for (size_t i = 0; i < p->header_count; i++)
        if (strcasecmp(p->headers[i].name, name) == 0) {
            assert_null(found); /* none is sent twice */
            found = p->headers[i].value;
        }
    return found;
}

/* All that says something is signed; what is not is the connection's and curl's own. */
static void assert_all_signed(const struct parsed *p) {
    static const char *const unsigned_ones[] = {"Authorization", "Content-Length", "Accept",
                                                "User-Agent"};
    const char *authorization = value_of(p, "Authorization");
    assert_non_null(authorization);
    const char *from = strstr(authorization, "SignedHeaders=");
    assert_non_null(from);
    from += strlen("SignedHeaders=");
    char list[512];
    snprintf(list, sizeof list, ";%.*s;", (int)strcspn(from, ","), from);
    for (size_t i = 0; i < p->header_count; i++) {
        char wanted[128];
        snprintf(wanted, sizeof wanted, ";%s;", p->headers[i].name);
        bool signed_one = strcasestr(list, wanted) != NULL, left_out = false;
        for (size_t j = 0; j < sizeof unsigned_ones / sizeof *unsigned_ones; j++)
            left_out = left_out || strcasecmp(unsigned_ones[j], p->headers[i].name) == 0;
        if (signed_one == left_out)
            fail_msg("%s: signed %d in %s", p->headers[i].name, signed_one, list);
    }
}

static void assert_verified(const struct stub_request *r, const char *service, const char *token) {
    struct parsed p;
    parse(r, &p);
    assert_all_signed(&p);
    const struct sim_request request = {p.method,       p.target, p.headers,
                                        p.header_count, r->body,  r->body_len};
    const struct sim_credential known = {ACCESS_KEY, SECRET_KEY, token, 0};
    char detail[4096] = "";
    enum sim_verdict verdict =
        sim_verify(&request, &known, 1, service, loop_wall() / 1000, detail, sizeof detail);
    if (verdict != SIM_SIGNED)
        fail_msg("verdict %d: %s", verdict, detail);
    free(p.text);
}

static void test_what_is_signed_is_what_is_sent(void **state) {
    (void)state;
    static const struct {
        const struct aws_service *service;
        const char *operation, *path, *token, *body;
        const char *service_name, *target, *content_type;
    } cases[] = {
        {&aws_athena, "StartQueryExecution", "", NULL,
         "{\"QueryString\":\"SELECT 'gr\xc3\xbc\xc3\x9f'\"}", "athena",
         "AmazonAthena.StartQueryExecution", "application/x-amz-json-1.1"},
        {&aws_athena, "BatchGetQueryExecution", "", "to/ken+==", "{}", "athena",
         "AmazonAthena.BatchGetQueryExecution", "application/x-amz-json-1.1"},
        {&aws_athena, "StartQueryExecution", "base/p%20ath", "token", "{}", "athena",
         "AmazonAthena.StartQueryExecution", "application/x-amz-json-1.1"},
        {&aws_cloudwatch, "PutMetricData", "", NULL, "", "monitoring",
         "GraniteServiceVersion20100801.PutMetricData", "application/x-amz-json-1.0"},
    };
    static const struct stub_reply script[] = {{.body = "{}"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct outcome outcome;
        char endpoint[128], host[64], line[128];
        SET_UP(f, script);
        if (cases[i].token != NULL)
            setenv("AWS_SESSION_TOKEN", cases[i].token, 1);
        snprintf(endpoint, sizeof endpoint, "%s%s", f.stub.url, cases[i].path);
        snprintf(host, sizeof host, "127.0.0.1:%d", f.stub.port);
        snprintf(line, sizeof line, "POST /%s%s HTTP/1.1\r\n", cases[i].path,
                 cases[i].path[0] != '\0' ? "/" : "");
        f.options.endpoint = endpoint;
        call(&f, cases[i].service, cases[i].operation, cases[i].body, &outcome);
        assert_int_equal(outcome.result, HTTP_ANSWERED);
        assert_string_equal(outcome.body, "{}");
        assert_string_equal(outcome.code, "");

        const struct stub_request *seen = &f.stub.requests[0];
        struct parsed p;
        parse(seen, &p);
        assert_string_equal(value_of(&p, "Host"), host);
        assert_string_equal(value_of(&p, "X-Amz-Target"), cases[i].target);
        assert_string_equal(value_of(&p, "Content-Type"), cases[i].content_type);
        assert_string_equal(seen->body, cases[i].body);
        assert_memory_equal(seen->head, line, strlen(line));
        if (cases[i].token == NULL)
            assert_null(value_of(&p, "X-Amz-Security-Token"));
        else
            assert_string_equal(value_of(&p, "X-Amz-Security-Token"), cases[i].token);
        assert_non_null(strstr(value_of(&p, "Authorization"), "/eu-central-1/"));
        free(p.text);
        assert_verified(seen, cases[i].service_name, cases[i].token);
        tear_down(&f);
    }
}

static void test_a_service_has_its_own_endpoint_first(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.body = "{}"}};
    struct fixture f;
    struct outcome outcome;
    struct stub own;
    SET_UP(f, script);
    stub_open(&own, f.loop, script, 1);
    f.options.endpoint_athena = own.url;
    call(&f, &aws_athena, "ListWorkGroups", "{}", &outcome);
    call(&f, &aws_cloudwatch, "PutMetricData", "{}", &outcome);
    assert_int_equal(own.request_count, 1);
    assert_non_null(strstr(own.requests[0].head, "AmazonAthena.ListWorkGroups"));
    assert_int_equal(f.stub.request_count, 1);
    stub_close(&own);
    tear_down(&f);
}

/* --- what comes back -------------------------------------------------------------------------- */

static void test_answers(void **state) {
    (void)state;
    static const struct {
        struct stub_reply reply;
        enum http_result result;
        int status;
        const char *code, *message, *reason, *athena_code;
    } cases[] = {
        {{.status = 200, .body = "{\"__type\":\"Column\",\"message\":\"a result\"}"},
         HTTP_ANSWERED,
         200,
         "",
         "",
         "",
         ""},
        {{.status = 400,
          .body = "{\"__type\":\"a#TooManyRequestsException\",\"Message\":\"m\",\"Reason\":\"r\"}"},
         HTTP_ANSWERED,
         400,
         "TooManyRequestsException",
         "m",
         "r",
         ""},
        {{.status = 400, .headers = "x-amzn-ErrorType: ThrottlingException:http://x/\r\n"},
         HTTP_ANSWERED,
         400,
         "ThrottlingException",
         "",
         "",
         ""},
        {{.status = 400,
          .headers = "x-amzn-ErrorType: Other\r\n",
          .body = "{\"__type\":\"InvalidRequestException\"}"},
         HTTP_ANSWERED,
         400,
         "InvalidRequestException",
         "",
         "",
         ""},
        {{.status = 400,
          .body = "{\"__type\":\"InvalidRequestException\",\"AthenaErrorCode\":\"INVALID_INPUT\"}"},
         HTTP_ANSWERED,
         400,
         "InvalidRequestException",
         "",
         "",
         "INVALID_INPUT"},
        {{.status = 503, .body = "<html>"}, HTTP_ANSWERED, 503, "", "", "", ""},
        {{.what = STUB_CUT}, HTTP_LOST, 0, "", "", "", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct outcome outcome;
        set_up(&f, &cases[i].reply, 1);
        call(&f, &aws_athena, "StartQueryExecution", "{}", &outcome);
        assert_int_equal(outcome.result, cases[i].result);
        assert_int_equal(outcome.status, cases[i].status);
        assert_string_equal(outcome.code, cases[i].code);
        assert_string_equal(outcome.message, cases[i].message);
        assert_string_equal(outcome.reason, cases[i].reason);
        assert_string_equal(outcome.athena_code, cases[i].athena_code);
        assert_false(outcome.no_credentials);
        tear_down(&f);
    }
}

/* --- what cannot be sent ---------------------------------------------------------------------- */

static void test_no_credentials(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.body = "{}"}};
    struct fixture f;
    struct outcome outcome;
    SET_UP(f, script);
    unsetenv("AWS_SECRET_ACCESS_KEY");
    call(&f, &aws_athena, "StartQueryExecution", "{}", &outcome);
    assert_int_equal(outcome.result, HTTP_UNSENT);
    assert_true(outcome.no_credentials);
    assert_non_null(strstr(outcome.error, "AWS_SECRET_ACCESS_KEY"));
    assert_string_equal(outcome.code, "");
    assert_int_equal(f.stub.connection_count, 0);
    tear_down(&f);
}

static void test_no_endpoint(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.body = "{}"}};
    struct fixture f;
    struct outcome outcome;
    SET_UP(f, script);
    f.options = (struct aws_options){0};
    call(&f, &aws_athena, "StartQueryExecution", "{}", &outcome);
    assert_int_equal(outcome.result, HTTP_UNSENT);
    assert_false(outcome.no_credentials);
    assert_non_null(strstr(outcome.error, "no region"));
    f.options.endpoint = "nonsense";
    call(&f, &aws_athena, "StartQueryExecution", "{}", &outcome);
    assert_int_equal(outcome.result, HTTP_UNSENT);
    assert_non_null(strstr(outcome.error, "athena"));
    tear_down(&f);
}

static void test_nobody_listens(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.body = "{}"}};
    struct fixture f;
    struct outcome outcome;
    SET_UP(f, script);
    stub_stop_listening(&f.stub);
    call(&f, &aws_athena, "StartQueryExecution", "{}", &outcome);
    assert_int_equal(outcome.result, HTTP_UNSENT);
    assert_false(outcome.no_credentials);
    tear_down(&f);
}

static bool is_refreshed(void *arg) {
    struct credentials_provider *p = arg;
    const char *why;
    const struct credentials *c = credentials_get(p, loop_wall() / 1000, &why);
    return c != NULL && strcmp(c->access_key_id, ACCESS_KEY) != 0;
}

static void poll_again(void *arg) {
    (void)arg;
}

static void test_refused_credentials_are_fetched_again(void **state) {
    (void)state;
    static const struct {
        const char *code;
        bool refused;
    } cases[] = {
        {"ExpiredTokenException", true},
        {"UnrecognizedClientException", true},
        {"AccessDeniedException", false},
        {"ThrottlingException", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct outcome outcome;
        char body[128];
        snprintf(body, sizeof body, "{\"__type\":\"%s\"}", cases[i].code);
        const struct stub_reply script[] = {{.status = 400, .body = body}};
        SET_UP(f, script);
        call(&f, &aws_athena, "StartQueryExecution", "{}", &outcome);
        assert_string_equal(outcome.code, cases[i].code);
        setenv("AWS_ACCESS_KEY_ID", "AKIDNEW", 1);
        if (cases[i].refused) {
            struct loop_timer second = {0}; /* sources are asked once a second */
            loop_timer_set(f.loop, &second, 1100, poll_again, NULL);
            assert_true(stub_run_until(f.loop, is_refreshed, f.credentials));
            loop_timer_cancel(f.loop, &second);
        } else {
            assert_false(is_refreshed(f.credentials));
        }
        tear_down(&f);
    }
}

/* --- cancel and close ------------------------------------------------------------------------- */

static void test_cancel(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.what = STUB_SILENT}, {.body = "{}"}};
    struct fixture f;
    struct outcome silent, unsent, last;
    SET_UP(f, script);
    struct aws_call *under_way = start(&f, &aws_athena, "StartQueryExecution", "{}", &silent);
    while (f.stub.request_count == 0)
        assert_true(loop_run_once(f.loop));
    aws_cancel(under_way);
    f.options.endpoint = "nonsense";
    aws_cancel(start(&f, &aws_athena, "StartQueryExecution", "{}", &unsent));
    f.options.endpoint = f.stub.url;
    call(&f, &aws_athena, "StartQueryExecution", "{}", &last);
    assert_int_equal(last.result, HTTP_ANSWERED);
    assert_int_equal(silent.times + unsent.times, 0);
    tear_down(&f);
}

static void test_close_with_calls_under_way(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.what = STUB_SILENT}};
    struct fixture f;
    struct outcome silent, unsent;
    SET_UP(f, script);
    start(&f, &aws_athena, "StartQueryExecution", "{}", &silent);
    while (f.stub.request_count == 0)
        assert_true(loop_run_once(f.loop));
    f.options.endpoint = "nonsense";
    start(&f, &aws_athena, "StartQueryExecution", "{}", &unsent);
    tear_down(&f);
    assert_int_equal(silent.times + unsent.times, 0);
    aws_client_close(NULL);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_signed_is_what_is_sent),
        cmocka_unit_test(test_a_service_has_its_own_endpoint_first),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_no_credentials),
        cmocka_unit_test(test_no_endpoint),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_refused_credentials_are_fetched_again),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_close_with_calls_under_way),
    };
    stub_no_proxies();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
