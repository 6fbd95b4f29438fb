/*
 * The stand-in's own reading of SigV4: AWS's vectors as signed requests, and each way in which a
 * request may not be signed.
 */
#include "standins/athena_sim/verify.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "common/base/memory.h"

/* --- AWS's vectors ---------------------------------------------------------------------------- */

static const char *vectors(void) {
    const char *given = getenv("AWS_SIGV4_VECTORS");
    return given != NULL ? given : "../shared/data/sigv4";
}

/* The caller frees; NULL where there is no such file. */
static char *read_file(const char *name, const char *file) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s/%s", vectors(), name, file);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return NULL;
    char *text = mem_zero(65536);
    size_t n = fread(text, 1, 65535, f);
    fclose(f);
    assert_in_range(n, 1, 65534);
    return text;
}

struct parsed {
    struct sim_request r;
    struct sim_header headers[32];
};

/* Cuts up an HTTP request in place; a folded line is joined to the one before. */
static void parse(char *text, struct parsed *p) {
    char *end = strstr(text, "\n\n");
    p->r.body = end != NULL ? end + 2 : "";
    p->r.body_len = strlen(p->r.body);
    if (end != NULL)
        *end = '\0';
    for (char *fold; (fold = strstr(text, "\n ")) != NULL;)
        *fold = ' ';
    char *line = strtok(text, "\n");
    p->r.method = line;
    char *target = strchr(line, ' ');
    *target++ = '\0';
    strstr(target, " HTTP/1.1")[0] = '\0';
    p->r.target = target;
    p->r.headers = p->headers;
    p->r.header_count = 0;
    while ((line = strtok(NULL, "\n")) != NULL) {
        char *colon = strchr(line, ':');
        *colon = '\0';
        p->headers[p->r.header_count++] = (struct sim_header){line, colon + 1};
    }
}

static int64_t utc(int year, int month, int day, int hour, int minute, int second) {
    struct tm t = {.tm_year = year - 1900,
                   .tm_mon = month - 1,
                   .tm_mday = day,
                   .tm_hour = hour,
                   .tm_min = minute,
                   .tm_sec = second};
    return timegm(&t);
}

/* The session token of a context.json, which escapes nothing in it. The caller frees. */
static char *context_token(const char *context) {
    const char *at = strstr(context, "\"token\": \"");
    if (at == NULL)
        return NULL;
    at += strlen("\"token\": \"");
    return mem_bytes(at, strcspn(at, "\""));
}

static void check_vector(const char *name) {
    char *context = read_file(name, "context.json");
    char *text = read_file(name, "header-signed-request.txt");
    char detail[4096];
    struct parsed p;
    assert_non_null(context);
    assert_non_null(text);
    parse(text, &p);
    char *token = context_token(context);
    struct sim_credential known = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token,
                                   0};
    enum sim_verdict verdict =
        sim_verify(&p.r, &known, 1, "service", utc(2015, 8, 30, 12, 36, 0), detail, sizeof detail);
    /* A token that is sent and not signed is one that anybody may have put there. */
    bool unsigned_token = strstr(context, "\"omit_session_token\": true") != NULL;
    if (verdict != (unsigned_token ? SIM_BAD_SIGNATURE : SIM_SIGNED))
        fail_msg("%s: verdict %d, %s", name, verdict, detail);
    free(token);
    free(text);
    free(context);
}

static void test_vectors(void **state) {
    (void)state;
    DIR *dir = opendir(vectors());
    int checked = 0;
    if (dir == NULL) {
        print_message("%s is not there: AWS's vectors are not checked\n", vectors());
        skip();
    }
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        /* Paths that are not made normal are S3's alone. */
        if (entry->d_name[0] == '.' || strstr(entry->d_name, "-unnormalized") != NULL)
            continue;
        check_vector(entry->d_name);
        checked++;
    }
    closedir(dir);
    assert_true(checked >= 25);
}

/* --- what is refused -------------------------------------------------------------------------- */

enum {
    NOW = 1440938160 /* 2015-08-30T12:36:00Z */
};

#define KEY   "AKIDEXAMPLE"
#define SCOPE "/20150830/us-east-1/service/aws4_request"
/* Of AWS's vector get-vanilla. */
#define GOOD "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
#define AUTHORIZATION(key, scope, headers, signature)                                              \
    "AWS4-HMAC-SHA256 Credential=" key scope ", SignedHeaders=" headers ", Signature=" signature

static const char good[] = AUTHORIZATION(KEY, SCOPE, "host;x-amz-date", GOOD);

