#include "common/aws/shared_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/aws/options.h"
#include "common/base/file.h"
#include "common/base/memory.h"

enum {
    PATH_BYTES_MAX = 4096,
    FILE_BYTES_MAX = 64 * 1024
};

struct shared_file {
    enum profile_file kind;
    const char *variable, *named; /* `named`: the variable's value */
    const char *under_home;
};

/* Replaces a leading ~ by HOME. False: no variable names a file, and there is no default one. */
static bool shared_file_find(const struct shared_file *file, char *path) {
    const char *home = getenv("HOME");
    bool has_home = home != NULL && *home != '\0';
    if (file->named == NULL) {
        if (has_home)
            snprintf(path, PATH_BYTES_MAX, "%s/%s", home, file->under_home);
        return has_home && access(path, F_OK) == 0;
    }
    if (file->named[0] == '~' && file->named[1] == '/' && has_home)
        snprintf(path, PATH_BYTES_MAX, "%s%s", home, file->named + 1);
    else
        snprintf(path, PATH_BYTES_MAX, "%s", file->named);
    return true;
}

static bool shared_file_read(const struct shared_file *file, struct profiles *out, char *detail,
                             size_t detail_size) {
    char path[PATH_BYTES_MAX], why[PATH_BYTES_MAX + 128];
    size_t n;
    if (!shared_file_find(file, path))
        return true;
    char *text = file_read(path, FILE_BYTES_MAX, &n, why, sizeof why);
    if (text == NULL) {
        snprintf(detail, detail_size, "%s%s%s", file->named != NULL ? file->variable : "",
                 file->named != NULL ? ": " : "", why);
        return false;
    }
    bool sound = profiles_add(out, file->kind, text, n, why, sizeof why);
    if (!sound)
        snprintf(detail, detail_size, "%s: %s", path, why);
    mem_wipe_free(text, n);
    return sound;
}

bool shared_files_read(const struct aws_options *o, struct profiles *out, char *detail,
                       size_t detail_size) {
    const struct shared_file files[] = {
        {PROFILE_CONFIG, "AWS_CONFIG_FILE", o->credentials.config_file, ".aws/config"},
        {PROFILE_CREDENTIALS, "AWS_SHARED_CREDENTIALS_FILE", o->credentials.credentials_file,
         ".aws/credentials"},
    };
    *out = (struct profiles){0};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (!shared_file_read(&files[i], out, detail, detail_size)) {
            profiles_free(out);
            return false;
        }
    return true;
}

const char *shared_files_profile(const struct aws_options *o) {
    return o->credentials.profile != NULL ? o->credentials.profile : "default";
}
