/*
 * What the kernel knows of a TCP connection.
 */
#ifndef COMMON_BASE_HTTP_TCP_INFO_H
#define COMMON_BASE_HTTP_TCP_INFO_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes received since it was made, read by us or not; 0 where `fd` is no TCP socket. */
uint64_t tcp_info_received(int fd);
bool tcp_info_unread(int fd); /* something waits to be read */
bool tcp_info_ended(int fd);  /* the other side sends no more, and all it sent was read */

#endif
