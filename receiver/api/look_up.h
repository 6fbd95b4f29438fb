/*
 * GET /athena/query/{queryId}: the latest state of a query, out of the view.
 *
 * Until the view has caught up with the status topic a look-up waits for it, and gets 503 where
 * that takes longer than its timeout.
 */
#ifndef RECEIVER_API_LOOK_UP_H
#define RECEIVER_API_LOOK_UP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/http/handler.h"
#include "common/base/loop.h"
#include "common/model/status_view.h"
#include "receiver/api/router.h"

struct look_ups;

/* What a look-up keeps while it waits; part of the request's state. */
struct look_up_wait {
    struct look_ups *owner;
    TAILQ_ENTRY(look_up_wait) entry;
    struct loop_timer deadline;
    struct server_request *request;
    const struct route *route;
};

/* `view` stays the caller's. */
struct look_ups *look_ups_open(struct loop *loop, const struct status_view *view,
                               int64_t timeout_ms);
/* Nothing may wait any more. Takes NULL. */
void look_ups_close(struct look_ups *all);

/* True: `response` is given. False: http_respond() will be called; `route` must stay till then. */
bool look_up_serve(struct look_ups *all, struct server_request *r, const struct route *route,
                   struct look_up_wait *wait, struct http_response *response);
/* The view has caught up: responds to what has waited for it. Once. */
void look_ups_begin(struct look_ups *all);
/* Responds to all that waits: 503. */
void look_ups_give_up(struct look_ups *all);

#endif
