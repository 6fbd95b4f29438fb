/*
 * JSON at the stand-in's edge: strict where cJSON is not, and answers as AWS words them (pure).
 */
#ifndef STANDINS_ATHENA_SIM_JSON_H
#define STANDINS_ATHENA_SIM_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "standins/athena_sim/http.h"

/*
 * One JSON object of valid UTF-8, without NUL (raw or escaped) and with nothing behind it; NULL
 * otherwise. `text` has a NUL at `text[n]`. The caller frees with cJSON_Delete().
 */
cJSON *sim_json_object(const char *text, size_t n);

/* A member by its exact name; NULL where it is absent or null. */
cJSON *sim_json_member(const cJSON *object, const char *name);

/*
 * SHA-256 over `names`' members of the object, nulls left out and keys in order: the same for
 * every spelling of the same values.
 */
void sim_json_fingerprint(const cJSON *object, const char *const *names, size_t count,
                          uint8_t out[32]);

/* Code points of valid UTF-8. */
size_t sim_utf8_length(const char *s);

/* Takes over `body`. */
void sim_answer_json(struct sim_answer *answer, unsigned status, cJSON *body);
/* Takes a copy of the text. */
void sim_answer_text(struct sim_answer *answer, unsigned status, const char *content_type,
                     const char *text);
/* {"__type","Message"}, and `reason` where it is not NULL. Replaces an answer that is there. */
void sim_answer_error(struct sim_answer *answer, unsigned status, const char *code,
                      const char *message, const char *reason);

#endif
