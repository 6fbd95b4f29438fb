/*
 * AWS credentials: an access key, its secret, a session token, an expiry (pure).
 */
#ifndef COMMON_AWS_CREDENTIALS_CREDENTIALS_H
#define COMMON_AWS_CREDENTIALS_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

/* Owned strings. Zeroed = none. */
struct credentials {
    char *access_key_id;
    char *secret_access_key;
    char *session_token; /* NULL: none */
    int64_t expires;     /* seconds since the epoch; 0: never */
};

/* What a source of credentials answers when it is asked. */
enum credentials_found {
    CREDENTIALS_FOUND,
    CREDENTIALS_NOT_CONFIGURED, /* the next source is asked */
    CREDENTIALS_COMING,         /* being fetched: this source is asked again, and no other */
    CREDENTIALS_BROKEN,         /* configured and unusable: no other source is asked */
};

void credentials_copy(const struct credentials *from, struct credentials *to);
/* Overwrites and frees the strings; leaves `c` zeroed, and takes it so. */
void credentials_wipe(struct credentials *c);

/*
 * Whether `text` may be a part of credentials and go into a header, where the end of a line would
 * begin another header: printable ASCII without a blank, and not empty.
 */
bool credentials_text_is_sound(const char *text);

#endif
