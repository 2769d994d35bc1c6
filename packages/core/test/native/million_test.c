/* What a million views take: at most 96 bytes each, however the tree was filled and whatever was laid
 * over it since. What they cost in time is measured by bench/views_bench.c.
 *
 * usage: million_test SEED */
#include <zio/view_tree.h>

#include <stdlib.h>

#include "check.h"

enum { VIEWS = 1000000, BYTES = 16384, MOST = 96 };
static const uint64_t base = UINT64_C(0x7f0000000000);

static struct zio_slab slab;
static struct zio_view_tree tree;

/* No two of them join: each has a handle of its own. */
static void insert(uint64_t start) {
    static uint64_t handle;
    ASSERT_EQUAL(zio_view_tree_insert(&tree, start, BYTES, ++handle, 0, 0), 0);
}

static void check_size(const char *when, uint64_t least) {
    uint64_t bytes = (uint64_t)(slab.total_count - slab.free_count) * slab.object_bytes;
    ASSERT_COMPARE(tree.count, >=, least);
    ASSERT_COMPARE(bytes, <=, MOST * tree.count);
    printf("%s: %.1f bytes a view\n", when, (double)bytes / (double)tree.count);
}

static void fill(const uint32_t *order, const uint32_t *shuffled) {
    ASSERT_EQUAL(zio_slab_init(&slab, zio_view_tree_node_bytes(), 0), 0);
    zio_view_tree_init(&tree, &slab, NULL);
    for (uint64_t i = 0; i < VIEWS; i++)
        insert(base + (order ? order[i] : i) * BYTES);
    check_size("filled", VIEWS);
    for (uint64_t i = 0; i < VIEWS; i++)
        insert(base + shuffled[i] * (uint64_t)BYTES);
    check_size("replaced", VIEWS);
    for (uint64_t i = 0; i < VIEWS; i++)
        insert(base + shuffled[i] * (uint64_t)BYTES + BYTES / 2);
    check_size("laid across", VIEWS / 2);
    ASSERT_EQUAL(zio_view_tree_check(&tree), 0);
    zio_slab_destroy(&slab);
}

int main(int argc, char **argv) {
    ASSERT_EQUAL(argc, 2);
    uint64_t state = strtoull(argv[1], NULL, 10);
    uint32_t *shuffled = malloc(VIEWS * sizeof *shuffled);
    for (uint32_t i = 0; i < VIEWS; i++) {
        uint64_t j = random_below(&state, i + 1);
        shuffled[i] = shuffled[j];
        shuffled[j] = i;
    }
    fill(NULL, shuffled);
    fill(shuffled, shuffled);
    free(shuffled);
    return 0;
}
