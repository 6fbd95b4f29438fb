#include "standins/athena_sim/ledger.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/log.h"
#include "common/base/memory.h"

static const char *text_of(const cJSON *line, const char *name) {
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(line, name);
    return cJSON_IsString(member) ? member->valuestring : "";
}

static bool from_hex(const char *hex, uint8_t out[32]) {
    if (strlen(hex) != 64 || strspn(hex, "0123456789abcdef") != 64)
        return false;
    for (size_t i = 0; i < 32; i++) {
        unsigned byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
            return false;
        out[i] = (uint8_t)byte;
    }
    return true;
}

static bool remember(struct sim_state *state, const char *text) {
    cJSON *line = cJSON_Parse(text);
    const char *token = text_of(line, "token"), *id = text_of(line, "id");
    const cJSON *t = cJSON_GetObjectItemCaseSensitive(line, "t");
    struct sim_query *q = mem_zero(sizeof *q);
    bool sound = *token != '\0' && strlen(id) == 36 && cJSON_IsNumber(t) &&
                 from_hex(text_of(line, "sha256"), q->sha256);
    if (sound) {
        memcpy(q->id, id, 37);
        q->token = mem_string(token);
        q->submitted_us = (int64_t)(t->valuedouble * 1e6);
        for (int end = 0; end < SIM_ENDS; end++)
            if (strcmp(text_of(line, "end"), sim_ends[end]) == 0)
                q->sql.end = (enum sim_end)end;
        sound = sim_state_remember(state, q);
    }
    if (!sound)
        sim_query_free(q);
    cJSON_Delete(line);
    return sound;
}

static bool read_lines(FILE *f, struct sim_state *state, bool *cut_short) {
    char *line = NULL;
    size_t room = 0, number = 0;
    *cut_short = false;
    for (ssize_t n; (n = getline(&line, &room, f)) > 0;) {
        number++;
        *cut_short = line[n - 1] != '\n';
        if (!remember(state, line))
            log_warn("line %zu of the ledger is no start, or one that was there before", number);
    }
    free(line);
    return !ferror(f);
}

int sim_ledger_open(const char *path, struct sim_state *state) {
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    struct stat what;
    if (fd >= 0 && fstat(fd, &what) == 0 && !S_ISREG(what.st_mode))
        return fd; /* a terminal or the like has no past to read */
    FILE *f = fd >= 0 ? fopen(path, "re") : NULL;
    bool cut_short = false;
    bool good = f != NULL && read_lines(f, state, &cut_short);
    if (good && cut_short)
        good = write(fd, "\n", 1) == 1;
    int kept = errno;
    if (f != NULL)
        fclose(f);
    if (good)
        return fd;
    if (fd >= 0)
        close(fd);
    errno = kept;
    return -1;
}

/* In one write(2): a reader sees whole lines, whenever the process is killed. */
bool sim_ledger_write(int fd, const struct sim_query *q) {
    if (fd < 0)
        return true;
    struct buffer line;
    buffer_init(&line, 4096);
    buffer_puts(&line, "{\"token\":");
    buffer_json_string(&line, q->token, strlen(q->token));
    buffer_printf(&line, ",\"id\":\"%s\",\"sha256\":\"", q->id);
    for (size_t i = 0; i < sizeof q->sha256; i++)
        buffer_printf(&line, "%02x", q->sha256[i]);
    buffer_printf(&line, "\",\"t\":%lld.%06lld", (long long)(q->submitted_us / 1000000),
                  (long long)(q->submitted_us % 1000000));
    if (q->sql.end != SIM_SUCCEEDED)
        buffer_printf(&line, ",\"end\":\"%s\"", sim_ends[q->sql.end]);
    buffer_puts(&line, "}\n");
    ssize_t written = write(fd, buffer_text(&line), line.len);
    bool good = written == (ssize_t)line.len;
    if (!good)
        log_error("the ledger cannot be written: %s", written < 0 ? strerror(errno) : "disk full");
    buffer_free(&line);
    return good;
}
