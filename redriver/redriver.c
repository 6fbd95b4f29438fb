#include "redriver/redriver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/process_metrics.h"
#include "redriver/by_hand.h"
#include "redriver/member.h"
#include "redriver/metrics.h"
#include "redriver/pass.h"
#include "redriver/reader.h"

enum {
    LINE_MAX_BYTES = 65536,
    COUNT_EVERY_MS = 10000,
    PATIENCE_MS = 10000, /* the next pass is near */
    /* By hand there is no next pass; and a rebalance may have to wait for a member that is gone. */
    BY_HAND_PATIENCE_MS = 30000,
    BY_HAND_GROUP_MS = 90000
};

struct redriver {
    struct redriver_parts parts;
    struct reader *reader;
    struct member *member;
    struct pass *pass;
    struct metric metrics[REDRIVER_METRICS];
    struct loop_timer pass_timer, count_timer, patience_timer;
    struct kafka_positions *counting; /* asks how many dead letters wait between passes */
    int32_t topic_partitions;         /* of the topic that is read */
    int64_t pass_started_ms;
    int64_t waiting;      /* dead letters between passes, by offsets, when they were last counted */
    int64_t moved_before; /* by hand: in passes that a rebalance cut short */
    bool begun;
    bool cut_short; /* the last pass did not come to its end: the next does not wait */
    bool releasing; /* the group waits for this pass to end */
    bool over;      /* the one pass that was asked for is done, or was waited for too long */
    bool has_read;
    bool incomplete;
    bool broken;
};

/* --- patience by hand ------------------------------------------------------------------------- */

static void redriver_on_impatient(void *arg) {
    struct redriver *r = arg;
    if (pass_result(r->pass)->located && pass_busy(r->pass))
        return; /* it reads: what it waits for then has bounds of its own */
    r->over = r->incomplete = true;
}

/* For the next thing that a pass by hand needs before it can read. */
static void redriver_wait_for(struct redriver *r, int64_t patience_ms) {
    if (redriver_by_hand(r->parts.config))
        loop_timer_set(r->parts.loop, &r->patience_timer, patience_ms, redriver_on_impatient, r);
}

/* --- passes ----------------------------------------------------------------------------------- */

static void redriver_begin_pass(void *arg) {
    struct redriver *r = arg;
    if (pass_busy(r->pass) || r->releasing || r->over || loop_stopping())
        return;
    size_t count;
    const int32_t *partitions = member_partitions(r->member, &count);
    r->begun = true;
    r->cut_short = false;
    r->pass_started_ms = loop_now(r->parts.loop);
    if (redriver_by_hand(r->parts.config))
        r->moved_before += pass_result(r->pass)->moved;
    pass_begin(r->pass, partitions, count, r->moved_before);
}

static void redriver_begin_pass_in(struct redriver *r, int64_t delay_ms) {
    loop_timer_set(r->parts.loop, &r->pass_timer, delay_ms, redriver_begin_pass, r);
}

static void redriver_record_pass(struct redriver *r, const struct pass_result *result) {
    double seconds = (double)(loop_now(r->parts.loop) - r->pass_started_ms) / 1000;
    metric_add(&r->metrics[REDRIVER_PASSES], 1);
    metric_add(&r->metrics[REDRIVER_SKIPPED], (double)result->skipped);
    metric_set(&r->metrics[REDRIVER_LEFT], (double)result->left);
    metric_observe(&r->metrics[REDRIVER_PASS_SECONDS], seconds);
    metric_add(&r->metrics[REDRIVER_LOST], (double)result->lost);
    metric_add(&r->metrics[REDRIVER_BEYOND_END], result->beyond_end);
    metric_set(&r->metrics[REDRIVER_HOPELESS], (double)result->hopeless);
    metric_set(&r->metrics[REDRIVER_UNREAD], result->unreached + result->stalled);
    metric_set(&r->metrics[REDRIVER_UNCOMMITTED], result->uncommitted);
    log_write(result->moved > 0 || result->left > 0 ? LOG_INFO : LOG_DEBUG,
              "pass over moved=%lld skipped=%lld left=%lld seconds=%.3f", (long long)result->moved,
              (long long)result->skipped, (long long)result->left, seconds);
}

