#include "common/aws/credentials/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/memory.h"

enum {
    FILE_BYTES_MAX = 64 * 1024
};

void *fetch_new(size_t size, void (*release)(struct fetch *f), const struct fetch_context *ctx,
                fetch_done_fn *fn, void *arg) {
    struct fetch *f = mem_zero(size);
    *f = (struct fetch){release, *ctx, fn, arg};
    return f;
}

void fetch_finish(struct fetch *f, struct fetch_result *result) {
    f->fn(f->arg, result);
    credentials_wipe(&result->credentials);
    fetch_cancel(f);
}

void fetch_fail(struct fetch *f, const char *fmt, ...) {
    struct fetch_result result = {.found = CREDENTIALS_BROKEN};
    va_list args;
    va_start(args, fmt);
    vsnprintf(result.detail, sizeof result.detail, fmt, args);
    va_end(args);
    fetch_finish(f, &result);
}

void fetch_cancel(struct fetch *f) {
    if (f == NULL)
        return;
    f->release(f);
    free(f);
}

struct fetch *fetch_broken(struct fetch_result *now, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    *now = (struct fetch_result){.found = CREDENTIALS_BROKEN};
    vsnprintf(now->detail, sizeof now->detail, fmt, args);
    va_end(args);
    return NULL;
}

void fetch_found(struct fetch *f, struct credentials *credentials, int64_t date, const char *fmt,
                 ...) {
    struct fetch_result result = {.found = CREDENTIALS_FOUND, .credentials = *credentials};
    va_list args;
    va_start(args, fmt);
    vsnprintf(result.from, sizeof result.from, fmt, args);
    va_end(args);
    *credentials = (struct credentials){0};
    int64_t expires = result.credentials.expires;
    if (expires != 0 && expires <= aws_clock_now(f->ctx.clock) && date < expires)
        (void)aws_clock_learn(f->ctx.clock, date);
    if (expires != 0 && expires <= aws_clock_now(f->ctx.clock)) {
        credentials_wipe(&result.credentials);
        result.found = CREDENTIALS_BROKEN;
        snprintf(result.detail, sizeof result.detail, "what it gives has expired already");
    }
    fetch_finish(f, &result);
}

/* --- files ------------------------------------------------------------------------------------ */

static bool read_all(int fd, char *out, size_t *len) {
    for (;;) {
        ssize_t n = read(fd, out + *len, FILE_BYTES_MAX + 1 - *len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        *len += (size_t)n;
        if (*len > FILE_BYTES_MAX) {
            errno = EFBIG;
            return false;
        }
    }
}

char *fetch_read_file(const char *path, size_t *len, char *detail, size_t detail_size) {
    struct stat st;
    /* Not blocking: a FIFO, and other things that are no files, would make the loop wait. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *text = NULL;
    *len = 0;
    if (fd >= 0 && fstat(fd, &st) == 0) {
        text = mem_zero(FILE_BYTES_MAX + 2);
        if (S_ISDIR(st.st_mode))
            errno = EISDIR;
        if (S_ISDIR(st.st_mode) || !read_all(fd, text, len)) {
            int kept = errno;
            mem_wipe_free(text, FILE_BYTES_MAX + 2);
            text = NULL;
            errno = kept;
        }
    }
    if (text == NULL)
        snprintf(detail, detail_size, "%s cannot be read: %s", path, strerror(errno));
    else
        text[*len] = '\0';
    if (fd >= 0)
        close(fd);
    return text;
}
