#include "common/base/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"

enum {
    EVENTS_MAX = 64, /* of one iteration; the others come with the next */
    PREPARES_MAX = 8
};

struct watch {
    int fd;
    loop_fd_fn *fn; /* NULL: unwatched, while events of this iteration may still name it */
    void *arg;
};

struct prepare {
    loop_prepare_fn *fn;
    void *arg;
};

TAILQ_HEAD(task_list, loop_task);

struct loop {
    int epoll_fd;
    int64_t now_ms;
    struct watch **watches; /* by fd */
    size_t watch_count;
    struct watch **gone; /* freed at the end of an iteration */
    size_t gone_count;
    struct loop_timer **heap; /* the earliest at [1] */
    size_t timer_count, timer_room;
    struct task_list tasks; /* for the end of the iteration */
    size_t task_count;
    struct prepare prepares[PREPARES_MAX];
    size_t prepare_count;
    loop_condition_fn *until; /* of loop_run_until(); NULL: none */
    void *until_arg;
};

/* --- signals ---------------------------------------------------------------------------------- */

static volatile sig_atomic_t stop_flag, hangup_flag;
static int wake_fd = -1;

/* In a signal's handler: whom it interrupts may be about to look at errno. */
static void wake(void) {
    int kept = errno;
    uint64_t one = 1;
    ssize_t written = write(wake_fd, &one, sizeof one);
    (void)written;
    errno = kept;
}

static void on_stop(int signal_number) {
    (void)signal_number;
    if (stop_flag)
        _exit(111);
    stop_flag = 1;
    wake();
}

static void on_hangup(int signal_number) {
    (void)signal_number;
    hangup_flag = 1;
    wake();
}

static void woken(void *arg, uint32_t events) {
    (void)arg;
    (void)events;
    uint64_t count;
    ssize_t got = read(wake_fd, &count, sizeof count);
    (void)got;
}

bool loop_catch_signals(struct loop *loop) {
    wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake_fd < 0 || !loop_watch(loop, wake_fd, EPOLLIN, woken, NULL))
        return false;
    struct sigaction stop = {.sa_handler = on_stop}, hangup = {.sa_handler = on_hangup},
                     ignore = {.sa_handler = SIG_IGN};
    return sigaction(SIGTERM, &stop, NULL) == 0 && sigaction(SIGINT, &stop, NULL) == 0 &&
           sigaction(SIGHUP, &hangup, NULL) == 0 && sigaction(SIGPIPE, &ignore, NULL) == 0;
}

bool loop_stopping(void) {
    return stop_flag != 0;
}

bool loop_hangup(void) {
    bool received = hangup_flag != 0;
    hangup_flag = 0;
    return received;
}

/* --- time ------------------------------------------------------------------------------------- */

