/*
 * Measures the CPU time of a signature, ours and libcurl's own (`--aws-sigv4`), in microseconds.
 *
 *     sign_bench [REQUESTS [ROUNDS]]
 *
 * libcurl signs only what it sends. So each leg sends the same StartQueryExecution over a
 * kept-alive connection to a server in another process and counts the CPU time of this process:
 * unsigned, with the headers of common/aws/sigv4.h, and with CURLOPT_AWS_SIGV4. The cost of a
 * signature is the difference to the unsigned leg of the same round. A fourth leg runs our signer
 * without sending. All legs run in each round, and the medians of the rounds are printed. The
 * server answers 400 unless the request is the one that the leg is to send.
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/aws/sigv4.h"
#include "common/base/memory.h"

enum {
    REQUESTS = 4000,
    ROUNDS = 7,
    ROUNDS_MAX = 101,
    REQUEST_BYTES_MAX = 16384
};

#define KEY    "AKIDEXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define TYPE   "application/x-amz-json-1.1"
#define TARGET "AmazonAthena.StartQueryExecution"

static const char body[] =
    "{\"QueryString\":\"SELECT region, count(*) FROM sales WHERE day = date '2026-01-02' GROUP BY "
    "region\",\"ClientRequestToken\":"
    "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\"WorkGroup\":\"primary\","
    "\"QueryExecutionContext\":{\"Database\":\"default\"},\"ResultConfiguration\":{"
    "\"OutputLocation\":\"s3://results/queries/\"}}";

enum leg {
    LEG_BARE,
    LEG_OURS,
    LEG_CURL,
    LEG_SIGNER, /* ours without sending */
    LEGS
};

static const char *const leg_names[LEGS] = {"sent unsigned", "sent, signed by sigv4.c",
                                            "sent, signed by libcurl", "sigv4.c alone"};

static void die(const char *what) {
    fprintf(stderr, "sign_bench: %s\n", what);
    exit(1);
}

/* --- the server ------------------------------------------------------------------------------- */

/* Serves one request at a time: the client sends the next only after the answer. */
static void serve_connection(int fd) {
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    static const char bad[] = "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n";
    char request[REQUEST_BYTES_MAX + 1];
    size_t n = 0;
    ssize_t got;
    while ((got = read(fd, request + n, REQUEST_BYTES_MAX - n)) > 0) {
        n += (size_t)got;
        request[n] = '\0';
        const char *end = strstr(request, "\r\n\r\n");
        if (end == NULL || n < (size_t)(end - request) + 4 + sizeof body - 1)
            continue;
        bool is_signed = strstr(request, "Authorization: AWS4-HMAC-SHA256 Credential=" KEY) != NULL;
        bool wants = strstr(request, "X-Leg: signed") != NULL;
        const char *answer = is_signed == wants ? ok : bad;
        if (write(fd, answer, strlen(answer)) < 0)
            break;
        n = 0;
    }
    close(fd);
}

/* The server is a process of its own, which ends with this one. */
static uint16_t start_server(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 8) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        die("no server");
    pid_t pid = fork();
    if (pid < 0)
        die("no process");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int client; (client = accept(fd, NULL, NULL)) >= 0;) {
            setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            serve_connection(client);
        }
        _exit(1);
    }
    close(fd);
    return ntohs(address.sin_port);
}

/* --- the client ------------------------------------------------------------------------------- */

static double cpu_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static size_t drop(char *bytes, size_t size, size_t n, void *arg) {
    (void)bytes;
    (void)arg;
    return size * n;
}

static void sign(const char *host, struct sigv4_signed *out) {
    const struct sigv4_header headers[] = {
        {"host", host}, {"content-type", TYPE}, {"x-amz-target", TARGET}};
    const struct sigv4_request request = {
        .method = "POST",
        .path = "/",
        .headers = headers,
        .header_count = 3,
        .body = body,
        .body_len = sizeof body - 1,
        .region = "eu-west-1",
        .service = "athena",
        .time = time(NULL),
    };
    const struct sigv4_keys keys = {KEY, SECRET, NULL};
    if (!sigv4_sign_headers(&request, &keys, out))
        die("not signed");
}

