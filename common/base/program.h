/*
 * The main() of every program: options, then its work, then its exit status.
 */
#ifndef COMMON_BASE_PROGRAM_H
#define COMMON_BASE_PROGRAM_H

#include "common/base/loop.h"
#include "common/base/must_check.h"
#include "common/base/options.h"

/* With which every program ends. */
enum {
    EXIT_STOPPED = 0, /* as asked for, by a signal or once its work is done */
    EXIT_BAD_CONFIGURATION = 100,
    EXIT_CANNOT_GO_ON = 111,
};

/* Works until it is done or is asked to stop. Returns EXIT_STOPPED or EXIT_CANNOT_GO_ON. */
typedef int program_fn(void *config);

/*
 * Reads the options into `config`, which the caller has zeroed, calls `work` where they are sound,
 * and frees them. Returns the exit status.
 */
MUST_CHECK int program_main(const struct program *program, int argc, char **argv, void *config,
                            program_fn *work);

/*
 * The loop of a program, which SIGTERM and SIGINT stop. To be opened before any library starts a
 * thread. NULL: it is logged why.
 */
MUST_CHECK struct loop *program_loop(void);

#endif
