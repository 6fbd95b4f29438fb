#include "standins/athena_sim/sql.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- tokens ----------------------------------------------------------------------------------- */

/* Walks the text by words and single characters, over blanks, comments and quoted strings. */
struct tokens {
    const char *at;
    const char *word; /* the token, not terminated */
    size_t len;       /* 0 at the end */
    const char *hint; /* behind "sim:" of the first comment that has it */
    size_t hint_len;
};

static void note_hint(struct tokens *t, const char *comment, size_t n) {
    while (n > 0 && isspace((unsigned char)*comment))
        comment++, n--;
    if (t->hint != NULL || n < 4 || memcmp(comment, "sim:", 4) != 0)
        return;
    t->hint = comment + 4;
    t->hint_len = n - 4;
}

/* Blanks and comments. An open comment goes to the end. */
static void skip_blank(struct tokens *t) {
    for (;;) {
        if (isspace((unsigned char)*t->at)) {
            t->at++;
        } else if (strncmp(t->at, "--", 2) == 0) {
            t->at += strcspn(t->at, "\n");
        } else if (strncmp(t->at, "/*", 2) == 0) {
            const char *from = t->at + 2, *end = strstr(from, "*/");
            size_t n = end != NULL ? (size_t)(end - from) : strlen(from);
            note_hint(t, from, n);
            t->at = from + n + (end != NULL ? 2 : 0);
        } else {
            return;
        }
    }
}

static bool is_word(char c) {
    return isalnum((unsigned char)c) || c == '_' || (c & 0x80) != 0;
}

static bool next_token(struct tokens *t) {
    skip_blank(t);
    t->word = t->at;
    char c = *t->at;
    if (c == '\'' || c == '"' || c == '`') {
        const char *end = strchr(t->at + 1, c); /* a doubled quote is two strings: no matter here */
        t->at = end != NULL ? end + 1 : t->at + strlen(t->at);
    } else if (is_word(c)) {
        while (is_word(*t->at))
            t->at++;
    } else if (c != '\0') {
        t->at++;
    }
    t->len = (size_t)(t->at - t->word);
    return t->len > 0;
}

static bool is(const struct tokens *t, const char *word) {
    return t->len == strlen(word) && strncasecmp(t->word, word, t->len) == 0;
}

/* --- lanes ------------------------------------------------------------------------------------ */

static const struct keyword {
    const char *word;
    enum sim_lane lane;
    const char *statement_type;
} keywords[] = {
    {"SELECT", SIM_DML, "DML"},         {"WITH", SIM_DML, "DML"},
    {"VALUES", SIM_DML, "DML"},         {"TABLE", SIM_DML, "DML"},
    {"INSERT", SIM_DML, "DML"},         {"UPDATE", SIM_DML, "DML"},
    {"DELETE", SIM_DML, "DML"},         {"MERGE", SIM_DML, "DML"},
    {"UNLOAD", SIM_DML, "DML"},         {"OPTIMIZE", SIM_DML, "DML"},
    {"VACUUM", SIM_DML, "DML"},         {"EXECUTE", SIM_DML, "DML"},
    {"EXPLAIN", SIM_DML, "UTILITY"},    {"PREPARE", SIM_DML, "UTILITY"},
    {"DEALLOCATE", SIM_DML, "UTILITY"}, {"CREATE", SIM_DDL, "DDL"},
    {"ALTER", SIM_DDL, "DDL"},          {"DROP", SIM_DDL, "DDL"},
    {"MSCK", SIM_DDL, "DDL"},           {"REPAIR", SIM_DDL, "DDL"},
    {"TRUNCATE", SIM_DDL, "DDL"},       {"SHOW", SIM_DDL, "UTILITY"},
    {"DESCRIBE", SIM_DDL, "UTILITY"},   {"DESC", SIM_DDL, "UTILITY"},
};

/* Behind CREATE: TABLE … AS, outside of parentheses, with a query behind it. */
static bool is_create_as_select(struct tokens t) {
    if (!next_token(&t) || !is(&t, "TABLE"))
        return false;
    for (int depth = 0; next_token(&t);) {
        depth += is(&t, "(");
        depth -= is(&t, ")");
        if (depth == 0 && is(&t, "AS"))
            return next_token(&t) && (is(&t, "SELECT") || is(&t, "WITH") || is(&t, "VALUES") ||
                                      is(&t, "TABLE") || is(&t, "("));
    }
    return false;
}

static bool read_lane(struct tokens *t, struct sim_sql *out, char *detail, size_t detail_size) {
    bool any;
    do
        any = next_token(t);
    while (any && is(t, "("));
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        if (!is(t, keywords[i].word))
            continue;
        out->lane = keywords[i].lane;
        out->statement_type = keywords[i].statement_type;
        if (is(t, "CREATE") && is_create_as_select(*t)) {
            out->lane = SIM_DML;
            out->statement_type = "DML";
        }
        return true;
    }
    snprintf(detail, detail_size, "line 1:1: mismatched input '%.*s'. Expecting: 'ALTER', ...",
             any ? (int)(t->len < 64 ? t->len : 64) : 5, any ? t->word : "<EOF>");
    return false;
}

/* --- hints ------------------------------------------------------------------------------------ */

static bool put_pair(const char *name, const char *value, struct sim_sql *out) {
    static const char *const ends[SIM_ENDS] = {"SUCCEEDED", "FAILED", "CANCELLED"};
    if (strcmp(name, "ms") == 0) {
        char *end;
        out->run_ms = strtoll(value, &end, 10);
        return isdigit((unsigned char)*value) && *end == '\0' && out->run_ms <= 86400000;
    }
    if (strcmp(name, "state") == 0) {
        for (int i = 0; i < SIM_ENDS; i++)
            if (strcmp(value, ends[i]) == 0) {
                out->end = (enum sim_end)i;
                return true;
            }
        return false;
    }
    if (strcmp(name, "code") == 0 && *value != '\0')
        return snprintf(out->code, sizeof out->code, "%s", value) < (int)sizeof out->code;
    if (strcmp(name, "reason") == 0)
        return snprintf(out->reason, sizeof out->reason, "%s", value) < (int)sizeof out->reason;
    return false;
}

static bool read_hint(const char *hint, size_t n, struct sim_sql *out) {
    char text[512];
    if (n >= sizeof text)
        return false;
    memcpy(text, hint, n);
    while (n > 0 && isspace((unsigned char)text[n - 1]))
        n--;
    text[n] = '\0';
    for (char *at = text; *(at += strspn(at, " \t\r\n")) != '\0';) {
        char *name = at, *equals = strchr(at, '=');
        if (equals == NULL)
            return false;
        *equals = '\0';
        char *value = equals + 1;
        size_t len = strcmp(name, "reason") == 0 ? strlen(value) : strcspn(value, " \t\r\n");
        at = value + len + (value[len] != '\0');
        value[len] = '\0';
        if (!put_pair(name, value, out))
            return false;
    }
    return true;
}

bool sim_sql_read(const char *text, struct sim_sql *out, char *detail, size_t detail_size) {
    *out = (struct sim_sql){.run_ms = -1};
    struct tokens t = {.at = text};
    if (!read_lane(&t, out, detail, detail_size))
        return false;
    while (t.hint == NULL && next_token(&t))
        continue;
    if (t.hint != NULL && !read_hint(t.hint, t.hint_len, out)) {
        snprintf(detail, detail_size, "athena-sim: cannot read the hint '%.*s'",
                 (int)(t.hint_len < 80 ? t.hint_len : 80), t.hint);
        return false;
    }
    return true;
}
