/*
 * The description of the receiver's interface, OpenAPI 3.1: receiver/api/openapi.json, embedded.
 */
#ifndef RECEIVER_API_OPENAPI_H
#define RECEIVER_API_OPENAPI_H

#include "common/base/http/response.h"

/* 200 with the description. `r` must be zeroed. */
void response_openapi(struct http_response *r);

#endif
