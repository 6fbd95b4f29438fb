/*
 * Connections that were refused before all they sent was read.
 *
 * Closing a socket with unread bytes in it sends a reset, which can wipe the answer out before the
 * client has read it. So the socket is read for a while, into nothing, until the client closes.
 */
#ifndef COMMON_BASE_HTTP_LINGER_H
#define COMMON_BASE_HTTP_LINGER_H

#include "common/base/loop.h"

struct http_linger;

struct http_linger *http_linger_open(struct loop *loop);
void http_linger_close(struct http_linger *l); /* with all that still linger */
/* Keeps a duplicate of `fd`; that itself stays the caller's to close. Writing has ended. */
void http_linger_add(struct http_linger *l, int fd);

#endif
