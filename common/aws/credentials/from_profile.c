#include "common/aws/credentials/from_profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/credentials/container.h"
#include "common/aws/credentials/environment.h"
#include "common/aws/credentials/imds.h"
#include "common/aws/credentials/process.h"
#include "common/aws/credentials/sts_assume.h"
#include "common/aws/credentials/web_identity.h"
#include "common/aws/options.h"
#include "common/aws/profile.h"
#include "common/aws/region.h"
#include "common/aws/shared_files.h"
#include "common/base/memory.h"

/* What a fetch is started with. The fetch of a role starts others, of other profiles. */
struct starting {
    const struct fetch_context *ctx;
    const struct profiles *files;
    struct fetch_result *now;
    fetch_done_fn *fn;
    void *arg;
};

/* The chain of source_profile that led to a profile, the nearest first. */
struct visited {
    const char *profile;
    const struct visited *before;
};

static struct fetch *not_configured(struct fetch_result *now) {
    *now = (struct fetch_result){.found = CREDENTIALS_NOT_CONFIGURED};
    return NULL;
}

static const char *value(const struct starting *s, const char *profile, const char *key) {
    return profiles_value(s->files, profile, key);
}

/* --- keys ------------------------------------------------------------------------------------- */

static bool has_keys(const struct starting *s, enum profile_file file, const char *profile) {
    return profiles_value_in(s->files, file, profile, "aws_access_key_id") != NULL ||
           profiles_value_in(s->files, file, profile, "aws_secret_access_key") != NULL;
}

static struct fetch *take_keys(const struct starting *s, enum profile_file file,
                               const char *profile) {
    static const char *const names[] = {"aws_access_key_id", "aws_secret_access_key",
                                        "aws_session_token"};
    const char *where = file == PROFILE_CONFIG ? "config" : "credentials", *values[3];
    for (int i = 0; i < 3; i++) {
        values[i] = profiles_value_in(s->files, file, profile, names[i]);
        if (i < 2 && values[i] == NULL)
            return fetch_broken(s->now, "profile %s of the %s file has no %s", profile, where,
                                names[i]);
        if (values[i] != NULL && !credentials_text_is_sound(values[i]))
            return fetch_broken(s->now,
                                "%s of profile %s of the %s file holds a blank or another "
                                "character that no key has",
                                names[i], profile, where);
    }
    *s->now = (struct fetch_result){.found = CREDENTIALS_FOUND,
                                    .credentials = {.access_key_id = mem_string(values[0]),
                                                    .secret_access_key = mem_string(values[1]),
                                                    .session_token = mem_string(values[2])}};
    snprintf(s->now->from, sizeof s->now->from, "profile %s of the %s file", profile, where);
    return NULL;
}

/* --- roles ------------------------------------------------------------------------------------ */

struct role {
    struct fetch fetch;
    struct fetch *inner; /* of the base credentials, then of the role's own */
    struct sts_assume assume;
    char *profile, *role_arn, *session_name, *external_id, *duration_s; /* what `assume` borrows */
};

static void role_release(struct fetch *f) {
    struct role *r = (struct role *)f;
    fetch_cancel(r->inner);
    free(r->profile);
    free(r->role_arn);
    free(r->session_name);
    free(r->external_id);
    free(r->duration_s);
}

static void role_on_assumed(void *arg, struct fetch_result *result) {
    struct role *r = arg;
    r->inner = NULL;
    if (result->found != CREDENTIALS_FOUND) {
        fetch_fail(&r->fetch, "profile %s, %s", r->profile, result->detail);
        return;
    }
    char role[sizeof result->from];
    memcpy(role, result->from, sizeof role);
    snprintf(result->from, sizeof result->from, "profile %.64s, %.320s", r->profile, role);
    fetch_finish(&r->fetch, result);
}

static void role_assume(struct role *r, const struct credentials *base) {
    r->inner = sts_assume_start(&r->fetch.ctx, &r->assume, base, role_on_assumed, r);
}