static struct curl_slist *add(struct curl_slist *list, const char *name, const char *value) {
    char line[1024];
    snprintf(line, sizeof line, "%s: %s", name, value);
    return curl_slist_append(list, line);
}

/* Headers are made anew for each request, as the programs do. */
static void send_one(CURL *curl, enum leg leg, const char *host) {
    struct curl_slist *list = add(NULL, "Content-Type", TYPE);
    list = add(list, "X-Amz-Target", TARGET);
    list = add(list, "X-Leg", leg == LEG_BARE ? "bare" : "signed");
    if (leg == LEG_OURS) {
        struct sigv4_signed s;
        sign(host, &s);
        list = add(list, "X-Amz-Date", s.date);
        list = add(list, "Authorization", s.authorization);
        sigv4_signed_free(&s);
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    long status = 0;
    CURLcode done = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(list);
    if (done != CURLE_OK || status != 200)
        die(done != CURLE_OK ? curl_easy_strerror(done) : "a leg does not send what it is to send");
}

static CURL *make_curl(enum leg leg, uint16_t port) {
    char url[64];
    CURL *curl = curl_easy_init();
    if (curl == NULL)
        die("no libcurl");
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", port);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)(sizeof body - 1));
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
    if (leg == LEG_CURL) {
        curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, "aws:amz:eu-west-1:athena");
        curl_easy_setopt(curl, CURLOPT_USERPWD, KEY ":" SECRET);
    }
    return curl;
}

/* CPU us a request. */
static double run(enum leg leg, uint16_t port, int requests) {
    char host[64];
    snprintf(host, sizeof host, "127.0.0.1:%u", port);
    if (leg == LEG_SIGNER) {
        double began = cpu_us();
        for (int i = 0; i < requests; i++) {
            struct sigv4_signed s;
            sign(host, &s);
            sigv4_signed_free(&s);
        }
        return (cpu_us() - began) / requests;
    }
    CURL *curl = make_curl(leg, port);
    send_one(curl, leg, host); /* connects */
    double began = cpu_us();
    for (int i = 0; i < requests; i++)
        send_one(curl, leg, host);
    double us = (cpu_us() - began) / requests;
    curl_easy_cleanup(curl);
    return us;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts them. */
static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
}

int main(int argc, char **argv) {
    int requests = argc > 1 ? atoi(argv[1]) : REQUESTS, rounds = argc > 2 ? atoi(argv[2]) : ROUNDS;
    double us[LEGS][ROUNDS_MAX], more[LEGS][ROUNDS_MAX]; /* than the bare leg of its round */
    if (requests < 1 || rounds < 1 || rounds > ROUNDS_MAX)
        die("usage: sign_bench [REQUESTS [ROUNDS]]");
    curl_global_init(CURL_GLOBAL_ALL);
    uint16_t port = start_server();
    for (int round = 0; round < rounds; round++)
        for (int leg = 0; leg < LEGS; leg++) {
            us[leg][round] = run((enum leg)leg, port, requests);
            more[leg][round] = us[leg][round] - (leg == LEG_SIGNER ? 0 : us[LEG_BARE][round]);
        }
    printf("%-24s  CPU us/request  of it for the signature\n", "");
    for (int leg = 0; leg < LEGS; leg++) {
        printf("%-24s  %14.1f", leg_names[leg], median(us[leg], rounds));
        if (leg == LEG_BARE)
            printf("\n");
        else
            printf("  %23.1f\n", median(more[leg], rounds));
    }
    printf("%s; %zu bytes of body; median of %d rounds of %d requests\n", curl_version(),
           sizeof body - 1, rounds, requests);
    curl_global_cleanup();
    return 0;
}
