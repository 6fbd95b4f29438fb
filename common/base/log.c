#include "common/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/buffer.h"

enum {
    LINE_MAX_BYTES = 32768, /* a message of nothing but \u0001 fits */
    MESSAGE_MAX_BYTES = 4096
};

static struct {
    const char *program;
    enum log_level level;
    enum log_format format;
} logger = {"-", LOG_INFO, LOG_TEXT};

static const char *const level_names[] = {"ERROR", "WARN", "INFO", "DEBUG"};

void log_init(const char *program, enum log_level level, enum log_format format) {
    logger.program = program;
    logger.level = level;
    logger.format = format;
}

int log_enabled(enum log_level level) {
    return level <= logger.level;
}

static void timestamp(char out[32]) {
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size_t n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, 32 - n, ".%03dZ", (int)(now.tv_nsec / 1000000));
}

/* What a client has sent can neither begin a line nor control a terminal. */
static void add_escaped(struct buffer *line, const char *text) {
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f)
            buffer_printf(line, "\\x%02x", c);
        else
            buffer_putc(line, (char)c);
    }
}

void log_write(enum log_level level, const char *fmt, ...) {
    if (!log_enabled(level))
        return;
    int kept = errno;
    char message[MESSAGE_MAX_BYTES], when[32];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    timestamp(when);

    struct buffer line;
    buffer_init(&line, LINE_MAX_BYTES);
    if (logger.format == LOG_JSON) {
        buffer_printf(&line,
                      "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"message\":", when,
                      level_names[level], logger.program);
        buffer_json_string(&line, message, strlen(message));
        buffer_puts(&line, "}\n");
    } else {
        buffer_printf(&line, "%s %s %s: ", when, level_names[level], logger.program);
        add_escaped(&line, message);
        buffer_putc(&line, '\n');
    }
    /* One write a line, so that lines of several threads do not mix. */
    ssize_t written = write(STDERR_FILENO, line.data, line.len);
    (void)written;
    buffer_free(&line);
    errno = kept;
}