static void role_on_base(void *arg, struct fetch_result *result) {
    struct role *r = arg;
    r->inner = NULL;
    if (result->found == CREDENTIALS_FOUND)
        role_assume(r, &result->credentials);
    else
        fetch_fail(&r->fetch, "profile %s, what its role is assumed with: %s", r->profile,
                   result->found == CREDENTIALS_BROKEN || result->detail[0] != '\0'
                       ? result->detail
                       : "there is none");
}

static struct fetch *start_credential_source(const struct starting *s, const char *name) {
    if (strcmp(name, "Ec2InstanceMetadata") == 0)
        return imds_start(s->ctx, IMDS_CREDENTIALS, s->now, s->fn, s->arg);
    if (strcmp(name, "EcsContainer") == 0)
        return container_start(s->ctx, s->now, s->fn, s->arg);
    if (strcmp(name, "Environment") != 0)
        return fetch_broken(s->now, "credential_source must be Environment, Ec2InstanceMetadata or "
                                    "EcsContainer");
    struct credentials_source environment = credentials_environment();
    *s->now = (struct fetch_result){0};
    s->now->found = environment.fetch(environment.state, &s->now->credentials, s->now->detail,
                                      sizeof s->now->detail);
    return NULL;
}

static struct fetch *start_source_profile(const struct starting *s, const char *profile,
                                          const struct visited *visited);

/* NULL, or what is wrong with a profile that has a role_arn. */
static const char *role_fault(const struct starting *s, const char *profile,
                              const struct sts_assume *a) {
    bool by_profile = value(s, profile, "source_profile") != NULL;
    bool by_source = value(s, profile, "credential_source") != NULL;
    if (value(s, profile, "mfa_serial") != NULL)
        return "mfa_serial is not supported: a program has nobody to ask for a code";
    if (by_profile && by_source)
        return "it has both source_profile and credential_source";
    if (!by_profile && !by_source)
        return "it has a role_arn without source_profile and credential_source";
    return sts_assume_fault(a);
}

static struct role *role_new(const struct starting *s, const char *profile) {
    const char *session = value(s, profile, "role_session_name");
    struct role *r = fetch_new(sizeof *r, role_release, s->ctx, s->fn, s->arg);
    r->profile = mem_string(profile);
    r->role_arn = mem_string(value(s, profile, "role_arn"));
    r->session_name =
        mem_string(session != NULL ? session : s->ctx->options->credentials.role_session_name);
    r->external_id = mem_string(value(s, profile, "external_id"));
    r->duration_s = mem_string(value(s, profile, "duration_seconds"));
    r->assume = (struct sts_assume){.role_arn = r->role_arn,
                                    .session_name = r->session_name,
                                    .external_id = r->external_id,
                                    .duration_s = r->duration_s};
    return r;
}

static struct fetch *start_role(const struct starting *s, const char *profile,
                                const struct visited *visited) {
    struct role *r = role_new(s, profile);
    const char *fault = role_fault(s, profile, &r->assume);
    if (fault != NULL) {
        fetch_cancel(&r->fetch);
        return fetch_broken(s->now, "profile %s: %s", profile, fault);
    }
    const char *source = value(s, profile, "source_profile");
    struct fetch_result now;
    const struct starting base = {s->ctx, s->files, &now, role_on_base, r};
    const struct visited here = {profile, visited};
    r->inner = source != NULL
                   ? start_source_profile(&base, source, &here)
                   : start_credential_source(&base, value(s, profile, "credential_source"));
    if (r->inner != NULL)
        return &r->fetch;
    if (now.found == CREDENTIALS_FOUND) {
        role_assume(r, &now.credentials);
        credentials_wipe(&now.credentials);
        return &r->fetch;
    }
    fetch_cancel(&r->fetch);
    return fetch_broken(s->now, "profile %s, %s %s: %s", profile,
                        source != NULL ? "source_profile" : "credential_source",
                        source != NULL ? source : value(s, profile, "credential_source"),
                        now.detail[0] != '\0' ? now.detail : "there are no credentials");
}

/* --- one profile ------------------------------------------------------------------------------ */

