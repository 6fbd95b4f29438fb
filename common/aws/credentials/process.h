/*
 * Credentials that a program of the user prints (`credential_process` of a profile).
 *
 * Run without a shell, with this process's environment, in a process group of its own, which is
 * killed after 30 s; its output is bounded to 64 KiB, its stderr is told at `debug` alone.
 */
#ifndef COMMON_AWS_CREDENTIALS_PROCESS_H
#define COMMON_AWS_CREDENTIALS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/aws/credentials/fetch.h"

enum {
    CREDENTIAL_PROCESS_TIMEOUT_MS = 30000
};

/* `profile`: for messages. Both are copied. */
struct fetch *credential_process_start(const struct fetch_context *ctx, const char *command,
                                       const char *profile, int64_t timeout_ms,
                                       struct fetch_result *now, fetch_done_fn *fn, void *arg);

/*
 * A command in words, as a POSIX shell would split it and nothing more (pure): blanks between,
 * '…' as it is, within "…" a backslash before " and \, and a backslash before anything elsewhere.
 * NULL-terminated; free with credential_process_free_words(). NULL: `detail` says why.
 */
char **credential_process_split(const char *command, char *detail, size_t detail_size);
void credential_process_free_words(char **words);

#endif
