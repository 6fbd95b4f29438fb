/*
 * An answer → what goes on the wire.
 */
#ifndef COMMON_BASE_HTTP_REPLY_H
#define COMMON_BASE_HTTP_REPLY_H

#include <microhttpd.h>

#include "receiver/api/answers.h"

/* For MHD_queue_response(). Takes the body out of `a`. NULL: out of memory. */
struct MHD_Response *http_reply(struct answer *a);

/*
 * For where libmicrohttpd cannot answer any more, in the middle of a request: written by hand,
 * with Connection: close. What does not fit into the socket at once is lost.
 */
void http_reply_raw(struct MHD_Connection *connection, const struct answer *a);

#endif
