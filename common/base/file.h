/*
 * Small files, read whole.
 */
#ifndef COMMON_BASE_FILE_H
#define COMMON_BASE_FILE_H

#include <stddef.h>

#include "common/base/must_check.h"

/*
 * The bytes of the file at `path`, at most `max`, with a NUL behind them; their number goes to
 * `*len`. Never blocks the caller on a FIFO. NULL with `*len` 0 where the file cannot be read, is a
 * directory or is longer than `max`: `detail` then names the path and the reason, and no byte of
 * the file is left in memory. The caller frees; mem_wipe_free(text, *len) where it is a secret.
 */
MUST_CHECK char *file_read(const char *path, size_t max, size_t *len, char *detail,
                           size_t detail_size);

#endif
