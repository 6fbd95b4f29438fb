#include "common/kafka/wakeup.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/memory.h"

struct kafka_wakeup {
    struct loop *loop;
    rd_kafka_queue_t *queue;
    int fd;
    loop_fn *fn;
    void *arg;
};

static const uint64_t one = 1;

static void wakeup_on_event(void *arg, uint32_t events) {
    (void)events;
    struct kafka_wakeup *w = arg;
    uint64_t count;
    ssize_t got = read(w->fd, &count, sizeof count);
    (void)got;
    w->fn(w->arg);
}

struct kafka_wakeup *kafka_wakeup_open(struct loop *loop, rd_kafka_queue_t *queue, loop_fn *fn,
                                       void *arg) {
    struct kafka_wakeup *w = mem_alloc(sizeof *w);
    *w = (struct kafka_wakeup){loop, queue, eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC), fn, arg};
    if (w->fd < 0 || !loop_watch(loop, w->fd, EPOLLIN, wakeup_on_event, w)) {
        if (w->fd >= 0)
            close(w->fd);
        free(w);
        return NULL;
    }
    rd_kafka_queue_io_event_enable(queue, w->fd, &one, sizeof one);
    return w;
}

void kafka_wakeup_again(struct kafka_wakeup *w) {
    ssize_t written = write(w->fd, &one, sizeof one);
    (void)written;
}

void kafka_wakeup_close(struct kafka_wakeup *w) {
    if (w == NULL)
        return;
    rd_kafka_queue_io_event_enable(w->queue, -1, NULL, 0);
    loop_unwatch(w->loop, w->fd);
    close(w->fd);
    free(w);
}
