#include "executor/limit/pace.h"

/* test_pace.c holds these against an API with Athena's rate: under 5 % of the calls are refused. */
static const double rate_min = 0.5, rate_cut = 0.7, rate_rise = 1.0;
/* The most that one cut takes away, however few calls worked: others may have used the rate. */
static const double rate_cut_most = 0.35;
/* Ten times what Athena allows: the cause of the throttling is gone, and with it the pace. */
static const double rate_unlimited = 200;
enum {
    CUT_EVERY_MS = 1000,
};

void pace_init(struct pace *p) {
    *p = (struct pace){0};
}

static void count_call(struct pace *p, int64_t now_ms) {
    if (now_ms - p->second_ms >= 1000) {
        p->calls_before = now_ms - p->second_ms < 2000 ? p->calls : 0;
        p->worked_before = now_ms - p->second_ms < 2000 ? p->worked : 0;
        p->calls = p->worked = 0;
        p->second_ms = now_ms;
    }
    p->calls++;
}

bool pace_open(struct pace *p, int64_t now_ms) {
    if (p->rate <= 0)
        return true;
    bucket_set_rate(&p->bucket, p->rate, p->rate, now_ms);
    return bucket_wait_ms(&p->bucket, now_ms) == 0;
}

void pace_take(struct pace *p, int64_t now_ms) {
    if (p->rate > 0)
        bucket_take(&p->bucket);
    count_call(p, now_ms);
}

static int max(int a, int b) {
    return a > b ? a : b;
}

static double cut_rate(const struct pace *p) {
    double was = p->rate > 0 ? p->rate : max(p->calls, p->calls_before);
    double worked = max(p->worked, p->worked_before);
    double rate = (worked < was ? worked : was) * rate_cut, least = was * rate_cut_most;
    rate = rate > least ? rate : least;
    return rate > rate_min ? rate : rate_min;
}

void pace_throttled(struct pace *p, int64_t now_ms) {
    if (p->rate > 0 && now_ms - p->cut_ms < CUT_EVERY_MS)
        return; /* one cut for all calls that were under way together */
    p->rate = cut_rate(p);
    p->cut_ms = now_ms;
    bucket_init(&p->bucket, p->rate, p->rate, now_ms);
    bucket_empty(&p->bucket, now_ms);
}

void pace_worked(struct pace *p) {
    p->worked++;
    if (p->rate <= 0)
        return;
    p->rate += rate_rise / p->rate;
    if (p->rate > rate_unlimited)
        p->rate = 0;
}
