#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/aws/credentials/chain.h"
#include "common/base/http/admin.h"
#include "common/base/http/listen.h"
#include "common/base/log.h"
#include "common/base/process_metrics.h"
#include "common/base/program.h"
#include "common/kafka/iam.h"
#include "receiver/service.h"

enum {
    /* Descriptors beside the public connections: brokers (three handles, each with a connection to
       each), the admin port's connections, files of credentials and keys, wake-ups. */
    DESCRIPTORS_KEPT = 160,
    CONNECTIONS_LEAST = 8
};

struct receiver {
    struct receiver_config *config;
    struct loop *loop;
    struct http_tls tls;
    struct status_view *view;
    struct producer *producer;
    struct access *access;
    struct service *service;
    struct http_server *server;
    struct status_reader *reader;
    struct topics *topics;
    struct admin *admin;
    struct credentials_provider *credentials; /* NULL: not with AWS_MSK_IAM */
};

/* --- callbacks that tie the parts together ---------------------------------------------------- */

static void receiver_on_topics(void *arg) {
    struct receiver *r = arg;
    const char *status_topic = r->config->kafka.names.topics[TOPIC_STATUS];
    log_info("ready topic=%s partitions=%d", r->config->kafka.names.topics[TOPIC_QUERY],
             (int)topics_partitions(r->topics, r->config->kafka.names.topics[TOPIC_QUERY]));
    status_reader_start(r->reader, topics_partitions(r->topics, status_topic));
}

static void receiver_on_view(void *arg) {
    struct receiver *r = arg;
    service_view_changed(r->service);
}

static bool receiver_is_ready(void *arg, struct buffer *why) {
    struct receiver *r = arg;
    return service_ready(r->service, why);
}

static void receiver_write_metrics(void *arg, struct buffer *out) {
    struct receiver *r = arg;
    service_metrics(r->service, r->server, out);
    process_metrics_write(out);
}

/* --- opening ---------------------------------------------------------------------------------- */

/*
 * A connection is a descriptor. With all of them used up no broker could be reached and no file be
 * read, so where the limit is too low for MAX_CONNECTIONS there are fewer connections. Returns how
 * many.
 */
static int64_t allow_descriptors(int64_t connections) {
    struct rlimit limit;
    rlim_t wanted = (rlim_t)connections + DESCRIPTORS_KEPT;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return connections;
    rlim_t had = limit.rlim_cur;
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        limit.rlim_cur = had;
    if (limit.rlim_cur >= wanted)
        return connections;
    int64_t room = (int64_t)limit.rlim_cur - DESCRIPTORS_KEPT;
    int64_t fewer = room > CONNECTIONS_LEAST ? room : CONNECTIONS_LEAST;
    log_warn("MAX_CONNECTIONS is lowered from %lld to %lld: the process may have only %llu "
             "descriptors (ulimit -n)",
             (long long)connections, (long long)fewer, (unsigned long long)limit.rlim_cur);
    return fewer;
}

static bool open_service(struct receiver *r, char *error, size_t size) {
    struct receiver_config *c = r->config;
    struct buffer faults;
    buffer_init(&faults, 65536);
    r->access = access_open(c->api_keys_file, &faults);
    bool loaded = r->access != NULL && http_tls_load(c->tls_cert_file, c->tls_key_file,
                                                     c->tls_client_ca_file, &r->tls, &faults);
    if (!loaded) /* options_read() found them sound a moment ago */
        snprintf(error, size, "%s", buffer_text(&faults));
    buffer_free(&faults);
    if (!loaded)
        return false;
    struct service_parts parts = {r->loop, c, r->producer, r->view, r->access};
    r->service = service_open(&parts);
    return true;
}

static bool open_server(struct receiver *r, char *error, size_t size) {
    struct receiver_config *c = r->config;
    char bound[300];
    int fd = http_listen(c->listen, bound, sizeof bound, error, size);
    if (fd < 0)
        return false;
    struct http_server_settings settings = {.listen_fd = fd,
                                            .connections_max = (unsigned)c->max_connections,
                                            .body_max = (size_t)c->max_body_bytes,
                                            .request_timeout_ms = c->request_timeout_ms,
                                            .idle_timeout_ms = c->idle_timeout_ms,
                                            .tls = r->tls.cert != NULL ? &r->tls : NULL};
    struct http_handler handler = service_handler(r->service);
    r->server = http_server_open(r->loop, &settings, &handler);
    if (r->server == NULL)
        snprintf(error, size, "libmicrohttpd cannot be started");
    else
        log_info("listening on %s", bound);
    return r->server != NULL;
}

