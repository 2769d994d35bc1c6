/* The nodes of a view tree and the changes that keep it a B+tree; view_tree.c turns views into
 * such changes. A node is 1 KiB: a leaf holds 31 views, an inner node 62 children. The keys of a
 * node lie in an array of their own, so that a search touches only them.
 *
 * Invariant beyond a B+tree's: every view of a leaf lies wholly between the separators around the
 * leaf. So the view that holds an address is always in the leaf where the address belongs. The
 * separator is raised or lowered with the views beside it. */
#ifndef ZIO_NATIVE_VIEW_NODE_H
#define ZIO_NATIVE_VIEW_NODE_H

#include <zio/view_tree.h>

/* Tests make it small, for deep trees of few views; a leaf must hold four. */
#ifndef ZIO_VIEW_NODE_BYTES
#define ZIO_VIEW_NODE_BYTES 1024
#endif

enum {
    ZIO__NODE_BYTES = ZIO_VIEW_NODE_BYTES,
    ZIO__LEAF_MAX = (ZIO__NODE_BYTES - 24) / 32,
    ZIO__INNER_MAX = (ZIO__NODE_BYTES - 24) / 16,
    ZIO__HEIGHT_MAX = 12,
};

struct zio__payload {
    uint64_t length;
    zio_handle handle;
    uint64_t offset : 48;
    uint64_t tag : 16;
};

struct zio_view_tree_node {
    uint64_t count;                             /* views, or children */
    struct zio_view_tree_node *previous, *next; /* among the leaves; `next` also in free lists */
    union {
        struct {
            uint64_t starts[ZIO__LEAF_MAX];
            struct zio__payload payloads[ZIO__LEAF_MAX];
        } leaf;
        struct {
            uint64_t keys[ZIO__INNER_MAX]; /* keys[i] separates children i-1 and i; [0] is unused */
            struct zio_view_tree_node *children[ZIO__INNER_MAX];
        } inner;
    };
};

_Static_assert(sizeof(struct zio_view_tree_node) <= ZIO__NODE_BYTES, "a node fits its size");

/* The way from the root to a leaf: nodes[0] is the root, nodes[depth] the leaf. */
struct zio__path {
    struct zio_view_tree_node *nodes[ZIO__HEIGHT_MAX];
    uint16_t indices[ZIO__HEIGHT_MAX]; /* which child of nodes[i] is nodes[i + 1] */
    uint32_t depth;
    uint64_t *upper; /* the separator above the leaf; NULL for the last leaf */
};

/* Nodes taken from the slab before a change begins, so that the change cannot fail. */
struct zio__node_reserve {
    struct zio_slab *slab;
    struct zio_view_tree_node *list;
    size_t count;
};

/* Fills up to `count` nodes, or takes none and returns ZIO_ENOMEM. `emergency` allows the slab's
 * own reserve. */
int zio__reserve_fill(struct zio__node_reserve *reserve, size_t count, bool emergency);
/* One of the nodes filled in before; contents undefined. */
struct zio_view_tree_node *zio__reserve_take(struct zio__node_reserve *reserve);
void zio__reserve_drain(struct zio__node_reserve *reserve);

/* How many of the ascending keys are <= key. Three keys are compared at once, and the last few one
 * by one: no branch depends on a key, and few comparisons wait for one another. */
static inline uint64_t zio__rank(const uint64_t *keys, uint64_t count, uint64_t key) {
    uint64_t rank = 0;
    while (count > 6) {
        uint64_t quarter = count / 4;
        const uint64_t *at = keys + quarter - 1;
        uint64_t passed =
            (uint64_t)(at[0] <= key) + (at[quarter] <= key) + (at[2 * quarter] <= key);
        keys += passed * quarter;
        rank += passed * quarter;
        count -= 3 * quarter;
    }
    for (uint64_t i = 0; i < count; i++)
        rank += keys[i] <= key;
    return rank;
}

static inline void zio__prefetch_keys(const struct zio_view_tree_node *node) {
    for (int line = 0; line < 5; line++)
        __builtin_prefetch((const char *)node + line * 64);
}

/* The leaf where the address belongs; the tree has a root. */
static inline struct zio_view_tree_node *zio__find_leaf(const struct zio_view_tree *tree,
                                                        uint64_t address) {
    struct zio_view_tree_node *node = tree->root;
    for (uint32_t level = tree->height; level > 1; level--) {
        node = node->inner.children[zio__rank(node->inner.keys + 1, node->count - 1, address)];
        zio__prefetch_keys(node);
    }
    return node;
}

static inline uint64_t zio__leaf_end(const struct zio_view_tree_node *leaf, uint64_t index) {
    return leaf->leaf.starts[index] + leaf->leaf.payloads[index].length;
}

static inline struct zio_view zio__leaf_view(const struct zio_view_tree_node *leaf,
                                             uint64_t index) {
    const struct zio__payload *payload = &leaf->leaf.payloads[index];
    return (struct zio_view){.start = leaf->leaf.starts[index],
                             .length = payload->length,
                             .handle = payload->handle,
                             .offset = payload->offset,
                             .tag = payload->tag};
}

static inline void zio__leaf_set(struct zio_view_tree_node *leaf, uint64_t index,
                                 const struct zio_view *view) {
    leaf->leaf.starts[index] = view->start;
    leaf->leaf.payloads[index] = (struct zio__payload){
        .length = view->length, .handle = view->handle, .offset = view->offset, .tag = view->tag};
}

/* As zio__find_leaf, and remembers the way. */
struct zio_view_tree_node *zio__find_path(const struct zio_view_tree *tree, uint64_t address,
                                          struct zio__path *path);

/* The nodes that one more view in the leaf of the path takes. */
size_t zio__nodes_for_growth(const struct zio__path *path, uint64_t new_count);

/* Replaces the leaf's views [first, last) by out[0..count), count <= 3, and restores the tree:
 * splits (with nodes of the reserve), merges, frees an empty leaf. The path is used up. */
void zio__path_replace(struct zio_view_tree *tree, struct zio__path *path, uint64_t first,
                       uint64_t last, const struct zio_view *out, uint64_t count,
                       struct zio__node_reserve *reserve);

#endif
