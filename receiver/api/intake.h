/*
 * The body of a POST → a query that has a name (pure).
 */
#ifndef RECEIVER_API_INTAKE_H
#define RECEIVER_API_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/query.h"

struct intake {
    char user_id[QUERY_ID_MAX + 1]; /* "": none */
    char query_id[QUERY_ID_MAX + 1];
    bool given;         /* the id is ours: the body carries none */
    uint8_t sha256[32]; /* of the query's text */
};

/*
 * Where the body has no queryId, `random` (16 bytes) becomes a UUID of version 4. False: `detail`
 * says in one sentence what to mend.
 */
bool intake_read(const void *body, size_t n, const uint8_t random[16], struct intake *out,
                 char *detail, size_t detail_size);

#endif
