/* The names of topics and groups: stages, what is a name, and no two alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/names.h"

/* In the order of `enum topic`. */
static const char *const variables[] = {"QUERY_TOPIC", "DEADLETTER_TOPIC", "REJECTED_TOPIC",
                                        "STATUS_TOPIC", "QUOTA_TOPIC"};
static const char *const plain[] = {"athena-query", "athena-query-deadletter",
                                    "athena-query-rejected", "athena-query-status",
                                    "athena-query-quota"};
_Static_assert(sizeof variables / sizeof *variables == TOPICS, "a topic is not tested");
_Static_assert(sizeof plain / sizeof *plain == TOPICS, "a topic is not tested");

struct names_case {
    struct names names;
    struct buffer faults;
};

static void read_rows(const struct option_table *table, struct names *names) {
    for (size_t i = 0; i < table->count; i++) {
        const struct option *o = &table->rows[i];
        const char *value = getenv(o->name);
        assert_int_equal(o->type, OPTION_STRING);
        *(const char **)(void *)((char *)names + o->at) = value != NULL ? value : o->fallback;
    }
}

/* `environment`: words NAME=value, separated by spaces. */
static void begin(struct names_case *c, const char *environment, bool quota) {
    char words[1024], *save = NULL;
    unsetenv("STAGE");
    for (size_t t = 0; t < TOPICS; t++)
        unsetenv(variables[t]);
    snprintf(words, sizeof words, "%s", environment);
    for (char *w = strtok_r(words, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
        char *equals = strchr(w, '=');
        assert_non_null(equals);
        *equals = '\0';
        setenv(w, equals + 1, 1);
    }
    memset(c, 0, sizeof *c);
    buffer_init(&c->faults, 65536);
    read_rows(&options_names, &c->names);
    if (quota)
        read_rows(&options_quota_topic, &c->names);
    options_names.finish(&c->names, &c->faults);
}

static void end(struct names_case *c) {
    options_names.release(&c->names);
    options_names.release(&c->names); /* twice does no harm */
    buffer_free(&c->faults);
}

/* Every topic and every group, with a stage and without one. */
static void test_stage(void **state) {
    (void)state;
    static const char *const groups[GROUPS] = {"athena-query-executor", "athena-query-redriver"};
    static const char *const stages[] = {"", "dev"};
    for (size_t s = 0; s < 2; s++) {
        struct names_case c;
        char environment[64], expected[128];
        snprintf(environment, sizeof environment, "STAGE=%s", stages[s]);
        const char *suffix = s == 0 ? "" : "-dev";
        begin(&c, environment, true);
        assert_string_equal(buffer_text(&c.faults), "");
        assert_string_equal(c.names.stage, stages[s]);
        for (size_t t = 0; t < TOPICS; t++) {
            snprintf(expected, sizeof expected, "%s%s", plain[t], suffix);
            assert_string_equal(c.names.topics[t], expected);
        }
        for (size_t g = 0; g < GROUPS; g++) {
            snprintf(expected, sizeof expected, "%s%s", groups[g], suffix);
            assert_string_equal(c.names.groups[g], expected);
        }
        end(&c);
    }
}

/* A program without the row of a topic has no such topic, and nothing is said of it. */
static void test_a_topic_that_is_not_used(void **state) {
    (void)state;
    struct names_case c;
    begin(&c, "STAGE=dev QUERY_TOPIC=athena-query-quota", false);
    assert_string_equal(buffer_text(&c.faults), "");
    assert_null(c.names.topics[TOPIC_QUOTA]);
    assert_string_equal(c.names.topics[TOPIC_QUERY], "athena-query-quota-dev");
    end(&c);
}

static void test_topic_names(void **state) {
    (void)state;
    static const struct {
        const char *environment;
        const char *fault; /* its beginning; NULL: none */
    } cases[] = {
        {"QUERY_TOPIC=a.b_c-D9", NULL},
        {"QUERY_TOPIC=.", "QUERY_TOPIC: \".\" is no name"},
        {"QUERY_TOPIC=..", "QUERY_TOPIC: \"..\" is no name"},
        {"QUERY_TOPIC=a/b", "QUERY_TOPIC: \"a/b\" is no name"},
        {"DEADLETTER_TOPIC=\xc3\xa4", "DEADLETTER_TOPIC: \"\xc3\xa4\" is no name"},
        {"REJECTED_TOPIC=athena-query", "REJECTED_TOPIC: is the same topic as QUERY_TOPIC"},
        {"QUOTA_TOPIC=athena-query-status", "QUOTA_TOPIC: is the same topic as STATUS_TOPIC"},
        {"STAGE=a/b", "STAGE: must be of A-Z a-z 0-9 . _ -, not \"a/b\""},
        {"STAGE=..", "STAGE: must be of A-Z a-z 0-9 . _ -, not \"..\""},
        {"STAGE=x.y", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct names_case c;
        begin(&c, cases[i].environment, true);
        const char *text = buffer_text(&c.faults), *fault = cases[i].fault;
        if ((fault == NULL) != (*text == '\0') ||
            (fault != NULL && strncmp(text, fault, strlen(fault)) != 0))
            fail_msg("%s: \"%s\"", cases[i].environment, text);
        end(&c);
    }
}

/* Kafka's limit of 249 characters counts the stage, too. */
static void test_longest_topic_name(void **state) {
    (void)state;
    for (int n = 245; n <= 246; n++) {
        char environment[600];
        struct names_case c;
        snprintf(environment, sizeof environment, "STAGE=dev QUERY_TOPIC=%0*d", n, 0);
        begin(&c, environment, true);
        assert_int_equal(c.faults.len == 0, n == 245);
        end(&c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stage),
        cmocka_unit_test(test_a_topic_that_is_not_used),
        cmocka_unit_test(test_topic_names),
        cmocka_unit_test(test_longest_topic_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
