#include "common/base/http/tcp_info.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

uint64_t tcp_info_received(int fd) {
    struct tcp_info info;
    socklen_t size = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return 0;
    return info.tcpi_bytes_received;
}

bool tcp_info_unread(int fd) {
    int n = 0;
    return ioctl(fd, FIONREAD, &n) == 0 && n > 0;
}

bool tcp_info_ended(int fd) {
    struct pollfd it = {.fd = fd, .events = POLLRDHUP};
    return poll(&it, 1, 0) == 1 && (it.revents & POLLRDHUP) != 0 && !tcp_info_unread(fd);
}
