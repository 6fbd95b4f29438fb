/*
 * The least that a server in C can spend on a request: libmicrohttpd with its own epoll, one
 * thread, cJSON, and 202 at once. No Kafka. The receiver is measured beside it (tests/bench).
 *
 *     http_peer PORT
 */
#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <microhttpd.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
    BODY_MAX = 4096,
    POOL_BYTES = 8192,
    CONNECTIONS_MAX = 4096
};

struct peer_request {
    size_t n;
    char body[BODY_MAX];
};

static bool peer_is_query(const struct peer_request *r) {
    cJSON *json = cJSON_ParseWithLength(r->body, r->n);
    const cJSON *query = cJSON_GetObjectItemCaseSensitive(json, "query");
    bool ok = cJSON_IsString(query) && query->valuestring[0] != '\0';
    cJSON_Delete(json);
    return ok;
}

static enum MHD_Result peer_respond(struct MHD_Connection *connection,
                                    const struct peer_request *r) {
    static char accepted[] = "{\"state\":\"QUEUED\"}\n", refused[] = "not a query\n";
    bool ok = peer_is_query(r);
    char *text = ok ? accepted : refused;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result = MHD_queue_response(connection, ok ? 202 : 400, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result peer_on_call(void *arg, struct MHD_Connection *connection, const char *url,
                                    const char *method, const char *version, const char *data,
                                    size_t *size, void **context) {
    (void)arg, (void)url, (void)method, (void)version;
    struct peer_request *r = *context;
    if (r == NULL) {
        *context = r = malloc(sizeof *r);
        if (r != NULL)
            r->n = 0;
        return r != NULL ? MHD_YES : MHD_NO;
    }
    if (*size == 0)
        return peer_respond(connection, r);
    if (*size > sizeof r->body - r->n)
        return MHD_NO;
    memcpy(r->body + r->n, data, *size);
    r->n += *size;
    *size = 0;
    return MHD_YES;
}

static void peer_on_completed(void *arg, struct MHD_Connection *connection, void **context,
                              enum MHD_RequestTerminationCode why) {
    (void)arg, (void)connection, (void)why;
    free(*context);
    *context = NULL;
}

int main(int argc, char **argv) {
    int port = argc == 2 ? atoi(argv[1]) : 0;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, peer_on_call, NULL, MHD_OPTION_SOCK_ADDR,
                         &address, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES,
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                         MHD_OPTION_NOTIFY_COMPLETED, peer_on_completed, NULL, MHD_OPTION_END);
    if (daemon == NULL) {
        fprintf(stderr, "http_peer: libmicrohttpd cannot be started on port %d\n", port);
        return 1;
    }
    int fd = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return 1;
    for (;;) {
        unsigned long long due_ms;
        bool is_due = MHD_get_timeout(daemon, &due_ms) == MHD_YES;
        epoll_wait(epoll_fd, &event, 1, is_due ? (int)due_ms : -1);
        MHD_run(daemon);
    }
}
