/*
 * The records of the quota topic (docs/fleet.md), as JSON (pure).
 *
 *     claim         {"claim":{"id":…}}                       I have partition 0, and lead
 *     grant         {"grant":{"epoch":…,"version":…,…}}      the leader's: who may hold how many
 *     member/<id>   {"report":{"id":…,…}}                    a member's; a tombstone: it has left
 */
#ifndef EXECUTOR_LIMIT_FLEET_RECORD_H
#define EXECUTOR_LIMIT_FLEET_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"
#include "executor/limit/fleet.h"

enum fleet_kind {
    FLEET_CLAIM,
    FLEET_GRANT,
    FLEET_REPORT,
    FLEET_LEAVE,
};

struct fleet_record {
    enum fleet_kind kind;
    char id[FLEET_ID_MAX]; /* of a claim or a leave */
    struct fleet_grant grant;
    struct fleet_report report;
};

enum {
    FLEET_KEY_MAX = FLEET_ID_MAX + 8,
    FLEET_VALUE_MAX = 65536,
};

/* `id`: of the member, for reports and leaves. */
void fleet_record_key(enum fleet_kind kind, const char *id, char out[FLEET_KEY_MAX]);
void fleet_write_claim(const char *id, struct buffer *out);
void fleet_write_grant(const struct fleet_grant *g, struct buffer *out);
void fleet_write_report(const struct fleet_report *r, struct buffer *out);

/* False: it is none of these records. `value` may be NULL, which is a tombstone. */
bool fleet_record_read(const void *key, size_t key_len, const void *value, size_t value_len,
                       struct fleet_record *out);

#endif
