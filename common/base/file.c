#include "common/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/memory.h"

/* `out` has room for one byte more than `max`. False: errno says why. */
static bool read_up_to(int fd, size_t max, char *out, size_t *len) {
    for (;;) {
        ssize_t n = read(fd, out + *len, max + 1 - *len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        *len += (size_t)n;
        if (*len > max) {
            errno = EFBIG;
            return false;
        }
    }
}

static char *read_open_file(int fd, size_t max, size_t *len) {
    struct stat st;
    if (fstat(fd, &st) != 0)
        return NULL;
    if (S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return NULL;
    }
    char *text = mem_alloc(max + 2);
    if (read_up_to(fd, max, text, len)) {
        text[*len] = '\0';
        return text;
    }
    int kept = errno;
    mem_wipe_free(text, *len);
    *len = 0;
    errno = kept;
    return NULL;
}

char *file_read(const char *path, size_t max, size_t *len, char *detail, size_t detail_size) {
    *len = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *text = fd >= 0 ? read_open_file(fd, max, len) : NULL;
    if (text == NULL)
        snprintf(detail, detail_size, "%s cannot be read: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return text;
}
