#include "common/aws/error.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"

struct error_reading {
    char *code, *message, *reason;
    size_t size;
    bool small_message; /* `message`, which takes precedence over `Message`, was there */
};

static void copy_text(char *out, size_t size, const char *text, size_t n) {
    if (n >= size) {
        n = size - 1;
        while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80)
            n--;
    }
    memcpy(out, text, n);
    out[n] = '\0';
}

void aws_error_code(const char *type, char *code, size_t size) {
    size_t n = strcspn(type, ":");
    for (const char *hash; (hash = memchr(type, '#', n)) != NULL;) {
        n -= (size_t)(hash + 1 - type);
        type = hash + 1;
    }
    copy_text(code, size, type, n);
}

static bool is_key(const char *key, size_t len, const char *name) {
    return strlen(name) == len && memcmp(key, name, len) == 0;
}

static bool error_read_member(void *arg, const char *key, size_t key_len, struct json_value value) {
    struct error_reading *r = arg;
    if (value.type != JSON_STRING)
        return true;
    size_t n;
    char *text = json_decode_string(value, &n);
    if (is_key(key, key_len, "__type")) {
        aws_error_code(text, r->code, r->size);
    } else if (is_key(key, key_len, "message")) {
        copy_text(r->message, r->size, text, n);
        r->small_message = true;
    } else if (is_key(key, key_len, "Message") && !r->small_message) {
        copy_text(r->message, r->size, text, n);
    } else if (is_key(key, key_len, "Reason")) {
        copy_text(r->reason, r->size, text, n);
    }
    free(text);
    return true;
}

/* The sentences behind the first one quote what was signed, the session token included. */
static void hide_canonical_request(const char *code, char *message) {
    if (strcmp(code, "InvalidSignatureException") == 0 ||
        strcmp(code, "SignatureDoesNotMatch") == 0)
        message[strcspn(message, ".\n")] = '\0';
}

void aws_error_read(const char *body, size_t n, char *code, char *message, char *reason,
                    size_t size) {
    struct error_reading r = {code, message, reason, size, false};
    char detail[128];
    code[0] = message[0] = reason[0] = '\0';
    /* Of a body that is no JSON nothing is known; the reason does not matter. */
    (void)json_read_object(body, n, JSON_DEPTH_MAX, error_read_member, &r, detail, sizeof detail);
    hide_canonical_request(code, message);
}

bool aws_error_is_passing(const char *code) {
    static const char *const codes[] = {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottledException",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "TransactionInProgressException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "RequestThrottled",
        "SlowDown",
        "PriorRequestNotComplete",
        "EC2ThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(codes[i], code) == 0)
            return true;
    return false;
}