static void redriver_count_waiting(void *arg);

static void redriver_note_by_hand(struct redriver *r, const struct pass_result *result) {
    r->has_read |= result->located;
    r->incomplete |=
        result->unreached > 0 || result->stalled > 0 || result->refused > 0 || result->uncommitted;
    r->over = !r->cut_short;
    if (r->cut_short)
        redriver_wait_for(r, BY_HAND_GROUP_MS);
}

/* A limit ends a pass as well as the end of the topic does; a rebalance or a stop does not. */
static void redriver_on_pass_done(void *arg) {
    struct redriver *r = arg;
    const struct pass_result *result = pass_result(r->pass);
    redriver_record_pass(r, result);
    if (r->releasing) {
        r->releasing = false;
        r->cut_short = !result->whole;
        member_release(r->member);
    }
    if (redriver_by_hand(r->parts.config)) {
        redriver_note_by_hand(r, result);
        return;
    }
    r->waiting = result->skipped + result->left;
    if (redriver_serves_admin(r->parts.config))
        loop_timer_set(r->parts.loop, &r->count_timer, 0, redriver_count_waiting, r);
    int64_t spent_ms = loop_now(r->parts.loop) - r->pass_started_ms;
    redriver_begin_pass_in(r, r->parts.config->interval_ms - spent_ms);
}

static void redriver_on_moved(void *arg, const char *database) {
    struct redriver *r = arg;
    metric_add(&r->metrics[REDRIVER_RESTARTED], 1);
    if (r->parts.cloudwatch != NULL)
        cloudwatch_count(r->parts.cloudwatch, CLOUDWATCH_RESTARTED,
                         database != NULL ? database : r->parts.config->aws.database);
}

static void redriver_on_failed(void *arg) {
    struct redriver *r = arg;
    metric_add(&r->metrics[REDRIVER_FAILURES], 1);
}

/* --- the partitions --------------------------------------------------------------------------- */

static void redriver_on_assigned(void *arg) {
    struct redriver *r = arg;
    pass_forget(r->pass);
    redriver_wait_for(r, BY_HAND_PATIENCE_MS);
    if (!r->begun || r->cut_short)
        redriver_begin_pass_in(r, 0);
}

static void redriver_on_revoked(void *arg, bool lost) {
    struct redriver *r = arg;
    r->waiting = 0;
    if (!pass_busy(r->pass)) {
        member_release(r->member);
        return;
    }
    r->releasing = true;
    pass_stop(r->pass, PASS_NO_TIMEOUT, lost); /* the group has one */
}

static void redriver_on_overdue(void *arg) {
    struct redriver *r = arg;
    pass_stop(r->pass, 0, false);
}

/* The pass ends at once and commits nothing; the next one finds out what is there by then. */
static void redriver_on_gone(void *arg) {
    struct redriver *r = arg;
    if (!pass_busy(r->pass))
        return;
    log_warn("topic %s is not there any more: the pass ends", redriver_topic(r->parts.config));
    pass_stop(r->pass, 0, true);
}

void redriver_begin(struct redriver *r, int32_t partitions) {
    char error[512];
    r->topic_partitions = partitions;
    redriver_wait_for(r, BY_HAND_GROUP_MS);
    if (!member_join(r->member, partitions, error, sizeof error)) {
        log_error("%s", error);
        r->broken = true;
    }
}

void redriver_stop(struct redriver *r, int64_t timeout_ms) {
    pass_stop(r->pass, timeout_ms, false);
}

/* --- metrics ---------------------------------------------------------------------------------- */

