#include "receiver/auth/access.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "receiver/auth/api_keys.h"

enum {
    FAULTS_MAX = 65536
};

struct access {
    const char *keys_file;
    struct api_keys *keys; /* NULL: open to all */
};

static void access_refuse_unknown(const struct access_request *r, struct http_response *refusal) {
    http_response_problem(refusal, 401,
                          r->api_key == NULL ? "Send your API key, once, in the header x-api-key."
                                             : "The API key in the header x-api-key is not known.");
    refusal->authenticate = "ApiKey header=\"x-api-key\"";
}

static void access_refuse_busy(int64_t wait_ms, struct http_response *refusal) {
    http_response_problem(refusal, 429,
                          "This API key has used up its requests per second: wait as Retry-After "
                          "says.");
    refusal->retry_after_s = (wait_ms + 999) / 1000;
}

bool access_allows(struct access *a, const struct access_request *r, int64_t now_ms,
                   struct http_response *refusal) {
    if (!r->client_trusted) {
        http_response_problem(
            refusal, 403,
            "A client certificate of the authorities in TLS_CLIENT_CA_FILE is needed.");
        return false;
    }
    if (a->keys == NULL)
        return true;
    struct api_key_check check = api_keys_check(a->keys, r->api_key, now_ms);
    switch (check.verdict) {
    case API_KEY_TAKEN:
        return true;
    case API_KEY_UNKNOWN:
        access_refuse_unknown(r, refusal);
        break;
    case API_KEY_SHUT:
        http_response_problem(refusal, 403, "This API key may not send requests: its rate is 0.");
        break;
    case API_KEY_BUSY:
        access_refuse_busy(check.wait_ms, refusal);
        break;
    }
    return false;
}

bool access_reload(struct access *a) {
    if (a->keys_file == NULL)
        return true;
    struct buffer faults;
    buffer_init(&faults, FAULTS_MAX);
    struct api_keys *keys = api_keys_load(a->keys_file, &faults);
    if (keys != NULL) {
        api_keys_inherit(keys, a->keys);
        api_keys_free(a->keys);
        a->keys = keys;
        log_info("API keys read again keys=%zu", api_keys_count(keys));
    } else {
        log_error("API_KEYS_FILE: the old keys stay, for the file has faults: %.*s",
                  (int)strcspn(buffer_text(&faults), "\n"), buffer_text(&faults));
    }
    buffer_free(&faults);
    return keys != NULL;
}

struct access *access_open(const char *keys_file, struct buffer *faults) {
    struct api_keys *keys = NULL;
    if (keys_file != NULL && (keys = api_keys_load(keys_file, faults)) == NULL)
        return NULL;
    struct access *a = mem_zero(sizeof *a);
    *a = (struct access){keys_file, keys};
    return a;
}

void access_close(struct access *a) {
    if (a == NULL)
        return;
    api_keys_free(a->keys);
    free(a);
}
