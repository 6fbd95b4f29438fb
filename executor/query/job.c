#include "executor/query/job.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"

size_t job_held_bytes(const struct job *job) {
    return sizeof *job + job->message->size;
}

/* It is held from now on, or no longer. */
static void count_held(struct job *job, bool held) {
    struct partition *p = job->partition;
    if (p == NULL || job->is_recalled)
        return;
    size_t bytes = job_held_bytes(job);
    p->jobs_waiting = held ? p->jobs_waiting + 1 : p->jobs_waiting - 1;
    p->bytes_waiting = held ? p->bytes_waiting + bytes : p->bytes_waiting - bytes;
}

bool job_read(struct job *job, rd_kafka_message_t *message, const char *stage, char *why,
              size_t why_size) {
    rd_kafka_headers_t *headers = NULL;
    rd_kafka_timestamp_type_t type;
    job->message = held_record_new(message);
    job->offset = message->offset;
    count_held(job, true);
    job->received_ms = rd_kafka_message_timestamp(message, &type);
    if (job->received_ms < 0)
        job->received_ms = loop_wall();
    rd_kafka_message_headers(message, &headers);
    record_headers_read(headers, &job->headers);
    bool sound = query_read(message->payload, message->len, &job->query, why, why_size);
    record_identity(message, &job->query, &job->headers, &job->id);
    query_token(stage, job->id.user_id, job->id.query_id, job->token);
    if (job->query.text != NULL) {
        query_sha256(&job->query, job->sha256);
        job->has_sha256 = true;
        job->text_bytes = job->query.text_len;
        for (size_t i = 0; i < job->query.parameter_count; i++)
            job->text_bytes += strlen(job->query.parameters[i]) + sizeof "\"\"," - 1;
        job->lane = lane_of(job->query.text, job->query.text_len);
    }
    rd_kafka_message_destroy(message);
    return sound;
}

void job_parse_query(struct job *job) {
    char why[512];
    if (job->query.text == NULL &&
        !query_read(job->message->payload, job->message->len, &job->query, why, sizeof why))
        log_error("a fault of this program: a query cannot be read again: %s queryId=%s", why,
                  job->id.query_id);
}

void job_forget_query(struct job *job) {
    query_free(&job->query);
}

int64_t job_first_seen_ms(const struct job *job) {
    return job->headers.first_seen_ms >= 0 ? job->headers.first_seen_ms : job->received_ms;
}

struct job *job_of_item(struct window_item *item) {
    return item != NULL ? (struct job *)((char *)item - offsetof(struct job, in_window)) : NULL;
}

void job_release_message(struct job *job) {
    if (job->message == NULL)
        return;
    count_held(job, false);
    free(job->message);
    job->message = NULL;
    query_free(&job->query);
}

void job_free(struct job *job) {
    job_release_message(job);
    query_free(&job->query);
    free(job->execution_id);
    free(job->output_location);
    free(job->error_code);
    free(job->reason);
    free(job);
}