static void redriver_on_counted(void *arg, struct kafka_position *positions, size_t count) {
    struct redriver *r = arg;
    if (pass_busy(r->pass))
        return;
    r->waiting = 0;
    for (size_t i = 0; i < count; i++) {
        struct place place;
        place_decide(&place, &positions[i], true, NULL);
        if (place.error[0] == '\0' && place.end > place.from)
            r->waiting += place.end - place.from;
        place_free(&place);
    }
}

/* Not while a pass is under way, which knows it better. */
static void redriver_count_waiting(void *arg) {
    struct redriver *r = arg;
    size_t count;
    const int32_t *partitions = member_partitions(r->member, &count);
    const struct kafka_positions_question question = {partitions, count, true, -1};
    loop_timer_set(r->parts.loop, &r->count_timer, COUNT_EVERY_MS, redriver_count_waiting, r);
    if (!pass_busy(r->pass) && count > 0 && reader_up(r->reader) &&
        !kafka_positions_ask(r->counting, &question))
        log_debug("dead letters are still being counted");
}

static int64_t redriver_waiting(const struct redriver *r) {
    if (!pass_busy(r->pass))
        return r->waiting;
    const struct pass_result *so_far = pass_result(r->pass);
    return pass_waiting(r->pass) + so_far->skipped + so_far->left;
}

void redriver_write_metrics(struct redriver *r, struct buffer *out) {
    int64_t oldest_ms = pass_result(r->pass)->oldest_ms;
    size_t partitions;
    member_partitions(r->member, &partitions);
    metric_set(&r->metrics[REDRIVER_WAITING], (double)redriver_waiting(r));
    double age = oldest_ms >= 0 ? (double)(loop_wall() - oldest_ms) / 1000 : 0;
    metric_set(&r->metrics[REDRIVER_OLDEST], age > 0 ? age : 0);
    metric_set(&r->metrics[REDRIVER_PARTITIONS], (double)partitions);
    r->metrics[REDRIVER_DELETED].value = (double)member_deleted(r->member);
    metrics_write(r->metrics, REDRIVER_METRICS, out);
    process_metrics_write(out);
}

void redriver_describe(const struct redriver *r, struct buffer *why) {
    if (!member_assigned(r->member))
        buffer_printf(why, "no partitions assigned yet in the group %s\n",
                      r->parts.config->kafka.names.groups[GROUP_REDRIVER]);
    else if (*pass_trouble(r->pass) != '\0')
        buffer_printf(why, "the pass waits for the broker: %s\n", pass_trouble(r->pass));
}

/* --- by hand ---------------------------------------------------------------------------------- */

/* Takes the bytes of `line`. */
static bool redriver_print(struct redriver *r, struct buffer *line) {
    bool ok = !line->failed && fwrite(line->data, 1, line->len, stdout) == line->len;
    if (!ok) {
        log_error("cannot write to the standard output: %s", strerror(errno));
        r->broken = true;
    }
    buffer_free(line);
    return ok;
}

static bool redriver_on_chosen(void *arg, struct letter *letter) {
    struct redriver *r = arg;
    struct buffer line;
    buffer_init(&line, LINE_MAX_BYTES);
    by_hand_letter(letter, loop_wall(), &line);
    return redriver_print(r, &line);
}

void redriver_print_summary(struct redriver *r) {
    struct pass_result result = *pass_result(r->pass);
    int64_t elsewhere = -1;
    result.moved += r->moved_before;
    if (r->parts.config->once) {
        size_t count;
        member_partitions(r->member, &count);
        elsewhere = r->topic_partitions - (int64_t)count;
        if (elsewhere < 0 || member_commits(r->member) == NULL)
            elsewhere = 0;
    }
    if (elsewhere > 0)
        log_warn("%lld of %d partitions are held by other redrivers, which move their letters in "
                 "their own passes",
                 (long long)elsewhere, (int)r->topic_partitions);
    struct buffer line;
    buffer_init(&line, LINE_MAX_BYTES);
    by_hand_summary(&result, elsewhere, &line);
    if (redriver_print(r, &line) && fflush(stdout) != 0) {
        log_error("cannot write to the standard output: %s", strerror(errno));
        r->broken = true;
    }
}

