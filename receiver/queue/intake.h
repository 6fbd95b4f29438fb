/*
 * The body of a POST → who the query is: userId, queryId, and the hash of its text (pure).
 */
#ifndef RECEIVER_QUEUE_INTAKE_H
#define RECEIVER_QUEUE_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/query.h"

enum {
    INTAKE_RANDOM = 16 /* bytes of a UUID */
};

struct intake {
    char user_id[QUERY_ID_MAX + 1]; /* "": none */
    char query_id[QUERY_ID_MAX + 1];
    bool given;         /* by the receiver: the body has no queryId */
    uint8_t sha256[32]; /* of the query's text */
};

/*
 * Where the body has no queryId, it is made a UUID of version 4 from `random`. False: the body is
 * no query, and `detail` says in one sentence what to change.
 */
bool intake_read(const void *body, size_t n, const uint8_t random[INTAKE_RANDOM],
                 struct intake *out, char *detail, size_t detail_size);

#endif
