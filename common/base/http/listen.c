#include "common/base/http/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/options.h"

enum {
    BACKLOG = 1024
};

static int listen_at(const struct addrinfo *at) {
    int fd = socket(at->ai_family, at->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, at->ai_protocol);
    if (fd < 0)
        return -1;
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int kept = errno;
    close(fd);
    errno = kept;
    return -1;
}

static bool write_bound(int fd, char *bound, size_t bound_size) {
    struct sockaddr_storage address;
    socklen_t n = sizeof address;
    char host[INET6_ADDRSTRLEN + 32], port[8];
    if (getsockname(fd, (struct sockaddr *)&address, &n) != 0)
        return false;
    if (getnameinfo((struct sockaddr *)&address, n, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return false;
    bool bracketed = address.ss_family == AF_INET6;
    snprintf(bound, bound_size, bracketed ? "[%s]:%s" : "%s:%s", host, port);
    return true;
}

int http_listen(const char *address, char *bound, size_t bound_size, char *error,
                size_t error_size) {
    char host[256], service[8];
    uint16_t port;
    if (!options_address(address, host, sizeof host, &port)) {
        snprintf(error, error_size, "\"%s\" is not host:port", address);
        return -1;
    }
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo *found, wanted = {.ai_family = AF_UNSPEC,
                                      .ai_socktype = SOCK_STREAM,
                                      .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    int looked_up = getaddrinfo(host, service, &wanted, &found);
    if (looked_up != 0) {
        snprintf(error, error_size, "cannot listen on %s: %s", address, gai_strerror(looked_up));
        return -1;
    }
    int fd = -1;
    for (const struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next)
        fd = listen_at(at);
    if (fd < 0 || !write_bound(fd, bound, bound_size)) {
        snprintf(error, error_size, "cannot listen on %s: %s", address, strerror(errno));
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}
