/*
 * A response → what libmicrohttpd, or the socket itself, sends.
 */
#ifndef COMMON_BASE_HTTP_REPLY_H
#define COMMON_BASE_HTTP_REPLY_H

#include <microhttpd.h>

#include "common/base/http/response.h"

/* For MHD_queue_response(). Takes the body out of `r`. NULL: out of memory. */
struct MHD_Response *http_reply(struct http_response *r);

/*
 * For where libmicrohttpd takes no response any more, in the middle of a request: written by hand,
 * with Connection: close. What does not fit into the socket's buffer at once is lost.
 */
void http_reply_raw(struct MHD_Connection *connection, const struct http_response *r);

#endif
