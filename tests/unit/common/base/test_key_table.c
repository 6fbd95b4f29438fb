/* A hash table of embedded nodes, beside a plain list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/base/key_table.h"
#include "common/base/memory.h"

enum {
    NODES = 3000,
    KEYS = 1000 /* so that some share one */
};

static void test_empty(void **state) {
    (void)state;
    struct key_table t;
    key_table_init(&t);
    assert_null(key_table_find(&t, 0));
    assert_null(key_table_find(&t, UINT64_MAX));
    assert_int_equal(key_table_bytes(&t), 0);
}

static size_t count_in(const bool *in, const struct key_node *nodes, uint64_t key) {
    size_t count = 0;
    for (size_t i = 0; i < NODES; i++)
        count += in[i] && nodes[i].key == key;
    return count;
}

static void test_beside_a_list(void **state) {
    (void)state;
    struct key_table t;
    struct key_node *nodes = mem_zero(NODES * sizeof *nodes);
    static bool in[NODES];
    key_table_init(&t);
    srandom(1);
    for (size_t i = 0; i < NODES; i++) {
        nodes[i].key = (uint64_t)random() % KEYS << 40;
        key_table_add(&t, &nodes[i]);
        in[i] = true;
    }
    assert_int_equal(t.count, NODES);
    assert_true(key_table_bytes(&t) >= NODES / 2 * sizeof(void *));
    for (size_t i = 0; i < NODES; i++) {
        struct key_node *found = key_table_find(&t, nodes[i].key);
        assert_non_null(found);
        assert_true(found->key == nodes[i].key);
        size_t before = count_in(in, nodes, found->key);
        in[found - nodes] = false;
        key_table_remove(&t, found);
        assert_int_equal(key_table_find(&t, nodes[i].key) != NULL, before > 1);
    }
    assert_int_equal(t.count, 0);
    assert_int_equal(key_table_bytes(&t), 0);
    free(nodes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_beside_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
