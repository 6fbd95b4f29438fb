#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/program.h"
#include "standins/athena_sim/http.h"
#include "standins/athena_sim/ledger.h"
#include "standins/athena_sim/ops.h"
#include "standins/standin_file.h"

struct sim_config {
    struct process_options process;
    const char *listen, *address_file, *ledger;
    const char *access_key_id, *secret_access_key, *session_token;
    int64_t seed, rate, burst, read_delay_ms;
    struct sim_settings settings;
};

#define AT(field) offsetof(struct sim_config, field)

static const struct option rows[] = {
    {"--address-file", OPTION_STRING, AT(address_file), NULL,
     "Writes the address it listens on, host:port, to this file.", 0, 0, NULL},
    {"SIM_LISTEN", OPTION_ADDRESS, AT(listen), "127.0.0.1:0",
     "Where it listens; port 0 picks one and logs it.", 0, 0, NULL},
    {"SIM_ACCESS_KEY_ID", OPTION_STRING, AT(access_key_id), "AKIDEXAMPLE",
     "The access key that requests must be signed with.", 0, 0, NULL},
    {"SIM_SECRET_ACCESS_KEY", OPTION_STRING, AT(secret_access_key),
     "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "Its secret.", 0, 0, NULL},
    {"SIM_SESSION_TOKEN", OPTION_STRING, AT(session_token), NULL,
     "The session token that requests must carry; not set: they must carry none.", 0, 0, NULL},
    {"SIM_LEDGER", OPTION_STRING, AT(ledger), NULL,
     "A file that gets one JSON line for each query that is really started; starts that it holds "
     "already are remembered.",
     0, 0, NULL},
    {"SIM_ACTIVE_DML", OPTION_INTEGER, AT(settings.active_dml), "20",
     "DML queries that may run at once; more get TooManyRequestsException.", 0, 1000000000, NULL},
    {"SIM_ACTIVE_DDL", OPTION_INTEGER, AT(settings.active_ddl), "20",
     "DDL queries that may run at once.", 0, 1000000000, NULL},
    {"SIM_QUERY_MS", OPTION_INTEGER, AT(settings.query_ms), "1000",
     "How long a query runs, unless a comment in it says otherwise: /* sim: ms=500 state=FAILED */",
     0, 86400000, NULL},
    {"SIM_JITTER", OPTION_SHARE, AT(settings.jitter), "0",
     "How far, up and down, that time strays: 0.5 is from a half to one and a half.", 0, 0, NULL},
    {"SIM_SEED", OPTION_INTEGER, AT(seed), "1", "Of all that is left to chance.", 0, INT64_MAX,
     NULL},
    {"SIM_FAIL_5XX", OPTION_SHARE, AT(settings.fail_5xx), "0",
     "Share of starts that fail with 500 before anything was started.", 0, 0, NULL},
    {"SIM_CUT_AFTER_START", OPTION_SHARE, AT(settings.cut_after_start), "0",
     "Share of starts whose connection is cut in place of the answer.", 0, 0, NULL},
    {"SIM_NONSENSE", OPTION_SHARE, AT(settings.nonsense), "0",
     "Share of starts answered 200 with HTML, {} or half a JSON; half of them did start.", 0, 0,
     NULL},
    {"SIM_RATE", OPTION_INTEGER, AT(rate), "0",
     "StartQueryExecution calls a second before ThrottlingException; 0: no limit.", 0, 1000000,
     NULL},
    {"SIM_EXPIRED", OPTION_INTEGER, AT(settings.expired), "0",
     "1: every call gets ExpiredTokenException.", 0, 1, NULL},
    {"SIM_BURST", OPTION_INTEGER, AT(burst), "0",
     "Calls that SIM_RATE allows at once; 0: those of a second. Athena itself: 20 a second, 80 at once.",
     0, 1000000, NULL},
    {"SIM_DELAY_MS", OPTION_INTEGER, AT(settings.delay_ms), "250",
     "How long an answer to StartQueryExecution is held back; Athena itself takes 100 to 400 ms.",
     0, 3600000, NULL},
    {"SIM_READ_DELAY_MS", OPTION_INTEGER, AT(read_delay_ms), "50",
     "How long every other answer of AWS is held back, at most SIM_DELAY_MS.", 0, 3600000, NULL},
};

static const struct option_table sim_options = {.rows = rows, .count = sizeof rows / sizeof *rows};
static const struct option_part parts[] = {
    {&sim_options, 0}, {&options_process, AT(process)}, {NULL, 0}};
static const struct program program = {
    .name = "athena-sim",
    .summary = "a stand-in for Amazon Athena, CloudWatch and STS on this machine",
    .parts = parts,
};

static void answer(void *arg, const struct sim_request *r, struct sim_answer *a) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    sim_answer_request(arg, r, (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000, a);
}

static bool is_drained(void *http) {
    return sim_http_pending(http) == 0;
}

/* Sends what is answered; idle connections and half requests are simply closed. */
static void sim_drain(struct loop *loop, struct sim_http *http, int64_t timeout_ms) {
    sim_http_quiesce(http);
    if (!loop_run_until(loop, is_drained, http, timeout_ms))
        log_warn("%zu answers were not sent in time", sim_http_pending(http));
}

static int sim_serve(struct loop *loop, struct sim *sim, const struct sim_config *config) {
    char detail[512];
    int status = EXIT_CANNOT_GO_ON;
    struct sim_http *http = sim_http_open(loop, config->listen, answer, sim, detail, sizeof detail);
    if (http == NULL) {
        log_error("%s", detail);
        return EXIT_CANNOT_GO_ON;
    }
    const char *address = sim_http_address(http);
    if (config->address_file != NULL && !standin_write_file(config->address_file, address)) {
        log_error("%s cannot be written: %s", config->address_file, strerror(errno));
    } else {
        log_info("listening on %s", address);
        bool running = true;
        while (!loop_stopping() && running)
            running = loop_run_once(loop);
        if (running)
            sim_drain(loop, http, config->process.drain_timeout_ms);
        else
            log_error("epoll failed: %s", strerror(errno));
        status = running ? EXIT_STOPPED : EXIT_CANNOT_GO_ON;
    }
    sim_http_close(http);
    return status;
}

static int sim_work(void *arg) {
    struct sim_config *config = arg;
    struct sim sim;
    struct loop *loop = program_loop();
    if (loop == NULL)
        return EXIT_CANNOT_GO_ON;
    config->settings.rate = (double)config->rate;
    sim_init(&sim, &config->settings, (uint64_t)config->seed, config->access_key_id,
             config->secret_access_key, config->session_token);
    sim.read_delay_ms = config->read_delay_ms;
    sim.burst = config->burst;
    sim.rate_tokens = sim_burst(&sim);
    int status = EXIT_CANNOT_GO_ON;
    if (config->ledger != NULL && (sim.ledger_fd = sim_ledger_open(config->ledger, &sim.state)) < 0)
        log_error("%s cannot be used: %s", config->ledger, strerror(errno));
    else
        status = sim_serve(loop, &sim, config);
    if (sim.ledger_fd >= 0)
        close(sim.ledger_fd);
    sim_free(&sim);
    loop_close(loop);
    return status;
}

int main(int argc, char **argv) {
    struct sim_config config = {0};
    return program_main(&program, argc, argv, &config, sim_work);
}
