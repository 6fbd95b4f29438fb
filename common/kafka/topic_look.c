#include "common/kafka/topic_look.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/base/side_call.h"
#include "common/kafka/topic_query.h"

struct topic_look {
    struct side_call *call;
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    const char *name;
    topic_look_fn *fn;
    void *arg;
    atomic_bool cancelled;
    /* The question under way: the thread's alone until it has ended. */
    bool wants_ends, later_known, ends_known;
    int32_t partitions;
    rd_kafka_topic_partition_list_t *later, *ends; /* owned */
};

static bool topic_look_goes_on(const struct topic_look *look) {
    return look->partitions > 0 && !atomic_load(&look->cancelled);
}

/* The ends last: all that was there when the question was asked is within. */
static void topic_look_run(void *arg) {
    struct topic_look *look = arg;
    look->partitions = topic_count_partitions(look->rk, look->topic, TOPIC_LOOK_CALL_MS);
    if (look->later->cnt > 0 && topic_look_goes_on(look))
        look->later_known = rd_kafka_offsets_for_times(look->rk, look->later, TOPIC_LOOK_CALL_MS) ==
                            RD_KAFKA_RESP_ERR_NO_ERROR;
    if (look->wants_ends && topic_look_goes_on(look))
        look->ends_known =
            topic_list_ends(look->rk, look->name, look->partitions, look->ends, TOPIC_LOOK_CALL_MS);
}

static void topic_look_drop_question(struct topic_look *look) {
    if (look->later != NULL)
        rd_kafka_topic_partition_list_destroy(look->later);
    if (look->ends != NULL)
        rd_kafka_topic_partition_list_destroy(look->ends);
    look->later = look->ends = NULL;
}

static void topic_look_on_answer(void *arg) {
    struct topic_look *look = arg;
    rd_kafka_topic_partition_list_t *later = look->later, *ends = look->ends;
    struct topic_look_answer answer = {.partitions = look->partitions,
                                       .later = look->later_known ? later : NULL,
                                       .ends = look->ends_known ? ends : NULL};
    look->later = look->ends = NULL;
    look->fn(look->arg, &answer);
    rd_kafka_topic_partition_list_destroy(later);
    rd_kafka_topic_partition_list_destroy(ends);
}

bool topic_look_ask(struct topic_look *look, rd_kafka_topic_partition_list_t *later, bool ends) {
    if (side_call_busy(look->call)) {
        rd_kafka_topic_partition_list_destroy(later);
        return false;
    }
    look->later = later;
    look->ends = rd_kafka_topic_partition_list_new(later->cnt);
    look->wants_ends = ends;
    look->later_known = look->ends_known = false;
    bool begun = side_call_begin(look->call);
    if (!begun)
        topic_look_drop_question(look);
    return begun;
}

bool topic_look_busy(const struct topic_look *look) {
    return side_call_busy(look->call);
}

struct topic_look *topic_look_open(struct loop *loop, rd_kafka_t *rk, rd_kafka_topic_t *topic,
                                   const char *name, topic_look_fn *fn, void *arg) {
    struct topic_look *look = mem_zero(sizeof *look);
    *look = (struct topic_look){.rk = rk, .topic = topic, .name = name, .fn = fn, .arg = arg};
    look->call = side_call_open(loop, topic_look_run, topic_look_on_answer, look);
    if (look->call == NULL) {
        free(look);
        return NULL;
    }
    return look;
}

void topic_look_close(struct topic_look *look) {
    if (look == NULL)
        return;
    atomic_store(&look->cancelled, true);
    side_call_close(look->call);
    topic_look_drop_question(look);
    free(look);
}
