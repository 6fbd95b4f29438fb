#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum {
    OUTPUT_MAX = 65536
};

/* What log_write() puts to stderr. */
static char *capture(enum log_level level, const char *message) {
    static char out[OUTPUT_MAX];
    FILE *file = tmpfile();
    assert_non_null(file);
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0);
    assert_int_equal(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
    errno = 12345;
    log_write(level, "%s", message);
    int kept = errno;
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    close(saved);
    rewind(file);
    out[fread(out, 1, sizeof out - 1, file)] = '\0';
    fclose(file);
    assert_int_equal(kept, 12345);
    return out;
}

/* `2026-01-02T03:04:05.678Z`, with any digits. */
static bool is_moment(const char *s, size_t n) {
    static const char pattern[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    if (n != sizeof pattern - 1)
        return false;
    for (size_t i = 0; i < n; i++)
        if (pattern[i] == 'd' ? s[i] < '0' || s[i] > '9' : s[i] != pattern[i])
            return false;
    return true;
}

static const struct {
    const char *message, *text;
} messages[] = {
    {"up listen=127.0.0.1:80", "up listen=127.0.0.1:80"},
    {"", ""},
    {"two\nlines\r\n", "two\\x0alines\\x0d\\x0a"},
    {"\x1b[31mred\x7f", "\\x1b[31mred\\x7f"},
    {"gr\xc3\xbc\xc3\x9f \"quoted\" \\", "gr\xc3\xbc\xc3\x9f \"quoted\" \\"},
};

static void test_text(void **state) {
    (void)state;
    log_init("program", LOG_DEBUG, LOG_TEXT);
    static const char *const levels[] = {"ERROR", "WARN", "INFO", "DEBUG"};
    for (size_t i = 0; i < COUNT(messages); i++)
        for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
            char *line = capture((enum log_level)level, messages[i].message), wanted[256];
            assert_true(is_moment(line, strcspn(line, " ")));
            snprintf(wanted, sizeof wanted, " %s program: %s\n", levels[level], messages[i].text);
            assert_string_equal(line + 24, wanted);
        }
}

static void test_json(void **state) {
    (void)state;
    log_init("program", LOG_INFO, LOG_JSON);
    for (size_t i = 0; i < COUNT(messages); i++) {
        char *line = capture(LOG_WARN, messages[i].message);
        assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
        cJSON *read = cJSON_Parse(line);
        assert_non_null(read);
        const char *time = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(read, "time"));
        assert_true(is_moment(time, strlen(time)));
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(read, "level")),
                            "WARN");
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(read, "program")),
                            "program");
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(read, "message")),
                            messages[i].message);
        cJSON_Delete(read);
    }
}

static void test_levels(void **state) {
    (void)state;
    for (int limit = LOG_ERROR; limit <= LOG_DEBUG; limit++) {
        log_init("program", (enum log_level)limit, LOG_TEXT);
        for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
            assert_int_equal(log_enabled((enum log_level)level) != 0, level <= limit);
            assert_int_equal(capture((enum log_level)level, "x")[0] != '\0', level <= limit);
        }
    }
}

/* However long and whatever is in it, it is one whole line. */
static void test_long_messages(void **state) {
    (void)state;
    static const char fillers[] = {'x', '\x01', '"', '\n'};
    static char message[20000];
    for (size_t i = 0; i < COUNT(fillers); i++) {
        memset(message, fillers[i], sizeof message - 1);
        log_init("program", LOG_INFO, LOG_TEXT);
        char *line = capture(LOG_INFO, message);
        assert_in_range(strlen(line), 4000, OUTPUT_MAX - 2);
        assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
        log_init("program", LOG_INFO, LOG_JSON);
        line = capture(LOG_INFO, message);
        assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
        cJSON *read = cJSON_Parse(line);
        assert_non_null(read);
        assert_int_equal(strlen(cJSON_GetStringValue(cJSON_GetObjectItem(read, "message"))), 4095);
        cJSON_Delete(read);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_long_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
