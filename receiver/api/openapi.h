/*
 * The description that GET /openapi.json answers with: OpenAPI 3.1.
 */
#ifndef RECEIVER_API_OPENAPI_H
#define RECEIVER_API_OPENAPI_H

extern const char openapi_json[];

#endif
