#include "common/aws/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/memory.h"

enum section_type {
    SECTION_DEFAULT, /* [default] of the config file */
    SECTION_PROFILE,
    SECTION_SERVICES,
    SECTION_OTHER /* sso-session, preview and types of the future */
};

/* A value, or a section without one (key NULL). */
struct profile_line {
    enum profile_file file;
    enum section_type type;
    char *section, *key, *value;
};

struct span {
    const char *at;
    size_t n;
};

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

static struct span trim(struct span s) {
    while (s.n > 0 && is_blank(s.at[0])) {
        s.at++;
        s.n--;
    }
    while (s.n > 0 && is_blank(s.at[s.n - 1]))
        s.n--;
    return s;
}

/* A comment begins at a # or ; with a blank before it. */
static struct span without_comment(struct span s) {
    for (size_t i = 1; i < s.n; i++)
        if ((s.at[i] == '#' || s.at[i] == ';') && is_blank(s.at[i - 1]))
            return trim((struct span){s.at, i});
    return trim(s);
}

static struct span without_quotes(struct span s) {
    if (s.n >= 2 && (s.at[0] == '"' || s.at[0] == '\'') && s.at[s.n - 1] == s.at[0])
        return (struct span){s.at + 1, s.n - 2};
    return s;
}

static char *copy(struct span s) {
    return mem_bytes(s.at, s.n);
}

/* --- reading ---------------------------------------------------------------------------------- */

struct profile_reading {
    struct profiles *p;
    enum profile_file file;
    enum section_type type;
    char *section;  /* owned; NULL before the first */
    bool continues; /* an indented line belongs to the last value */
};

static void profile_add_line(struct profile_reading *r, char *key, char *value) {
    struct profiles *p = r->p;
    if (p->count == p->room) {
        p->room = p->room * 2 + 16;
        p->lines = mem_resize(p->lines, p->room, sizeof *p->lines);
    }
    p->lines[p->count++] =
        (struct profile_line){r->file, r->type, mem_string(r->section), key, value};
}

/* `[profile "my name"]`: the type is the first word, the name all that follows it. */
static void profile_read_config_section(struct profile_reading *r, struct span name) {
    size_t word = 0;
    while (word < name.n && !is_blank(name.at[word]))
        word++;
    struct span type = {name.at, word};
    struct span rest = without_quotes(trim((struct span){name.at + word, name.n - word}));
    bool alone = rest.n == 0;
    r->section = copy(alone ? type : rest);
    if (alone)
        r->type = strcmp(r->section, "default") == 0 ? SECTION_DEFAULT : SECTION_OTHER;
    else if (type.n == 7 && memcmp(type.at, "profile", 7) == 0)
        r->type = SECTION_PROFILE;
    else if (type.n == 8 && memcmp(type.at, "services", 8) == 0)
        r->type = SECTION_SERVICES;
    else
        r->type = SECTION_OTHER;
}

static const char *profile_read_section(struct profile_reading *r, struct span line) {
    const char *end = memchr(line.at, ']', line.n);
    if (end == NULL)
        return "a section's name without its ]";
    struct span behind = trim((struct span){end + 1, (size_t)(line.at + line.n - end - 1)});
    if (behind.n > 0 && behind.at[0] != '#' && behind.at[0] != ';')
        return "text behind a section's name";
    struct span name = trim((struct span){line.at + 1, (size_t)(end - line.at - 1)});
    if (name.n == 0)
        return "a section without a name";
    free(r->section);
    if (r->file == PROFILE_CONFIG) {
        profile_read_config_section(r, name);
    } else {
        r->section = copy(without_quotes(name));
        r->type = SECTION_PROFILE;
    }
    r->continues = false;
    profile_add_line(r, NULL, NULL);
    return NULL;
}

static const char *profile_read_value(struct profile_reading *r, struct span line) {
    const char *equals = memchr(line.at, '=', line.n);
    if (equals == NULL)
        return "neither a section nor `key = value`";
    if (r->section == NULL)
        return "a value before the first section";
    struct span key = trim((struct span){line.at, (size_t)(equals - line.at)});
    if (key.n == 0)
        return "a value without a key";
    struct span value = {equals + 1, (size_t)(line.at + line.n - equals - 1)};
    profile_add_line(r, copy(key), copy(without_comment(value)));
    r->continues = true;
    return NULL;
}

static void profile_continue_value(struct profile_reading *r, struct span line) {
    struct profile_line *last = &r->p->lines[r->p->count - 1];
    line = without_comment(line);
    size_t had = strlen(last->value);
    char *longer = mem_alloc(had + line.n + 2);
    memcpy(longer, last->value, had);
    longer[had] = '\n';
    memcpy(longer + had + 1, line.at, line.n);
    longer[had + 1 + line.n] = '\0';
    mem_wipe_string(last->value);
    last->value = longer;
}

