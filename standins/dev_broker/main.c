/*
 * librdkafka's in-memory broker in a process of its own, for trying things out.
 *
 * It keeps 5 MiB or 100,000 batches a partition and drops the oldest silently, knows no admin
 * requests, no SASL and no real transactions, and forgets everything when it ends.
 */
#include <dirent.h>
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/log.h"
#include "common/base/program.h"
#include "common/model/names.h"
#include "standins/standin_file.h"

struct broker_config {
    struct process_options process;
    const char *bootstrap_file;
    const char *stage, *topics[TOPICS];
    int64_t partitions;
};

#define AT(field) offsetof(struct broker_config, field)

static const struct option rows[] = {
    {"--bootstrap-file", OPTION_STRING, AT(bootstrap_file), NULL,
     "Writes its address, host:port, to this file.", 0, 0, NULL},
    {"STAGE", OPTION_STRING, AT(stage), NULL,
     "The topics are also created with `-STAGE` behind their names.", 0, 0, NULL},
    {"QUERY_TOPIC", OPTION_STRING, AT(topics[TOPIC_QUERY]), "athena-query",
     "A topic that is created.", 0, 0, NULL},
    {"DEADLETTER_TOPIC", OPTION_STRING, AT(topics[TOPIC_DEADLETTER]), "athena-query-deadletter",
     "A topic that is created.", 0, 0, NULL},
    {"REJECTED_TOPIC", OPTION_STRING, AT(topics[TOPIC_REJECTED]), "athena-query-rejected",
     "A topic that is created.", 0, 0, NULL},
    {"STATUS_TOPIC", OPTION_STRING, AT(topics[TOPIC_STATUS]), "athena-query-status",
     "A topic that is created.", 0, 0, NULL},
    {"TOPIC_PARTITIONS", OPTION_INTEGER, AT(partitions), "6", "Partitions of each of these topics.",
     1, 1000, NULL},
    {"QUOTA_TOPIC", OPTION_STRING, AT(topics[TOPIC_QUOTA]), "athena-query-quota",
     "A topic that is created, with one partition.", 0, 0, NULL},
};

static const struct option_table broker_options = {.rows = rows,
                                                   .count = sizeof rows / sizeof *rows};
static const struct option_part parts[] = {
    {&broker_options, 0}, {&options_process, AT(process)}, {NULL, 0}};
static const struct program program = {
    .name = "dev-broker",
    .summary = "an in-memory Kafka broker to try things out with; it forgets all when it ends",
    .parts = parts,
};

/*
 * The in-memory broker leaves Nagle's algorithm on, which costs 40 ms a record. It offers no way
 * to change that, but sockets inherit TCP_NODELAY from the one they were accepted on: so it is
 * set on every listening socket of this process.
 */
static void disable_nagle(void) {
    DIR *fds = opendir("/proc/self/fd");
    if (fds == NULL) {
        log_warn("cannot disable Nagle's algorithm: %s", strerror(errno));
        return;
    }
    for (const struct dirent *entry; (entry = readdir(fds)) != NULL;) {
        int fd = atoi(entry->d_name), listens = 0, on = 1;
        socklen_t len = sizeof listens;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens &&
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
            log_warn("cannot disable Nagle's algorithm: %s", strerror(errno));
    }
    closedir(fds);
}

static bool create_topic(rd_kafka_mock_cluster_t *cluster, const char *name, int partitions) {
    rd_kafka_resp_err_t error = rd_kafka_mock_topic_create(cluster, name, partitions, 1);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_error("topic %s cannot be created: %s", name, rd_kafka_err2str(error));
    return error == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* By its name, and with the stage behind it. */
static bool create_both(rd_kafka_mock_cluster_t *cluster, const char *name, const char *stage,
                        int partitions) {
    char staged[512];
    snprintf(staged, sizeof staged, "%s-%s", name, stage != NULL ? stage : "");
    return create_topic(cluster, name, partitions) &&
           (stage == NULL || create_topic(cluster, staged, partitions));
}

static bool create_topics(rd_kafka_mock_cluster_t *cluster, const struct broker_config *config) {
    for (size_t i = 0; i < TOPICS; i++) {
        int partitions = i == TOPIC_QUOTA ? 1 : (int)config->partitions;
        if (!create_both(cluster, config->topics[i], config->stage, partitions))
            return false;
    }
    return true;
}

static bool announce(const struct broker_config *config, const char *bootstrap) {
    if (config->bootstrap_file != NULL && !standin_write_file(config->bootstrap_file, bootstrap)) {
        log_error("%s cannot be written: %s", config->bootstrap_file, strerror(errno));
        return false;
    }
    log_info("listening on %s", bootstrap);
    if (printf("bootstrap=%s\n", bootstrap) < 0 || fflush(stdout) != 0)
        log_warn("standard output: %s", strerror(errno));
    return true;
}

/* The broker runs in threads of librdkafka; this one only waits for the signal to stop. */
static int broker_work(void *arg) {
    const struct broker_config *config = arg;
    sigset_t stop;
    int received;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &stop, NULL); /* before any thread is started */

    char detail[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    /* The mock cluster needs a client, which would warn that it has no broker to connect to. */
    rd_kafka_conf_set(conf, "log_level", "3", detail, sizeof detail);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, detail, sizeof detail);
    if (rk == NULL)
        rd_kafka_conf_destroy(conf);
    rd_kafka_mock_cluster_t *cluster = rk != NULL ? rd_kafka_mock_cluster_new(rk, 1) : NULL;
    int status = EXIT_CANNOT_GO_ON;
    if (cluster == NULL) {
        log_error("no broker: %s", rk == NULL ? detail : "the mock cluster did not start");
    } else {
        disable_nagle();
        if (create_topics(cluster, config) &&
            announce(config, rd_kafka_mock_cluster_bootstraps(cluster))) {
            status = sigwait(&stop, &received) == 0 ? EXIT_STOPPED : EXIT_CANNOT_GO_ON;
            pthread_sigmask(SIG_UNBLOCK, &stop, NULL); /* a second one ends it at once */
        }
        rd_kafka_mock_cluster_destroy(cluster);
    }
    if (rk != NULL)
        rd_kafka_destroy(rk);
    return status;
}

int main(int argc, char **argv) {
    struct broker_config config = {0};
    return program_main(&program, argc, argv, &config, broker_work);
}
