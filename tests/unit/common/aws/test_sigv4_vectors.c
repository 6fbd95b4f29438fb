/*
 * AWS's own Signature Version 4 vectors (awslabs/aws-c-auth, tests/aws-signing-test-suite/v4).
 * They are looked for in $AWS_SIGV4_VECTORS, or else beside the repository; where they are absent
 * this says so and skips.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <dirent.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/aws/sigv4.h"
#include "common/base/memory.h"

#define VECTORS     38
#define HEADERS_MAX 16

/* One directory of the suite. Strings point into `text` and `context`, which are owned. */
struct vector {
    const char *directory;
    const char *name;
    char *text;
    cJSON *context;
    bool sign_body;
    int64_t expires_seconds;
    struct sigv4_keys keys;
    struct sigv4_header headers[HEADERS_MAX];
    struct sigv4_request request;
};

static const char *vectors_directory(void) {
    const char *given = getenv("AWS_SIGV4_VECTORS");
    return given != NULL ? given : "../shared/data/sigv4";
}

/* The caller frees. */
static char *read_text(const char *directory, const char *name, const char *file) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s/%s", directory, name, file);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        fail_msg("cannot open %s", path);
    struct buffer b;
    buffer_init(&b, 1 << 20);
    char piece[4096];
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;)
        buffer_add(&b, piece, n);
    assert_false(ferror(f));
    assert_false(b.failed);
    fclose(f);
    return buffer_take(&b);
}

/* Cuts `text` at the end of its line and returns what follows, or NULL after the last line. */
static char *cut_line(char *text) {
    char *end = strchr(text, '\n');
    if (end == NULL)
        return NULL;
    *end = '\0';
    return end + 1;
}

/* A target may hold spaces: it is all between the first and the last space of its line. */
static void parse_request_line(struct vector *v, char *line) {
    char *target = strchr(line, ' ');
    char *version = strrchr(line, ' ');
    assert_true(target != NULL && target < version);
    assert_string_equal(version, " HTTP/1.1");
    *target++ = '\0';
    *version = '\0';
    v->request.method = line;
    v->request.path = target;
    char *query = strchr(target, '?');
    if (query != NULL)
        *query++ = '\0';
    v->request.query = query;
}

/* A line that begins with a blank goes on with the value of the line before it. */
static char *parse_header(struct vector *v, char *line) {
    char *next = line;
    char *end;
    do {
        end = strchr(next, '\n');
        next = end != NULL ? end + 1 : NULL;
    } while (next != NULL && (*next == ' ' || *next == '\t'));
    if (end != NULL)
        *end = '\0';
    char *value = strchr(line, ':');
    assert_non_null(value);
    *value++ = '\0';
    assert_true(v->request.header_count < HEADERS_MAX);
    v->headers[v->request.header_count++] = (struct sigv4_header){line, value};
    return next;
}

static void parse_request(struct vector *v) {
    char *rest = cut_line(v->text);
    parse_request_line(v, v->text);
    while (rest != NULL && *rest != '\0' && *rest != '\n')
        rest = parse_header(v, rest);
    const char *body = rest != NULL && *rest == '\n' ? rest + 1 : "";
    v->request.headers = v->headers;
    v->request.body = body;
    v->request.body_len = strlen(body);
}

