/*
 * One redrive pass: from the offsets that the group has committed to the ends as they were when the
 * pass began, and never beyond them, because throttled queries come back while it runs.
 *
 * Each record: read → decided → copied to the query topic → acknowledged there → finished in its
 * partition's tracker → committed, up to the lowest that is not finished. Pipelined: thousands may
 * be between two arrows at once. A crash anywhere repeats records and loses none, and the request
 * token absorbs the repetition.
 *
 * All from the loop's thread. The pass works before each wait of the loop.
 */
#ifndef REDRIVER_PASS_H
#define REDRIVER_PASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/kafka/commits.h"
#include "common/kafka/producer.h"
#include "redriver/decide.h"
#include "redriver/letter.h"
#include "redriver/reader.h"

struct pass;

struct pass_settings {
    struct loop *loop;
    struct producer *producer; /* NULL: a dry run, nothing is sent */
    struct reader *reader;
    struct kafka_commits *commits; /* NULL: nothing is committed */
    const char *from;              /* the topic that is read */
    const char *to;
    bool from_committed; /* else from the beginning of the topic */
    /*
     * How long a pass waits for records that do not come, and for a last commit that fails, before
     * it ends without them: what is left is the next pass's.
     */
    int64_t patience_ms;
    struct decide_rules rules;
    int64_t rate_per_s; /* 0: no limit */
    bool count_all;     /* read on behind the limit, so that `left` and `skipped` are exact */
    /* A record that this pass moves, or would; may be NULL. False: take no more. */
    bool (*chosen)(void *arg, struct letter *letter);
    /* A record was acknowledged in the query topic. `database` may be NULL: not known. */
    void (*moved)(void *arg, const char *database);
    bool databases;            /* `moved` wants the database */
    void (*failed)(void *arg); /* a record was not taken or not acknowledged; it is tried again */
    void (*done)(void *arg);   /* see pass_result(); pass_begin() may be called from within */
    void *arg;
};

struct pass_result {
    int64_t moved;     /* acknowledged; in a dry run: would move */
    int64_t skipped;   /* not chosen or too young */
    int64_t left;      /* what the limit, a stop or a fault left: all that follow are within */
    int64_t hopeless;  /* the query topic never takes them: too large, or not valid */
    int64_t refused;   /* the query topic did not take them in this pass */
    int64_t oldest_ms; /* the timestamp of the oldest that stays, -1: none known */
    int64_t lost;      /* offsets that retention took before they were moved */
    int unreached;     /* partitions that could not be asked about */
    int stalled;       /* partitions that were not read to their ends, for nothing came */
    int beyond_end;    /* partitions whose committed offset was beyond the end */
    bool uncommitted;  /* what was moved could not be committed */
    bool located;      /* it was found out where the partitions begin and end */
    bool whole;        /* all partitions were read to their ends */
};

/* `settings` is copied. */
struct pass *pass_open(const struct pass_settings *settings);
/* After the producer is closed, which reports what was in flight. NULL is fine. */
void pass_close(struct pass *p);

/*
 * Begins; not while a pass is under way. It waits for a broker that does not answer, and for a
 * partition that cannot be asked about only shortly, where there are others. `partitions`
 * is copied. `chosen`: how many records count towards the limit already.
 */
void pass_begin(struct pass *p, const int32_t *partitions, size_t count, int64_t chosen);
bool pass_busy(const struct pass *p);
/* The partitions are another member's from now on: what was moved and not committed is forgotten.
 */
void pass_forget(struct pass *p);
enum {
    PASS_NO_TIMEOUT = -1
};

/*
 * Takes no more records, waits for those in flight and commits them: `done` is called when that is
 * so, or after `timeout_ms`; what is acknowledged later is not committed. `lost`: commits nothing.
 * May be called again with a shorter time-out.
 */
void pass_stop(struct pass *p, int64_t timeout_ms, bool lost);

const struct pass_result *pass_result(const struct pass *p); /* of the last one, or so far */
int64_t pass_waiting(const struct pass *p);                  /* records not yet read, by offsets */
const char *pass_trouble(const struct pass *p); /* why it waits for the broker; "": it does not */

#endif
