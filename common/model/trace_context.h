/*
 * W3C Trace Context: which of a request's headers are fit to travel on with its record (pure).
 */
#ifndef COMMON_MODEL_TRACE_CONTEXT_H
#define COMMON_MODEL_TRACE_CONTEXT_H

#include <stdbool.h>

/*
 * version-traceid-parentid-flags in lower-case hex, ids not all zero, version not ff; version 00
 * ends there, a later one may go on after another dash.
 */
bool traceparent_valid(const char *s);

/* key=value members, separated by commas, at most 512 printable characters; not empty. */
bool tracestate_valid(const char *s);

#endif
