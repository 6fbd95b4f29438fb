/*
 * Who we are to AWS.
 *
 * A provider asks its sources in order; the first that is configured decides: one that is
 * configured and broken is an error and never falls through to another identity.
 * common/aws/credentials/chain.h opens one with all sources there are.
 *
 * Nobody waits here: a source answers at once or says CREDENTIALS_COMING, goes on by itself (on the
 * loop), and is asked again. What is held stays good until it expires or is refused, so a refresh
 * under way delays no call, and there is one however many calls ask.
 */
#ifndef COMMON_AWS_CREDENTIALS_PROVIDER_H
#define COMMON_AWS_CREDENTIALS_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aws_clock;
struct aws_place;
struct loop;

/* Zeroed = none. */
struct credentials {
    char *access_key_id;
    char *secret_access_key;
    char *session_token; /* NULL: none */
    int64_t expires;     /* seconds since the epoch, 0: never */
};

enum credentials_found {
    CREDENTIALS_FOUND,
    CREDENTIALS_NOT_CONFIGURED, /* ask the next source */
    CREDENTIALS_COMING,         /* being fetched: do not ask another source, ask this one again */
    CREDENTIALS_BROKEN,         /* configured and unusable: stop here, `detail` says why */
};

/* One place where credentials may come from. Stateless sources have a NULL state. */
struct credentials_source {
    const char *name; /* for messages: "the environment" */
    /*
     * Fills `out`, which is zeroed, with strings the caller frees when it returns FOUND; else
     * leaves it alone. `detail` never holds a secret; where NOT_CONFIGURED it may say why.
     */
    enum credentials_found (*fetch)(void *state, struct credentials *out, char *detail,
                                    size_t detail_size);
    void *state; /* borrowed */
};

struct credentials_provider;

/* Copies the rows, not their states. Asks only when it is asked. */
struct credentials_provider *credentials_open(const struct credentials_source *sources,
                                              size_t count);
/* The environment alone. */
struct credentials_provider *credentials_open_default(void);

/* What a provider needs that refreshes by itself. All but `loop` may be NULL. */
struct credentials_background {
    struct loop *loop;
    struct aws_clock *clock; /* of AWS; borrowed */
    struct aws_place *place; /* borrowed */
    /* Where source `i` had them from, in words; "": its name says it. */
    const char *(*from)(void *arg, size_t i);
    void (*close)(void *arg); /* called last when the provider is closed */
    void *arg;
};
struct credentials_provider *credentials_open_background(const struct credentials_source *sources,
                                                         size_t count,
                                                         const struct credentials_background *b);
/* From the loop: a source that was COMING knows more. */
void credentials_wake(struct credentials_provider *p);

void credentials_close(struct credentials_provider *p); /* wipes what it held; NULL is fine */

/*
 * What to sign with now, borrowed until the next call or the loop's next turn; NULL while none can
 * be had, with the reason in `*why`, borrowed as long. `now`: seconds since the epoch by the clock
 * of this machine.
 *
 * Asks the sources when nothing is held, when what is held was refused, and ahead of expiry: from
 * 15 minutes before on, in the background at a random moment before the 10th; then once a minute,
 * sooner where they live for less than two, and once a second while nothing held can be used.
 */
const struct credentials *credentials_get(struct credentials_provider *p, int64_t now,
                                          const char **why);

/* The same where no region is needed: credentials_get() gives NULL while none is known. */
const struct credentials *credentials_held(struct credentials_provider *p, int64_t now,
                                           const char **why);
bool credentials_are_coming(const struct credentials_provider *p); /* being fetched */

/*
 * AWS refused what it had: fetch again; later and later, up to 10 s, where it happens again and
 * again. Nothing happens where nothing is held. `serial`: of what the call was signed with, so
 * that a late answer does not throw away what has come since; credentials_refused() means the
 * present ones.
 */
void credentials_refused(struct credentials_provider *p);
void credentials_refused_serial(struct credentials_provider *p, unsigned serial);
/* Of what is held; another whenever it is replaced, and never 0. */
unsigned credentials_serial(const struct credentials_provider *p);

const char *credentials_from(const struct credentials_provider *p); /* in words; "": none held */
struct aws_clock *credentials_clock(const struct credentials_provider *p); /* NULL: none */
struct aws_place *credentials_place(const struct credentials_provider *p); /* NULL: none */

/* AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. */
struct credentials_source credentials_environment(void);

void credentials_copy(const struct credentials *from, struct credentials *to);
/* Wipes and frees; leaves it zeroed. */
void credentials_wipe(struct credentials *c);

#endif
