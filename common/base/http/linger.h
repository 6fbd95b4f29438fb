/*
 * Connections that were refused before all that the client sent was read.
 *
 * The kernel resets a connection that is closed with unread bytes in it, and a reset can discard
 * the response before the client has read it. So such a socket is read for two seconds at most, its
 * bytes are dropped, and it is closed when the client closes (RFC 9112, 9.6).
 */
#ifndef COMMON_BASE_HTTP_LINGER_H
#define COMMON_BASE_HTTP_LINGER_H

#include "common/base/loop.h"

struct http_linger;

struct http_linger *http_linger_open(struct loop *loop);
void http_linger_close(struct http_linger *l); /* with all that still linger */
/* Nothing more is written to `fd`. It is duplicated and stays the caller's to close. */
void http_linger_add(struct http_linger *l, int fd);

#endif