/* NULL, or what is wrong with the line. */
static const char *profile_read_line(struct profile_reading *r, struct span raw) {
    struct span line = trim(raw);
    if (line.n == 0 || line.at[0] == '#' || line.at[0] == ';')
        return NULL;
    if (memchr(line.at, '\0', line.n) != NULL)
        return "a NUL";
    if (is_blank(raw.at[0]) && r->continues) {
        profile_continue_value(r, line);
        return NULL;
    }
    return line.at[0] == '[' ? profile_read_section(r, line) : profile_read_value(r, line);
}

bool profiles_add(struct profiles *p, enum profile_file file, const char *text, size_t n,
                  char *detail, size_t detail_size) {
    struct profile_reading r = {.p = p, .file = file};
    const char *fault = NULL;
    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark */
        text += 3;
        n -= 3;
    }
    for (size_t number = 1; n > 0 && fault == NULL; number++) {
        const char *end = memchr(text, '\n', n);
        size_t len = end != NULL ? (size_t)(end - text) : n;
        fault = profile_read_line(&r, (struct span){text, len});
        if (fault != NULL)
            snprintf(detail, detail_size, "line %zu is %s", number, fault);
        len += end != NULL;
        text += len;
        n -= len;
    }
    free(r.section);
    return fault == NULL;
}

void profiles_free(struct profiles *p) {
    for (size_t i = 0; i < p->count; i++) {
        free(p->lines[i].section);
        free(p->lines[i].key);
        mem_wipe_string(p->lines[i].value);
    }
    free(p->lines);
    *p = (struct profiles){0};
}

/* --- looking up ------------------------------------------------------------------------------- */

static const char *profile_find(const struct profiles *p, enum profile_file file,
                                enum section_type type, const char *section, const char *key) {
    const char *found = NULL;
    for (size_t i = 0; i < p->count; i++) {
        const struct profile_line *l = &p->lines[i];
        if (l->file == file && l->type == type && l->key != NULL &&
            strcmp(l->section, section) == 0 && strcasecmp(l->key, key) == 0)
            found = l->value;
    }
    return found;
}

static bool has_section(const struct profiles *p, enum section_type type, const char *section) {
    for (size_t i = 0; i < p->count; i++)
        if (p->lines[i].type == type && strcmp(p->lines[i].section, section) == 0)
            return true;
    return false;
}

static bool is_default_profile(const char *profile) {
    return strcmp(profile, "default") == 0;
}

bool profiles_have(const struct profiles *p, const char *profile) {
    return has_section(p, SECTION_PROFILE, profile) ||
           (is_default_profile(profile) && has_section(p, SECTION_DEFAULT, profile));
}

static bool config_says_profile_default(const struct profiles *p) {
    for (size_t i = 0; i < p->count; i++)
        if (p->lines[i].file == PROFILE_CONFIG && p->lines[i].type == SECTION_PROFILE &&
            is_default_profile(p->lines[i].section))
            return true;
    return false;
}

const char *profiles_value_in(const struct profiles *p, enum profile_file file, const char *profile,
                              const char *key) {
    enum section_type type = SECTION_PROFILE;
    if (file == PROFILE_CONFIG && is_default_profile(profile) && !config_says_profile_default(p))
        type = SECTION_DEFAULT;
    const char *value = profile_find(p, file, type, profile, key);
    return value != NULL && *value != '\0' ? value : NULL;
}

const char *profiles_value(const struct profiles *p, const char *profile, const char *key) {
    const char *value = profiles_value_in(p, PROFILE_CREDENTIALS, profile, key);
    return value != NULL ? value : profiles_value_in(p, PROFILE_CONFIG, profile, key);
}

char *profiles_service_endpoint(const struct profiles *p, const char *profile,
                                const char *service) {
    static const char wanted[] = "endpoint_url";
    const char *name = profiles_value_in(p, PROFILE_CONFIG, profile, "services");
    const char *nested =
        name != NULL ? profile_find(p, PROFILE_CONFIG, SECTION_SERVICES, name, service) : NULL;
    while (nested != NULL && *nested != '\0') {
        size_t n = strcspn(nested, "\n");
        const char *equals = memchr(nested, '=', n);
        if (equals != NULL) {
            struct span key = trim((struct span){nested, (size_t)(equals - nested)});
            struct span value = trim((struct span){equals + 1, (size_t)(nested + n - equals - 1)});
            if (key.n == sizeof wanted - 1 && strncasecmp(key.at, wanted, key.n) == 0 &&
                value.n > 0)
                return copy(value);
        }
        nested += n + (nested[n] == '\n');
    }
    return NULL;
}
