/* A file in which a stand-in publishes its address. */
#ifndef STANDINS_STANDIN_FILE_H
#define STANDINS_STANDIN_FILE_H

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

/*
 * Puts one line into the file, which appears whole or not at all: whoever waits for an address
 * never reads half of one. False: errno says why.
 */
static inline bool standin_write_file(const char *path, const char *line) {
    char temporary[4096];
    int n = snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)getpid());
    FILE *f = n > 0 && (size_t)n < sizeof temporary ? fopen(temporary, "we") : NULL;
    if (f == NULL)
        return false;
    bool written = fprintf(f, "%s\n", line) > 0;
    if (fclose(f) == 0 && written && rename(temporary, path) == 0)
        return true;
    unlink(temporary);
    return false;
}

#endif
