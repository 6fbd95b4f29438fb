/* credential_process: how its command is split, and what becomes of the process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>

#include "common/aws/credentials/process.h"
#include "tests/unit/common/aws/credentials/fetch_fixture.h"

#define KEYS                                                                                       \
    "{\"Version\":1,\"AccessKeyId\":\"AKIDP\",\"SecretAccessKey\":\"s3cret\","                     \
    "\"SessionToken\":\"t\",\"Expiration\":\"2099-01-02T03:04:05Z\"}"

static void test_words(void **state) {
    (void)state;
    static const struct {
        const char *command;
        const char *words[5]; /* none: refused */
    } cases[] = {
        {"a", {"a"}},
        {"  a\tb  c ", {"a", "b", "c"}},
        {"a 'b c' d", {"a", "b c", "d"}},
        {"a \"b c\" d", {"a", "b c", "d"}},
        {"a b' 'c\" \"d", {"a", "b c d"}},
        {"a '' \"\"", {"a", "", ""}},
        {"a '\\' \"\\\"\\\\\\n\"", {"a", "\\", "\"\\\\n"}},
        {"a\\ b \\'c \\\\", {"a b", "'c", "\\"}},
        {"a $HOME `b` ; c", {"a", "$HOME", "`b`", ";", "c"}},
        {"a *", {"a", "*"}},
        {"a 'b", {NULL}},
        {"a \"b", {NULL}},
        {"a \"b\\\"", {NULL}},
        {"a b\\", {NULL}},
        {"", {NULL}},
        {"  ", {NULL}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char detail[128] = "";
        char **words = credential_process_split(cases[i].command, detail, sizeof detail);
        if (cases[i].words[0] == NULL) {
            assert_null(words);
            assert_true(detail[0] != '\0');
            continue;
        }
        assert_non_null(words);
        size_t n = 0;
        for (; n < 5 && cases[i].words[n] != NULL; n++) {
            assert_non_null(words[n]);
            assert_string_equal(words[n], cases[i].words[n]);
        }
        assert_null(words[n]);
        credential_process_free_words(words);
    }
}

static const char *command;
static int64_t timeout_ms;

static struct fetch *start(const struct fetch_context *ctx, struct fetch_result *now,
                           fetch_done_fn *fn, void *arg) {
    return credential_process_start(ctx, command, "p", timeout_ms, now, fn, arg);
}

/* A script of the test, as the command. */
static const char *script(struct fetch_fixture *f, const char *text) {
    const char *path = fixture_write(f, "script", text);
    assert_int_equal(chmod(path, 0700), 0);
    return path;
}

