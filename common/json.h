/*
 * A strict reader of one JSON object (pure): RFC 8259 as common/query.h says it, told member by
 * member. It holds nothing of the document but the keys of the objects that are open.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <stdbool.h>
#include <stddef.h>

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* A value as it stands in the bytes, already checked: from its first byte to behind its last. */
struct json_value {
    enum json_type type;
    const char *at;
    size_t n;
};

/* Called for each member of the outer object, in order. `key` is decoded. False ends the reading. */
typedef bool json_member_fn(void *arg, const char *key, size_t key_len, struct json_value value);
/* Called for each element of an array. */
typedef bool json_element_fn(void *arg, struct json_value value);

/*
 * True when the bytes are one strict JSON object and no call of `fn` returned false. Otherwise
 * `detail` says what is wrong and at which byte (left alone when `fn` ended the reading). Members
 * are told only once the whole text is known to be sound.
 */
bool json_read_object(const char *bytes, size_t n, int depth_max, json_member_fn *fn, void *arg,
                      char *detail, size_t detail_size);
/* Of a value of JSON_ARRAY that json_read_object() has told. */
bool json_read_array(struct json_value array, json_element_fn *fn, void *arg);

/* The text of a JSON_STRING, decoded to UTF-8 with a NUL behind it. The caller frees. */
char *json_decode_string(struct json_value string, size_t *len);

#endif
