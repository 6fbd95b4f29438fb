#include "common/aws/credentials/environment.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/memory.h"

static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value != NULL && *value != '\0' ? value : NULL;
}

static enum credentials_found fetch_environment(void *state, struct credentials *out, char *detail,
                                                size_t detail_size) {
    (void)state;
    static const char id_name[] = "AWS_ACCESS_KEY_ID", secret_name[] = "AWS_SECRET_ACCESS_KEY",
                      token_name[] = "AWS_SESSION_TOKEN";
    const char *id = variable(id_name), *secret = variable(secret_name),
               *token = variable(token_name);
    if (id == NULL && secret == NULL)
        return CREDENTIALS_NOT_CONFIGURED;
    if (id == NULL || secret == NULL) {
        snprintf(detail, detail_size, "%s is set without %s", id != NULL ? id_name : secret_name,
                 id != NULL ? secret_name : id_name);
        return CREDENTIALS_BROKEN;
    }
    const char *odd = !credentials_text_is_sound(id)                       ? id_name
                      : !credentials_text_is_sound(secret)                 ? secret_name
                      : token != NULL && !credentials_text_is_sound(token) ? token_name
                                                                           : NULL;
    if (odd != NULL) {
        snprintf(detail, detail_size, "%s holds a blank or another character that no key has", odd);
        return CREDENTIALS_BROKEN;
    }
    *out = (struct credentials){mem_string(id), mem_string(secret), mem_string(token), 0};
    return CREDENTIALS_FOUND;
}

struct credentials_source credentials_environment(void) {
    return (struct credentials_source){"the environment", fetch_environment, NULL};
}

struct credentials_provider *credentials_open_environment(void) {
    const struct credentials_source environment = credentials_environment();
    return credentials_open(&environment, 1);
}