static void test_outputs(void **state) {
    (void)state;
    static const struct {
        const char *script, *says; /* `says` NULL: found */
    } cases[] = {
        {"#!/bin/sh\necho '" KEYS "'\n", NULL},
        {"#!/bin/sh\nsleep 0.2; echo '" KEYS "' | while read -r l; do echo \"$l\"; done\n", NULL},
        {"#!/bin/sh\necho '" KEYS "'\nexec 1>&-\nsleep 0.2\n", NULL},
        {"#!/bin/sh\necho s3cret >&2\necho '" KEYS "'\n", NULL},
        {"#!/bin/sh\nread line && exit 9\necho '" KEYS "'\n", NULL}, /* stdin is empty */
        {"#!/bin/sh\necho s3cret >&2; exit 3\n", "ended with 3"},
        {"#!/bin/sh\necho '" KEYS "'\nexit 1\n", "ended with 1"},
        {"#!/bin/sh\necho s3cret\n", "not JSON"},
        {"#!/bin/sh\necho '{}'\n", "Version"},
        {"#!/bin/sh\nkill -9 $$\n", "signal 9"},
        {"#!/bin/sh\nexec yes s3cret\n", "too much"},
        {"#!/bin/sh\nyes s3cret | head -c 200000 >&2\necho '" KEYS "'\n", NULL},
        {"#!/bin/sh\nexec sleep 100\n", "longer than 1500 ms"},
        {"#!/bin/sh\nexec 1>&-; exec sleep 100\n", "longer than 1500 ms"},
        {"#!/no/such/interpreter\n", "cannot be run"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fetch_fixture f;
        fixture_open(&f, NULL, 0);
        command = script(&f, cases[i].script);
        timeout_ms = 1500;
        fixture_run(&f, start);
        if (cases[i].says == NULL)
            fixture_assert_found(&f, "AKIDP", "t", "credential_process of profile p");
        else
            fixture_assert_not(&f, CREDENTIALS_BROKEN, cases[i].says);
        fixture_close(&f);
    }
}

static void test_no_shell_and_no_such_program(void **state) {
    (void)state;
    struct fetch_fixture f;
    fixture_open(&f, NULL, 0);
    timeout_ms = 5000;
    command = "/no/such/program";
    assert_false(fixture_run(&f, start));
    fixture_assert_not(&f, CREDENTIALS_BROKEN, "cannot be run");
    command = "echo '";
    assert_false(fixture_run(&f, start));
    fixture_assert_not(&f, CREDENTIALS_BROKEN, "profile p: credential_process has a quote");
    char line[256];
    const char *path = script(&f, "#!/bin/sh\n[ \"$1\" = '$(id) ; x' ] && echo '" KEYS "'\n");
    snprintf(line, sizeof line, "%s \"$(id) ; x\"", path);
    command = line;
    assert_true(fixture_run(&f, start));
    fixture_assert_found(&f, "AKIDP", "t", "profile p");
    fixture_close(&f);
}

/* Killed with what it has started: nobody of its group is left. */
static void test_time_out_and_cancel_kill_the_group(void **state) {
    (void)state;
    for (int cancel = 0; cancel < 2; cancel++) {
        struct fetch_fixture f;
        char text[256], written[64] = "";
        fixture_open(&f, NULL, 0);
        const char *pid_path = fixture_write(&f, "pid", "");
        snprintf(text, sizeof text, "#!/bin/sh\nsleep 100 &\necho $$ > %s\nwait\n", pid_path);
        command = script(&f, text);
        timeout_ms = cancel ? 60000 : 300;
        fixture_ready(&f);
        struct fetch *running = start(&f.ctx, &f.result, fixture_done, &f);
        assert_non_null(running);
        struct loop_timer turn = {0};
        while (f.times == 0 && (!cancel || atoi(written) == 0)) {
            loop_timer_set(f.loop, &turn, 20, stub_too_late, &(bool){false});
            assert_true(loop_run_once(f.loop));
            FILE *file = fopen(pid_path, "r");
            if (fgets(written, sizeof written, file) == NULL)
                written[0] = '\0';
            fclose(file);
        }
        loop_timer_cancel(f.loop, &turn);
        if (cancel)
            fetch_cancel(running);
        else
            fixture_assert_not(&f, CREDENTIALS_BROKEN, "longer than 300 ms");
        assert_true(atoi(written) > 1);
        /* Whoever was of the group is dead, or a zombie that init is about to reap. */
        for (int i = 0; i < 100 && kill(-atoi(written), 0) == 0; i++)
            usleep(20000);
        assert_int_equal(kill(-atoi(written), 0), -1);
        fixture_close(&f);
    }
}

/* Descriptors of this process are none of its business. */
static void test_inherits_nothing(void **state) {
    (void)state;
    struct fetch_fixture f;
    int fd = open("/dev/null", O_RDONLY); /* not close-on-exec, like a library's socket */
    char text[256];
    fixture_open(&f, NULL, 0);
    snprintf(text, sizeof text, "#!/bin/sh\n[ -e /proc/self/fd/%d ] || echo '" KEYS "'\n", fd);
    command = script(&f, text);
    timeout_ms = 5000;
    assert_true(fixture_run(&f, start));
    fixture_assert_found(&f, "AKIDP", "t", "profile p");
    close(fd);
    fixture_close(&f);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_outputs),
        cmocka_unit_test(test_no_shell_and_no_such_program),
        cmocka_unit_test(test_time_out_and_cancel_kill_the_group),
        cmocka_unit_test(test_inherits_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
