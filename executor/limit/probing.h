/*
 * When a limit is probed, and what a throttled start makes of it. The same rules serve an executor
 * that learns alone (admission.h) and the leader of a fleet (quota.h). Pure, the clock is passed
 * in.
 *
 * The limit is what was learned; the quota is what Athena enforces, which nobody can ask for. A
 * probe is one start above the limit: the only way to see that the quota has more room. A probe
 * that is throttled sends its query to the dead-letter topic, where it waits for the redriver. So
 * probes are rare, `gap_starts` own starts apart. After others have taken slots probes are close
 * together, because such slots come back, and further apart with each probe that is throttled.
 */
#ifndef EXECUTOR_LIMIT_PROBING_H
#define EXECUTOR_LIMIT_PROBING_H

#include <stdbool.h>
#include <stdint.h>

/* Why the limit is as it is. The label `why` of athena_query_limit_news_total. */
enum probing_news {
    PROBING_FOUND, /* a start was throttled while the limit was being raised: the quota is found */
    PROBING_TAKEN, /* a start below the limit was throttled: others have taken slots */
    PROBING_REFUSED, /* a probe was throttled: the limit stays */
    PROBING_RISEN,   /* probes found room */
    PROBING_NEWS,
};

/* What is being done to the limit when a start is throttled. */
enum probing_phase {
    PROBING_STEADY,   /* nothing: the limit was taken to be the quota */
    PROBING_RAISING,  /* it is being raised until a start is throttled */
    PROBING_CHECKING, /* that has happened; a check of how many really ran is still outstanding */
};

struct probing {
    int throttles_in_row;       /* throttled starts below the limit, one after the other */
    double gap_starts;          /* own starts from a throttled start to the next probe */
    int64_t starts_since;       /* own starts since the last throttled start */
    int64_t tested_ms;          /* when the last probe was made or the last start was throttled */
    int64_t wait_ms;            /* so long after `tested_ms` a probe is due, whatever the gap */
    int limit_before_loss;      /* the limit before others took slots; 0: not known, or long ago */
    int64_t news[PROBING_NEWS]; /* how often each was the case */
};

void probing_init(struct probing *p, int64_t now_ms);
/* Whether so many queries wait, those in Kafka included, that a throttled one is a fair price. */
bool probing_is_worth(int limit, int64_t backlog);
/*
 * Calls for slots that are not known to be free may all be throttled. So many of them may be under
 * way at once while a limit is raised: as many as have started, so that what runs doubles from one
 * round trip to the next, up to probing_widest_window(). `burst`: queries that wait or have started
 * since the limit began to be raised; `started`: those that have started.
 */
int probing_window(bool cold, int64_t burst, int64_t started);
/* A share of the burst, so that few of its queries are throttled when the quota is met. */
int probing_widest_window(int64_t burst, int64_t started);
/* `held`: slots that are taken; `backlog`: queries that wait, those in Kafka included. */
bool probing_is_due(const struct probing *p, int64_t now_ms, int limit, int held, int64_t backlog);
/* A probe is made. `starts_since` stays: a probe that starts may be followed by another at once. */
void probing_probe_made(struct probing *p, int64_t now_ms);
/* A probe was throttled. */
void probing_probe_throttled(struct probing *p, int64_t now_ms);
/* Own starts that worked. */
void probing_started(struct probing *p, int64_t starts);
/*
 * A start that was no probe was throttled. Returns the new limit, at most `limit`: `held`, and
 * three quarters of it while throttles follow each other.
 */
int probing_throttled(struct probing *p, int64_t now_ms, enum probing_phase phase, int limit,
                      int held);
/* A start worked. True: the limit was cut too far and is to be raised again. */
bool probing_recovers(struct probing *p);
/* The limit was raised until a start was throttled, which was at `limit`. */
void probing_found(struct probing *p, int64_t now_ms, int limit);
/* By a check of how many really ran, the limit is this. */
void probing_corrected(struct probing *p, int limit);
/* By a check of how many really ran, probes have found room above the limit. */
void probing_risen(struct probing *p);

#endif
