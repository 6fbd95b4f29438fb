#include "common/aws/credentials/web_identity.h"

#include <string.h>

#include "common/aws/credentials/sts_assume.h"
#include "common/aws/options.h"
#include "common/base/file.h"
#include "common/base/memory.h"

enum {
    TOKEN_BYTES_MAX = 64 * 1024
};

/* Cuts the newline off that an editor leaves behind the token. */
static void trim_end(char *text) {
    size_t n = strlen(text);
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' '))
        text[--n] = '\0';
}

struct fetch *web_identity_start(const struct fetch_context *ctx, const char *token_file,
                                 const char *role_arn, const char *session_name,
                                 struct fetch_result *now, fetch_done_fn *fn, void *arg) {
    size_t n;
    char detail[400];
    char *token = file_read(token_file, TOKEN_BYTES_MAX, &n, detail, sizeof detail);
    if (token == NULL)
        return fetch_broken(now, "the web identity's token: %s", detail);
    trim_end(token);
    const struct sts_assume assume = {
        .role_arn = role_arn, .session_name = session_name, .web_token = token};
    const char *fault = !credentials_text_is_sound(token) ? "the web identity's token is no token"
                                                          : sts_assume_fault(&assume);
    struct fetch *f = fault != NULL ? fetch_broken(now, "%s", fault)
                                    : sts_assume_start(ctx, &assume, NULL, fn, arg);
    mem_wipe_free(token, n);
    return f;
}

struct fetch *web_identity_environment_start(const struct fetch_context *ctx,
                                             struct fetch_result *now, fetch_done_fn *fn,
                                             void *arg) {
    const struct aws_credential_options *o = &ctx->options->credentials;
    if (o->web_identity_token_file == NULL) {
        *now = (struct fetch_result){.found = CREDENTIALS_NOT_CONFIGURED};
        return NULL;
    }
    if (o->role_arn == NULL)
        return fetch_broken(now, "AWS_WEB_IDENTITY_TOKEN_FILE is set without AWS_ROLE_ARN");
    return web_identity_start(ctx, o->web_identity_token_file, o->role_arn, o->role_session_name,
                              now, fn, arg);
}
