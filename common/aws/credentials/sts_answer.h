/*
 * What STS answers (pure): XML of the Query protocol, Version 2011-06-15.
 *
 * A strict reader of the few elements that are wanted, not of all XML: elements and text, entities
 * of characters decoded, attributes, comments and the declaration passed over; a document type,
 * CDATA, an element that does not close, a wanted one that comes twice or holds others, and bytes
 * behind the document are refused.
 */
#ifndef COMMON_AWS_CREDENTIALS_STS_ANSWER_H
#define COMMON_AWS_CREDENTIALS_STS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

struct sts_element {
    const char *path; /* "ErrorResponse/Error/Code" */
    char *text;       /* owned, NULL where the document has none; wipe it where it is a secret */
};

/* False: no such document; all texts are NULL then. */
bool sts_answer_read(const char *xml, size_t n, struct sts_element *elements, size_t count);

/* Wipes and frees the texts. */
void sts_answer_free(struct sts_element *elements, size_t count);

/* The Code and Message of an error, each into `size` bytes, "" where it has none. */
void sts_answer_error(const char *xml, size_t n, char *code, char *message, size_t size);

#endif
