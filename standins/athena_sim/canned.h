/*
 * Answers to StartQueryExecution that a test has written, given in place of the stand-in's own
 * (pure). POST /_set with {"answers": [{"match", "status", "body", "times"}, …]}.
 */
#ifndef STANDINS_ATHENA_SIM_CANNED_H
#define STANDINS_ATHENA_SIM_CANNED_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "standins/athena_sim/http.h"

struct sim_canned {
    char *match, *body; /* owned */
    unsigned status;
    int64_t times; /* that it is still given; -1: always */
};

/* Zeroed = none. */
struct sim_canned_list {
    struct sim_canned *at; /* owned */
    size_t count;
};

/*
 * Reads a JSON array of objects: `match` a part of the SQL ("": of any), `status` from 200 to 599,
 * `body` a string, `times` 1 or more (absent: always). On false `out` is zeroed and `detail` says
 * what is wrong.
 */
bool sim_canned_read(const cJSON *array, struct sim_canned_list *out, char *detail, size_t size);
/* Gives the first answer that matches and that is not used up. False: there is none. */
bool sim_canned_answer(struct sim_canned_list *list, const char *sql, struct sim_answer *answer);
void sim_canned_free(struct sim_canned_list *list); /* leaves it zeroed */

#endif