/* --- life ------------------------------------------------------------------------------------- */

static int64_t or_none(int64_t zero_is_none) {
    return zero_is_none > 0 ? zero_is_none : -1;
}

static struct pass *redriver_open_pass(struct redriver *r) {
    const struct redriver_config *c = r->parts.config;
    const struct pass_settings settings = {
        .loop = r->parts.loop,
        .producer = r->parts.producer,
        .reader = r->reader,
        .commits = member_commits(r->member),
        .from = redriver_topic(c),
        .to = c->kafka.names.topics[TOPIC_QUERY],
        .from_committed = c->from != REDRIVER_FROM_REJECTED,
        .patience_ms = redriver_by_hand(c) ? BY_HAND_PATIENCE_MS : PATIENCE_MS,
        .rules = {c->user, c->query_id, c->min_age_ms,
                  decide_limit(or_none(c->max_per_pass), or_none(c->limit))},
        .rate_per_s = c->rate_per_s,
        .count_all = redriver_by_hand(c),
        .chosen = c->dry_run ? redriver_on_chosen : NULL,
        .moved = redriver_on_moved,
        .databases = r->parts.cloudwatch != NULL,
        .failed = redriver_on_failed,
        .done = redriver_on_pass_done,
        .arg = r,
    };
    return pass_open(&settings);
}

struct redriver *redriver_open(const struct redriver_parts *parts, char *error, size_t error_size) {
    struct redriver *r = mem_zero(sizeof *r);
    const struct kafka_options *kafka = &parts->config->kafka;
    const struct member_events events = {.assigned = redriver_on_assigned,
                                         .revoked = redriver_on_revoked,
                                         .gone = redriver_on_gone,
                                         .overdue = redriver_on_overdue,
                                         .arg = r};
    r->parts = *parts;
    redriver_metrics_init(r->metrics);
    r->reader = reader_open(parts->loop, kafka, redriver_topic(parts->config), error, error_size);
    if (r->reader != NULL)
        r->counting = kafka_positions_open(parts->loop, reader_handle(r->reader),
                                           redriver_topic(parts->config), redriver_on_counted, r);
    if (r->counting != NULL)
        r->member = member_open(parts->loop, kafka, !redriver_copies(parts->config), &events, error,
                                error_size);
    if (r->member == NULL) {
        redriver_close(r);
        return NULL;
    }
    r->pass = redriver_open_pass(r);
    redriver_wait_for(r, BY_HAND_PATIENCE_MS);
    return r;
}

void redriver_close(struct redriver *r) {
    if (r == NULL)
        return;
    pass_close(r->pass);
    member_close(r->member);
    kafka_positions_close(r->counting);
    reader_close(r->reader);
    loop_timer_cancel(r->parts.loop, &r->patience_timer);
    loop_timer_cancel(r->parts.loop, &r->pass_timer);
    loop_timer_cancel(r->parts.loop, &r->count_timer);
    free(r);
}

bool redriver_busy(const struct redriver *r) {
    return pass_busy(r->pass);
}

bool redriver_over(const struct redriver *r) {
    return r->over;
}

bool redriver_has_read(const struct redriver *r) {
    return r->has_read;
}

bool redriver_incomplete(const struct redriver *r) {
    return r->incomplete;
}

bool redriver_broken(const struct redriver *r) {
    return r->broken || member_broken(r->member);
}

const char *redriver_topic(const struct redriver_config *config) {
    const char *const *topics = config->kafka.names.topics;
    return topics[config->from == REDRIVER_FROM_REJECTED ? TOPIC_REJECTED : TOPIC_DEADLETTER];
}
