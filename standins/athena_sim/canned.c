#include "standins/athena_sim/canned.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "standins/athena_sim/json.h"

static bool is_whole(const cJSON *number, double least, double most) {
    return cJSON_IsNumber(number) && number->valuedouble >= least && number->valuedouble <= most &&
           number->valuedouble == (double)(int64_t)number->valuedouble;
}

static bool canned_read_one(const cJSON *object, struct sim_canned *out) {
    const cJSON *match = sim_json_member(object, "match"), *body = sim_json_member(object, "body");
    const cJSON *status = sim_json_member(object, "status");
    const cJSON *times = sim_json_member(object, "times");
    if (!cJSON_IsObject(object) || !cJSON_IsString(match) || !cJSON_IsString(body) ||
        !is_whole(status, 200, 599) || (times != NULL && !is_whole(times, 1, 1e9)))
        return false;
    *out = (struct sim_canned){
        .match = mem_string(match->valuestring),
        .body = mem_string(body->valuestring),
        .status = (unsigned)status->valuedouble,
        .times = times != NULL ? (int64_t)times->valuedouble : -1,
    };
    return true;
}

bool sim_canned_read(const cJSON *array, struct sim_canned_list *out, char *detail, size_t size) {
    *out = (struct sim_canned_list){0};
    bool sound = cJSON_IsArray(array);
    for (const cJSON *one = sound ? array->child : NULL; sound && one != NULL; one = one->next) {
        out->at = mem_resize(out->at, out->count + 1, sizeof *out->at);
        sound = canned_read_one(one, &out->at[out->count]);
        out->count += sound;
    }
    if (sound)
        return true;
    sim_canned_free(out);
    snprintf(detail, size,
             "answers: must be an array of {\"match\": part of the SQL, \"status\": 200 to 599, "
             "\"body\": text, \"times\": 1 or more}");
    return false;
}

bool sim_canned_answer(struct sim_canned_list *list, const char *sql, struct sim_answer *answer) {
    for (size_t i = 0; i < list->count; i++) {
        struct sim_canned *c = &list->at[i];
        if (c->times == 0 || strstr(sql, c->match) == NULL)
            continue;
        if (c->times > 0)
            c->times--;
        sim_answer_text(answer, c->status, "application/x-amz-json-1.1", c->body);
        return true;
    }
    return false;
}

void sim_canned_free(struct sim_canned_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        free(list->at[i].match);
        free(list->at[i].body);
    }
    free(list->at);
    *list = (struct sim_canned_list){0};
}
