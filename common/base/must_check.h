/*
 * Before the declaration of a function whose result its caller must look at: the compiler warns
 * where the result is dropped, and warnings are errors in the checks of a change.
 */
#ifndef COMMON_BASE_MUST_CHECK_H
#define COMMON_BASE_MUST_CHECK_H

#define MUST_CHECK __attribute__((warn_unused_result))

#endif
