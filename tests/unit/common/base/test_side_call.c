/* A call that blocks beside the loop: the work ends only once the loop has gone on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>

#include "common/base/side_call.h"

enum {
    PATIENCE_MS = 20000
};

struct fixture {
    struct loop *loop;
    struct side_call *call;
    struct loop_timer timer;
    sem_t may_end;
    pthread_t worker;
    int done;
};

static void work(void *arg) {
    struct fixture *f = arg;
    f->worker = pthread_self();
    while (sem_wait(&f->may_end) != 0) {
    }
}

static void note_done(void *arg) {
    struct fixture *f = arg;
    f->done++;
    assert_false(side_call_busy(f->call));
    if (f->done == 1) { /* one may begin the next from within */
        sem_post(&f->may_end);
        assert_true(side_call_begin(f->call));
    }
}

static void let_end(void *arg) {
    struct fixture *f = arg;
    sem_post(&f->may_end);
}

static bool both_done(void *arg) {
    struct fixture *f = arg;
    return f->done == 2;
}

static void open_fixture(struct fixture *f) {
    *f = (struct fixture){.loop = loop_open()};
    assert_int_equal(sem_init(&f->may_end, 0, 0), 0);
    f->call = side_call_open(f->loop, work, note_done, f);
    assert_non_null(f->call);
}

static void close_fixture(struct fixture *f) {
    side_call_close(f->call);
    loop_close(f->loop);
    sem_destroy(&f->may_end);
}

static void test_the_loop_goes_on(void **state) {
    (void)state;
    struct fixture f;
    open_fixture(&f);
    assert_false(side_call_busy(f.call));
    assert_true(side_call_begin(f.call));
    assert_true(side_call_busy(f.call));
    assert_false(side_call_begin(f.call)); /* one at a time */
    loop_timer_set(f.loop, &f.timer, 1, let_end, &f);
    assert_true(loop_run_until(f.loop, both_done, &f, PATIENCE_MS));
    assert_false(pthread_equal(f.worker, pthread_self()));
    close_fixture(&f);
}

static void test_a_close_waits_and_reports_nothing(void **state) {
    (void)state;
    struct fixture f;
    open_fixture(&f);
    assert_true(side_call_begin(f.call));
    sem_post(&f.may_end);
    close_fixture(&f);
    assert_int_equal(f.done, 0);
    side_call_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_loop_goes_on),
        cmocka_unit_test(test_a_close_waits_and_reports_nothing),
    };
    return cmocka_run_group_tests_name("side calls", tests, NULL, NULL);
}
