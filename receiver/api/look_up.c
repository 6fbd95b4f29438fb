#include "receiver/api/look_up.h"

#include <stdlib.h>

#include "common/base/memory.h"
#include "receiver/api/responses.h"

enum {
    RETRY_AFTER_S = 1
};

TAILQ_HEAD(look_up_list, look_up_wait);

struct look_ups {
    struct loop *loop;
    const struct status_view *view;
    int64_t timeout_ms;
    bool begun;                  /* the view has caught up */
    struct look_up_list waiting; /* in their order of arrival */
};

static void look_up_find(const struct look_ups *all, const struct route *route,
                         struct http_response *response) {
    struct status status;
    if (status_view_find(all->view, route->user_id, route->query_id, &status))
        response_status(response, &status);
    else
        http_response_problem(response, 404,
                              "No query of this queryId and userId is known. It may be too old, or "
                              "Kafka may have it only since a moment ago.");
}

static void look_up_finish(struct look_up_wait *wait, struct http_response *response) {
    struct look_ups *all = wait->owner;
    loop_timer_cancel(all->loop, &wait->deadline);
    TAILQ_REMOVE(&all->waiting, wait, entry);
    http_respond(wait->request, response);
}

static void look_up_time_out(void *arg) {
    struct http_response response = {0};
    http_response_problem(&response, 503,
                          "The states of the queries are still being read: ask again.");
    response.retry_after_s = RETRY_AFTER_S;
    look_up_finish(arg, &response);
}

bool look_up_serve(struct look_ups *all, struct server_request *r, const struct route *route,
                   struct look_up_wait *wait, struct http_response *response) {
    if (all->begun) {
        look_up_find(all, route, response);
        return true;
    }
    *wait = (struct look_up_wait){.owner = all, .request = r, .route = route};
    TAILQ_INSERT_TAIL(&all->waiting, wait, entry);
    loop_timer_set(all->loop, &wait->deadline, all->timeout_ms, look_up_time_out, wait);
    return false;
}

void look_ups_begin(struct look_ups *all) {
    struct look_up_wait *wait;
    all->begun = true;
    while ((wait = TAILQ_FIRST(&all->waiting)) != NULL) {
        struct http_response response = {0};
        look_up_find(all, wait->route, &response);
        look_up_finish(wait, &response);
    }
}

void look_ups_give_up(struct look_ups *all) {
    struct look_up_wait *wait;
    while ((wait = TAILQ_FIRST(&all->waiting)) != NULL)
        look_up_time_out(wait);
}

struct look_ups *look_ups_open(struct loop *loop, const struct status_view *view,
                               int64_t timeout_ms) {
    struct look_ups *all = mem_zero(sizeof *all);
    all->loop = loop;
    all->view = view;
    all->timeout_ms = timeout_ms;
    TAILQ_INIT(&all->waiting);
    return all;
}

void look_ups_close(struct look_ups *all) {
    free(all);
}
