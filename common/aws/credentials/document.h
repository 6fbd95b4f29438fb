/*
 * Credentials as a JSON document, from a metadata service or from a process (pure).
 */
#ifndef COMMON_AWS_CREDENTIALS_DOCUMENT_H
#define COMMON_AWS_CREDENTIALS_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/aws/credentials/credentials.h"

enum document_kind {
    DOCUMENT_METADATA, /* IMDS, ECS, EKS: AccessKeyId SecretAccessKey Token Expiration [Code] */
    DOCUMENT_PROCESS   /* Version 1, AccessKeyId SecretAccessKey [SessionToken] [Expiration] */
};

/*
 * Reads a document; the caller wipes `out`. On false `out` is left alone, and `detail` says what is
 * wrong, without quoting anything of the document but its Code.
 */
bool credentials_document_read(enum document_kind kind, const char *json, size_t n,
                               struct credentials *out, char *detail, size_t detail_size);

/*
 * Reads 2026-01-02T03:04:05Z, also with a fraction of the second, which is cut off, and with an
 * offset like +01:00 or +0100 in place of the Z. `*seconds` since the epoch.
 */
bool credentials_time_read(const char *text, int64_t *seconds);

#endif
