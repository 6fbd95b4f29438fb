/*
 * Allocation that does not fail: each function ends the process with 111 when memory has run out.
 *
 * That is safe in these programs, since a process that is killed loses no query
 * (docs/architecture.md, "The life of a record"), while code that goes on without memory might.
 * What a client can make large is bounded before it is allocated.
 *
 * The caller frees with free().
 */
#ifndef COMMON_BASE_MEMORY_H
#define COMMON_BASE_MEMORY_H

#include <stddef.h>

void *mem_alloc(size_t size); /* not cleared; size 0 gives a valid pointer */
void *mem_zero(size_t size);  /* cleared */
void *mem_resize(void *p, size_t count, size_t size); /* checks count * size for overflow */
char *mem_string(const char *s);                      /* a copy; NULL gives NULL */
char *mem_bytes(const void *p, size_t n);             /* a copy with a NUL behind it */
void mem_wipe_free(void *p, size_t n); /* for secrets: overwritten, then freed; takes NULL */
void mem_wipe_string(char *s);         /* the same up to the NUL */

#endif
