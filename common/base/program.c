#include "common/base/program.h"

#include <errno.h>
#include <string.h>

#include "common/base/log.h"

int program_main(const struct program *program, int argc, char **argv, void *config,
                 program_fn *work) {
    switch (options_read(program, argc, argv, config)) {
    case OPTIONS_EXIT:
        return EXIT_STOPPED;
    case OPTIONS_FAULT:
        return EXIT_BAD_CONFIGURATION;
    case OPTIONS_RUN:
        break;
    }
    int status = work(config);
    options_free(program, config);
    return status;
}

struct loop *program_loop(void) {
    struct loop *loop = loop_open();
    if (loop != NULL && loop_catch_signals(loop))
        return loop;
    log_error("no event loop: %s", strerror(errno));
    loop_close(loop);
    return NULL;
}
