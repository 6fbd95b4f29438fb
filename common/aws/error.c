#include "common/aws/error.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"

struct error_reading {
    struct aws_error *out;
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

static void keep_member(struct error_reading *r, const char *key, size_t key_len, const char *text,
                        size_t n) {
    struct aws_error *e = r->out;
    if (is_key(key, key_len, "__type")) {
        aws_error_code(text, e->code, sizeof e->code);
    } else if (is_key(key, key_len, "message")) {
        copy_text(e->message, sizeof e->message, text, n);
        r->small_message = true;
    } else if (is_key(key, key_len, "Message") && !r->small_message) {
        copy_text(e->message, sizeof e->message, text, n);
    } else if (is_key(key, key_len, "Reason")) {
        copy_text(e->reason, sizeof e->reason, text, n);
    } else if (is_key(key, key_len, "AthenaErrorCode")) {
        copy_text(e->athena_code, sizeof e->athena_code, text, n);
    }
}

static bool error_read_member(void *arg, const char *key, size_t key_len, struct json_value value) {
    if (value.type != JSON_STRING)
        return true;
    size_t n;
    char *text = json_decode_string(value, &n);
    keep_member(arg, key, key_len, text, n);
    free(text);
    return true;
}

static bool is_letter(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* <Name/>, and nothing but blanks behind it. */
static void read_empty_element(const char *body, size_t n, struct aws_error *out) {
    size_t end = 1;
    while (end < n && is_letter(body[end]))
        end++;
    if (end == 1 || n - end < 2 || body[0] != '<' || memcmp(body + end, "/>", 2) != 0)
        return;
    for (size_t i = end + 2; i < n; i++)
        if (strchr(" \t\r\n", body[i]) == NULL)
            return;
    copy_text(out->code, sizeof out->code, body + 1, end - 1);
}

/* The sentences behind the first one quote what was signed, the session token included. */
static void hide_canonical_request(const char *code, char *message) {
    if (strcmp(code, "InvalidSignatureException") == 0 ||
        strcmp(code, "SignatureDoesNotMatch") == 0)
        message[strcspn(message, ".\n")] = '\0';
}

void aws_error_read(const char *body, size_t n, struct aws_error *out) {
    struct error_reading r = {.out = out};
    char detail[128];
    *out = (struct aws_error){0};
    if (!json_read_object(body, n, JSON_DEPTH_MAX, error_read_member, &r, detail, sizeof detail))
        read_empty_element(body, n, out);
    hide_canonical_request(out->code, out->message);
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
