#include "executor/query/pairs.h"

#include <stddef.h>
#include <string.h>

#include "executor/query/job.h"

enum {
    KEY_DIGITS = 16
};

uint64_t pairs_key(const char *token) {
    uint64_t key = 0;
    for (int i = 0; i < KEY_DIGITS && token[i] != '\0'; i++) {
        unsigned c = (unsigned char)token[i];
        key = key << 4 | ((c & 15) + (c >> 6) * 9); /* a hexadecimal digit */
    }
    return key;
}

void pairs_init(struct pairs *p) {
    key_table_init(&p->by_key);
}

static struct job *job_of(struct key_node *node) {
    return (struct job *)((char *)node - offsetof(struct job, by_pair));
}

struct job *pairs_find(const struct pairs *p, const char *token) {
    if (token[0] == '\0')
        return NULL;
    struct key_node *node = key_table_find(&p->by_key, pairs_key(token));
    while (node != NULL && strcmp(job_of(node)->token, token) != 0)
        node = key_table_next(node);
    return node != NULL ? job_of(node) : NULL;
}

bool pairs_has_key(const struct pairs *p, uint64_t key) {
    return key_table_find(&p->by_key, key) != NULL;
}

void pairs_add(struct pairs *p, struct job *job) {
    if (job->stands_for_pair || job->token[0] == '\0' || pairs_find(p, job->token) != NULL)
        return;
    job->stands_for_pair = true;
    job->by_pair.key = pairs_key(job->token);
    key_table_add(&p->by_key, &job->by_pair);
}

void pairs_remove(struct pairs *p, struct job *job) {
    if (!job->stands_for_pair)
        return;
    job->stands_for_pair = false;
    key_table_remove(&p->by_key, &job->by_pair);
}