static bool open_admin(struct receiver *r, char *error, size_t size) {
    const char *listen = r->config->process.admin_listen;
    struct admin_source source = {.ready = receiver_is_ready,
                                  .metrics = receiver_write_metrics,
                                  .arg = r,
                                  .stage = r->config->kafka.names.stage};
    if (listen == NULL)
        return true;
    r->admin = admin_open(r->loop, listen, &source, error, size);
    return r->admin != NULL;
}

/* Nothing else here calls AWS. */
static void open_iam(struct receiver *r) {
    struct receiver_config *c = r->config;
    if (!c->kafka.msk_iam)
        return;
    r->credentials = credentials_open_chain(r->loop, &c->aws);
    c->kafka.iam = kafka_iam_open(r->loop, r->credentials, &c->aws);
}

static bool open_all(struct receiver *r, char *error, size_t size) {
    struct receiver_config *c = r->config;
    c->max_connections = allow_descriptors(c->max_connections);
    open_iam(r);
    r->view = status_view_open((size_t)c->status_cache_max);
    r->producer = producer_open(r->loop, &c->kafka, c->ack_timeout_ms, error, size);
    if (r->producer == NULL || !open_service(r, error, size))
        return false;
    r->reader = status_reader_open(r->loop, &c->kafka, r->view, receiver_on_view, r, error, size);
    if (r->reader == NULL)
        return false;
    const struct topics_events events = {receiver_on_topics, NULL, r};
    r->topics = topics_open(r->loop, &c->kafka, &events, error, size);
    if (r->topics == NULL)
        return false;
    service_set_kafka(r->service, r->topics, r->reader);
    return open_server(r, error, size) && open_admin(r, error, size);
}

/* --- running and stopping --------------------------------------------------------------------- */

static bool receiver_run(struct receiver *r) {
    while (!loop_stopping()) {
        if (!loop_run_once(r->loop))
            return false;
        if (loop_hangup())
            service_reload_keys(r->service);
    }
    return true;
}

static bool receiver_is_drained(void *arg) {
    const struct receiver *r = arg;
    return http_server_connections(r->server) == 0 && service_is_drained(r->service);
}

/* Requests in flight get their responses, and acknowledged queries their QUEUED. */
static void receiver_drain(struct receiver *r) {
    log_info("stopping connections=%zu requests=%zu", http_server_connections(r->server),
             http_server_requests(r->server));
    http_server_quiesce(r->server);
    if (!loop_run_until(r->loop, receiver_is_drained, r, r->config->process.drain_timeout_ms))
        log_warn("not drained in time connections=%zu records=%zu",
                 http_server_connections(r->server), producer_in_flight(r->producer));
}

static void close_all(struct receiver *r) {
    if (r->service != NULL)
        service_give_up(r->service); /* libmicrohttpd aborts where a request still waits */
    admin_close(r->admin);
    http_server_close(r->server);
    topics_close(r->topics);
    status_reader_close(r->reader);
    producer_close(r->producer);
    kafka_iam_close(r->config->kafka.iam);
    credentials_close(r->credentials);
    service_close(r->service);
    access_close(r->access);
    status_view_close(r->view);
    http_tls_free(&r->tls);
    loop_close(r->loop);
}

static int receiver_work(void *config) {
    struct receiver r = {.config = config};
    char error[512] = "";
    int status = EXIT_CANNOT_GO_ON;
    r.loop = program_loop();
    if (r.loop == NULL)
        return status;
    if (!open_all(&r, error, sizeof error)) {
        log_error("%s", error);
    } else {
        log_info("up librdkafka=%s libmicrohttpd=%s", rd_kafka_version_str(), MHD_get_version());
        if (receiver_run(&r)) {
            receiver_drain(&r);
            status = EXIT_STOPPED;
        } else {
            log_error("the event loop failed: %s", strerror(errno));
        }
    }
    close_all(&r);
    log_info("stopped status=%d", status);
    return status;
}

int main(int argc, char **argv) {
    struct receiver_config config = {0};
    return program_main(&receiver_program, argc, argv, &config, receiver_work);
}
