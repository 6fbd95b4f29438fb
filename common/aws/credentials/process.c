#include "common/aws/credentials/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/aws/credentials/document.h"
#include "common/base/log.h"
#include "common/base/memory.h"

enum {
    OUTPUT_BYTES_MAX = 64 * 1024,
    STDERR_BYTES_MAX = 1024,
    CHECK_END_EVERY_MS = 20 /* once it has closed its output */
};

extern char **environ;

/* --- words ------------------------------------------------------------------------------------ */

struct splitting {
    const char *at;
    char *word; /* room for the whole command */
    size_t len;
    bool begun; /* a word, perhaps an empty one in quotes */
    char **words;
    size_t count;
};

static void end_word(struct splitting *s) {
    if (!s->begun)
        return;
    s->words = mem_resize(s->words, s->count + 2, sizeof *s->words);
    s->words[s->count++] = mem_bytes(s->word, s->len);
    s->words[s->count] = NULL;
    s->len = 0;
    s->begun = false;
}

/* Reads from behind the opening quote to behind the closing one. False: there is no closing one. */
static bool take_quoted(struct splitting *s, char quote) {
    for (; *s->at != '\0' && *s->at != quote; s->at++) {
        if (quote == '"' && *s->at == '\\' && (s->at[1] == '"' || s->at[1] == '\\'))
            s->at++;
        s->word[s->len++] = *s->at;
    }
    return *s->at != '\0' && *s->at++ == quote;
}

static const char *take_character(struct splitting *s) {
    char c = *s->at++;
    if (strchr(" \t\r\n", c) != NULL) {
        end_word(s);
        return NULL;
    }
    s->begun = true;
    if (c == '\'' || c == '"')
        return take_quoted(s, c) ? NULL : "has a quote that does not end";
    if (c == '\\' && *s->at == '\0')
        return "ends in a backslash";
    s->word[s->len++] = c == '\\' ? *s->at++ : c;
    return NULL;
}

char **credential_process_split(const char *command, char *detail, size_t detail_size) {
    struct splitting s = {.at = command, .word = mem_alloc(strlen(command) + 1)};
    const char *fault = NULL;
    while (fault == NULL && *s.at != '\0')
        fault = take_character(&s);
    end_word(&s);
    free(s.word);
    if (fault == NULL && s.count == 0)
        fault = "is empty";
    if (fault == NULL)
        return s.words;
    snprintf(detail, detail_size, "credential_process %s", fault);
    credential_process_free_words(s.words);
    return NULL;
}

void credential_process_free_words(char **words) {
    for (size_t i = 0; words != NULL && words[i] != NULL; i++)
        free(words[i]);
    free(words);
}

/* --- the process ------------------------------------------------------------------------------ */

struct pipe_end {
    int fd; /* -1: closed */
    char *bytes;
    size_t len, max;
};

struct process {
    struct fetch fetch;
    pid_t pid; /* 0: it has ended */
    int status;
    struct pipe_end out, err;
    bool too_long;
    int64_t timeout_ms;
    struct loop_timer deadline, check_end;
    char *profile;
};

static void pipe_end_close(struct process *p, struct pipe_end *e) {
    if (e->fd < 0)
        return;
    loop_unwatch(p->fetch.ctx.loop, e->fd);
    close(e->fd);
    e->fd = -1;
}

/* Kills its process group, and so the children of a script, too. */
static void process_kill(struct process *p) {
    if (p->pid == 0)
        return;
    kill(-p->pid, SIGKILL);
    while (waitpid(p->pid, &p->status, 0) < 0 && errno == EINTR)
        ;
    p->pid = 0;
}

static void pipe_end_free(struct process *p, struct pipe_end *e) {
    pipe_end_close(p, e);
    mem_wipe_free(e->bytes, e->max);
}

static void process_release(struct fetch *f) {
    struct process *p = (struct process *)f;
    process_kill(p);
    pipe_end_free(p, &p->out);
    pipe_end_free(p, &p->err);
    loop_timer_cancel(f->ctx.loop, &p->deadline);
    loop_timer_cancel(f->ctx.loop, &p->check_end);
    free(p->profile);
}

static void process_finish(struct process *p) {
    struct credentials found;
    char detail[256];
    if (p->err.len > 0)
        log_debug("credential_process of profile %s says: %.*s", p->profile, (int)p->err.len,
                  p->err.bytes);
    if (p->too_long) {
        fetch_fail(&p->fetch, "credential_process of profile %s prints too much", p->profile);
    } else if (WIFSIGNALED(p->status)) {
        fetch_fail(&p->fetch, "credential_process of profile %s was ended by signal %d", p->profile,
                   WTERMSIG(p->status));
    } else if (WEXITSTATUS(p->status) != 0) {
        fetch_fail(&p->fetch, "credential_process of profile %s ended with %d%s", p->profile,
                   WEXITSTATUS(p->status),
                   WEXITSTATUS(p->status) == 127 ? ": it cannot be run" : "");
    } else if (!credentials_document_read(DOCUMENT_PROCESS, p->out.bytes, p->out.len, &found,
                                          detail, sizeof detail)) {
        fetch_fail(&p->fetch, "what credential_process of profile %s prints cannot be used: %s",
                   p->profile, detail);
    } else {
        fetch_found(&p->fetch, &found, -1, "credential_process of profile %s", p->profile);
    }
}

