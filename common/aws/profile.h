/*
 * The format of the shared config and credentials files of the AWS SDKs (pure). Reading them from
 * disk is common/aws/shared_files.h.
 *
 * After "Shared config and credentials files" of the SDKs' reference guide. Sections: `[default]`,
 * `[profile name]` and `[services name]` in the config file, `[name]` in the credentials file.
 * Values: `key = value`; an indented line continues the value above it. Comments: a line that
 * begins with # or ;, and the end of a value from a blank before # or ; on. Keys are compared
 * without case; of two equal keys the last counts. `[profile default]` takes precedence over
 * `[default]`.
 *
 * Values are wiped when they are freed. A `detail` never quotes a line, which may hold a key.
 */
#ifndef COMMON_AWS_PROFILE_H
#define COMMON_AWS_PROFILE_H

#include <stdbool.h>
#include <stddef.h>

enum profile_file {
    PROFILE_CONFIG,
    PROFILE_CREDENTIALS
};

/* Both files together. Zeroed = neither holds anything. */
struct profiles {
    struct profile_line *lines; /* owned, in order */
    size_t count, room;
};

/* Adds a file's text (copied). On false `detail` says which line (from 1) is wrong and why. */
bool profiles_add(struct profiles *p, enum profile_file file, const char *text, size_t n,
                  char *detail, size_t detail_size);
void profiles_free(struct profiles *p); /* leaves it zeroed */

bool profiles_have(const struct profiles *p, const char *profile);

/* A value, borrowed from `p`; NULL where there is none or it is empty. */
const char *profiles_value_in(const struct profiles *p, enum profile_file file, const char *profile,
                              const char *key);
/* From the credentials file, else from the config file. */
const char *profiles_value(const struct profiles *p, const char *profile, const char *key);

/*
 * The `endpoint_url` of one service, "athena", in `[services name]`, where name is the value of the
 * profile's `services`:
 *
 *     [services name]
 *     athena =
 *       endpoint_url = https://…
 *
 * The caller frees; NULL where there is none.
 */
char *profiles_service_endpoint(const struct profiles *p, const char *profile, const char *service);

#endif
