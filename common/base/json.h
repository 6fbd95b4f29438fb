/*
 * A strict reader of one JSON object (pure): RFC 8259 and nothing beyond it. It calls back
 * with each member.
 *
 * Refused, beyond what the grammar refuses: a byte order mark, bytes behind the object, what is not
 * UTF-8, a lone surrogate, NUL (raw or as \u0000), a key twice in one object at any depth (compared
 * after decoding), nesting deeper than asked for. Numbers may have any length and any size.
 *
 * One pass, no recursion; time O(n log n) at worst, which objects of very many keys cost. It holds
 * nothing of the document but the keys of the objects that are open.
 */
#ifndef COMMON_BASE_JSON_H
#define COMMON_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/must_check.h"

enum {
    JSON_DEPTH_MAX = 64
};

enum json_type {
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

/*
 * A value as it stands in the bytes, already checked: from its first byte to behind its last. It
 * borrows the bytes that were read.
 */
struct json_value {
    enum json_type type;
    const char *at;
    size_t n;
};

/*
 * Called for each member of the outer object, in order. `key` is decoded, has no NUL behind it, and
 * lives until the call returns. False ends the reading.
 */
typedef bool json_member_fn(void *arg, const char *key, size_t key_len, struct json_value value);
/* Called for each element of an array. False ends the reading. */
typedef bool json_element_fn(void *arg, struct json_value value);

/*
 * True when the bytes are one strict JSON object and no call of `fn` returned false. Otherwise
 * `detail` says in one sentence what is wrong and at which byte, counted from 0 (left alone when
 * `fn` ended the reading). It quotes nothing of the document but a plain name that came twice.
 * `fn` is called only once the whole text is known to be sound. `depth_max` counts the outer object
 * and is JSON_DEPTH_MAX at most.
 */
MUST_CHECK bool json_read_object(const char *bytes, size_t n, int depth_max, json_member_fn *fn,
                                 void *arg, char *detail, size_t detail_size);
/* The elements of a JSON_ARRAY that json_read_object() has passed to `fn`; false when `fn` ended
 * it. */
MUST_CHECK bool json_read_array(struct json_value array, json_element_fn *fn, void *arg);

/* The text of a JSON_STRING, decoded to UTF-8 with a NUL behind it. The caller frees. */
MUST_CHECK char *json_decode_string(struct json_value string, size_t *len);

#endif
