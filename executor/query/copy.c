#include "executor/query/copy.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

enum {
    ORIGIN_MAX = sizeof((struct record_headers){0}.origin),
    SHORT_KEY_BYTES = 1024, /* of a copy that is not whole: a longer one is left out */
};

/* How much of the value is left. */
static const size_t value_max[] = {SIZE_MAX, 64 << 10, 16 << 10, 4 << 10, 1 << 10, 0};
_Static_assert(sizeof value_max / sizeof *value_max == COPY_SHORTENINGS + 1,
               "a bound for each step, and none for the whole");

static rd_kafka_headers_t *copy_headers(const struct job *job, const char *query_topic) {
    char attempt[32], first_seen[32], origin[ORIGIN_MAX];
    bool throttled = job->final_state == STATUS_THROTTLED;
    snprintf(attempt, sizeof attempt, "%" PRId64, job->headers.attempt + (throttled ? 1 : 0));
    snprintf(first_seen, sizeof first_seen, "%" PRId64, job_first_seen_ms(job));
    if (job->headers.origin[0] != '\0')
        snprintf(origin, sizeof origin, "%s", job->headers.origin);
    else
        snprintf(origin, sizeof origin, "%s/%d/%" PRId64, query_topic, (int)job->message->partition,
                 job->offset);
    struct record_header set[] = {
        {HEADER_ATTEMPT, attempt},
        {HEADER_FIRST_SEEN, first_seen},
        {HEADER_ORIGIN, origin},
        {HEADER_ERROR, job->error_code},
        {HEADER_QUERY_ID, job->id.query_id}, /* last: left out where the body carries it */
    };
    bool in_body = job->id.in_body && job->copy.shortened == 0;
    size_t count = sizeof set / sizeof *set - (in_body ? 1 : 0);
    rd_kafka_headers_t *from = job->copy.shortened == 0 ? held_record_headers(job->message) : NULL;
    rd_kafka_headers_t *to = record_headers_copy(from, set, count);
    if (from != NULL)
        rd_kafka_headers_destroy(from);
    return to;
}

struct producer_record copy_record(const struct job *job, const char *query_topic) {
    size_t len = job->message->len, max = value_max[job->copy.shortened];
    bool has_key = job->copy.shortened == 0 || job->message->key_len <= SHORT_KEY_BYTES;
    return (struct producer_record){
        .topic = job->copy_topic,
        .key = has_key ? job->message->key : NULL,
        .key_len = has_key ? job->message->key_len : 0,
        .value = job->message->payload,
        .value_len = len < max ? len : max,
        .headers = copy_headers(job, query_topic),
        .may_compress = true,
    };
}
