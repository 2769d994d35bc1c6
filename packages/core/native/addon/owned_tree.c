#include "owned_tree.h"

#include "zio/view_tree.h"

#include <stdlib.h>

enum { PIECES_AT_ONCE = 64 };

struct owned_tree {
    struct zio_slab slab;
    struct zio_view_tree tree;
};

struct owned_tree *owned_tree_new(void) {
    struct owned_tree *owned = malloc(sizeof *owned);
    if (!owned || zio_slab_init(&owned->slab, zio_view_tree_node_bytes(), 0) != 0) {
        free(owned);
        return NULL;
    }
    zio_view_tree_init(&owned->tree, &owned->slab, NULL);
    return owned;
}

void owned_tree_free(struct owned_tree *owned) {
    if (!owned)
        return;
    zio_slab_destroy(&owned->slab);
    free(owned);
}

size_t owned_tree_bytes(const struct owned_tree *owned) {
    return owned->slab.total_count * owned->slab.object_bytes;
}

size_t owned_tree_count(const struct owned_tree *owned) {
    return owned->tree.count;
}

static void put_row(uint64_t *row, const struct zio_view *view) {
    row[0] = view->start;
    row[1] = view->length;
    row[2] = view->handle;
    row[3] = view->offset;
    row[4] = view->tag;
}

int owned_tree_insert(struct owned_tree *owned, const uint64_t row[OWNED_TREE_ROW]) {
    return zio_view_tree_insert(&owned->tree, row[0], row[1], row[2], row[3], (uint16_t)row[4]);
}

int owned_tree_carve(struct owned_tree *owned, uint64_t start, uint64_t length) {
    return zio_view_tree_carve(&owned->tree, start, length);
}

bool owned_tree_next(const struct owned_tree *owned, uint64_t address,
                     uint64_t row[OWNED_TREE_ROW]) {
    struct zio_view view;
    bool found = zio_view_tree_next(&owned->tree, address, &view) != 0;
    if (found)
        put_row(row, &view);
    return found;
}

size_t owned_tree_translate(const struct owned_tree *owned, uint64_t start, uint64_t length,
                            uint64_t *rows, size_t max, uint64_t *covered) {
    struct zio_view views[PIECES_AT_ONCE];
    size_t count = zio_view_tree_translate(&owned->tree, start, length, views,
                                           max < PIECES_AT_ONCE ? max : PIECES_AT_ONCE, covered);
    for (size_t i = 0; i < count; i++)
        put_row(rows + i * OWNED_TREE_ROW, &views[i]);
    return count;
}

int owned_tree_check(const struct owned_tree *owned) {
    return zio_view_tree_check(&owned->tree);
}
