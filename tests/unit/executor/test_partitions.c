/*
 * The partitions that an executor owns, and what is committed of them: rebalances while something
 * is in flight. The dispatcher is the test: a job a record, finished when the test says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "executor/partitions.h"
#include "executor/query/job.h"
#include "tests/unit/common/kafka/fake_consumer.h"

enum {
    REVOKE_MS = 5000,
    COMMIT_MS = 200,
    AGAIN_MS = 1000,
    WINDOW = 4,
    WINDOW_BYTES = 1000,
    RECORD_BYTES = 10
};

struct executor_part {
    struct loop *loop;
    struct kafka_options kafka;
    struct partitions *ps;
    int taken, records, revoking, gone;
    int64_t last_offset;
    bool is_unsettled;
    bool is_full;            /* the index takes no more */
    bool drop_all_at_revoke; /* nothing has a call under way */
    bool settled_when_gone;
};

/* --- the dispatcher --------------------------------------------------------------------------- */

static void free_job(struct partition *p, struct job *job) {
    TAILQ_REMOVE(&p->jobs, job, in_partition);
    p->jobs_waiting--;
    p->bytes_waiting -= RECORD_BYTES;
    free(job);
}

static void free_jobs(struct partition *p) {
    struct job *job;
    while ((job = TAILQ_FIRST(&p->jobs)) != NULL)
        free_job(p, job);
}

static void on_taken(void *arg) {
    struct executor_part *e = arg;
    e->taken++;
}

static bool is_unsettled(void *arg) {
    const struct executor_part *e = arg;
    return e->is_unsettled;
}

static void on_record(void *arg, struct partition *p, rd_kafka_message_t *message) {
    struct executor_part *e = arg;
    struct job *job = mem_zero(sizeof *job);
    assert_false(p->revoking);
    e->records++;
    e->last_offset = message->offset;
    job->partition = p;
    job->offset = message->offset;
    job->received_ms = 1000 + message->offset;
    rd_kafka_message_destroy(message);
    TAILQ_INSERT_TAIL(&p->jobs, job, in_partition);
    p->jobs_waiting++;
    p->bytes_waiting += RECORD_BYTES;
}

static bool is_full(void *arg, const struct partition *p, bool was_full) {
    const struct executor_part *e = arg;
    (void)p, (void)was_full;
    return e->is_full;
}

static void on_revoking(void *arg, struct partition *p) {
    struct executor_part *e = arg;
    assert_true(p->revoking);
    e->revoking++;
    if (e->drop_all_at_revoke)
        free_jobs(p);
}

static void on_gone(void *arg, struct partition *p) {
    struct executor_part *e = arg;
    e->gone++;
    free_jobs(p);
    if (e->settled_when_gone)
        partitions_settled(e->ps);
}

static void note_run(void *ran) {
    *(bool *)ran = true;
}

/* NULL: there is none, its partition is gone. */
static struct job *find_job(struct partition *p, int64_t offset) {
    struct job *job;
    TAILQ_FOREACH(job, &p->jobs, in_partition)
    if (job->offset == offset)
        return job;
    return NULL;
}

static void finish_job(struct executor_part *e, struct partition *p, struct job *job) {
    int64_t offset = job->offset;
    free_job(p, job);
    partitions_finish(e->ps, p, offset);
    partitions_settled(e->ps);
    assert_true(p->id >= 0); /* it was not freed from within */
}

static void close_part(struct executor_part *e) {
    partitions_close(e->ps);
    loop_close(e->loop);
    fake_end();
}

/* The partition of the last record: the only one in most tests. */
static struct partition *only;

static void on_only_record(void *arg, struct partition *p, rd_kafka_message_t *message) {
    only = p;
    on_record(arg, p, message);
}

/* Partition 0 is assigned, and its offsets from `first` on are received. */
static void open_with(struct executor_part *e, int64_t first, int records) {
    char error[256];
    fake_reset();
    *e = (struct executor_part){.loop = loop_open(), .kafka = fake_options()};
    const struct partitions_limits limits = {WINDOW, WINDOW_BYTES, REVOKE_MS};
    const struct partitions_events events = {on_taken, on_only_record, is_full, on_revoking,
                                             on_gone,  is_unsettled,   e};
    e->ps = partitions_open(e->loop, &e->kafka, &limits, &events, error, sizeof error);
    assert_non_null(e->ps);
    assert_true(partitions_join(e->ps, error, sizeof error));
    fake_assign(1);
    for (int i = 0; i < records; i++)
        fake_record(0, first + i);
    fake_run(e->loop, 0);
    assert_int_equal(e->records, records);
    assert_int_equal(e->taken, 1);
    assert_true(partitions_joined(e->ps));
}

