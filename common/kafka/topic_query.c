#include "common/kafka/topic_query.h"

int32_t topic_count_partitions(rd_kafka_t *rk, rd_kafka_topic_t *topic, int timeout_ms) {
    const struct rd_kafka_metadata *metadata;
    int32_t count = -1;
    if (rd_kafka_metadata(rk, 0, topic, &metadata, timeout_ms) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return count;
    if (metadata->topic_cnt == 1 && metadata->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR)
        count = metadata->topics[0].partition_cnt;
    else if (metadata->topic_cnt == 1 &&
             metadata->topics[0].err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        count = 0;
    rd_kafka_metadata_destroy(metadata);
    return count;
}

bool topic_list_ends(rd_kafka_t *rk, const char *name, int32_t partitions,
                     rd_kafka_topic_partition_list_t *list, int timeout_ms) {
    for (int32_t p = 0; p < partitions; p++)
        rd_kafka_topic_partition_list_add(list, name, p)->offset = RD_KAFKA_OFFSET_END;
    bool known = rd_kafka_offsets_for_times(rk, list, timeout_ms) == RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; i < list->cnt; i++)
        known &= list->elems[i].err == RD_KAFKA_RESP_ERR_NO_ERROR && list->elems[i].offset >= 0;
    return known;
}