/* Called once its output has ended, and then until the process has, too. */
static void process_check_end(void *arg) {
    struct process *p = arg;
    pid_t ended = waitpid(p->pid, &p->status, WNOHANG);
    if (ended == 0 || (ended < 0 && errno == EINTR)) {
        loop_timer_set(p->fetch.ctx.loop, &p->check_end, CHECK_END_EVERY_MS, process_check_end, p);
        return;
    }
    if (ended < 0) /* its status is gone; judge it by what it printed */
        p->status = 0;
    p->pid = 0;
    process_finish(p);
}

static void process_on_deadline(void *arg) {
    struct process *p = arg;
    fetch_fail(&p->fetch, "credential_process of profile %s took longer than %lld ms", p->profile,
               (long long)p->timeout_ms);
}

/* False at the end of the output. Beyond the maximum it sets `*too_long` and drops the bytes. */
static bool pipe_end_read(struct pipe_end *e, bool *too_long) {
    char surplus[4096];
    bool full = e->len == e->max;
    ssize_t n = full ? read(e->fd, surplus, sizeof surplus)
                     : read(e->fd, e->bytes + e->len, e->max - e->len);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (full && n > 0)
        *too_long = true;
    if (!full)
        e->len += (size_t)n;
    return n > 0;
}

static void process_on_output(void *arg, uint32_t events) {
    (void)events;
    struct process *p = arg;
    if (pipe_end_read(&p->out, &p->too_long) && !p->too_long)
        return;
    pipe_end_close(p, &p->out);
    if (p->too_long) /* it may print for ever */
        process_kill(p);
    if (p->pid == 0)
        process_finish(p);
    else
        process_check_end(p);
}

static void process_on_stderr(void *arg, uint32_t events) {
    (void)events;
    struct process *p = arg;
    bool too_long = false; /* only the beginning is kept */
    if (!pipe_end_read(&p->err, &too_long))
        pipe_end_close(p, &p->err);
}

/* --- starting --------------------------------------------------------------------------------- */

static int process_spawn_with(pid_t *pid, char **words, int out_fd, int err_fd,
                              posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes) {
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(actions, out_fd, 1);
    posix_spawn_file_actions_adddup2(actions, err_fd, 2);
#if defined __GLIBC__ && __GLIBC_PREREQ(2, 34)
    posix_spawn_file_actions_addclosefrom_np(actions, 3); /* sockets of libraries included */
#endif
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                             POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(attributes, 0);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &defaults);
    return posix_spawnp(pid, words[0], actions, attributes, words, environ);
}

/* 0, or an errno. */
static int process_spawn(pid_t *pid, char **words, int out_fd, int err_fd) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int fault = posix_spawn_file_actions_init(&actions);
    if (fault != 0)
        return fault;
    fault = posix_spawnattr_init(&attributes);
    if (fault == 0) {
        fault = process_spawn_with(pid, words, out_fd, err_fd, &actions, &attributes);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return fault;
}

static bool open_pipes(int out[2], int err[2]) {
    if (pipe2(out, O_CLOEXEC) != 0)
        return false;
    if (pipe2(err, O_CLOEXEC) == 0)
        return true;
    close(out[0]);
    close(out[1]);
    return false;
}

static bool process_watch(struct process *p, struct pipe_end *e, int fd, size_t max,
                          loop_fd_fn *fn) {
    *e = (struct pipe_end){fd, mem_zero(max), 0, max};
    return fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && loop_watch(p->fetch.ctx.loop, fd, EPOLLIN, fn, p);
}

struct fetch *credential_process_start(const struct fetch_context *ctx, const char *command,
                                       const char *profile, int64_t timeout_ms,
                                       struct fetch_result *now, fetch_done_fn *fn, void *arg) {
    char detail[128];
    int out[2], err[2];
    pid_t pid = 0;
    char **words = credential_process_split(command, detail, sizeof detail);
    if (words == NULL)
        return fetch_broken(now, "profile %s: %s", profile, detail);
    int fault = open_pipes(out, err) ? 0 : errno;
    if (fault == 0) {
        fault = process_spawn(&pid, words, out[1], err[1]);
        close(out[1]);
        close(err[1]);
        if (fault != 0) {
            close(out[0]);
            close(err[0]);
        }
    }
    credential_process_free_words(words);
    if (fault != 0)
        return fetch_broken(now, "credential_process of profile %s cannot be run: %s", profile,
                            strerror(fault));
    struct process *p = fetch_new(sizeof *p, process_release, ctx, fn, arg);
    p->pid = pid;
    p->timeout_ms = timeout_ms;
    p->profile = mem_string(profile);
    bool watched = process_watch(p, &p->out, out[0], OUTPUT_BYTES_MAX, process_on_output);
    watched = process_watch(p, &p->err, err[0], STDERR_BYTES_MAX, process_on_stderr) && watched;
    /* Where its output cannot be watched it fails at once, by the deadline. */
    loop_timer_set(ctx->loop, &p->deadline, watched ? timeout_ms : 0, process_on_deadline, p);
    return &p->fetch;
}
