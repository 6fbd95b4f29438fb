/*
 * Credentials that a program of the user prints (`credential_process` of a profile).
 *
 * The program runs without a shell, with this process's environment, in a process group of its own,
 * which is killed at a time-out. At most 64 KiB of output are read; what it writes to stderr is
 * logged at `debug` only.
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

/* See common/aws/credentials/fetch.h. `profile` is for messages; both strings are copied. */
struct fetch *credential_process_start(const struct fetch_context *ctx, const char *command,
                                       const char *profile, int64_t timeout_ms,
                                       struct fetch_result *now, fetch_done_fn *fn, void *arg);

/*
 * Splits a command into words (pure). As in a POSIX shell, blanks separate words; '…' is literal;
 * in "…" a backslash escapes " and \; elsewhere a backslash escapes any character. Nothing else of
 * a shell is known. The array ends in NULL; free it with credential_process_free_words(). NULL
 * where the command has a fault or no word, and then `detail` says why.
 */
char **credential_process_split(const char *command, char *detail, size_t detail_size);
void credential_process_free_words(char **words);

#endif
