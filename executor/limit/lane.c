#include "executor/limit/lane.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

struct lane_scan {
    const char *at, *end;
};

static bool begins(const struct lane_scan *s, const char *text) {
    size_t n = strlen(text);
    return (size_t)(s->end - s->at) >= n && memcmp(s->at, text, n) == 0;
}

/* To behind the first `mark`, else to the end. */
static void skip_behind(struct lane_scan *s, const char *mark) {
    size_t n = strlen(mark);
    while (s->at < s->end && !begins(s, mark))
        s->at++;
    s->at = (size_t)(s->end - s->at) > n ? s->at + n : s->end;
}

static bool skip_comment(struct lane_scan *s) {
    if (begins(s, "--")) {
        skip_behind(s, "\n");
    } else if (begins(s, "/*")) {
        s->at += 2; /* lest its star is taken for that of the closing mark */
        skip_behind(s, "*/");
    } else {
        return false;
    }
    return true;
}

static void skip_space(struct lane_scan *s) {
    while (s->at < s->end)
        if (strchr(" \t\r\n\f\v(;", *s->at) != NULL)
            s->at++;
        else if (!skip_comment(s))
            return;
}

static bool is_word_byte(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* Takes the next word, upper or lower case; false where there is none. */
static bool next_word(struct lane_scan *s, char *word, size_t size) {
    skip_space(s);
    size_t n = 0;
    for (; s->at < s->end && is_word_byte(*s->at); s->at++)
        if (n + 1 < size)
            word[n++] = *s->at;
    word[n] = '\0';
    return n > 0;
}

/*
 * Whether an AS follows CREATE TABLE outside quotes, comments and the column list. The AS of STORED
 * AS, which names a format, does not count.
 */
static bool is_create_table_as(struct lane_scan *s) {
    char word[16] = "";
    int depth = 0;
    while (s->at < s->end) {
        char c = *s->at;
        if (skip_comment(s))
            continue;
        if (c == '\'' || c == '"' || c == '`') {
            s->at++;
            skip_behind(s, (char[]){c, '\0'});
        } else if (is_word_byte(c)) {
            bool is_format = strcasecmp(word, "STORED") == 0;
            next_word(s, word, sizeof word);
            if (depth == 0 && strcasecmp(word, "AS") == 0 && !is_format)
                return true;
        } else {
            depth += c == '(' ? 1 : c == ')' ? -1 : 0;
            s->at++;
        }
    }
    return false;
}

enum lane lane_of(const char *sql, size_t n) {
    static const char *const ddl[] = {"ALTER", "DROP",     "MSCK",    "SHOW",
                                      "DESC",  "DESCRIBE", "PREPARE", "DEALLOCATE"};
    struct lane_scan s = {sql, sql + n};
    char word[16];
    if (!next_word(&s, word, sizeof word))
        return LANE_DML;
    if (strcasecmp(word, "CREATE") == 0) {
        next_word(&s, word, sizeof word);
        return strcasecmp(word, "TABLE") == 0 && is_create_table_as(&s) ? LANE_DML : LANE_DDL;
    }
    for (size_t i = 0; i < sizeof ddl / sizeof *ddl; i++)
        if (strcasecmp(word, ddl[i]) == 0)
            return LANE_DDL;
    return LANE_DML;
}

const char *lane_name(enum lane lane) {
    return lane == LANE_DDL ? "ddl" : "dml";
}
