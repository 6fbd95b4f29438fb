/*
 * How long a connection may stay in each of its phases (pure).
 */
#ifndef COMMON_BASE_HTTP_DEADLINE_H
#define COMMON_BASE_HTTP_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

enum connection_phase {
    CONNECTION_FRESH,      /* connected, no byte has come yet */
    CONNECTION_IDLE,       /* between two requests */
    CONNECTION_RECEIVING,  /* from the first byte of a request to its last */
    CONNECTION_RESPONDING, /* the handler has the request */
    CONNECTION_SENDING,    /* from the response to its last byte */
    CONNECTION_PHASES
};

enum deadline_verdict {
    DEADLINE_KEEP,
    DEADLINE_BEGUN, /* a request has begun: the connection is in CONNECTION_RECEIVING now */
    DEADLINE_LATE,  /* the request was not whole in time: 408, then shut it */
    DEADLINE_SHUT,
};

struct deadline_facts {
    enum connection_phase phase;
    int64_t lasted_ms; /* the phase, until now */
    bool has_begun;    /* FRESH and IDLE: bytes of the next request have come */
    bool quiesced;     /* the server stops: what is idle ends at once */
    int64_t request_timeout_ms;
    int64_t idle_timeout_ms; /* between two requests */
};

enum deadline_verdict deadline_judge(const struct deadline_facts *f);

#endif