static const char *string_at(const cJSON *object, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static bool true_at(const cJSON *object, const char *key) {
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static void parse_context(struct vector *v) {
    const cJSON *keys = cJSON_GetObjectItemCaseSensitive(v->context, "credentials");
    v->keys.access_key_id = string_at(keys, "access_key_id");
    v->keys.secret_access_key = string_at(keys, "secret_access_key");
    v->keys.session_token = string_at(keys, "token");
    /* Such a token is put on the request after it was signed, so the signer does not see it. */
    if (true_at(v->context, "omit_session_token"))
        v->keys.session_token = NULL;
    v->request.region = string_at(v->context, "region");
    v->request.service = string_at(v->context, "service");
    v->request.keep_path = !true_at(v->context, "normalize");
    v->sign_body = true_at(v->context, "sign_body");
    const cJSON *expires = cJSON_GetObjectItemCaseSensitive(v->context, "expiration_in_seconds");
    assert_true(cJSON_IsNumber(expires));
    v->expires_seconds = (int64_t)expires->valuedouble;

    struct tm utc = {0};
    const char *timestamp = string_at(v->context, "timestamp");
    assert_non_null(timestamp);
    const char *end = strptime(timestamp, "%Y-%m-%dT%H:%M:%SZ", &utc);
    assert_true(end != NULL && *end == '\0');
    v->request.time = timegm(&utc);
}

static void load(struct vector *v, const char *directory, const char *name) {
    *v = (struct vector){.directory = directory, .name = name};
    v->text = read_text(directory, name, "request.txt");
    parse_request(v);
    char *context = read_text(directory, name, "context.json");
    v->context = cJSON_Parse(context);
    free(context);
    assert_non_null(v->context);
    parse_context(v);
    assert_true(v->sign_body || v->request.body_len == 0);
}

static void unload(struct vector *v) {
    free(v->text);
    cJSON_Delete(v->context);
}

static void expect_file(const struct vector *v, const char *file, const char *got) {
    char *expected = read_text(v->directory, v->name, file);
    if (strcmp(expected, got) != 0)
        fail_msg("%s: %s\n--- expected\n%s\n--- got\n%s\n---", v->name, file, expected, got);
    free(expected);
}

static void expect_steps(const struct vector *v, int64_t expires_seconds, const char *canonical_txt,
                         const char *string_to_sign_txt) {
    struct buffer canonical, text;
    buffer_init(&canonical, SIGV4_CANONICAL_MAX);
    buffer_init(&text, SIGV4_CANONICAL_MAX);
    assert_true(sigv4_canonical_request(&v->request, &v->keys, expires_seconds, &canonical));
    expect_file(v, canonical_txt, buffer_text(&canonical));
    assert_true(sigv4_string_to_sign(&v->request, buffer_text(&canonical), &text));
    expect_file(v, string_to_sign_txt, buffer_text(&text));
    buffer_free(&canonical);
    buffer_free(&text);
}

/* The suite signs a body by way of this header, which its signer adds. */
static void add_body_hash(struct vector *v, char hex[65]) {
    unsigned char hash[32];
    size_t n;
    assert_int_equal(
        EVP_Q_digest(NULL, "SHA256", NULL, v->request.body, v->request.body_len, hash, &n), 1);
    for (size_t i = 0; i < n; i++)
        snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    assert_true(v->request.header_count < HEADERS_MAX);
    v->headers[v->request.header_count++] = (struct sigv4_header){"x-amz-content-sha256", hex};
}

static void check_headers(const char *directory, const char *name) {
    struct vector v;
    char hex[65];
    load(&v, directory, name);
    if (v.sign_body)
        add_body_hash(&v, hex);
    expect_steps(&v, 0, "header-canonical-request.txt", "header-string-to-sign.txt");

    struct sigv4_signed s;
    assert_true(sigv4_sign_headers(&v.request, &v.keys, &s));
    expect_file(&v, "header-signature.txt", s.signature);
    char *whole = read_text(directory, name, "header-signed-request.txt");
    struct buffer lines;
    buffer_init(&lines, SIGV4_CANONICAL_MAX);
    buffer_printf(&lines, "\nAuthorization:%s\n", s.authorization);
    if (strstr(whole, buffer_text(&lines)) == NULL)
        fail_msg("%s: not in header-signed-request.txt: %s", name, buffer_text(&lines));
    buffer_clear(&lines);
    buffer_printf(&lines, "\nX-Amz-Date:%s\n", s.date);
    if (strstr(whole, buffer_text(&lines)) == NULL)
        fail_msg("%s: not in header-signed-request.txt: %s", name, buffer_text(&lines));
    buffer_free(&lines);
    free(whole);
    sigv4_signed_free(&s);
    unload(&v);
}

static void check_query(const char *directory, const char *name) {
    static const char mark[] = "&X-Amz-Signature=";
    struct vector v;
    load(&v, directory, name);
    expect_steps(&v, v.expires_seconds, "query-canonical-request.txt", "query-string-to-sign.txt");

    struct buffer query;
    buffer_init(&query, SIGV4_CANONICAL_MAX);
    assert_true(sigv4_presign(&v.request, &v.keys, v.expires_seconds, &query));
    char *signature = strstr(query.data, mark);
    assert_non_null(signature);
    expect_file(&v, "query-signature.txt", signature + strlen(mark));

    /* What stands before the signature is the third line of the canonical request. */
    *signature = '\0';
    char *canonical = read_text(directory, name, "query-canonical-request.txt");
    char *path = cut_line(canonical);
    char *canonical_query = cut_line(path);
    cut_line(canonical_query);
    assert_string_equal(query.data, canonical_query);
    free(canonical);
    buffer_free(&query);
    unload(&v);
}

static int is_vector(const struct dirent *d) {
    return d->d_name[0] != '.';
}

/* Fails unless there were VECTORS of them: a run of none must not pass. */
static void for_each_vector(void (*check)(const char *directory, const char *name)) {
    const char *directory = vectors_directory();
    struct stat st;
    if (stat(directory, &st) != 0) {
        print_message("skipped: no AWS vectors in %s\n", directory);
        skip();
    }
    struct dirent **found;
    int n = scandir(directory, &found, is_vector, alphasort);
    assert_int_equal(n, VECTORS);
    for (int i = 0; i < n; i++) {
        check(directory, found[i]->d_name);
        free(found[i]);
    }
    free(found);
}

static void test_signed_headers(void **state) {
    (void)state;
    for_each_vector(check_headers);
}

static void test_presigned_queries(void **state) {
    (void)state;
    for_each_vector(check_query);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signed_headers),
        cmocka_unit_test(test_presigned_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
