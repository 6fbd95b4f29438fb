/*
 * W3C Trace Context: whether a request's headers are valid and may be copied to its record (pure;
 * any thread).
 */
#ifndef COMMON_MODEL_TRACE_CONTEXT_H
#define COMMON_MODEL_TRACE_CONTEXT_H

#include <stdbool.h>

/*
 * A traceparent: version-traceid-parentid-flags in lower-case hex, ids not all zero, version not
 * ff. Version 00 has nothing behind the flags; a later version may, after another dash.
 */
bool traceparent_valid(const char *s);

/* A tracestate: at least one key=value, separated by commas; at most 512 printable characters. */
bool tracestate_valid(const char *s);

#endif
