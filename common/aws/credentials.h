/*
 * Who we are to AWS.
 *
 * A provider asks its sources in order; the first that is configured decides: one that is
 * configured and broken is an error and never falls through to another identity. For now there is
 * one source, the environment; others are added as rows of the table in credentials.c.
 */
#ifndef COMMON_AWS_CREDENTIALS_H
#define COMMON_AWS_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct credentials {
    char *access_key_id;
    char *secret_access_key;
    char *session_token; /* NULL: none */
    int64_t expires;     /* seconds since the epoch, 0: never */
};

enum credentials_found {
    CREDENTIALS_FOUND,
    CREDENTIALS_NOT_CONFIGURED, /* ask the next source */
    CREDENTIALS_BROKEN,         /* configured and unusable: stop here, `detail` says why */
};

/* One place where credentials may come from. Stateless sources have a NULL state. */
struct credentials_source {
    const char *name;
    enum credentials_found (*fetch)(void *state, struct credentials *out, char *detail,
                                    size_t detail_size);
    void *state;
};

struct credentials_provider;

struct credentials_provider *credentials_open(const struct credentials_source *sources,
                                              size_t count);
void credentials_close(struct credentials_provider *p); /* wipes what it held */

/*
 * What to sign with now, borrowed until the next call; NULL while none can be had, with the
 * reason in `*why`. `now`: seconds since the epoch.
 */
const struct credentials *credentials_get(struct credentials_provider *p, int64_t now,
                                          const char **why);
/* AWS refused what it had: fetch again at the next credentials_get(). */
void credentials_refused(struct credentials_provider *p);

/* AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. */
struct credentials_source credentials_environment(void);

#endif
