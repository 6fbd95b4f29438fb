#include "common/base/process_metrics.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/metrics.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

enum {
    PROC_FILE_MAX_BYTES = 1 << 20, /* /proc/stat has a line of all interrupts */
    /* Fields of /proc/self/stat, counted as proc(5) does; the second is the name in brackets. */
    STAT_STATE = 3,
    STAT_UTIME = 14,
    STAT_STIME = 15,
    STAT_THREADS = 20,
    STAT_START_TIME = 22,
    STAT_VSIZE = 23,
    STAT_RSS = 24,
    STAT_FIELDS,
};

static void process_gauge(struct buffer *out, const char *name, const char *help, double value) {
    struct metric m = {.name = name, .help = help, .type = METRIC_GAUGE, .value = value};
    metrics_write(&m, 1, out);
}

/* --- /proc ------------------------------------------------------------------------------------ */

static char *read_proc(const char *path) {
    char detail[256];
    size_t len;
    return file_read(path, PROC_FILE_MAX_BYTES, &len, detail, sizeof detail);
}

/* The numbers of /proc/self/stat by their field; false where it cannot be read. */
static bool read_stat(double fields[STAT_FIELDS]) {
    char *text = read_proc("/proc/self/stat");
    char *at = text != NULL ? strrchr(text, ')') : NULL;
    int i = STAT_STATE;
    for (char *save, *word = at != NULL ? strtok_r(at + 1, " ", &save) : NULL;
         word != NULL && i < STAT_FIELDS; word = strtok_r(NULL, " ", &save))
        fields[i++] = strtod(word, NULL);
    free(text);
    return i == STAT_FIELDS;
}

/* When the machine was started, in seconds since 1970; 0: not known. */
static double boot_time(void) {
    static const char name[] = "\nbtime ";
    char *text = read_proc("/proc/stat");
    char *line = text != NULL ? strstr(text, name) : NULL;
    double seconds = line != NULL ? strtod(line + sizeof name - 1, NULL) : 0;
    free(text);
    return seconds;
}

/* -1: not known. */
static int open_descriptors(void) {
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL)
        return -1;
    int count = 0;
    for (const struct dirent *e = readdir(directory); e != NULL; e = readdir(directory))
        count += e->d_name[0] != '.';
    closedir(directory);
    return count - 1; /* the one of `directory` */
}

/* --- metrics ---------------------------------------------------------------------------------- */

static void write_build_info(struct buffer *out) {
    struct buffer labels;
    buffer_init(&labels, 1024);
    metrics_label(&labels, "program", program_invocation_short_name);
    metrics_label(&labels, "version", VERSION);
    struct metric m = {.name = "athena_query_build_info",
                       .labels = buffer_text(&labels),
                       .help = "1; its labels say which program and version this is.",
                       .type = METRIC_GAUGE,
                       .value = 1};
    metrics_write(&m, 1, out);
    buffer_free(&labels);
}

static void write_stat(struct buffer *out) {
    double stat[STAT_FIELDS], ticks = (double)sysconf(_SC_CLK_TCK), boot = boot_time();
    if (!read_stat(stat))
        return;
    struct metric cpu = {.name = "process_cpu_seconds_total",
                         .help = "User and system CPU time.",
                         .type = METRIC_COUNTER,
                         .value = (stat[STAT_UTIME] + stat[STAT_STIME]) / ticks};
    metrics_write(&cpu, 1, out);
    process_gauge(out, "process_resident_memory_bytes", "Memory that is resident.",
                  stat[STAT_RSS] * (double)sysconf(_SC_PAGESIZE));
    process_gauge(out, "process_virtual_memory_bytes", "Virtual memory.", stat[STAT_VSIZE]);
    process_gauge(out, "process_threads", "Threads of the process.", stat[STAT_THREADS]);
    if (boot > 0)
        process_gauge(out, "process_start_time_seconds",
                      "When the process was started, in seconds since 1970.",
                      boot + stat[STAT_START_TIME] / ticks);
}

static void write_descriptors(struct buffer *out) {
    int open = open_descriptors();
    struct rlimit limit;
    if (open >= 0)
        process_gauge(out, "process_open_fds", "File descriptors that are open.", open);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        process_gauge(out, "process_max_fds", "File descriptors that may be open.",
                      (double)limit.rlim_cur);
}

void process_metrics_write(struct buffer *out) {
    write_build_info(out);
    write_stat(out);
    write_descriptors(out);
}
