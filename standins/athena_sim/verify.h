/*
 * The server's side of AWS Signature Version 4 (pure). Written from AWS's description of the
 * algorithm and apart from common/aws/sigv4.c, which it must never call: a mistake that both
 * shared would go unseen.
 *
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
#ifndef STANDINS_ATHENA_SIM_VERIFY_H
#define STANDINS_ATHENA_SIM_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_header {
    const char *name, *value; /* as sent; a header that came twice is here twice, in order */
};

/* A request as it came in. Everything is borrowed. */
struct sim_request {
    const char *method;
    const char *target; /* path and query as sent, not decoded */
    const struct sim_header *headers;
    size_t header_count;
    const char *body; /* with a NUL behind it */
    size_t body_len;
};

struct sim_credential {
    const char *access_key_id, *secret_access_key;
    const char *session_token; /* NULL: none, and none may be sent */
    int64_t expires_s;         /* seconds since the epoch; 0: never */
};

enum sim_verdict {
    SIM_SIGNED,
    SIM_UNSIGNED,      /* no Authorization header */
    SIM_INCOMPLETE,    /* Authorization that cannot be read */
    SIM_UNKNOWN_KEY,   /* access key or session token */
    SIM_EXPIRED_TOKEN, /* the credential was good once */
    SIM_BAD_SIGNATURE, /* wrong scope, date, hash or signature */
};

/* More than this from now, and the date is refused. */
enum {
    SIM_CLOCK_SKEW_S = 300
};

/*
 * `service` is the one that the request must be signed for. Any region will do. `detail` says
 * what is wrong; it holds no secret. For a signature that does not match it shows the canonical
 * request, as AWS does.
 */
enum sim_verdict sim_verify(const struct sim_request *r, const struct sim_credential *known,
                            size_t known_count, const char *service, int64_t now_s, char *detail,
                            size_t detail_size);

/* The first header of that name, in any case; NULL where there is none. */
const char *sim_header_of(const struct sim_request *r, const char *name);

void sim_sha256_hex(const void *bytes, size_t n, char hex[65]);

#endif
