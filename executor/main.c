/*
 * athena-query-executor: takes queries from Kafka, starts each once in Athena, follows it to its
 * end. One thread, one loop; docs/architecture.md draws it.
 */
#include <librdkafka/rdkafka.h>

#include "common/aws/whoami.h"
#include "common/base/http/admin.h"
#include "common/base/log.h"
#include "common/base/program.h"
#include "executor/config.h"
#include "executor/executor.h"
#include "executor/report.h"

static void executor_run(struct loop *loop, struct executor *x,
                         const struct executor_config *config) {
    const struct names *names = &config->kafka.names;
    log_info("up librdkafka=%s group=%s topic=%s", rd_kafka_version_str(),
             names->groups[GROUP_EXECUTOR], names->topics[TOPIC_QUERY]);
    while (!loop_stopping() && loop_run_once(loop))
        ;
    executor_drain(x);
}

/* False: see `error`. */
static bool open_and_run(struct loop *loop, struct executor_config *config, char *error,
                         size_t size) {
    const char *listen = config->process.admin_listen;
    struct executor *x = executor_open(loop, config, error, size);
    if (x == NULL)
        return false;
    const struct admin_source source = {executor_ready, executor_write_metrics, x,
                                        config->kafka.names.stage};
    struct admin *admin = listen != NULL ? admin_open(loop, listen, &source, error, size) : NULL;
    bool opened = listen == NULL || admin != NULL;
    if (opened)
        executor_run(loop, x, config);
    admin_close(admin);
    executor_close(x);
    return opened;
}

static int executor_serve(struct executor_config *config) {
    char error[512];
    struct loop *loop = program_loop();
    if (loop == NULL)
        return EXIT_CANNOT_GO_ON;
    bool opened = open_and_run(loop, config, error, sizeof error);
    if (!opened)
        log_error("%s", error);
    loop_close(loop);
    log_info("stopped");
    return opened ? EXIT_STOPPED : EXIT_CANNOT_GO_ON;
}

static int executor_work(void *arg) {
    struct executor_config *config = arg;
    if (config->whoami)
        return whoami_print(&config->aws) ? EXIT_STOPPED : EXIT_CANNOT_GO_ON;
    return executor_serve(config);
}

int main(int argc, char **argv) {
    static struct executor_config config;
    return program_main(&executor_program, argc, argv, &config, executor_work);
}
