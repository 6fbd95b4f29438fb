#include "common/base/http/linger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/memory.h"

enum {
    LINGER_MS = 2000,
    LINGERERS_MAX = 256,
    READ_MAX = 16 * 1024 * 1024
};

struct lingerer {
    struct http_linger *list;
    TAILQ_ENTRY(lingerer) entry;
    struct loop_timer timer;
    int fd;
    size_t left; /* bytes that are still read */
};

TAILQ_HEAD(lingerer_list, lingerer);

struct http_linger {
    struct loop *loop;
    struct lingerer_list all;
    size_t count;
};

static void lingerer_leave(void *arg) {
    struct lingerer *one = arg;
    struct http_linger *l = one->list;
    loop_timer_cancel(l->loop, &one->timer);
    loop_unwatch(l->loop, one->fd);
    close(one->fd);
    TAILQ_REMOVE(&l->all, one, entry);
    l->count--;
    free(one);
}

static void lingerer_read(void *arg, uint32_t events) {
    (void)events;
    struct lingerer *one = arg;
    char nothing[16384];
    ssize_t n = recv(one->fd, nothing, sizeof nothing, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || (size_t)n >= one->left)
        lingerer_leave(one);
    else
        one->left -= (size_t)n;
}

struct http_linger *http_linger_open(struct loop *loop) {
    struct http_linger *l = mem_zero(sizeof *l);
    l->loop = loop;
    TAILQ_INIT(&l->all);
    return l;
}

void http_linger_close(struct http_linger *l) {
    if (l == NULL)
        return;
    while (!TAILQ_EMPTY(&l->all))
        lingerer_leave(TAILQ_FIRST(&l->all));
    free(l);
}

void http_linger_add(struct http_linger *l, int fd) {
    int copy = l->count < LINGERERS_MAX ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (copy < 0)
        return;
    struct lingerer *one = mem_zero(sizeof *one);
    *one = (struct lingerer){.list = l, .fd = copy, .left = READ_MAX};
    if (!loop_watch(l->loop, copy, EPOLLIN, lingerer_read, one)) {
        close(copy);
        free(one);
        return;
    }
    TAILQ_INSERT_TAIL(&l->all, one, entry);
    l->count++;
    loop_timer_set(l->loop, &one->timer, LINGER_MS, lingerer_leave, one);
}
