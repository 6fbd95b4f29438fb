#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/loop.h"
#include "common/base/memory.h"

enum {
    PATIENCE_MS = 10000
};

static int open_loop(void **state) {
    *state = loop_open();
    return *state != NULL ? 0 : -1;
}

static int close_loop(void **state) {
    loop_close(*state);
    return 0;
}

static void count(void *arg) {
    ++*(int *)arg;
}

static void give_up(void *arg) {
    (void)arg;
    fail_msg("nothing came");
}

/* One iteration, which must not take for ever. */
static void iterate(struct loop *loop) {
    struct loop_timer patience = {0};
    loop_timer_set(loop, &patience, PATIENCE_MS, give_up, NULL);
    assert_true(loop_run_once(loop));
    loop_timer_cancel(loop, &patience);
}

/* --- timers ----------------------------------------------------------------------------------- */

static void test_timer_is_not_early(void **state) {
    struct loop *loop = *state;
    int fired = 0;
    struct loop_timer t = {0};
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    int64_t set_at = loop_now(loop);
    loop_timer_set(loop, &t, 30, count, &fired);
    assert_int_equal(t.due_ms, set_at + 30);
    while (fired == 0)
        iterate(loop);
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_int_equal(fired, 1);
    assert_int_equal(t.place, 0);
    assert_true(loop_now(loop) >= set_at + 30);
    /* The clock of the loop was read a little before `begin`. */
    assert_true((end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000 >= 20);
}

static void test_no_time_is_now(void **state) {
    struct loop *loop = *state;
    int fired = 0;
    struct loop_timer a = {0}, b = {0};
    loop_timer_set(loop, &a, 0, count, &fired);
    loop_timer_set(loop, &b, -5, count, &fired);
    iterate(loop);
    assert_int_equal(fired, 2);
}

static void test_cancel_and_move(void **state) {
    struct loop *loop = *state;
    int fired = 0, moved = 0;
    struct loop_timer a = {0}, b = {0}, never = {0};
    loop_timer_cancel(loop, &never); /* takes one that is not set */
    loop_timer_set(loop, &a, 1, count, &fired);
    loop_timer_set(loop, &b, 100000, count, &fired);
    loop_timer_set(loop, &b, 0, count, &moved); /* sooner, and with another callback */
    loop_timer_cancel(loop, &a);
    loop_timer_cancel(loop, &a);
    struct loop_timer last = {0};
    int ended = 0;
    loop_timer_set(loop, &last, 10, count, &ended);
    while (ended == 0)
        iterate(loop);
    assert_int_equal(fired, 0);
    assert_int_equal(moved, 1);
}

struct again {
    struct loop *loop;
    struct loop_timer timer;
    int fired;
};

static void set_again(void *arg) {
    struct again *a = arg;
    a->fired++;
    loop_timer_set(a->loop, &a->timer, 0, set_again, a);
}

static void test_one_that_sets_itself_again_does_not_hold_the_loop(void **state) {
    struct loop *loop = *state;
    struct again a = {.loop = loop};
    set_again(&a);
    for (int i = 0; i < 10; i++)
        assert_true(loop_run_once(loop));
    assert_in_range(a.fired, 5, 11);
    loop_timer_cancel(loop, &a.timer);
}

enum {
    TIMERS = 300
};

struct crowd {
    struct loop_timer timers[TIMERS];
    struct loop *loop;
    int64_t last_due;
    int fired;
};

static struct crowd *crowd;

static void check_order(void *arg) {
    struct loop_timer *t = arg;
    assert_true(t->due_ms >= crowd->last_due);
    assert_int_equal(t->place, 0);
    crowd->last_due = t->due_ms;
    crowd->fired++;
}

/* A heap that is set, moved and cancelled at random fires in order, each that is left once. */
static void test_order(void **state) {
    crowd = mem_zero(sizeof *crowd);
    crowd->loop = *state;
    uint32_t seed = 7;
    bool set[TIMERS] = {false};
    for (int step = 0; step < 5000; step++) {
        seed = seed * 1664525 + 1013904223;
        int i = (int)((seed >> 16) % TIMERS);
        struct loop_timer *t = &crowd->timers[i];
        set[i] = (seed >> 8) % 3 != 0;
        if (set[i])
            loop_timer_set(crowd->loop, t, (int64_t)(seed >> 12) % 50, check_order, t);
        else
            loop_timer_cancel(crowd->loop, t);
    }
    int wanted = 0;
    for (int i = 0; i < TIMERS; i++)
        wanted += set[i];
    assert_true(wanted > TIMERS / 4);
    while (crowd->fired < wanted)
        iterate(crowd->loop);
    struct loop_timer after = {0};
    int ended = 0;
    loop_timer_set(crowd->loop, &after, 60, count, &ended);
    while (ended == 0)
        iterate(crowd->loop);
    assert_int_equal(crowd->fired, wanted);
    free(crowd);
}

/* --- descriptors ------------------------------------------------------------------------------ */

struct end {
    struct loop *loop;
    int fd;
    int calls;
    uint32_t events;
    struct end *unwatch; /* in the callback */
};

static void on_end(void *arg, uint32_t events) {
    struct end *e = arg;
    e->calls++;
    e->events = events;
    if (e->unwatch != NULL)
        loop_unwatch(e->loop, e->unwatch->fd);
}

static void make_pipe(int fds[2]) {
    assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
}

static void test_watch(void **state) {
    struct loop *loop = *state;
    int fds[2];
    make_pipe(fds);
    struct end e = {.loop = loop, .fd = fds[0]}, other = {.loop = loop, .fd = fds[0]};
    assert_true(loop_watch(loop, fds[0], EPOLLIN, on_end, &e));
    assert_int_equal(write(fds[1], "x", 1), 1);
    iterate(loop);
    assert_int_equal(e.calls, 1);
    assert_true(e.events & EPOLLIN);
    iterate(loop); /* it was not read: it comes again */
    assert_int_equal(e.calls, 2);
    assert_true(loop_watch(loop, fds[0], EPOLLIN, on_end, &other)); /* changed */
    iterate(loop);
    assert_int_equal(e.calls, 2);
    assert_int_equal(other.calls, 1);
    loop_unwatch(loop, fds[0]);
    loop_unwatch(loop, fds[0]);
    loop_unwatch(loop, -1);
    loop_unwatch(loop, 100000);
    struct loop_timer t = {0};
    int fired = 0;
    loop_timer_set(loop, &t, 5, count, &fired);
    while (fired == 0)
        iterate(loop);
    assert_int_equal(other.calls, 1);
    close(fds[0]);
    close(fds[1]);
}

static void test_no_descriptor(void **state) {
    struct loop *loop = *state;
    struct end e = {.loop = loop};
    errno = 0;
    assert_false(loop_watch(loop, -1, EPOLLIN, on_end, &e));
    assert_int_equal(errno, EBADF);
    int fds[2];
    make_pipe(fds);
    close(fds[0]);
    close(fds[1]);
    assert_false(loop_watch(loop, fds[0], EPOLLIN, on_end, &e));
    assert_int_equal(errno, EBADF);
}

/* Both ends are ready in one iteration; whoever is first takes the other away. */
static void test_unwatch_within_the_iteration(void **state) {
    struct loop *loop = *state;
    int a[2], b[2];
    make_pipe(a);
    make_pipe(b);
    struct end x = {.loop = loop, .fd = a[0]}, y = {.loop = loop, .fd = b[0]};
    x.unwatch = &y;
    y.unwatch = &x;
    assert_true(loop_watch(loop, a[0], EPOLLIN, on_end, &x));
    assert_true(loop_watch(loop, b[0], EPOLLIN, on_end, &y));
    assert_int_equal(write(a[1], "x", 1), 1);
    assert_int_equal(write(b[1], "x", 1), 1);
    iterate(loop);
    assert_int_equal(x.calls + y.calls, 1);
    for (int i = 0; i < 2; i++) {
        close(a[i]);
        close(b[i]);
    }
}

/* An owner that closes and forgets to unwatch: the number comes back as another descriptor. */
static void test_number_that_comes_back(void **state) {
    struct loop *loop = *state;
    int a[2], b[2];
    make_pipe(a);
    struct end old = {.loop = loop, .fd = a[0]}, new = {.loop = loop, .fd = a[0]};
    assert_true(loop_watch(loop, a[0], EPOLLIN, on_end, &old));
    close(a[0]);
    make_pipe(b);
    assert_int_equal(b[0], a[0]);
    assert_true(loop_watch(loop, b[0], EPOLLIN, on_end, &new));
    assert_int_equal(write(b[1], "x", 1), 1);
    iterate(loop);
    assert_int_equal(old.calls, 0);
    assert_int_equal(new.calls, 1);
    loop_unwatch(loop, b[0]);
    close(a[1]);
    close(b[0]);
    close(b[1]);
}

static void test_many_descriptors(void **state) {
    struct loop *loop = *state;
    enum {
        PIPES = 100 /* more than the events of one iteration */
    };
    static struct end ends[PIPES];
    int fds[PIPES][2], served = 0;
    for (int i = 0; i < PIPES; i++) {
        make_pipe(fds[i]);
        ends[i] = (struct end){.loop = loop, .fd = fds[i][0]};
        ends[i].unwatch = &ends[i];
        assert_true(loop_watch(loop, fds[i][0], EPOLLIN, on_end, &ends[i]));
        assert_int_equal(write(fds[i][1], "x", 1), 1);
    }
    for (int iterations = 0; iterations < 10; iterations++) {
        served = 0;
        for (int i = 0; i < PIPES; i++)
            served += ends[i].calls;
        if (served == PIPES)
            break;
        iterate(loop);
    }
    for (int i = 0; i < PIPES; i++) {
        assert_int_equal(ends[i].calls, 1);
        close(fds[i][0]);
        close(fds[i][1]);
    }
}

/* --- the end of an iteration ------------------------------------------------------------------ */

static struct {
    struct loop *loop;
    struct loop_task task, other;
    struct loop_timer timer;
    int runs, other_runs, runs_at_timer;
} deferred;

static void count_run(void *arg) {
    (void)arg;
    deferred.runs++;
}

static void defer_again(void *arg) {
    deferred.runs++;
    loop_defer(deferred.loop, &deferred.task, defer_again, arg);
}

static void cancel_other(void *arg) {
    (void)arg;
    deferred.runs++;
    loop_undefer(deferred.loop, &deferred.other);
}

static void count_other(void *arg) {
    (void)arg;
    deferred.other_runs++;
}

static void defer_three_times(void *arg) {
    (void)arg;
    for (int i = 0; i < 3; i++)
        loop_defer(deferred.loop, &deferred.task, count_run, NULL);
    deferred.runs_at_timer = deferred.runs;
}

static void begin_deferred(struct loop *loop) {
    memset(&deferred, 0, sizeof deferred);
    deferred.loop = loop;
}

/* Once, in the same iteration, behind whoever asked for it. */
static void test_deferred_once(void **state) {
    begin_deferred(*state);
    loop_timer_set(deferred.loop, &deferred.timer, 0, defer_three_times, NULL);
    iterate(deferred.loop);
    assert_int_equal(deferred.runs_at_timer, 0);
    assert_int_equal(deferred.runs, 1);
    assert_false(deferred.task.due);
    loop_timer_set(deferred.loop, &deferred.timer, 0, defer_three_times, NULL);
    iterate(deferred.loop);
    assert_int_equal(deferred.runs, 2);
}

/* What defers itself does so once an iteration, and the loop does not wait meanwhile. */
static void test_deferred_again_and_again(void **state) {
    begin_deferred(*state);
    loop_defer(deferred.loop, &deferred.task, defer_again, NULL);
    for (int i = 1; i <= 3; i++) {
        iterate(deferred.loop);
        assert_int_equal(deferred.runs, i);
    }
    loop_undefer(deferred.loop, &deferred.task);
    loop_undefer(deferred.loop, &deferred.task); /* is nothing */
}

static void test_undeferred_by_the_one_before(void **state) {
    begin_deferred(*state);
    loop_defer(deferred.loop, &deferred.task, cancel_other, NULL);
    loop_defer(deferred.loop, &deferred.other, count_other, NULL);
    iterate(deferred.loop);
    assert_int_equal(deferred.runs, 1);
    assert_int_equal(deferred.other_runs, 0);
}

/* --- before each wait ------------------------------------------------------------------------- */

struct library {
    struct loop *loop;
    int calls;
    int64_t wait_ms;
    struct loop_timer timer;
    int fired;
};

static int64_t prepare(void *arg) {
    struct library *l = arg;
    l->calls++;
    return l->wait_ms;
}

static int64_t set_timer(void *arg) {
    struct library *l = arg;
    if (l->timer.place == 0)
        loop_timer_set(l->loop, &l->timer, 1, count, &l->fired);
    return -1;
}

static void test_prepares(void **state) {
    struct loop *loop = *state;
    struct library hasty = {.loop = loop, .wait_ms = 0};
    struct library lazy = {.loop = loop, .wait_ms = -1};
    loop_prepare_add(loop, prepare, &lazy);
    loop_prepare_add(loop, prepare, &hasty);
    int64_t begin = loop_wall();
    for (int i = 0; i < 3; i++)
        iterate(loop);
    assert_in_range(loop_wall() - begin, 0, PATIENCE_MS / 2);
    assert_int_equal(hasty.calls, 3);
    assert_int_equal(lazy.calls, 3);
    loop_prepare_remove(loop, prepare, &hasty);
    loop_prepare_remove(loop, set_timer, &lazy); /* not there: nothing happens */
    struct library setter = {.loop = loop};
    loop_prepare_add(loop, set_timer, &setter);
    iterate(loop); /* a timer that is set there counts for the wait that follows */
    assert_int_equal(setter.fired, 1);
    assert_int_equal(hasty.calls, 3);
    assert_int_equal(lazy.calls, 4);
    loop_timer_cancel(loop, &setter.timer);
}

static void test_wait_ends(void **state) {
    struct loop *loop = *state;
    struct library l = {.loop = loop, .wait_ms = 20};
    loop_prepare_add(loop, prepare, &l);
    int64_t before = loop_now(loop);
    iterate(loop);
    assert_in_range(loop_now(loop) - before, 19, PATIENCE_MS / 2);
}

/* --- until a condition holds ------------------------------------------------------------------ */

static bool has_fired(void *arg) {
    return ((struct library *)arg)->fired > 0;
}

static int64_t fire(void *arg) {
    ((struct library *)arg)->fired++;
    return -1;
}

static void test_until(void **state) {
    struct loop *loop = *state;
    struct library l = {.loop = loop};
    int64_t begin = loop_wall();
    assert_false(loop_run_until(loop, has_fired, &l, 20));
    assert_in_range(loop_wall() - begin, 19, PATIENCE_MS / 2);
    loop_timer_set(loop, &l.timer, 1, count, &l.fired);
    assert_true(loop_run_until(loop, has_fired, &l, PATIENCE_MS));
    assert_in_range(loop_wall() - begin, 19, PATIENCE_MS / 2);
    assert_true(loop_run_until(loop, has_fired, &l, 0)); /* it holds already */
    l.fired = 0;
    loop_prepare_add(loop, fire, &l); /* it comes to hold before a wait that nothing would end */
    assert_true(loop_run_until(loop, has_fired, &l, 10 * PATIENCE_MS));
    assert_in_range(loop_wall() - begin, 19, PATIENCE_MS / 2);
}

/* --- signals, each story in a process of its own: they are for good --------------------------- */

static int run_child(int (*story)(void)) {
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(story());
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static struct loop *open_catching(void) {
    struct loop *loop = loop_open();
    if (loop == NULL || !loop_catch_signals(loop))
        _exit(99);
    alarm(PATIENCE_MS / 1000);
    return loop;
}

static int stop_by(int signal_number) {
    struct loop *loop = open_catching();
    if (loop_stopping())
        return 1;
    errno = 12345;
    raise(signal_number);
    if (errno != 12345)
        return 2;
    if (!loop_stopping() || !loop_run_once(loop) || !loop_stopping())
        return 3;
    loop_close(loop);
    return 0;
}

static int stop_by_term(void) {
    return stop_by(SIGTERM);
}

static int stop_by_int(void) {
    return stop_by(SIGINT);
}

static int stop_twice(void) {
    open_catching();
    raise(SIGTERM);
    raise(SIGINT);
    return 0;
}

static int hang_up(void) {
    struct loop *loop = open_catching();
    if (loop_hangup())
        return 1;
    raise(SIGHUP);
    if (!loop_run_once(loop)) /* woken */
        return 2;
    if (!loop_hangup() || loop_hangup() || loop_stopping())
        return 3;
    raise(SIGHUP);
    return loop_hangup() ? 0 : 4;
}

static int ignore_pipe(void) {
    open_catching();
    int fds[2];
    if (pipe(fds) != 0)
        return 1;
    close(fds[0]);
    return write(fds[1], "x", 1) < 0 && errno == EPIPE ? 0 : 2;
}

/* From another process, into a wait without an end. */
static int stop_wakes(void) {
    struct loop *loop = open_catching();
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        kill(parent, SIGTERM);
        _exit(0);
    }
    while (!loop_stopping())
        if (!loop_run_once(loop))
            return 1;
    return 0;
}

static void test_signals(void **state) {
    (void)state;
    assert_int_equal(run_child(stop_by_term), 0);
    assert_int_equal(run_child(stop_by_int), 0);
    assert_int_equal(run_child(stop_twice), 111);
    assert_int_equal(run_child(hang_up), 0);
    assert_int_equal(run_child(ignore_pipe), 0);
    assert_int_equal(run_child(stop_wakes), 0);
}

static void test_close_takes_null(void **state) {
    (void)state;
    loop_close(NULL);
}

#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, open_loop, close_loop)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_LOOP(test_deferred_once),
        WITH_LOOP(test_deferred_again_and_again),
        WITH_LOOP(test_undeferred_by_the_one_before),
        WITH_LOOP(test_timer_is_not_early),
        WITH_LOOP(test_no_time_is_now),
        WITH_LOOP(test_cancel_and_move),
        WITH_LOOP(test_one_that_sets_itself_again_does_not_hold_the_loop),
        WITH_LOOP(test_order),
        WITH_LOOP(test_watch),
        WITH_LOOP(test_no_descriptor),
        WITH_LOOP(test_unwatch_within_the_iteration),
        WITH_LOOP(test_number_that_comes_back),
        WITH_LOOP(test_many_descriptors),
        WITH_LOOP(test_prepares),
        WITH_LOOP(test_until),
        WITH_LOOP(test_wait_ends),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_close_takes_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
