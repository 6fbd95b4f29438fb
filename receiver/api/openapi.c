#include "receiver/api/openapi.h"

/* Generated at build: the bytes of receiver/api/openapi.json, each with a comma behind it. */
static const unsigned char openapi_json[] = {
#include "receiver/api/openapi.json.inc"
};

void response_openapi(struct http_response *r) {
    r->status = 200;
    r->content_type = "application/json";
    buffer_init(&r->body, sizeof openapi_json);
    buffer_add(&r->body, openapi_json, sizeof openapi_json);
}
