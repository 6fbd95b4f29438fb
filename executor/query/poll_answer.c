#include "executor/query/poll_answer.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

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

/* --- half surrogate pairs --------------------------------------------------------------------- */

enum {
    ESCAPE_LEN = 6 /* \uXXXX */
};

/* 0: there is none at `at`. */
static unsigned code_unit_at(const char *at, const char *end) {
    char digits[5] = "", *rest;
    if (end - at < ESCAPE_LEN || at[0] != '\\' || at[1] != 'u')
        return 0;
    memcpy(digits, at + 2, 4);
    unsigned long unit = strtoul(digits, &rest, 16);
    return *rest == '\0' ? (unsigned)unit : 0;
}

static bool is_high(unsigned unit) {
    return unit >= 0xD800 && unit < 0xDC00;
}

static bool is_low(unsigned unit) {
    return unit >= 0xDC00 && unit < 0xE000;
}

/* The parser refuses a whole answer for one. */
static void replace_halves(char *body, size_t len) {
    const char *end = body + len;
    for (char *at = body; at < end; at++) {
        if (*at != '\\')
            continue;
        unsigned unit = code_unit_at(at, end);
        if (is_high(unit) && is_low(code_unit_at(at + ESCAPE_LEN, end)))
            at += 2 * ESCAPE_LEN - 1;
        else if (is_high(unit) || is_low(unit))
            memcpy(at + 2, "fffd", 4);
        else
            at++; /* what is escaped is no backslash of its own */
    }
}

/* --- reading ---------------------------------------------------------------------------------- */

bool poll_answer_open(struct poll_answer *a, const char *body, size_t len) {
    char *repaired = mem_bytes(body, len);
    if (repaired != NULL)
        replace_halves(repaired, len);
    a->root = cJSON_ParseWithLength(repaired, len);
    free(repaired);
    const cJSON *executions = member(a->root, "QueryExecutions");
    const cJSON *unprocessed = member(a->root, "UnprocessedQueryExecutionIds");
    a->unprocessed = text_of(cJSON_GetArrayItem(unprocessed, 0), "ErrorMessage");
    a->next = executions != NULL ? executions->child : NULL;
    a->next_unprocessed = unprocessed != NULL ? unprocessed->child : NULL;
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

bool poll_answer_is_lost(const char *code, const char *message) {
    static const char end[] = " was not found";
    size_t n = strlen(message);
    return strcmp(code, "QUERY_EXECUTION_NOT_FOUND") == 0 ||
           (n >= sizeof end - 1 && strcmp(message + n - (sizeof end - 1), end) == 0);
}

const char *poll_answer_next_lost(struct poll_answer *a) {
    const cJSON *entry;
    while ((entry = a->next_unprocessed) != NULL) {
        a->next_unprocessed = entry->next;
        if (poll_answer_is_lost(text_of(entry, "ErrorCode"), text_of(entry, "ErrorMessage")))
            return text_of(entry, "QueryExecutionId");
    }
    return NULL;
}

void poll_answer_close(struct poll_answer *a) {
    cJSON_Delete(a->root);
    *a = (struct poll_answer){0};
}
