#include "executor/query/poll_answer.h"

#include <cjson/cJSON.h>
#include <string.h>

static const cJSON *member(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const char *text_of(const cJSON *object, const char *name) {
    const char *text = cJSON_GetStringValue(member(object, name));
    return text != NULL ? text : "";
}

static double number_of(const cJSON *object, const char *name) {
    const cJSON *number = member(object, name);
    return cJSON_IsNumber(number) ? number->valuedouble : 0;
}

bool poll_answer_open(struct poll_answer *a, const char *body, size_t len) {
    a->root = cJSON_ParseWithLength(body, len);
    const cJSON *executions = member(a->root, "QueryExecutions");
    const cJSON *unprocessed = member(a->root, "UnprocessedQueryExecutionIds");
    a->unprocessed = text_of(cJSON_GetArrayItem(unprocessed, 0), "ErrorMessage");
    a->next = executions != NULL ? executions->child : NULL;
    return cJSON_IsArray(executions);
}

bool poll_answer_next(struct poll_answer *a, struct poll_execution *e) {
    const cJSON *execution = a->next;
    if (execution == NULL)
        return false;
    a->next = execution->next;
    const cJSON *status = member(execution, "Status");
    const char *state = text_of(status, "State");
    *e = (struct poll_execution){
        .id = text_of(execution, "QueryExecutionId"),
        .state = status_state_parse(state, strlen(state)),
        .reason = text_of(status, "StateChangeReason"),
        .output_location = text_of(member(execution, "ResultConfiguration"), "OutputLocation"),
        .submitted = number_of(status, "SubmissionDateTime"),
        .completed = number_of(status, "CompletionDateTime"),
        .scanned_bytes = number_of(member(execution, "Statistics"), "DataScannedInBytes"),
    };
    return true;
}

void poll_answer_close(struct poll_answer *a) {
    cJSON_Delete(a->root);
    *a = (struct poll_answer){0};
}
