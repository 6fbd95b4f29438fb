/*
 * Reads the answers of STS (pure): XML of the Query protocol, Version 2011-06-15.
 *
 * This is a strict reader of a few wanted elements and not of all XML. It decodes character
 * entities and skips attributes, comments and the declaration. It refuses a document type, CDATA,
 * an element that does not close, a wanted element that occurs twice or has children, and bytes
 * behind the document.
 */
#ifndef COMMON_AWS_CREDENTIALS_STS_ANSWER_H
#define COMMON_AWS_CREDENTIALS_STS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

struct sts_element {
    const char *path; /* "ErrorResponse/Error/Code" */
    char *text;       /* owned; NULL where the document has no such element */
};

/* Fills the `text` of each element. False: the document is refused, and all texts are NULL. */
bool sts_answer_read(const char *xml, size_t n, struct sts_element *elements, size_t count);

/* Wipes and frees the texts, which may be secrets. */
void sts_answer_free(struct sts_element *elements, size_t count);

/*
 * The Code and Message of an error, each cut to `size` bytes; "" where it has none. Of the message
 * about a wrong signature only the first sentence is kept, as in common/aws/error.h.
 */
void sts_answer_error(const char *xml, size_t n, char *code, char *message, size_t size);

#endif
