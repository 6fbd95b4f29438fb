/*
 * One line a call to stderr. Text: `2026-01-02T03:04:05.678Z WARN athena-query-executor: message`;
 * JSON: {"time","level","program","message"}. Control characters are escaped, so that a
 * message cannot begin a line of its own. errno is kept. No SQL text, key or token is logged above
 * `debug`.
 *
 * Write messages as a sentence with key=value pairs at its end: log_info("up listen=%s", ...).
 * Safe from any thread (librdkafka logs from its own).
 */
#ifndef COMMON_BASE_LOG_H
#define COMMON_BASE_LOG_H

enum log_level {
    LOG_ERROR,
    LOG_WARN,
    LOG_INFO,
    LOG_DEBUG
};
enum log_format {
    LOG_TEXT,
    LOG_JSON
};

/* Call once, before any thread is started. `program` is borrowed for good. */
void log_init(const char *program, enum log_level level, enum log_format format);
int log_enabled(enum log_level level);
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
    do {                                                                                           \
        if (log_enabled(LOG_DEBUG))                                                                \
            log_write(LOG_DEBUG, __VA_ARGS__);                                                     \
    } while (0)

#endif
