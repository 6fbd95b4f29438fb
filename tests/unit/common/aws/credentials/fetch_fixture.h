/*
 * Runs a fetch on a loop of its own against a scripted server, with files in a directory of the
 * test.
 */
#ifndef TESTS_UNIT_COMMON_AWS_CREDENTIALS_FETCH_FIXTURE_H
#define TESTS_UNIT_COMMON_AWS_CREDENTIALS_FETCH_FIXTURE_H

#include <sys/stat.h>

#include "common/aws/credentials/background.h"
#include "common/aws/options.h"
#include "common/aws/region.h"
#include "tests/unit/common/base/http/stub_http.h"

struct fetch_fixture {
    struct loop *loop;
    struct http_client *http;
    struct aws_options options;
    struct aws_clock clock;
    struct aws_region *region;
    struct fetch_context ctx;
    struct stub stub;
    struct fetch_result result;
    int times; /* `fn` was called */
    char directory[64];
    char paths[8][128];
    int path_count;
};

/* A file in the test's directory; the path lives as long as the fixture. */
static inline const char *fixture_write(struct fetch_fixture *f, const char *name,
                                        const char *text) {
    assert_true(f->path_count < 8);
    char *path = f->paths[f->path_count++];
    snprintf(path, sizeof f->paths[0], "%s/%s", f->directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return path;
}

static inline void fixture_open(struct fetch_fixture *f, const struct stub_reply *script,
                                size_t count) {
    static const struct stub_reply none = {.status = 500};
    const struct http_client_settings settings = {2, NULL};
    memset(f, 0, sizeof *f);
    stub_no_proxies();
    snprintf(f->directory, sizeof f->directory, "%s/fetch-XXXXXX",
             getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(f->directory));
    setenv("HOME", f->directory, 1);
    f->loop = loop_open();
    f->http = http_client_open(f->loop, &settings);
    assert_non_null(f->http);
    stub_open(&f->stub, f->loop, count > 0 ? script : &none, count > 0 ? count : 1);
    f->options.region = "eu-central-1";
    f->options.endpoint_sts = f->stub.url;
    f->options.credentials.imds_endpoint = f->stub.url;
}

/* Call it once the options are set: it reads the shared files. */
static inline void fixture_ready(struct fetch_fixture *f) {
    f->region = aws_region_open(f->loop, f->http, &f->options);
    f->ctx = (struct fetch_context){f->loop, f->http, &f->options, &f->clock, f->region};
}

static inline void fixture_close(struct fetch_fixture *f) {
    credentials_wipe(&f->result.credentials);
    aws_region_close(f->region);
    http_client_close(f->http);
    stub_close(&f->stub);
    loop_close(f->loop);
    for (int i = 0; i < f->path_count; i++)
        unlink(f->paths[i]);
    assert_int_equal(rmdir(f->directory), 0);
}

static inline void fixture_done(void *arg, struct fetch_result *result) {
    struct fetch_fixture *f = arg;
    f->times++;
    f->result = *result;
    result->credentials = (struct credentials){0};
}

static inline bool fixture_is_over(void *arg) {
    return ((struct fetch_fixture *)arg)->times > 0;
}

/* Runs a fetch to its end; its result is in f->result. True where it took time. */
static inline bool fixture_run(struct fetch_fixture *f, fetch_start_fn *start) {
    if (f->region == NULL)
        fixture_ready(f);
    credentials_wipe(&f->result.credentials);
    f->times = 0;
    struct fetch *running = start(&f->ctx, &f->result, fixture_done, f);
    if (running == NULL)
        return false;
    assert_int_equal(f->times, 0);
    assert_true(stub_run_until(f->loop, fixture_is_over, f));
    assert_int_equal(f->times, 1);
    return true;
}

static inline void fixture_assert_found(const struct fetch_fixture *f, const char *id,
                                        const char *token, const char *from) {
    if (f->result.found != CREDENTIALS_FOUND)
        fail_msg("not found: %d %s", f->result.found, f->result.detail);
    assert_string_equal(f->result.credentials.access_key_id, id);
    if (token == NULL)
        assert_null(f->result.credentials.session_token);
    else
        assert_string_equal(f->result.credentials.session_token, token);
    if (strstr(f->result.from, from) == NULL)
        fail_msg("from \"%s\", not \"%s\"", f->result.from, from);
}

static inline void fixture_assert_not(const struct fetch_fixture *f, enum credentials_found found,
                                      const char *says) {
    assert_null(f->result.credentials.access_key_id);
    if (f->result.found != found || strstr(f->result.detail, says) == NULL)
        fail_msg("%d \"%s\", expected %d \"%s\"", f->result.found, f->result.detail, found, says);
    assert_null(strstr(f->result.detail, "s3cret"));
}

/* The first line of a request. */
static inline void fixture_assert_line(const struct fetch_fixture *f, size_t i, const char *line) {
    assert_true(i < f->stub.request_count);
    const char *head = f->stub.requests[i].head;
    if (strncmp(head, line, strlen(line)) != 0)
        fail_msg("request %zu is \"%.60s\", not \"%s\"", i, head, line);
}

static inline void fixture_assert_header(const struct fetch_fixture *f, size_t i, const char *name,
                                         const char *value) {
    assert_true(i < f->stub.request_count);
    char *found = stub_header(&f->stub.requests[i], name);
    if (value == NULL)
        assert_null(found);
    else if (found == NULL || strcmp(found, value) != 0)
        fail_msg("%s is \"%s\", not \"%s\"", name, found != NULL ? found : "(none)", value);
    free(found);
}

#endif
