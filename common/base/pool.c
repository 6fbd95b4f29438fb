#include "common/base/pool.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#ifdef __SANITIZE_ADDRESS__
#define KEEPS 0
#else
#define KEEPS 1
#endif

void *pool_take(struct pool *p) {
    void *block = p->first;
    if (block == NULL)
        return mem_zero(p->size);
    memcpy(&p->first, block, sizeof p->first);
    p->kept--;
    return memset(block, 0, p->size);
}

void pool_return(struct pool *p, void *block) {
    if (!KEEPS || p->kept >= p->kept_max) {
        free(block);
        return;
    }
    memcpy(block, &p->first, sizeof p->first);
    p->first = block;
    p->kept++;
}

void pool_free(struct pool *p) {
    while (p->first != NULL) {
        void *block = p->first;
        memcpy(&p->first, block, sizeof p->first);
        free(block);
    }
    p->kept = 0;
}
