/*
 * Makes tokens for Amazon MSK, so that a test can compare common/aws/msk_iam.h with Amazon's own
 * signer.
 *
 * Reads lines of words between blanks: region, time (seconds since the epoch), user agent, access
 * key, secret key, session token ("-": none), expiry of the credentials (0: never). Writes for each
 * the token and when the client needs another one. Exit status 100: a line could not be read; 1: a
 * token could not be made.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/aws/msk_iam.h"

int main(void) {
    char region[64], agent[128], id[128], secret[128], session[4096];
    int64_t now, expires;
    int read;
    while ((read = scanf("%63s %" SCNd64 " %127s %127s %127s %4095s %" SCNd64, region, &now, agent,
                         id, secret, session, &expires)) == 7) {
        const struct credentials credentials = {
            id, secret, strcmp(session, "-") != 0 ? session : NULL, expires};
        struct buffer token;
        buffer_init(&token, 1 << 20);
        if (!msk_iam_token(region, &credentials, now, agent, &token))
            return 1;
        printf("%s %" PRId64 "\n", buffer_text(&token), msk_iam_expires(&credentials, now));
        buffer_free(&token);
    }
    return read == EOF ? 0 : 100;
}
