#include "common/base/http/listen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct {
    const char *listen, *bound; /* before the port; NULL: refused */
} listens[] = {
    {"127.0.0.1:0", "127.0.0.1:"},
    {"0.0.0.0:0", "0.0.0.0:"},
    {"[::1]:0", "[::1]:"},
    {"", NULL},
    {"8080", NULL},
    {"127.0.0.1", NULL},
    {"127.0.0.1:", NULL},
    {"127.0.0.1:65536", NULL},
    {"127.0.0.1:http", NULL},
    {"::1:0", NULL},
    {"no.such.host.invalid:0", NULL},
    {"192.0.2.1:0", NULL}, /* not of this machine: RFC 5737 */
};

static bool has_ipv6(void) {
    char error[256], bound[LISTEN_ADDRESS_MAX];
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (fd < 0)
        return false;
    close(fd);
    fd = http_listen("[::1]:0", bound, sizeof bound, error, sizeof error);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void test_listening(void **state) {
    (void)state;
    bool ipv6 = has_ipv6();
    for (size_t i = 0; i < COUNT(listens); i++) {
        if (listens[i].listen[0] == '[' && !ipv6)
            continue;
        char error[256] = "", bound[LISTEN_ADDRESS_MAX] = "";
        int fd = http_listen(listens[i].listen, bound, sizeof bound, error, sizeof error);
        if (listens[i].bound == NULL) {
            if (fd >= 0 || error[0] == '\0')
                fail_msg("%s: %d, \"%s\"", listens[i].listen, fd, error);
            continue;
        }
        if (fd < 0 || strncmp(bound, listens[i].bound, strlen(listens[i].bound)) != 0 ||
            atoi(bound + strlen(listens[i].bound)) <= 0)
            fail_msg("%s: %d, \"%s\", \"%s\"", listens[i].listen, fd, bound, error);
        int on = 0;
        socklen_t size = sizeof on;
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, &size), 0);
        assert_int_equal(on, 1);
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size), 0);
        assert_int_equal(on, 1);
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        close(fd);
    }
}

static void test_name(void **state) {
    (void)state;
    char error[256] = "", bound[LISTEN_ADDRESS_MAX];
    int fd = http_listen("localhost:0", bound, sizeof bound, error, sizeof error);
    assert_true(fd >= 0);
    assert_true(strncmp(bound, "127.0.0.1:", 10) == 0 || strncmp(bound, "[::1]:", 6) == 0);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listening),
        cmocka_unit_test(test_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