static int64_t read_clock(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t loop_now(const struct loop *loop) {
    return loop->now_ms;
}

int64_t loop_wall(void) {
    return read_clock(CLOCK_REALTIME);
}

/* --- timers: a binary heap, each timer knows its place ---------------------------------------- */

static void heap_put(struct loop *loop, size_t place, struct loop_timer *t) {
    loop->heap[place] = t;
    t->place = place;
}

static void heap_settle(struct loop *loop, size_t place) {
    struct loop_timer *t = loop->heap[place];
    while (place > 1 && loop->heap[place / 2]->due_ms > t->due_ms) {
        heap_put(loop, place, loop->heap[place / 2]);
        place /= 2;
    }
    for (size_t child; (child = place * 2) <= loop->timer_count; place = child) {
        if (child < loop->timer_count && loop->heap[child + 1]->due_ms < loop->heap[child]->due_ms)
            child++;
        if (loop->heap[child]->due_ms >= t->due_ms)
            break;
        heap_put(loop, place, loop->heap[child]);
    }
    heap_put(loop, place, t);
}

void loop_timer_set(struct loop *loop, struct loop_timer *t, int64_t delay_ms, loop_fn *fn,
                    void *arg) {
    t->due_ms = loop->now_ms + (delay_ms > 0 ? delay_ms : 0);
    t->fn = fn;
    t->arg = arg;
    if (t->place == 0) {
        if (++loop->timer_count >= loop->timer_room) {
            loop->timer_room = loop->timer_room * 2 + 16;
            loop->heap = mem_resize(loop->heap, loop->timer_room, sizeof *loop->heap);
        }
        heap_put(loop, loop->timer_count, t);
    }
    heap_settle(loop, t->place);
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *t) {
    size_t place = t->place;
    if (place == 0)
        return;
    t->place = 0;
    struct loop_timer *last = loop->heap[loop->timer_count--];
    if (last != t) {
        heap_put(loop, place, last);
        heap_settle(loop, place);
    }
}

/* No more than there were: one that sets itself again for now comes after the others' I/O. */
static void fire_timers(struct loop *loop) {
    for (size_t most = loop->timer_count;
         most > 0 && loop->timer_count > 0 && loop->heap[1]->due_ms <= loop->now_ms; most--) {
        struct loop_timer *t = loop->heap[1];
        loop_timer_cancel(loop, t);
        t->fn(t->arg);
    }
}

/* --- descriptors ------------------------------------------------------------------------------ */

bool loop_watch(struct loop *loop, int fd, uint32_t epoll_events, loop_fd_fn *fn, void *arg) {
    if (fd < 0) {
        errno = EBADF;
        return false;
    }
    size_t at = (size_t)fd;
    if (at >= loop->watch_count) {
        size_t count = at + 64;
        loop->watches = mem_resize(loop->watches, count, sizeof(struct watch *));
        for (size_t i = loop->watch_count; i < count; i++)
            loop->watches[i] = NULL;
        loop->watch_count = count;
    }
    struct watch *w = loop->watches[at];
    int op = w != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (w == NULL)
        w = mem_zero(sizeof *w);
    struct epoll_event event = {.events = epoll_events, .data = {.ptr = w}};
    int done = epoll_ctl(loop->epoll_fd, op, fd, &event);
    /* Closed without an unwatch, and the number is another descriptor's now. */
    if (done != 0 && op == EPOLL_CTL_MOD && errno == ENOENT)
        done = epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    if (done != 0) {
        if (op == EPOLL_CTL_ADD)
            free(w);
        return false;
    }
    *w = (struct watch){fd, fn, arg};
    loop->watches[at] = w;
    return true;
}

void loop_unwatch(struct loop *loop, int fd) {
    size_t at = (size_t)fd;
    if (fd < 0 || at >= loop->watch_count || loop->watches[at] == NULL)
        return;
    struct watch *w = loop->watches[at];
    loop->watches[at] = NULL;
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL); /* fails where fd was closed: fine */
    w->fn = NULL;
    loop->gone = mem_resize(loop->gone, loop->gone_count + 1, sizeof *loop->gone);
    loop->gone[loop->gone_count++] = w;
}

static void free_gone(struct loop *loop) {
    for (size_t i = 0; i < loop->gone_count; i++)
        free(loop->gone[i]);
    loop->gone_count = 0;
}

/* --- the end of an iteration ------------------------------------------------------------------ */

void loop_defer(struct loop *loop, struct loop_task *task, loop_fn *fn, void *arg) {
    task->fn = fn;
    task->arg = arg;
    if (task->due)
        return;
    task->due = true;
    TAILQ_INSERT_TAIL(&loop->tasks, task, link);
    loop->task_count++;
}

void loop_undefer(struct loop *loop, struct loop_task *task) {
    if (!task->due)
        return;
    task->due = false;
    TAILQ_REMOVE(&loop->tasks, task, link);
    loop->task_count--;
}

/* No more than there were: one that defers itself again must not keep the loop from its I/O. */
static void run_tasks(struct loop *loop) {
    struct loop_task *task;
    for (size_t most = loop->task_count; most > 0 && (task = TAILQ_FIRST(&loop->tasks)) != NULL;
         most--) {
        loop_undefer(loop, task);
        task->fn(task->arg);
    }
}

/* --- iterations ------------------------------------------------------------------------------- */

void loop_prepare_add(struct loop *loop, loop_prepare_fn *fn, void *arg) {
    if (loop->prepare_count == PREPARES_MAX)
        abort(); /* a fault of the program: it names its parts at start */
    loop->prepares[loop->prepare_count++] = (struct prepare){fn, arg};
}

