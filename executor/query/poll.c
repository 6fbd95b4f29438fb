#include "executor/query/poll.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

static size_t find_id(const struct poll *p, const char *id) {
    size_t i = 0;
    while (i < p->count && strcmp(p->ids[i], id) != 0)
        i++;
    return i;
}

bool poll_asks_for(const struct poll *p, const char *id) {
    return find_id(p, id) < p->count;
}

void poll_add(struct poll *p, const char *id) {
    if (poll_asks_for(p, id))
        return;
    p->ids[p->count] = mem_string(id);
    p->named[p->count++] = false;
}

void poll_write(const struct poll *p, struct buffer *out) {
    buffer_puts(out, "{\"QueryExecutionIds\":[");
    for (size_t i = 0; i < p->count; i++) {
        buffer_puts(out, i > 0 ? "," : "");
        buffer_json_string(out, p->ids[i], strlen(p->ids[i]));
    }
    buffer_puts(out, "]}");
}

bool poll_note(struct poll *p, const char *id) {
    size_t i = find_id(p, id);
    if (i == p->count)
        return false;
    p->named[i] = true;
    return true;
}

void poll_clear(struct poll *p) {
    for (size_t i = 0; i < p->count; i++)
        free(p->ids[i]);
    p->count = 0;
}
