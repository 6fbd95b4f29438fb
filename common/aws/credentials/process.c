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
    COMPLAINT_BYTES_MAX = 1024,
    LOOK_EVERY_MS = 20 /* whether it has ended, once it has closed its output */
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

/* From behind the opening quote to behind the closing one; false: there is none. */
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
    struct loop_timer deadline, look;
    char *profile;
};

static void close_end(struct process *p, struct pipe_end *e) {
    if (e->fd < 0)
        return;
    loop_unwatch(p->fetch.ctx.loop, e->fd);
    close(e->fd);
    e->fd = -1;
}

/* Its whole group, which is of its own: a script's children too. */
static void kill_it(struct process *p) {
    if (p->pid == 0)
        return;
    kill(-p->pid, SIGKILL);
    while (waitpid(p->pid, &p->status, 0) < 0 && errno == EINTR)
        ;
    p->pid = 0;
}

static void free_end(struct process *p, struct pipe_end *e) {
    close_end(p, e);
    mem_wipe_free(e->bytes, e->max);
}

static void release(struct fetch *f) {
    struct process *p = (struct process *)f;
    kill_it(p);
    free_end(p, &p->out);
    free_end(p, &p->err);
    loop_timer_cancel(f->ctx.loop, &p->deadline);
    loop_timer_cancel(f->ctx.loop, &p->look);
    free(p->profile);
}

static void finish(struct process *p) {
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

/* Once its output has ended. */
static void look(void *arg) {
    struct process *p = arg;
    pid_t ended = waitpid(p->pid, &p->status, WNOHANG);
    if (ended == 0 || (ended < 0 && errno == EINTR)) {
        loop_timer_set(p->fetch.ctx.loop, &p->look, LOOK_EVERY_MS, look, p);
        return;
    }
    if (ended < 0) /* somebody else has waited for it: what it printed must do */
        p->status = 0;
    p->pid = 0;
    finish(p);
}

static void on_deadline(void *arg) {
    struct process *p = arg;
    fetch_fail(&p->fetch, "credential_process of profile %s took longer than %lld ms", p->profile,
               (long long)p->timeout_ms);
}

/* False at its end. */
static bool take_some(struct pipe_end *e, bool *too_long) {
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

static void on_output(void *arg, uint32_t events) {
    (void)events;
    struct process *p = arg;
    if (take_some(&p->out, &p->too_long) && !p->too_long)
        return;
    close_end(p, &p->out);
    if (p->too_long) /* it may go on for ever */
        kill_it(p);
    if (p->pid == 0)
        finish(p);
    else
        look(p);
}

static void on_complaint(void *arg, uint32_t events) {
    (void)events;
    struct process *p = arg;
    bool too_long = false; /* the beginning is enough */
    if (!take_some(&p->err, &too_long))
        close_end(p, &p->err);
}

/* --- starting --------------------------------------------------------------------------------- */

static int spawn_with(pid_t *pid, char **words, int out_fd, int err_fd,
                      posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes) {
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(actions, out_fd, 1);
    posix_spawn_file_actions_adddup2(actions, err_fd, 2);
#if defined __GLIBC__ && __GLIBC_PREREQ(2, 34)
    posix_spawn_file_actions_addclosefrom_np(actions, 3); /* libraries' sockets among them */
#endif
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                             POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(attributes, 0);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &defaults);
    return posix_spawnp(pid, words[0], actions, attributes, words, environ);
}

/* An errno; 0: it runs. */
static int spawn(pid_t *pid, char **words, int out_fd, int err_fd) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int fault = posix_spawn_file_actions_init(&actions);
    if (fault != 0)
        return fault;
    fault = posix_spawnattr_init(&attributes);
    if (fault == 0) {
        fault = spawn_with(pid, words, out_fd, err_fd, &actions, &attributes);
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

static bool watch(struct process *p, struct pipe_end *e, int fd, size_t max, loop_fd_fn *fn) {
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
        fault = spawn(&pid, words, out[1], err[1]);
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
    struct process *p = fetch_new(sizeof *p, release, ctx, fn, arg);
    p->pid = pid;
    p->timeout_ms = timeout_ms;
    p->profile = mem_string(profile);
    bool watched = watch(p, &p->out, out[0], OUTPUT_BYTES_MAX, on_output);
    watched = watch(p, &p->err, err[0], COMPLAINT_BYTES_MAX, on_complaint) && watched;
    /* Unwatched it ends by the deadline, and says so. */
    loop_timer_set(ctx->loop, &p->deadline, watched ? timeout_ms : 0, on_deadline, p);
    return &p->fetch;
}