static void finish(struct executor_part *e, int64_t offset) {
    struct job *job = find_job(only, offset);
    assert_non_null(job);
    finish_job(e, only, job);
    fake_run(e->loop, 0);
}

static void answer(struct executor_part *e, rd_kafka_resp_err_t err) {
    fake_answer(err, false);
    fake_run(e->loop, 0);
}

/* --- rebalances ------------------------------------------------------------------------------- */

static void test_a_late_acknowledgement_is_waited_for_and_committed(void **state) {
    (void)state;
    struct executor_part e;
    open_with(&e, 0, 3);
    finish(&e, 1);
    fake_revoke(false);
    fake_run(e.loop, 1000);
    assert_int_equal(e.revoking, 1);
    assert_false(partitions_has(e.ps, 0));
    answer(&e, RD_KAFKA_RESP_ERR_NO_ERROR); /* the usual commit */
    fake_record(0, 3);                      /* was on its way already: the next owner's */
    fake_run(e.loop, 0);
    assert_int_equal(e.records, 3);
    finish(&e, 0);
    assert_true(fake.assigned);
    finish(&e, 2);
    assert_true(fake.assigned); /* the last commit is under way */
    assert_int_equal(partitions_count(e.ps), 1);
    answer(&e, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_false(fake.assigned);
    assert_int_equal(partitions_count(e.ps), 0);
    assert_int_equal(fake.committed[0], 3);
    assert_int_equal(e.gone, 1);
    close_part(&e);
}

static void test_what_is_not_acknowledged_in_time_is_the_next_owners(void **state) {
    (void)state;
    struct executor_part e;
    open_with(&e, 0, 3);
    finish(&e, 0);
    finish(&e, 2);
    fake_revoke(false);
    fake_run(e.loop, 0);
    fake_run(e.loop, REVOKE_MS + 1);
    assert_false(fake.assigned);
    assert_int_equal(partitions_count(e.ps), 0);
    while (fake_is_committing())
        answer(&e, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(fake.committed[0], 1);

    /* Back here: 1 is received again, 2 is known as finished from the metadata. */
    e.records = 0;
    fake_assign(1);
    fake_record(0, 1);
    fake_record(0, 2);
    fake_record(0, 3);
    fake_run(e.loop, 0);
    assert_int_equal(e.records, 2);
    finish(&e, 1);
    finish(&e, 3);
    fake_run(e.loop, COMMIT_MS + 1);
    answer(&e, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(fake.committed[0], 4);
    close_part(&e);
}

static void test_nothing_in_flight_lets_go_after_the_commit(void **state) {
    (void)state;
    struct executor_part e;
    open_with(&e, 0, 2);
    e.drop_all_at_revoke = true;
    finish(&e, 0);
    fake_revoke(false);
    fake_run(e.loop, 0);
    assert_true(fake.assigned);
    answer(&e, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_false(fake.assigned);
    assert_int_equal(fake.committed[0], 1);
    close_part(&e);
}

/* Something that belongs to no job any more: what the next owner goes by is not written yet. */
static void test_what_is_unsettled_is_waited_for(void **state) {
    (void)state;
    struct executor_part e;
    open_with(&e, 0, 2);
    e.drop_all_at_revoke = e.is_unsettled = true;
    fake_revoke(false);
    fake_run(e.loop, 0);
    assert_true(fake.assigned);
    e.is_unsettled = false;
    partitions_settled(e.ps);
    fake_run(e.loop, 0);
    assert_false(fake.assigned);
    e.is_unsettled = true; /* but not for longer than a rebalance may take */
    fake_assign(1);
    fake_run(e.loop, 0);
    assert_int_equal(e.taken, 2);
    fake_revoke(false);
    fake_run(e.loop, 0);
    fake_run(e.loop, REVOKE_MS + 1);
    assert_false(fake.assigned);
    close_part(&e);
}

static void test_nothing_to_commit_lets_go_at_once(void **state) {
    (void)state;
    struct executor_part e;
    open_with(&e, 0, 2);
    e.drop_all_at_revoke = true;
    fake_revoke(false);
    fake_run(e.loop, 0);
    assert_false(fake.assigned);
    assert_int_equal(fake.commits_sent, 0);
    close_part(&e);
}

static void test_a_commit_refused_while_letting_go_holds_up_nobody(void **state) {
    (void)state;
    struct executor_part e;
    open_with(&e, 0, 2);
    e.drop_all_at_revoke = true;
    finish(&e, 0);
    fake_revoke(false);
    fake_run(e.loop, 0);
    answer(&e, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS);
    assert_false(fake.assigned);
    assert_int_equal(partitions_count(e.ps), 0);
    close_part(&e);
}

static void test_what_is_lost_is_gone_at_once(void **state) {
    (void)state;
    struct executor_part e;
    open_with(&e, 0, 3);
    finish(&e, 0);
    fake_revoke(true);
    fake_run(e.loop, 0);
    assert_false(fake.assigned);
    assert_int_equal(e.gone, 1);
    assert_int_equal(partitions_count(e.ps), 0);
    fake_run(e.loop, 2 * AGAIN_MS);
    assert_int_equal(fake.commits_sent, 0);
    close_part(&e);
}

static void test_lost_while_the_last_commit_is_under_way(void **state) {
    (void)state;
    struct executor_part e;
    open_with(&e, 0, 1);
    finish(&e, 0);
    fake_revoke(false);
    fake_run(e.loop, 0);
    assert_true(fake_is_committing());
    fake_revoke(true);
    fake_run(e.loop, 0);
    assert_int_equal(partitions_count(e.ps), 0);
    fake_assign(1);
    fake_run(e.loop, 0);
    answer(&e, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID); /* of the time before: nobody is let go */
    assert_int_equal(partitions_count(e.ps), 1);
    assert_true(partitions_has(e.ps, 0));
    close_part(&e);
}

static void test_given_again_at_another_offset(void **state) {
    (void)state;
    struct executor_part e;
    open_with(&e, 10, 2);
    fake_revoke(true);
    fake_run(e.loop, 0);
    fake.committed[0] = 5; /* somebody has set the group back */
    fake_assign(1);
    fake_record(0, 5);
    fake_record(0, 6);
    fake_run(e.loop, 0);
    assert_int_equal(e.last_offset, 6);
    finish(&e, 5);
    fake_run(e.loop, COMMIT_MS + 1);
    answer(&e, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(fake.committed[0], 6);
    close_part(&e);
}

/* A topic that was deleted and created again: what is at an offset now is another record. */
static void test_a_topic_that_begins_again_forgets_its_jobs(void **state) {
    (void)state;
    struct executor_part e;
    open_with(&e, 10, 2);
    finish(&e, 10);
    fake_record(0, 0);
    fake_run(e.loop, 0);
    assert_int_equal(e.gone, 1);
    assert_int_equal(e.records, 3);
    assert_null(find_job(only, 11));
    finish(&e, 0);
    fake_run(e.loop, COMMIT_MS + 1);
    answer(&e, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(fake.committed[0], 1);
    close_part(&e);
}

static void test_another_partition_is_received_from_its_start(void **state) {
    (void)state;
    struct executor_part e;
    open_with(&e, 0, 3);
    finish(&e, 0);
    finish(&e, 1);
    partitions_restart(e.ps, 0);
    assert_int_equal(e.gone, 1);
    assert_int_equal(fake.sought[0], 1);
    assert_null(find_job(only, 2));
    fake_run(e.loop, COMMIT_MS + 1);
    assert_false(fake_is_committing()); /* the old position is not written to the new partition */
    for (int64_t offset = 0; offset < 4; offset++)
        fake_record(0, offset);
    fake_run(e.loop, 0);
    assert_int_equal(e.records, 3 + 4);
    finish(&e, 0);
    fake_run(e.loop, COMMIT_MS + 1);
    answer(&e, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(fake.committed[0], 1);
    partitions_restart(e.ps, 1); /* not this member's */
    assert_int_equal(fake.sought[1], 0);
    close_part(&e);
}

static void test_a_witness_goes_with_each_commit(void **state) {
    (void)state;
    struct executor_part e;
    struct witness w;
    open_with(&e, 7, 2);
    finish(&e, 7);
    fake_run(e.loop, COMMIT_MS + 1);
    answer(&e, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_string_equal(witness_read(fake.metadata[0], &w), "");
    assert_true(w.known);
    assert_int_equal(w.offset, 7);
    fake_revoke(true);
    fake_run(e.loop, 0);
    fake_assign(1);
    fake_record(0, 8);
    fake_run(e.loop, 0);
    assert_true(witness_equal(&only->tracker.witness, &w)); /* the next owner's is the same */
    assert_int_equal(only->tracker.candidate.offset, 8);
    close_part(&e);
}

/* A group whose lag would stay though all is done. */
static void test_what_an_earlier_owner_has_finished_is_committed_over(void **state) {
    (void)state;
    struct executor_part e;
    open_with(&e, 0, 1);
    fake_revoke(true);
    fake_run(e.loop, 0);
    fake.committed[0] = 5;
    fake.metadata[0] = mem_string("aq1 5 1:2");
    fake_assign(1);
    fake_record(0, 5);
    fake_run(e.loop, 0);
    finish(&e, 5);
    fake_run(e.loop, COMMIT_MS + 1);
    answer(&e, RD_KAFKA_RESP_ERR_NO_ERROR);
    fake_record(0, 6);
    fake_record(0, 7);
    fake_run(e.loop, COMMIT_MS + 1);
    fake_run(e.loop, COMMIT_MS + 1);
    answer(&e, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(e.last_offset, 5);
    assert_int_equal(fake.committed[0], 8);
    close_part(&e);
}

/* --- stopping --------------------------------------------------------------------------------- */

static void test_a_stop_waits_without_the_bound_of_a_rebalance(void **state) {
    (void)state;
    struct executor_part e;
    open_with(&e, 0, 2);
    partitions_leave(e.ps);
    fake_run(e.loop, 2 * REVOKE_MS);
    assert_false(partitions_joined(e.ps));
    assert_int_equal(partitions_count(e.ps), 1);
    finish(&e, 0);
    finish(&e, 1);
    assert_int_equal(partitions_count(e.ps), 1);
    answer(&e, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(partitions_count(e.ps), 0);
    assert_int_equal(fake.committed[0], 2);

    /* A rebalance while it stops: let go at once, and nothing is taken any more. */
    fake_revoke(false);
    fake_run(e.loop, 0);
    assert_false(fake.assigned);
    fake_assign(1);
    fake_run(e.loop, 0);
    assert_false(fake.assigned);
    close_part(&e);
}

static void test_a_rebalance_in_a_stop_bounds_it(void **state) {
    (void)state;
    struct executor_part e;
    open_with(&e, 0, 2);
    partitions_leave(e.ps);
    fake_revoke(false);
    fake_run(e.loop, 0);
    assert_true(fake.assigned);
    fake_run(e.loop, REVOKE_MS + 1);
    assert_false(fake.assigned);
    assert_int_equal(partitions_count(e.ps), 0);
    close_part(&e);
}

static void test_a_close_commits_what_is_finished(void **state) {
    (void)state;
    struct executor_part e;
    open_with(&e, 0, 3);
    finish(&e, 0);
    partitions_close(e.ps);
    assert_int_equal(e.revoking, 1);
    assert_int_equal(e.gone, 1);
    fake_answer(RD_KAFKA_RESP_ERR_NO_ERROR, false);
    assert_int_equal(fake.committed[0], 1);
    loop_close(e.loop);
    fake_end();
}

/* What is dropped at the end asks for a look: none may come once the part is gone. */
static void test_a_close_leaves_nothing_on_the_loop(void **state) {
    (void)state;
    struct executor_part e;
    struct loop_task task = {0};
    bool ran = false;
    open_with(&e, 0, 3);
    e.settled_when_gone = true;
    partitions_close(e.ps);
    loop_defer(e.loop, &task, note_run, &ran);
    assert_true(loop_run_once(e.loop));
    assert_true(ran);
    loop_close(e.loop);
    fake_end();
}

/* --- back-pressure and figures ---------------------------------------------------------------- */

static void test_a_full_partition_is_paused_until_half_of_it_is_free(void **state) {
    (void)state;
    struct executor_part e;
    open_with(&e, 0, WINDOW - 1);
    assert_false(fake.paused[0]);
    fake_record(0, WINDOW - 1);
    fake_run(e.loop, 0);
    assert_true(fake.paused[0]);
    finish(&e, 0);
    assert_true(fake.paused[0]);
    finish(&e, 1);
    assert_false(fake.paused[0]);

    /* By bytes as well. */
    only->bytes_waiting += WINDOW_BYTES;
    fake_record(0, WINDOW);
    fake_run(e.loop, 0);
    assert_true(fake.paused[0]);
    only->bytes_waiting -= WINDOW_BYTES;

    /* What was revoked is not resumed, and what is assigned again is not paused. */
    fake_revoke(false);
    fake_run(e.loop, 0);
    finish(&e, 2);
    assert_true(fake.paused[0]);
    fake_run(e.loop, REVOKE_MS + 1);
    fake_assign(1);
    fake_run(e.loop, 0);
    assert_false(fake.paused[0]);
    close_part(&e);
}

static void test_figures(void **state) {
    (void)state;
    struct executor_part e;
    open_with(&e, 0, 3);
    fake.high[0] = 10;
    assert_int_equal(partitions_unread(e.ps), 7);
    assert_int_equal(partitions_oldest_ms(e.ps), 1000);
    finish(&e, 0);
    assert_int_equal(partitions_oldest_ms(e.ps), 1001);
    finish(&e, 1);
    finish(&e, 2);
    assert_int_equal(partitions_oldest_ms(e.ps), -1);
    assert_int_equal(partitions_count(e.ps), 1);
    assert_true(partitions_has(e.ps, 0));
    assert_false(partitions_has(e.ps, 1));
    close_part(&e);
}

/* --- any order of events ---------------------------------------------------------------------- */

/*
 * Random walks of a group with this one member: records come, jobs end, commits are answered or
 * refused, partitions are revoked, lost and assigned again. A record that was not finished must be
 * received again whenever its partition is assigned again: that is all the project rests on.
 */
enum {
    WALKS = 300,
    STEPS = 120,
    TOPIC_END = 20 /* records of each partition */
};

static struct walk {
    struct executor_part e;
    struct partition *owned[FAKE_PARTITIONS]; /* NULL: not (yet) ours, or without a record */
    int64_t next[FAKE_PARTITIONS];            /* to be fetched */
    bool finished[FAKE_PARTITIONS][TOPIC_END];
    size_t repeated; /* records that were received again though they were finished */
    unsigned seed;
} walk;

static unsigned pick(unsigned below) {
    walk.seed = walk.seed * 1103515245 + 12345;
    return (walk.seed >> 16) % below;
}

static void on_walk_record(void *arg, struct partition *p, rd_kafka_message_t *message) {
    walk.owned[p->id] = p;
    walk.repeated += walk.finished[p->id][message->offset];
    on_record(arg, p, message);
}

static void on_walk_revoking(void *arg, struct partition *p) {
    struct job *job, *next;
    (void)arg;
    for (job = TAILQ_FIRST(&p->jobs); job != NULL; job = next) {
        next = TAILQ_NEXT(job, in_partition);
        if (pick(2) == 0)
            free_job(p, job); /* it has nothing under way */
    }
}

static void on_walk_gone(void *arg, struct partition *p) {
    on_gone(arg, p);
    walk.owned[p->id] = NULL;
}

/* Neither the position nor the metadata may cover a record that is not finished. */
static void check_commit(int32_t partition, int64_t offset, const char *metadata) {
    struct offsets o;
    for (int64_t i = 0; i < offset; i++)
        if (!walk.finished[partition][i])
            fail_msg("seed %u: %d/%d is committed and not finished", walk.seed, (int)partition,
                     (int)i);
    struct witness w;
    offsets_init(&o, offset, witness_read(metadata, &w));
    for (int64_t i = offset; i < TOPIC_END; i++)
        if (offsets_receive(&o, i) == OFFSETS_FINISHED && !walk.finished[partition][i])
            fail_msg("seed %u: %d/%d is in the metadata and not finished", walk.seed,
                     (int)partition, (int)i);
    offsets_free(&o);
}

static void walk_assign(void) {
    size_t count = pick(FAKE_PARTITIONS) + 1;
    if (fake.assigned || fake.unassign_due)
        return;
    fake.silent = pick(8) == 0;
    fake_assign(count);
    for (size_t i = 0; i < FAKE_PARTITIONS; i++)
        walk.next[i] = i < count ? (fake.committed[i] >= 0 ? fake.committed[i] : 0) : TOPIC_END;
}

static void walk_fetch(void) {
    unsigned p = pick(FAKE_PARTITIONS);
    for (unsigned n = pick(4); fake.assigned && n > 0 && walk.next[p] < TOPIC_END; n--)
        fake_record((int32_t)p, walk.next[p]++);
}

static void walk_finish(void) {
    struct partition *p = walk.owned[pick(FAKE_PARTITIONS)];
    struct job *job = p != NULL ? TAILQ_FIRST(&p->jobs) : NULL;
    for (unsigned n = pick(4); job != NULL && TAILQ_NEXT(job, in_partition) != NULL && n > 0; n--)
        job = TAILQ_NEXT(job, in_partition);
    if (job == NULL)
        return;
    walk.finished[p->id][job->offset] = true;
    finish_job(&walk.e, p, job);
}

static void walk_answer(void) {
    static const rd_kafka_resp_err_t errors[] = {
        RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR_NO_ERROR,
        RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE};
    if (fake_is_committing())
        fake_answer(errors[pick(sizeof errors / sizeof *errors)], pick(2) == 0);
}

static void walk_step(void) {
    int64_t ms = 0;
    switch (pick(16)) {
    case 0:
    case 1:
        walk_assign();
        break;
    case 2:
        if (fake.assigned)
            fake_revoke(pick(3) == 0);
        break;
    case 3:
        ms = pick(20) == 0 ? REVOKE_MS + 1 : AGAIN_MS;
        break;
    case 4:
        fake.refuse_commit = pick(3) == 0;
        break;
    case 5:
    case 6:
    case 7:
        walk_answer();
        break;
    case 8:
    case 9:
    case 10:
        walk_fetch();
        break;
    default:
        walk_finish();
    }
    fake_run(walk.e.loop, ms + pick(COMMIT_MS));
}

/* With a broker that answers everything, all records of all partitions come to their end. */
static void walk_to_the_end(void) {
    fake.refuse_commit = false;
    for (int round = 0; round < 200; round++) {
        if (!fake.assigned) {
            fake_assign(FAKE_PARTITIONS);
            for (size_t i = 0; i < FAKE_PARTITIONS; i++)
                walk.next[i] = fake.committed[i] >= 0 ? fake.committed[i] : 0;
            fake.silent = false;
        } else if (round == 0) {
            fake_revoke(false);
        }
        while (fake_is_committing())
            fake_answer(RD_KAFKA_RESP_ERR_NO_ERROR, false);
        for (int32_t p = 0; p < FAKE_PARTITIONS; p++) {
            if (fake.assigned && walk.next[p] < TOPIC_END)
                fake_record(p, walk.next[p]++);
            while (walk.owned[p] != NULL && !TAILQ_EMPTY(&walk.owned[p]->jobs)) {
                struct job *job = TAILQ_FIRST(&walk.owned[p]->jobs);
                walk.finished[p][job->offset] = true;
                finish_job(&walk.e, walk.owned[p], job);
            }
        }
        fake_run(walk.e.loop, AGAIN_MS);
    }
    for (int p = 0; p < FAKE_PARTITIONS; p++)
        if (fake.committed[p] != TOPIC_END)
            fail_msg("partition %d ends at %d", p, (int)fake.committed[p]);
}

static void test_no_order_of_events_forgets_a_record(void **state) {
    (void)state;
    size_t repeated = 0;
    for (unsigned n = 1; n <= WALKS; n++) {
        char error[256];
        walk = (struct walk){.seed = n};
        fake_reset();
        fake_on_commit = check_commit;
        walk.e.loop = loop_open();
        walk.e.kafka = fake_options();
        const struct partitions_limits limits = {WINDOW, WINDOW_BYTES, REVOKE_MS};
        const struct partitions_events events = {on_taken,         on_walk_record, is_full,
                                                 on_walk_revoking, on_walk_gone,   is_unsettled,
                                                 &walk.e};
        walk.e.ps =
            partitions_open(walk.e.loop, &walk.e.kafka, &limits, &events, error, sizeof error);
        assert_non_null(walk.e.ps);
        assert_true(partitions_join(walk.e.ps, error, sizeof error));
        for (int i = 0; i < STEPS; i++)
            walk_step();
        walk_to_the_end();
        repeated += walk.repeated;
        close_part(&walk.e);
    }
    assert_true(repeated > 0); /* the walks do meet refused commits and lost partitions */
}

/* --- what was there before -------------------------------------------------------------------- */

static void test_caught_up_once_all_is_received_that_was_there(void **state) {
    (void)state;
    struct executor_part e;
    open_with(&e, 0, 1);
    fake.high[0] = -1; /* no fetch was answered yet */
    assert_false(partitions_caught_up(e.ps));
    fake.high[0] = 3;
    assert_false(partitions_caught_up(e.ps));
    fake_record(0, 1);
    fake_run(e.loop, 0);
    assert_false(partitions_caught_up(e.ps));
    fake.high[0] = 9; /* what comes later is not waited for */
    fake_record(0, 2);
    fake_run(e.loop, 0);
    assert_true(partitions_caught_up(e.ps));
    close_part(&e);
}

static void test_caught_up_where_nothing_comes(void **state) {
    (void)state;
    struct executor_part e;
    open_with(&e, 0, 1);
    fake.high[0] = 100;
    assert_false(partitions_caught_up(e.ps));
    fake_run(e.loop, 1500);
    assert_false(partitions_caught_up(e.ps));
    fake_run(e.loop, 600);
    assert_true(partitions_caught_up(e.ps));
    close_part(&e);
}

static void test_caught_up_after_a_while_in_any_case(void **state) {
    (void)state;
    struct executor_part e;
    open_with(&e, 0, 1);
    fake.high[0] = 1000;
    for (int i = 1; i < 10; i++) {
        assert_false(partitions_caught_up(e.ps));
        while (find_job(only, i - 1) != NULL) /* so that it is not paused */
            free_job(only, find_job(only, i - 1));
        fake_record(0, i);
        fake_run(e.loop, 1100);
    }
    assert_false(partitions_caught_up(e.ps));
    fake_run(e.loop, 1000);
    assert_true(partitions_caught_up(e.ps));
    close_part(&e);
}

static void test_a_full_index_is_not_waited_for(void **state) {
    (void)state;
    struct executor_part e;
    open_with(&e, 0, 1);
    fake.high[0] = 1000;
    assert_false(partitions_caught_up(e.ps));
    assert_false(fake.paused[0]);
    e.is_full = true;
    fake_record(0, 1);
    fake_run(e.loop, 0);
    assert_true(fake.paused[0]);
    assert_true(partitions_caught_up(e.ps));
    e.is_full = false;
    partitions_settled(e.ps);
    fake_run(e.loop, 0);
    assert_false(fake.paused[0]);
    close_part(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_caught_up_once_all_is_received_that_was_there),
        cmocka_unit_test(test_caught_up_where_nothing_comes),
        cmocka_unit_test(test_caught_up_after_a_while_in_any_case),
        cmocka_unit_test(test_a_full_index_is_not_waited_for),
        cmocka_unit_test(test_a_late_acknowledgement_is_waited_for_and_committed),
        cmocka_unit_test(test_what_is_not_acknowledged_in_time_is_the_next_owners),
        cmocka_unit_test(test_nothing_in_flight_lets_go_after_the_commit),
        cmocka_unit_test(test_what_is_unsettled_is_waited_for),
        cmocka_unit_test(test_nothing_to_commit_lets_go_at_once),
        cmocka_unit_test(test_a_commit_refused_while_letting_go_holds_up_nobody),
        cmocka_unit_test(test_what_is_lost_is_gone_at_once),
        cmocka_unit_test(test_lost_while_the_last_commit_is_under_way),
        cmocka_unit_test(test_given_again_at_another_offset),
        cmocka_unit_test(test_a_topic_that_begins_again_forgets_its_jobs),
        cmocka_unit_test(test_another_partition_is_received_from_its_start),
        cmocka_unit_test(test_a_witness_goes_with_each_commit),
        cmocka_unit_test(test_what_an_earlier_owner_has_finished_is_committed_over),
        cmocka_unit_test(test_a_stop_waits_without_the_bound_of_a_rebalance),
        cmocka_unit_test(test_a_rebalance_in_a_stop_bounds_it),
        cmocka_unit_test(test_a_close_commits_what_is_finished),
        cmocka_unit_test(test_a_close_leaves_nothing_on_the_loop),
        cmocka_unit_test(test_a_full_partition_is_paused_until_half_of_it_is_free),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_no_order_of_events_forgets_a_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
