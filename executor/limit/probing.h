/*
 * When a limit is probed, and what a refused start makes of it: the same for an executor that
 * learns alone (admission.h) and for the leader of a fleet (quota.h). Pure, clock passed in.
 *
 * A probe is one start above the limit. It costs a query its place when it is refused, so probes
 * are rare: so many own starts apart as `gap` says. Where somebody has taken slots they are close
 * together, for what was taken is given back, and then further and further apart.
 */
#ifndef EXECUTOR_LIMIT_PROBING_H
#define EXECUTOR_LIMIT_PROBING_H

#include <stdbool.h>
#include <stdint.h>

/* What became known of a limit, and why it is as it is. */
enum probing_news {
    PROBING_FOUND,   /* a start was refused after the limit had been raised: there it is */
    PROBING_TAKEN,   /* one was refused below it: others have taken slots */
    PROBING_REFUSED, /* a probe was refused: it is as it was */
    PROBING_RISEN,   /* probes found room */
    PROBING_NEWS,
};

/* What is known of the edge, the most that may run, when a start is refused. */
enum probing_edge {
    PROBING_EDGE_KNOWN,  /* it is the limit: others have taken slots */
    PROBING_EDGE_MET,    /* the limit was being raised */
    PROBING_EDGE_SOUGHT, /* it was met; just where, a check is still to tell */
};

struct probing {
    int streak;      /* starts refused below the limit, one after the other */
    double gap;      /* own starts from a refused start to the next probe */
    int64_t since;   /* own starts since the last one was refused */
    int64_t last_ms; /* of the last probe or refused start */
    int64_t wait_ms; /* after it a probe is due whatever the gap and the backlog */
    int before;      /* the limit before others took of it; 0: it is not known, or long ago */
    int64_t news[PROBING_NEWS]; /* how often each was the case */
};

void probing_init(struct probing *p, int64_t now_ms);
/* `held`: slots that are taken; `backlog`: how many wait, in Kafka too. */
bool probing_is_due(const struct probing *p, int64_t now_ms, int limit, int held, int64_t backlog);
/* One is made. Should it start something it costs nothing: it may be followed by the next. */
void probing_made(struct probing *p, int64_t now_ms);
void probing_started(struct probing *p, int64_t starts);
/* A probe was refused. */
void probing_refused(struct probing *p, int64_t now_ms);
/*
 * A start that was no probe was refused. Returns the limit as it is now: `held`, and three quarters
 * of it while others go on taking slots.
 */
int probing_throttled(struct probing *p, int64_t now_ms, enum probing_edge edge, int limit,
                      int held);
/* A start went well. True: too much was given up, the limit is to be raised again. */
bool probing_recovers(struct probing *p);
/* The limit was raised, to this one, until a start was refused. */
void probing_found(struct probing *p, int64_t now_ms, int limit);
/* It is here after all, by what really ran. */
void probing_corrected(struct probing *p, int limit);
/* Probes found room above the limit. */
void probing_risen(struct probing *p);

#endif
