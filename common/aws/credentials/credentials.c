#include "common/aws/credentials/credentials.h"

#include "common/base/memory.h"

void credentials_copy(const struct credentials *from, struct credentials *to) {
    *to = (struct credentials){mem_string(from->access_key_id), mem_string(from->secret_access_key),
                               mem_string(from->session_token), from->expires};
}

void credentials_wipe(struct credentials *c) {
    mem_wipe_string(c->access_key_id);
    mem_wipe_string(c->secret_access_key);
    mem_wipe_string(c->session_token);
    *c = (struct credentials){0};
}

bool credentials_text_is_sound(const char *text) {
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}