void loop_prepare_remove(struct loop *loop, loop_prepare_fn *fn, void *arg) {
    size_t kept = 0;
    for (size_t i = 0; i < loop->prepare_count; i++)
        if (loop->prepares[i].fn != fn || loop->prepares[i].arg != arg)
            loop->prepares[kept++] = loop->prepares[i];
    loop->prepare_count = kept;
}

static int64_t sooner(int64_t a_ms, int64_t b_ms) {
    if (a_ms < 0 || b_ms < 0)
        return a_ms < 0 ? b_ms : a_ms;
    return a_ms < b_ms ? a_ms : b_ms;
}

static int wait_ms(struct loop *loop) {
    int64_t wait = -1;
    for (size_t i = 0; i < loop->prepare_count; i++)
        wait = sooner(wait, loop->prepares[i].fn(loop->prepares[i].arg));
    /* Behind them, for they set timers. */
    if (loop->timer_count > 0) {
        int64_t until = loop->heap[1]->due_ms - read_clock(CLOCK_MONOTONIC);
        wait = sooner(wait, until > 0 ? until : 0);
    }
    /* What a prepare has brought about is not waited for. */
    if (loop->task_count > 0 || (loop->until != NULL && loop->until(loop->until_arg)))
        return 0;
    return wait > 60000 ? 60000 : (int)wait;
}

bool loop_run_once(struct loop *loop) {
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(loop->epoll_fd, events, EVENTS_MAX, wait_ms(loop));
    if (n < 0 && errno != EINTR)
        return false;
    loop->now_ms = read_clock(CLOCK_MONOTONIC);
    for (int i = 0; i < n; i++) {
        struct watch *w = events[i].data.ptr;
        if (w->fn != NULL)
            w->fn(w->arg, events[i].events);
    }
    fire_timers(loop);
    run_tasks(loop);
    free_gone(loop);
    return true;
}

static void note_timeout(void *over) {
    *(bool *)over = true;
}

bool loop_run_until(struct loop *loop, loop_condition_fn *done, void *arg, int64_t timeout_ms) {
    struct loop_timer timer = {0};
    bool over = false, works = true, reached;
    loop_timer_set(loop, &timer, timeout_ms, note_timeout, &over);
    loop->until = done;
    loop->until_arg = arg;
    while (!(reached = done(arg)) && !over && works)
        works = loop_run_once(loop);
    loop->until = NULL;
    loop_timer_cancel(loop, &timer);
    return reached;
}

struct loop *loop_open(void) {
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0)
        return NULL;
    struct loop *loop = mem_zero(sizeof *loop);
    loop->epoll_fd = fd;
    TAILQ_INIT(&loop->tasks);
    loop->now_ms = read_clock(CLOCK_MONOTONIC);
    return loop;
}

/*
 * A task or timer that is still set is in memory of an owner that may be gone, and would have been
 * written to by the next one that was set. Under AddressSanitizer the walk itself finds the owner.
 */
static void check_nothing_is_set(const struct loop *loop) {
#ifdef DEBUG_CHECKS
    const struct loop_task *task;
    size_t set = loop->timer_count;
    TAILQ_FOREACH(task, &loop->tasks, link)
    set += task->due;
    for (size_t i = 1; i <= loop->timer_count; i++)
        set += loop->heap[i]->fn == NULL;
    if (set == 0)
        return;
    log_error("a fault of this program: the loop is closed with %zu timers or tasks set", set);
    abort();
#else
    (void)loop;
#endif
}

void loop_close(struct loop *loop) {
    if (loop == NULL)
        return;
    check_nothing_is_set(loop);
    if (wake_fd >= 0) {
        loop_unwatch(loop, wake_fd);
        close(wake_fd);
        wake_fd = -1;
    }
    free_gone(loop);
    for (size_t i = 0; i < loop->watch_count; i++)
        free(loop->watches[i]);
    free(loop->watches);
    free(loop->gone);
    free(loop->heap);
    close(loop->epoll_fd);
    free(loop);
}