struct refusal {
    const char *what;
    const char *authorization; /* NULL: none is sent */
    const char *date;          /* NULL: none is sent */
    const char *extra, *extra_value;
    const char *body;
    int64_t now;
    enum sim_verdict verdict;
};

#define DATE "20150830T123600Z"

static const struct refusal refusals[] = {
    {"as it must be", good, DATE, NULL, NULL, "", NOW, SIM_SIGNED},
    {"parts without blanks",
     "AWS4-HMAC-SHA256 Credential=" KEY SCOPE ",SignedHeaders=host;x-amz-date,Signature=" GOOD,
     DATE, NULL, NULL, "", NOW, SIM_SIGNED},
    {"almost too old", good, DATE, NULL, NULL, "", NOW + 300, SIM_SIGNED},
    {"almost too new", good, DATE, NULL, NULL, "", NOW - 300, SIM_SIGNED},
    {"a foreign header that is not signed", good, DATE, "X-Other", "1", "", NOW, SIM_SIGNED},
    {"no signature", NULL, DATE, NULL, NULL, "", NOW, SIM_UNSIGNED},
    {"too old", good, DATE, NULL, NULL, "", NOW + 301, SIM_BAD_SIGNATURE},
    {"too new", good, DATE, NULL, NULL, "", NOW - 301, SIM_BAD_SIGNATURE},
    {"another body", good, DATE, NULL, NULL, "x", NOW, SIM_BAD_SIGNATURE},
    {"another date", good, "20150830T123601Z", NULL, NULL, "", NOW, SIM_BAD_SIGNATURE},
    {"no date", good, NULL, NULL, NULL, "", NOW, SIM_INCOMPLETE},
    {"a date of another form", good, "2015-08-30T12:36:00Z", NULL, NULL, "", NOW, SIM_INCOMPLETE},
    {"a date that is none", good, "20151330T123600Z", NULL, NULL, "", NOW, SIM_INCOMPLETE},
    {"a second date", good, DATE, "x-amz-date", DATE, "", NOW, SIM_INCOMPLETE},
    {"a second Authorization", good, DATE, "authorization", good, "", NOW, SIM_INCOMPLETE},
    {"a session token that no one gave", good, DATE, "X-Amz-Security-Token", "t", "", NOW,
     SIM_UNKNOWN_KEY},
    {"a hash of another body", good, DATE, "X-Amz-Content-Sha256",
     "0000000000000000000000000000000000000000000000000000000000000000", "", NOW,
     SIM_BAD_SIGNATURE},
    {"one digit of the signature",
     AUTHORIZATION(KEY, SCOPE, "host;x-amz-date",
                   "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf32"),
     DATE, NULL, NULL, "", NOW, SIM_BAD_SIGNATURE},
    {"half a signature", AUTHORIZATION(KEY, SCOPE, "host;x-amz-date", "5fa00fa31553b73e"), DATE,
     NULL, NULL, "", NOW, SIM_BAD_SIGNATURE},
    {"another key", AUTHORIZATION("AKIDOTHER", SCOPE, "host;x-amz-date", GOOD), DATE, NULL, NULL,
     "", NOW, SIM_UNKNOWN_KEY},
    {"another region",
     AUTHORIZATION(KEY, "/20150830/us-east-2/service/aws4_request", "host;x-amz-date", GOOD), DATE,
     NULL, NULL, "", NOW, SIM_BAD_SIGNATURE},
    {"another service",
     AUTHORIZATION(KEY, "/20150830/us-east-1/athena/aws4_request", "host;x-amz-date", GOOD), DATE,
     NULL, NULL, "", NOW, SIM_BAD_SIGNATURE},
    {"another day in the scope",
     AUTHORIZATION(KEY, "/20150831/us-east-1/service/aws4_request", "host;x-amz-date", GOOD), DATE,
     NULL, NULL, "", NOW, SIM_BAD_SIGNATURE},
    {"another end of the scope",
     AUTHORIZATION(KEY, "/20150830/us-east-1/service/aws3_request", "host;x-amz-date", GOOD), DATE,
     NULL, NULL, "", NOW, SIM_INCOMPLETE},
    {"no region", AUTHORIZATION(KEY, "/20150830//service/aws4_request", "host;x-amz-date", GOOD),
     DATE, NULL, NULL, "", NOW, SIM_INCOMPLETE},
    {"host not signed", AUTHORIZATION(KEY, SCOPE, "x-amz-date", GOOD), DATE, NULL, NULL, "", NOW,
     SIM_BAD_SIGNATURE},
    {"date not signed", AUTHORIZATION(KEY, SCOPE, "host", GOOD), DATE, NULL, NULL, "", NOW,
     SIM_BAD_SIGNATURE},
    {"a signed header that is not there", AUTHORIZATION(KEY, SCOPE, "host;x-amz-date;x-no", GOOD),
     DATE, NULL, NULL, "", NOW, SIM_BAD_SIGNATURE},
    {"signed headers not in order", AUTHORIZATION(KEY, SCOPE, "x-amz-date;host", GOOD), DATE, NULL,
     NULL, "", NOW, SIM_INCOMPLETE},
    {"a signed header twice", AUTHORIZATION(KEY, SCOPE, "host;host;x-amz-date", GOOD), DATE, NULL,
     NULL, "", NOW, SIM_INCOMPLETE},
    {"signed headers in upper case", AUTHORIZATION(KEY, SCOPE, "Host;x-amz-date", GOOD), DATE, NULL,
     NULL, "", NOW, SIM_INCOMPLETE},
    {"no signed headers", AUTHORIZATION(KEY, SCOPE, "", GOOD), DATE, NULL, NULL, "", NOW,
     SIM_INCOMPLETE},
    {"a part twice", AUTHORIZATION(KEY, SCOPE, "host;x-amz-date", GOOD) ", Signature=" GOOD, DATE,
     NULL, NULL, "", NOW, SIM_INCOMPLETE},
    {"no Signature", "AWS4-HMAC-SHA256 Credential=" KEY SCOPE ", SignedHeaders=host;x-amz-date",
     DATE, NULL, NULL, "", NOW, SIM_INCOMPLETE},
    {"another algorithm", "AWS4-HMAC-SHA1 Credential=" KEY SCOPE, DATE, NULL, NULL, "", NOW,
     SIM_INCOMPLETE},
    {"an empty Authorization", "", DATE, NULL, NULL, "", NOW, SIM_INCOMPLETE},
    {"no more than the algorithm", "AWS4-HMAC-SHA256 ", DATE, NULL, NULL, "", NOW, SIM_INCOMPLETE},
};

