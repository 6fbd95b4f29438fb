#include "common/aws/msk_iam.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "common/aws/sigv4.h"
#include "common/base/memory.h"

enum {
    HOST_MAX = 128
};

static const char action[] = "Action=kafka-cluster%3AConnect";

static void add_base64url(struct buffer *out, const char *bytes, size_t n) {
    size_t room = 4 * ((n + 2) / 3) + 1;
    char *text = mem_alloc(room);
    int len = EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)bytes, (int)n);
    while (len > 0 && text[len - 1] == '=')
        len--;
    for (int i = 0; i < len; i++)
        text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
    buffer_add(out, text, (size_t)len);
    mem_wipe_free(text, room);
}

bool msk_iam_token(const char *region, const struct credentials *credentials, int64_t now,
                   const char *user_agent, struct buffer *out) {
    char host[HOST_MAX];
    int n = snprintf(host, sizeof host, "kafka.%s.amazonaws.com", region);
    if (n < 0 || (size_t)n >= sizeof host)
        return false;
    const struct sigv4_header headers[] = {{"host", host}};
    const struct sigv4_request request = {
        .method = "GET",
        .path = "/",
        .query = action,
        .headers = headers,
        .header_count = 1,
        .region = region,
        .service = "kafka-cluster",
        .time = now,
    };
    const struct sigv4_keys keys = {credentials->access_key_id, credentials->secret_access_key,
                                    credentials->session_token};
    struct buffer url;
    buffer_init(&url, SIGV4_CANONICAL_MAX);
    buffer_printf(&url, "https://%s/?", host);
    bool ok = sigv4_presign(&request, &keys, MSK_IAM_LIFETIME_S, &url);
    buffer_puts(&url, "&User-Agent=");
    buffer_percent_encode(&url, user_agent, strlen(user_agent));
    ok = ok && !url.failed;
    if (ok)
        add_base64url(out, url.data, url.len);
    size_t len = url.len;
    mem_wipe_free(buffer_take(&url), len);
    return ok && !out->failed;
}

int64_t msk_iam_expires(const struct credentials *credentials, int64_t now) {
    int64_t end = now + MSK_IAM_LIFETIME_S;
    return credentials->expires != 0 && credentials->expires < end ? credentials->expires : end;
}
