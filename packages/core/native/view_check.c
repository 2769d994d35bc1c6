/* The whole of a view tree or map at once: a visit of every view, the invariants, the end. */
#include <zio/view_map.h>

#include "view_node.h"
#include "view_tree_internal.h"

/* What a walk through the leaves in order has seen so far. */
struct tree_walk {
    const struct zio_view_tree_node *leaf; /* the last one */
    struct zio_view view;                  /* the last one; length 0: none */
    size_t count;
};

/* Visits the views of a tree in order. */
static int each_view(const struct zio_view_tree *tree,
                     int (*visit)(void *context, const struct zio_view *view), void *context) {
    const struct zio_view_tree_node *leaf = tree->root ? zio__find_leaf(tree, 0) : NULL;
    for (; leaf; leaf = leaf->next)
        for (uint64_t i = 0; i < leaf->count; i++) {
            struct zio_view view = zio__leaf_view(leaf, i);
            int result = visit(context, &view);
            if (result)
                return result;
        }
    return 0;
}

int zio_view_map_each(const struct zio_view_map *map,
                      int (*visit)(void *context, const struct zio_view *view), void *context) {
    for (int i = 0; i < ZIO_VIEW_MAP_STRIPES; i++) {
        int result = each_view(&map->stripes[i].tree, visit, context);
        if (result)
            return result;
    }
    return 0;
}

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__;                                                                       \
    } while (0)

static int check_leaf(const struct zio_view_tree_node *leaf, uint64_t lower, uint64_t upper,
                      struct tree_walk *walk) {
    CHECK(leaf->previous == walk->leaf);
    CHECK(!walk->leaf || walk->leaf->next == leaf);
    CHECK(leaf->count <= ZIO__LEAF_MAX);
    for (uint64_t i = 0; i < leaf->count; i++) {
        struct zio_view view = zio__leaf_view(leaf, i);
        CHECK(view.length > 0);
        CHECK(view.start >= lower && view.start < upper && view.length <= upper - view.start);
        CHECK(view.handle != 0 || view.offset == 0);
        CHECK(walk->view.length == 0 || walk->view.start + walk->view.length <= view.start);
        CHECK(walk->view.length == 0 || !zio__view_continues(&walk->view, &view));
        walk->view = view;
        walk->count++;
    }
    walk->leaf = leaf;
    return 0;
}

static int check_node(const struct zio_view_tree_node *node, uint32_t height, uint64_t lower,
                      uint64_t upper, struct tree_walk *walk) {
    CHECK(node->count > 0);
    if (height == 1)
        return check_leaf(node, lower, upper, walk);
    CHECK(node->count <= ZIO__INNER_MAX);
    for (uint64_t i = 0; i < node->count; i++) {
        uint64_t from = i == 0 ? lower : node->inner.keys[i];
        uint64_t to = i + 1 == node->count ? upper : node->inner.keys[i + 1];
        CHECK(from < to && from >= lower && to <= upper);
        int violation = check_node(node->inner.children[i], height - 1, from, to, walk);
        if (violation)
            return violation;
    }
    return 0;
}

int zio_view_tree_check(const struct zio_view_tree *tree) {
    CHECK((tree->root == NULL) == (tree->height == 0));
    CHECK(tree->height <= ZIO__HEIGHT_MAX);
    if (!tree->root) {
        CHECK(tree->count == 0);
        return 0;
    }
    struct tree_walk walk = {0};
    if (tree->height == 1 && tree->root->count == 0) {
        CHECK(!tree->root->next && !tree->root->previous);
    } else {
        CHECK(tree->height == 1 || tree->root->count > 1);
        int violation = check_node(tree->root, tree->height, 0, UINT64_MAX, &walk);
        if (violation)
            return violation;
        CHECK(!walk.leaf->next);
    }
    CHECK(walk.count == tree->count);
    return 0;
}

static void clear_node(struct zio_view_tree *tree, struct zio_view_tree_node *node,
                       uint32_t height) {
    for (uint64_t i = 0; i < node->count; i++)
        if (height > 1)
            clear_node(tree, node->inner.children[i], height - 1);
        else
            zio__tree_tell(tree, node->leaf.payloads[i].handle, false);
    zio_slab_free(tree->nodes, node);
}

void zio_view_tree_clear(struct zio_view_tree *tree) {
    if (tree->root)
        clear_node(tree, tree->root, tree->height);
    tree->root = NULL;
    tree->count = 0;
    tree->height = 0;
}

/* What the pieces of a map say about its filter, to be compared with it. */
struct piece_count {
    uint32_t *slots;
    uint64_t total;
};

static int count_piece(void *context, const struct zio_view *view) {
    struct piece_count *pieces = context;
    uint64_t first = view->start >> ZIO_VIEW_MAP_GRANULE_SHIFT;
    CHECK((view->start + view->length - 1) >> ZIO_VIEW_MAP_GRANULE_SHIFT == first);
    pieces->slots[first % ZIO_VIEW_MAP_FILTER_SLOTS]++;
    pieces->total++;
    return 0;
}

static int compare_filter(const struct zio_view_map *map, const struct piece_count *pieces) {
    CHECK(pieces->total == atomic_load(&map->count));
    for (uint32_t slot = 0; slot < ZIO_VIEW_MAP_FILTER_SLOTS; slot++)
        CHECK(pieces->slots[slot] == atomic_load(&map->filter[slot]));
    return 0;
}

int zio_view_map_check(const struct zio_view_map *map) {
    for (uint64_t i = 0; i < ZIO_VIEW_MAP_STRIPES; i++) {
        const struct zio_view_tree *tree = &map->stripes[i].tree;
        int violation = zio_view_tree_check(tree);
        if (violation)
            return violation;
        struct zio_view view;
        for (uint64_t at = 0; zio_view_tree_next(tree, at, &view); at = view.start + view.length)
            CHECK((view.start >> ZIO_VIEW_MAP_GRANULE_SHIFT) % ZIO_VIEW_MAP_STRIPES == i);
    }
    size_t bytes = ZIO_VIEW_MAP_FILTER_SLOTS * sizeof(uint32_t);
    struct piece_count pieces = {.slots = zio_pages_alloc(bytes)};
    CHECK(pieces.slots);
    int violation = zio_view_map_each(map, count_piece, &pieces);
    if (!violation)
        violation = compare_filter(map, &pieces);
    zio_pages_free(pieces.slots, bytes);
    return violation;
}