static struct fetch *start_web_identity(const struct starting *s, const char *profile) {
    const char *session = value(s, profile, "role_session_name");
    const char *role_arn = value(s, profile, "role_arn");
    if (role_arn == NULL)
        return fetch_broken(s->now, "profile %s has web_identity_token_file without role_arn",
                            profile);
    return web_identity_start(s->ctx, value(s, profile, "web_identity_token_file"), role_arn,
                              session != NULL ? session
                                              : s->ctx->options->credentials.role_session_name,
                              s->now, s->fn, s->arg);
}

static bool has_sso(const struct starting *s, const char *profile) {
    return value(s, profile, "sso_session") != NULL || value(s, profile, "sso_start_url") != NULL ||
           value(s, profile, "sso_account_id") != NULL;
}

/* All but AssumeRole. */
static struct fetch *start_plain(const struct starting *s, const char *profile) {
    const char *process = value(s, profile, "credential_process");
    if (value(s, profile, "web_identity_token_file") != NULL)
        return start_web_identity(s, profile);
    if (has_sso(s, profile))
        return fetch_broken(s->now,
                            "profile %s is one of SSO (sso_session), which is not supported: a "
                            "program has nobody to sign in",
                            profile);
    if (has_keys(s, PROFILE_CREDENTIALS, profile))
        return take_keys(s, PROFILE_CREDENTIALS, profile);
    if (process != NULL)
        return credential_process_start(s->ctx, process, profile, CREDENTIAL_PROCESS_TIMEOUT_MS,
                                        s->now, s->fn, s->arg);
    if (has_keys(s, PROFILE_CONFIG, profile))
        return take_keys(s, PROFILE_CONFIG, profile);
    return not_configured(s->now);
}

static bool is_role(const struct starting *s, const char *profile) {
    return value(s, profile, "role_arn") != NULL &&
           value(s, profile, "web_identity_token_file") == NULL;
}

/* A profile may name itself: its own keys take precedence over its role. */
static struct fetch *start_source_profile(const struct starting *s, const char *profile,
                                          const struct visited *visited) {
    if (!profiles_have(s->files, profile))
        return fetch_broken(s->now, "there is no such profile");
    if (has_keys(s, PROFILE_CREDENTIALS, profile))
        return take_keys(s, PROFILE_CREDENTIALS, profile);
    if (has_keys(s, PROFILE_CONFIG, profile))
        return take_keys(s, PROFILE_CONFIG, profile);
    for (const struct visited *v = visited; v != NULL; v = v->before)
        if (strcmp(v->profile, profile) == 0)
            return fetch_broken(s->now, "the profiles name each other in a circle");
    return is_role(s, profile) ? start_role(s, profile, visited) : start_plain(s, profile);
}

/* --- the two sources -------------------------------------------------------------------------- */

typedef struct fetch *profile_start_fn(const struct starting *s, const char *profile);

static struct fetch *start_if_role(const struct starting *s, const char *profile) {
    return is_role(s, profile) ? start_role(s, profile, NULL) : not_configured(s->now);
}

static struct fetch *from_profile_start(const struct fetch_context *ctx, profile_start_fn *kind,
                                        struct fetch_result *now, fetch_done_fn *fn, void *arg) {
    const char *profile = shared_files_profile(ctx->options);
    struct profiles files;
    char detail[400];
    if (!shared_files_read(ctx->options, &files, detail, sizeof detail))
        return fetch_broken(now, "%s", detail);
    if (ctx->region != NULL)
        aws_region_learn(ctx->region, &files);
    const struct starting s = {ctx, &files, now, fn, arg};
    struct fetch *f = NULL;
    if (ctx->options->credentials.profile != NULL && !profiles_have(&files, profile))
        (void)fetch_broken(now, "AWS_PROFILE: there is no profile %s", profile);
    else
        f = kind(&s, profile);
    profiles_free(&files);
    /* cppcheck-suppress returnDanglingLifetime ; a fetch copies what it needs */
    return f;
}

struct fetch *profile_role_start(const struct fetch_context *ctx, struct fetch_result *now,
                                 fetch_done_fn *fn, void *arg) {
    return from_profile_start(ctx, start_if_role, now, fn, arg);
}

struct fetch *profile_start(const struct fetch_context *ctx, struct fetch_result *now,
                            fetch_done_fn *fn, void *arg) {
    return from_profile_start(ctx, start_plain, now, fn, arg);
}
