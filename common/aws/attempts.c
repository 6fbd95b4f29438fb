#include "common/aws/attempts.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/random.h>

enum {
    DELAY_MOST_MS = 20000
};

double attempts_random(void) {
    uint32_t bits = 0;
    /* Where there is none yet, early at boot: no jitter harms nobody. */
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != (ssize_t)sizeof bits)
        return 0.5;
    return (double)bits / UINT32_MAX;
}

static void send(void *arg) {
    struct attempts *a = arg;
    a->made++;
    a->call = a->of->send(a->arg, a);
    if (a->call != NULL)
        return;
    const struct http_answer none = {
        .result = HTTP_UNSENT, .body = "", .date = -1, .error = "the request cannot be made"};
    a->of->done(a->arg, &none);
}

static bool is_worth_another(const struct attempts *a, const struct http_answer *answer) {
    if (a->made >= a->of->most)
        return false;
    if (answer->result != HTTP_ANSWERED || answer->status >= 500 || answer->status == 429)
        return true;
    return a->of->again != NULL && a->of->again(a->arg, answer);
}

int64_t attempts_delay_ms(int made) {
    int64_t most_ms = INT64_C(1000) << (made < 6 ? made - 1 : 5);
    if (most_ms > DELAY_MOST_MS)
        most_ms = DELAY_MOST_MS;
    return (int64_t)(attempts_random() * (double)most_ms);
}

void attempts_told(void *arg, const struct http_answer *answer) {
    struct attempts *a = arg;
    a->call = NULL;
    if (!is_worth_another(a, answer)) {
        a->of->done(a->arg, answer);
        return;
    }
    loop_timer_set(a->loop, &a->timer, attempts_delay_ms(a->made), send, a);
}

void attempts_start(struct attempts *a, struct loop *loop, const struct attempts_of *of,
                    void *arg) {
    *a = (struct attempts){.of = of, .arg = arg, .loop = loop};
    loop_timer_set(loop, &a->timer, 0, send, a); /* never from within */
}

void attempts_cancel(struct attempts *a) {
    if (a->loop == NULL)
        return;
    if (a->call != NULL)
        http_cancel(a->call);
    a->call = NULL;
    loop_timer_cancel(a->loop, &a->timer);
}
