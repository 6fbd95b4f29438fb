/*
 * Credentials as JSON, from a metadata service or from a process (pure).
 */
#ifndef COMMON_AWS_CREDENTIALS_DOCUMENT_H
#define COMMON_AWS_CREDENTIALS_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/aws/credentials/provider.h"

enum document_kind {
    DOCUMENT_METADATA, /* IMDS, ECS, EKS: AccessKeyId SecretAccessKey Token Expiration [Code] */
    DOCUMENT_PROCESS   /* Version 1, AccessKeyId SecretAccessKey [SessionToken] [Expiration] */
};

/* On false `out` is left alone, and `detail` says why without quoting any of it but a Code. */
bool credentials_document_read(enum document_kind kind, const char *json, size_t n,
                               struct credentials *out, char *detail, size_t detail_size);

/*
 * 2026-01-02T03:04:05Z, with a fraction of the second or an offset like +01:00 or +0100 in place of
 * the Z; seconds since the epoch, the fraction cut off.
 */
bool credentials_time_read(const char *text, int64_t *seconds);

/* Whether it may go into a header: printable ASCII without a blank, and not empty. */
bool credentials_text_is_sound(const char *text);

#endif
