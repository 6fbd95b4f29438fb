/* Signatures made with botocore 1.44.5; AWS's own vectors are in test_sigv4_vectors.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/aws/sigv4.h"
#include "common/base/memory.h"

#define SIGNED_AT   1767323045 /* 2026-01-02T03:04:05Z */
#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))
#define HEADERS_MAX 5

static const struct sigv4_keys keys = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                                       NULL};
static const struct sigv4_keys keys_with_token = {
    "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "IQoJb3JpZ2luX2VjE/+==tok"};
static const struct sigv4_header host = {"host", "athena.us-east-1.amazonaws.com"};

static struct sigv4_request plain_request(void) {
    return (struct sigv4_request){.method = "GET",
                                  .path = "/",
                                  .headers = &host,
                                  .header_count = 1,
                                  .region = "us-east-1",
                                  .service = "athena",
                                  .time = SIGNED_AT};
}

/* --- The canonical request, part by part ------------------------------------------------------ */

/* The nth line, from 0, and all after it up to `end`. The caller frees. */
static char *part_of_canonical(const struct sigv4_request *r, int nth, const char *end) {
    struct buffer b;
    buffer_init(&b, SIGV4_CANONICAL_MAX);
    assert_true(sigv4_canonical_request(r, &keys, 0, &b));
    const char *from = buffer_text(&b);
    for (int i = 0; i < nth; i++) {
        from = strchr(from, '\n');
        assert_non_null(from);
        from++;
    }
    const char *to = strstr(from, end);
    assert_non_null(to);
    char *part = mem_bytes(from, (size_t)(to - from));
    buffer_free(&b);
    return part;
}

static void expect_part(const struct sigv4_request *r, int nth, const char *end,
                        const char *expected) {
    char *got = part_of_canonical(r, nth, end);
    assert_string_equal(got, expected);
    free(got);
}

static void test_path(void **state) {
    (void)state;
    static const struct {
        const char *path;
        bool keep;
        const char *expected;
    } cases[] = {
        {"", false, "/"},
        {"", true, "/"},
        {"/", false, "/"},
        {"/a/b", false, "/a/b"},
        {"/a/b/", false, "/a/b/"},
        {"a/", false, "/a/"},
        {"//a//b//", false, "/a/b/"},
        {"//a//b//", true, "//a//b//"},
        {"/./a/./b/.", false, "/a/b"},
        {"/a/b/..", false, "/a"},
        {"/a/../..", false, "/"},
        {"/../a", false, "/a"},
        {"/a/../../b/", false, "/b/"},
        {"/a/../b", true, "/a/../b"},
        {"/...", false, "/..."},
        {"/..a/.b/c..", false, "/..a/.b/c.."},
        {"/a b+c=d:e@f", false, "/a%20b%2Bc%3Dd%3Ae%40f"},
        {"/-._~", false, "/-._~"},
        {"/a%20b%2F", false, "/a%2520b%252F"},
        {"/a%20b", true, "/a%2520b"},
        {"/\xe1\x88\xb4", false, "/%E1%88%B4"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sigv4_request r = plain_request();
        r.path = cases[i].path;
        r.keep_path = cases[i].keep;
        expect_part(&r, 1, "\n", cases[i].expected);
    }
}

static void test_query(void **state) {
    (void)state;
    static const struct {
        const char *query;
        const char *expected;
    } cases[] = {
        {NULL, ""},
        {"", ""},
        {"&&", ""},
        {"a=1", "a=1"},
        {"a", "a="},
        {"=1", "=1"},
        {"a=", "a="},
        {"b=2&a=1", "a=1&b=2"},
        {"&b=2&&a=1&", "a=1&b=2"},
        {"a=2&a=10&a=1", "a=1&a=10&a=2"},
        {"a=b=c", "a=b%3Dc"},
        /* By name alone: '-', '.' and '0' sort before or after '=' and must not matter. */
        {"ab-c=3&ab.c=2&ab=9&ab0=4&a=5", "a=5&ab=9&ab-c=3&ab.c=2&ab0=4"},
        {"b=1&B=2&a=3", "B=2&a=3&b=1"},
        /* By what is encoded: %7C before A, although '|' is after it. */
        {"A=1&|=2", "%7C=2&A=1"},
        {"a=%7e%7E~", "a=~~~"},
        {"a=%e1%88%b4", "a=%E1%88%B4"},
        {"\xe1\x88\xb4=x y", "%E1%88%B4=x%20y"},
        {"a=1+1", "a=1%2B1"},
        {"a=/?:@", "a=%2F%3F%3A%40"},
        {"a=%26%3D%25", "a=%26%3D%25"},
        {"a=%00z", "a=%00z"},
        {"a=%", "a=%25"},
        {"a=%4", "a=%254"},
        {"a=%4g&b=%g4", "a=%254g&b=%25g4"},
        {"a=%4&1", "1=&a=%254"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sigv4_request r = plain_request();
        r.query = cases[i].query;
        expect_part(&r, 2, "\n", cases[i].expected);
    }
}

static void test_headers(void **state) {
    (void)state;
    static const struct {
        struct sigv4_header headers[HEADERS_MAX];
        const char *expected; /* x-amz-date left out */
        const char *names;
    } cases[] = {
        {{{"Host", "h"}}, "host:h\n", "host"},
        {{{"hOST", "VaLue"}}, "host:VaLue\n", "host"},
        {{{"@AZ[az09", "AZ"}}, "@az[az09:AZ\n", "@az[az09"},
        {{{"host", " \t h \r\n"}}, "host:h\n", "host"},
        {{{"host", ""}}, "host:\n", "host"},
        {{{"host", "   "}}, "host:\n", "host"},
        {{{"host", "a  b \t c"}}, "host:a b c\n", "host"},
        {{{"host", "\"a   b\""}}, "host:\"a b\"\n", "host"},
        {{{"host", "a\n  b"}}, "host:a b\n", "host"},
        {{{"host", "h"}, {"b", "1"}, {"A", "2"}}, "a:2\nb:1\nhost:h\n", "a;b;host"},
        /* One name the beginning of another: '-' sorts before ':', and must not matter. */
        {{{"a-b", "1"}, {"ab", "2"}, {"a", "3"}, {"a0", "4"}},
         "a:3\na-b:1\na0:4\nab:2\n",
         "a;a-b;a0;ab"},
        {{{"a", "2"}, {"b", "x"}, {"A", "1"}, {"a", " 3 "}}, "a:2,1,3\nb:x\n", "a;b"},
        {{{"a", ""}, {"a", ""}}, "a:,\n", "a"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sigv4_request r = plain_request();
        r.headers = cases[i].headers;
        r.header_count = 0;
        while (r.header_count < HEADERS_MAX && r.headers[r.header_count].name != NULL)
            r.header_count++;
        struct buffer expected;
        buffer_init(&expected, SIGV4_CANONICAL_MAX);
        buffer_printf(&expected, "%sx-amz-date:20260102T030405Z\n\n%s;x-amz-date",
                      cases[i].expected, cases[i].names);
        expect_part(&r, 3, "\ne3b0c44298fc1c14", buffer_text(&expected));
        buffer_free(&expected);
    }
}

static void test_body(void **state) {
    (void)state;
    static const char empty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    static const struct {
        const char *body;
        size_t body_len;
        const char *expected;
    } cases[] = {
        {NULL, 0, empty},
        {"ignored", 0, empty},
        {"abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"\0", 1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sigv4_request r = plain_request();
        r.body = cases[i].body;
        r.body_len = cases[i].body_len;
        struct buffer b;
        buffer_init(&b, SIGV4_CANONICAL_MAX);
        assert_true(sigv4_canonical_request(&r, &keys, 0, &b));
        assert_string_equal(strrchr(buffer_text(&b), '\n') + 1, cases[i].expected);
        buffer_free(&b);
    }
}

/* --- Whole signatures ------------------------------------------------------------------------- */

static const struct sigv4_header start_headers[] = {
    {"Content-Type", "application/x-amz-json-1.1"},
    {"X-Amz-Target", "AmazonAthena.StartQueryExecution"},
    {"Host", "athena.us-east-1.amazonaws.com"},
};

static struct sigv4_request start_request(void) {
    static const char body[] = "{\"QueryString\":\"SELECT 1\",\"ClientRequestToken\":"
                               "\"0123456789abcdef0123456789abcdef\"}";
    struct sigv4_request r = plain_request();
    r.method = "POST";
    r.headers = start_headers;
    r.header_count = COUNT(start_headers);
    r.body = body;
    r.body_len = strlen(body);
    return r;
}

static void expect_authorization(const struct sigv4_keys *with, const char *names,
                                 const char *signature) {
    struct sigv4_request r = start_request();
    struct sigv4_signed s;
    assert_true(sigv4_sign_headers(&r, with, &s));
    struct buffer expected;
    buffer_init(&expected, 1024);
    buffer_printf(&expected,
                  "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/us-east-1/athena/aws4_request, "
                  "SignedHeaders=%s, Signature=%s",
                  names, signature);
    assert_string_equal(s.authorization, buffer_text(&expected));
    assert_string_equal(s.signature, signature);
    assert_string_equal(s.date, "20260102T030405Z");
    buffer_free(&expected);
    sigv4_signed_free(&s);
    assert_null(s.authorization);
}

static void test_athena_post(void **state) {
    (void)state;
    expect_authorization(&keys, "content-type;host;x-amz-date;x-amz-target",
                         "78c79dd6b4e80e9b77e9b5132a9cd5f449ea39ec1a8598e9269f88e4668350dd");
}

static void test_session_token(void **state) {
    (void)state;
    expect_authorization(&keys_with_token,
                         "content-type;host;x-amz-date;x-amz-security-token;x-amz-target",
                         "3e30de34b1c87be67288d5753313f529195d98dc0a21ea48c05986922f3c40bc");
}

static void expect_presigned(const struct sigv4_keys *with, const char *expected) {
    const struct sigv4_header kafka = {"host", "kafka.us-east-1.amazonaws.com"};
    struct sigv4_request r = plain_request();
    r.query = "Action=kafka-cluster%3AConnect";
    r.headers = &kafka;
    r.service = "kafka-cluster";
    struct buffer out;
    buffer_init(&out, 4096);
    buffer_puts(&out, "/?");
    assert_true(sigv4_presign(&r, with, 900, &out));
    assert_string_equal(buffer_text(&out), expected);
    buffer_free(&out);
}

static void test_presigned(void **state) {
    (void)state;
    expect_presigned(&keys, "/?Action=kafka-cluster%3AConnect&X-Amz-Algorithm=AWS4-HMAC-SHA256"
                            "&X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Fus-east-1%2Fkafka-cluster"
                            "%2Faws4_request&X-Amz-Date=20260102T030405Z&X-Amz-Expires=900"
                            "&X-Amz-SignedHeaders=host&X-Amz-Signature="
                            "24ebada2ed545858377591fc84af1a1bff3c40c5e8ab0c1fc85eee156cfb42da");
}

static void test_presigned_with_token(void **state) {
    (void)state;
    expect_presigned(&keys_with_token,
                     "/?Action=kafka-cluster%3AConnect&X-Amz-Algorithm=AWS4-HMAC-SHA256"
                     "&X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Fus-east-1%2Fkafka-cluster"
                     "%2Faws4_request&X-Amz-Date=20260102T030405Z&X-Amz-Expires=900"
                     "&X-Amz-Security-Token=IQoJb3JpZ2luX2VjE%2F%2B%3D%3Dtok"
                     "&X-Amz-SignedHeaders=host&X-Amz-Signature="
                     "711fde991a4506dfaad5719a0911edc89b04f95be64fdb9a44b8432f288158e6");
}

/* --- What cannot be signed -------------------------------------------------------------------- */

static void expect_unsigned(const struct sigv4_request *r, const struct sigv4_keys *with) {
    struct sigv4_signed s;
    memset(&s, 0xa5, sizeof s);
    assert_false(sigv4_sign_headers(r, with, &s));
    assert_null(s.authorization);
    assert_string_equal(s.date, "");
    assert_string_equal(s.signature, "");
    sigv4_signed_free(&s);
}

static void expect_refused(const struct sigv4_request *r, const struct sigv4_keys *with) {
    expect_unsigned(r, with);
    struct buffer out;
    buffer_init(&out, 8 * SIGV4_CANONICAL_MAX);
    assert_false(sigv4_canonical_request(r, with, 0, &out));
    assert_false(sigv4_presign(r, with, 900, &out));
    buffer_free(&out);
}

static void test_refused_times(void **state) {
    (void)state;
    static const int64_t times[] = {253402300800 /* the year 10000 */,
                                    -30610224001 /* the last second of 999 */, INT64_MAX,
                                    INT64_MIN};
    for (size_t i = 0; i < COUNT(times); i++) {
        struct sigv4_request r = start_request();
        r.time = times[i];
        expect_refused(&r, &keys);
        struct buffer out;
        buffer_init(&out, 1024);
        assert_false(sigv4_string_to_sign(&r, "", &out));
        buffer_free(&out);
    }
}

static void test_refused_header_without_name(void **state) {
    (void)state;
    static const struct sigv4_header headers[] = {{"host", "h"}, {"", "v"}};
    struct sigv4_request r = start_request();
    r.headers = headers;
    r.header_count = COUNT(headers);
    expect_refused(&r, &keys);
}

/* Each of these alone makes the canonical request too long. */
static void test_refused_length(void **state) {
    (void)state;
    char *text = mem_alloc(SIGV4_CANONICAL_MAX + 1);
    memset(text, 'x', SIGV4_CANONICAL_MAX);
    text[SIGV4_CANONICAL_MAX] = '\0';
    const struct sigv4_header long_value = {"host", text}, long_name = {text, "v"};

    struct sigv4_request r = start_request();
    r.path = text;
    expect_refused(&r, &keys);
    r = start_request();
    r.query = text;
    expect_refused(&r, &keys);
    r = start_request();
    r.region = text;
    expect_refused(&r, &keys);
    r = start_request();
    r.headers = &long_value;
    r.header_count = 1;
    expect_refused(&r, &keys);
    r.headers = &long_name;
    expect_refused(&r, &keys);
    r = start_request();
    const struct sigv4_keys long_token = {"id", "secret", text};
    expect_refused(&r, &long_token);
    free(text);
}

/* Signed headers carry it only in the Authorization that is made at the end. */
static void test_refused_key_id(void **state) {
    (void)state;
    size_t n = 4 * SIGV4_CANONICAL_MAX;
    char *id = mem_alloc(n + 1);
    memset(id, 'x', n);
    id[n] = '\0';
    const struct sigv4_keys long_id = {id, "secret", NULL};
    struct sigv4_request r = start_request();
    expect_unsigned(&r, &long_id);
    struct buffer out;
    buffer_init(&out, 8 * SIGV4_CANONICAL_MAX);
    assert_false(sigv4_presign(&r, &long_id, 900, &out));
    buffer_free(&out);
    free(id);
}

static void test_refused_expiry(void **state) {
    (void)state;
    struct sigv4_request r = plain_request();
    struct buffer out;
    buffer_init(&out, 4096);
    assert_false(sigv4_presign(&r, &keys, 0, &out));
    assert_false(sigv4_presign(&r, &keys, -1, &out));
    assert_false(sigv4_canonical_request(&r, &keys, -1, &out));
    assert_int_equal(out.len, 0);
    buffer_free(&out);
}

static void test_full_buffer(void **state) {
    (void)state;
    struct sigv4_request r = plain_request();
    struct buffer out;
    buffer_init(&out, 100);
    assert_false(sigv4_presign(&r, &keys, 900, &out));
    buffer_clear(&out);
    assert_false(sigv4_canonical_request(&r, &keys, 0, &out));
    buffer_clear(&out);
    assert_false(sigv4_string_to_sign(&r, "", &out));
    buffer_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path),           cmocka_unit_test(test_query),
        cmocka_unit_test(test_headers),        cmocka_unit_test(test_body),
        cmocka_unit_test(test_athena_post),    cmocka_unit_test(test_session_token),
        cmocka_unit_test(test_presigned),      cmocka_unit_test(test_presigned_with_token),
        cmocka_unit_test(test_refused_times),  cmocka_unit_test(test_refused_header_without_name),
        cmocka_unit_test(test_refused_length), cmocka_unit_test(test_refused_key_id),
        cmocka_unit_test(test_refused_expiry), cmocka_unit_test(test_full_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
