#include "common/aws/attempts.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/random.h>

enum {
    DELAY_MAX_MS = 20000,
    DOUBLINGS_MAX = 5 /* 2^5 s is above DELAY_MAX_MS */
};

double attempts_random(void) {
    uint32_t bits = 0;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != (ssize_t)sizeof bits)
        return 0.5;
    return (double)bits / UINT32_MAX;
}

static void attempts_send(void *arg) {
    struct attempts *a = arg;
    a->made++;
    a->call = a->ops->send(a->arg, a);
    if (a->call != NULL)
        return;
    const struct http_answer unsent = {
        .result = HTTP_UNSENT, .body = "", .date = -1, .error = "the request cannot be made"};
    a->ops->done(a->arg, &unsent);
}

static bool attempts_is_worth_retry(const struct attempts *a, const struct http_answer *answer) {
    if (a->made >= a->ops->max)
        return false;
    if (answer->result != HTTP_ANSWERED || answer->status >= 500 || answer->status == 429)
        return true;
    return a->ops->is_worth_retry != NULL && a->ops->is_worth_retry(a->arg, answer);
}

int64_t attempts_delay_ms(int made) {
    int64_t max_ms = INT64_C(1000) << (made <= DOUBLINGS_MAX ? made - 1 : DOUBLINGS_MAX);
    if (max_ms > DELAY_MAX_MS)
        max_ms = DELAY_MAX_MS;
    return (int64_t)(attempts_random() * (double)max_ms);
}

void attempts_on_answer(void *arg, const struct http_answer *answer) {
    struct attempts *a = arg;
    a->call = NULL;
    if (!attempts_is_worth_retry(a, answer)) {
        a->ops->done(a->arg, answer);
        return;
    }
    loop_timer_set(a->loop, &a->timer, attempts_delay_ms(a->made), attempts_send, a);
}

void attempts_start(struct attempts *a, struct loop *loop, const struct attempts_ops *ops,
                    void *arg) {
    *a = (struct attempts){.ops = ops, .arg = arg, .loop = loop};
    loop_timer_set(loop, &a->timer, 0, attempts_send, a); /* so as not to call back from within */
}

void attempts_cancel(struct attempts *a) {
    if (a->loop == NULL)
        return;
    if (a->call != NULL)
        http_cancel(a->call);
    a->call = NULL;
    loop_timer_cancel(a->loop, &a->timer);
}