static void test_refusals(void **state) {
    (void)state;
    static const struct sim_credential known = {KEY, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                                                NULL, 0};
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const struct refusal *c = &refusals[i];
        struct sim_header headers[8] = {{"Host", "example.amazonaws.com"}};
        size_t count = 1;
        char detail[4096];
        if (c->date != NULL)
            headers[count++] = (struct sim_header){"X-Amz-Date", c->date};
        if (c->authorization != NULL)
            headers[count++] = (struct sim_header){"Authorization", c->authorization};
        if (c->extra != NULL)
            headers[count++] = (struct sim_header){c->extra, c->extra_value};
        struct sim_request r = {"GET", "/", headers, count, c->body, strlen(c->body)};
        enum sim_verdict verdict =
            sim_verify(&r, &known, 1, "service", c->now, detail, sizeof detail);
        if (verdict != c->verdict || (verdict != SIM_SIGNED) != (*detail != '\0'))
            fail_msg("%s: verdict %d, not %d: %s", c->what, verdict, c->verdict, detail);
        assert_null(strstr(detail, known.secret_access_key));
    }
}

static void test_credentials(void **state) {
    (void)state;
    struct sim_credential known[] = {
        {"AKIDOTHER", "x", NULL, 0},
        {KEY, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", NULL, NOW + 1},
    };
    struct sim_header headers[] = {
        {"host", "example.amazonaws.com"}, {"x-amz-date", DATE}, {"authorization", good}};
    struct sim_request r = {"GET", "/", headers, 3, "", 0};
    char detail[4096];
    assert_int_equal(sim_verify(&r, known, 2, "service", NOW, detail, sizeof detail), SIM_SIGNED);
    assert_int_equal(sim_verify(&r, known, 2, "service", NOW + 1, detail, sizeof detail),
                     SIM_EXPIRED_TOKEN);
    known[1].session_token = "a token that does not come";
    assert_int_equal(sim_verify(&r, known, 2, "service", NOW, detail, sizeof detail),
                     SIM_UNKNOWN_KEY);
    known[1].session_token = NULL;
    known[1].secret_access_key = "another";
    assert_int_equal(sim_verify(&r, known, 2, "service", NOW, detail, sizeof detail),
                     SIM_BAD_SIGNATURE);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors),
                                       cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_credentials)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
