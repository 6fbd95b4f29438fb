/*
 * The records of the quota topic (docs/fleet.md), as JSON (pure).
 *
 *     key           value                                    written by
 *     claim         {"claim":{"id":…}}                       an executor that has partition 0
 *     grant         {"grant":{"epoch":…,"version":…,…}}      the leader: how much each may hold
 *     member/<id>   {"report":{"id":…,…}}                    each member; a tombstone: it has left
 */
#ifndef EXECUTOR_LIMIT_FLEET_RECORD_H
#define EXECUTOR_LIMIT_FLEET_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "executor/limit/lane.h"
#include "executor/limit/quota.h"

#ifndef FLEET_MEMBERS_MAX    /* a test that visits every state makes it small */
#define FLEET_MEMBERS_MAX 64 /* an executor beyond these learns alone */
#endif

enum {
    FLEET_ID_MAX = 40, /* bytes of a member's id, its NUL included */
    FLEET_KEY_MAX = FLEET_ID_MAX + 8,
    FLEET_VALUE_MAX = 65536,
};

struct fleet_report {
    char id[FLEET_ID_MAX];
    int64_t version; /* of the grant that the member obeys */
    struct quota_report lanes[LANES];
};

struct fleet_share {
    char id[FLEET_ID_MAX];
    int lanes[LANES]; /* slots */
};

struct fleet_grant {
    int64_t
        epoch; /* the offset of the leader's claim: members ignore a grant of an earlier epoch */
    int64_t version;
    struct {
        int limit;
        bool learned; /* false: no start was throttled yet, the limit is a guess */
        enum quota_check check;
        double check_at; /* Athena's clock, seconds */
    } lanes[LANES];
    size_t count;
    struct fleet_share shares[FLEET_MEMBERS_MAX];
};

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

/* Records that an executor is to write, in this order. */
struct fleet_due {
    bool claim;
    bool tombstone; /* for the member `gone` */
    char gone[FLEET_ID_MAX];
    bool grant, report;
};

/* `id`: of the member, for reports and leaves. */
void fleet_record_key(enum fleet_kind kind, const char *id, char out[FLEET_KEY_MAX]);
/* Each appends one value. */
void fleet_write_claim(const char *id, struct buffer *out);
void fleet_write_grant(const struct fleet_grant *g, struct buffer *out);
void fleet_write_report(const struct fleet_report *r, struct buffer *out);

/*
 * False: it is none of these records. `value` may be NULL, which is a tombstone. A number that is
 * missing or out of range is read as 0, so that executors of two versions understand each other.
 */
bool fleet_record_read(const void *key, size_t key_len, const void *value, size_t value_len,
                       struct fleet_record *out);

/* Copies an id, cut to its room. */
void fleet_id_copy(char out[FLEET_ID_MAX], const char *id);

#endif
