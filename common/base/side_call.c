#include "common/base/side_call.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"

struct side_call {
    struct loop *loop;
    side_call_work_fn *work;
    side_call_done_fn *done;
    void *arg;
    int fd; /* an eventfd: the thread is about to end */
    bool busy;
    pthread_t thread;
};

static void *side_call_run(void *arg) {
    static const uint64_t one = 1;
    struct side_call *call = arg;
    call->work(call->arg);
    ssize_t written = write(call->fd, &one, sizeof one);
    (void)written;
    return NULL;
}

static void side_call_join(struct side_call *call) {
    pthread_join(call->thread, NULL);
    call->busy = false;
}

static void side_call_on_end(void *arg, uint32_t events) {
    (void)events;
    struct side_call *call = arg;
    uint64_t ended;
    if (read(call->fd, &ended, sizeof ended) != sizeof ended || !call->busy)
        return;
    side_call_join(call);
    call->done(call->arg);
}

bool side_call_begin(struct side_call *call) {
    if (call->busy)
        return false;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&call->thread, NULL, side_call_run, call);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err != 0)
        log_warn("no thread for a call that blocks: %s", strerror(err));
    call->busy = err == 0;
    return call->busy;
}

bool side_call_busy(const struct side_call *call) {
    return call->busy;
}

struct side_call *side_call_open(struct loop *loop, side_call_work_fn *work,
                                 side_call_done_fn *done, void *arg) {
    struct side_call *call = mem_zero(sizeof *call);
    *call = (struct side_call){.loop = loop,
                               .work = work,
                               .done = done,
                               .arg = arg,
                               .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    if (call->fd < 0 || !loop_watch(loop, call->fd, EPOLLIN, side_call_on_end, call)) {
        if (call->fd >= 0)
            close(call->fd);
        free(call);
        return NULL;
    }
    return call;
}

void side_call_close(struct side_call *call) {
    if (call == NULL)
        return;
    if (call->busy)
        side_call_join(call);
    loop_unwatch(call->loop, call->fd);
    close(call->fd);
    free(call);
}
