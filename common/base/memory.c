#include "common/base/memory.h"

#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *present(void *p) {
    if (p == NULL) {
        /* Nothing that allocates: not the log. */
        static const char said[] = "out of memory: ending; no query is lost\n";
        ssize_t written = write(STDERR_FILENO, said, sizeof said - 1);
        (void)written;
        _exit(111);
    }
    return p;
}

void *mem_alloc(size_t size) {
    return present(malloc(size > 0 ? size : 1));
}

void *mem_zero(size_t size) {
    return present(calloc(1, size > 0 ? size : 1));
}

void *mem_resize(void *p, size_t count, size_t size) {
    if (size != 0 && count > SIZE_MAX / size)
        return present(NULL);
    return present(realloc(p, count * size > 0 ? count * size : 1));
}

char *mem_string(const char *s) {
    return s == NULL ? NULL : mem_bytes(s, strlen(s));
}

char *mem_bytes(const void *p, size_t n) {
    char *copy = mem_alloc(n + 1);
    if (n > 0)
        memcpy(copy, p, n);
    copy[n] = '\0';
    return copy;
}

void mem_wipe_free(void *p, size_t n) {
    if (p == NULL)
        return;
    OPENSSL_cleanse(p, n);
    free(p);
}

void mem_wipe_string(char *s) {
    if (s != NULL)
        mem_wipe_free(s, strlen(s));
}
