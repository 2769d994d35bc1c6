/* Splitting, merging and freeing the nodes of a view tree. Knows nothing of what views mean. */
#include "view_node.h"

/* A leaf that loses views is joined with a neighbour when it is less than half full and both fit
 * in three quarters of one: a quarter of a node must then change before the next split or join. */
#define MERGE_BELOW(max) ((max) / 2)
#define MERGE_INTO(max)  ((max)*3 / 4)

int zio__reserve_fill(struct zio__node_reserve *reserve, size_t count, bool emergency) {
    while (reserve->count < count) {
        struct zio_view_tree_node *node =
            emergency ? zio_slab_alloc_reserved(reserve->slab) : zio_slab_alloc(reserve->slab);
        if (!node) {
            zio__reserve_drain(reserve);
            return ZIO_ENOMEM;
        }
        node->next = reserve->list;
        reserve->list = node;
        reserve->count++;
    }
    return 0;
}

struct zio_view_tree_node *zio__reserve_take(struct zio__node_reserve *reserve) {
    struct zio_view_tree_node *node = reserve->list;
    reserve->list = node->next;
    reserve->count--;
    return node;
}

void zio__reserve_drain(struct zio__node_reserve *reserve) {
    while (reserve->list)
        zio_slab_free(reserve->slab, zio__reserve_take(reserve));
}

struct zio_view_tree_node *zio__find_path(const struct zio_view_tree *tree, uint64_t address,
                                          struct zio__path *path) {
    struct zio_view_tree_node *node = tree->root;
    uint32_t depth = 0;
    path->upper = NULL;
    for (; depth + 1 < tree->height; depth++) {
        uint64_t index = zio__rank(node->inner.keys + 1, node->count - 1, address);
        path->nodes[depth] = node;
        path->indices[depth] = (uint16_t)index;
        if (index + 1 < node->count)
            path->upper = &node->inner.keys[index + 1];
        node = node->inner.children[index];
        zio__prefetch_keys(node);
    }
    path->nodes[depth] = node;
    path->depth = depth;
    return node;
}

size_t zio__nodes_for_growth(const struct zio__path *path, uint64_t new_count) {
    if (new_count <= ZIO__LEAF_MAX)
        return 0;
    size_t nodes = 1;
    for (uint32_t depth = path->depth; depth-- > 0; nodes++)
        if (path->nodes[depth]->count < ZIO__INNER_MAX)
            return nodes;
    return nodes + 1; /* a new root */
}

static void move_views(struct zio_view_tree_node *to, uint64_t to_index,
                       const struct zio_view_tree_node *from, uint64_t from_index, uint64_t count) {
    uint64_t *starts = to->leaf.starts + to_index;
    struct zio__payload *payloads = to->leaf.payloads + to_index;
    const uint64_t *from_starts = from->leaf.starts + from_index;
    const struct zio__payload *from_payloads = from->leaf.payloads + from_index;
    if (to != from || to_index < from_index) {
        for (uint64_t i = 0; i < count; i++)
            starts[i] = from_starts[i];
        for (uint64_t i = 0; i < count; i++)
            payloads[i] = from_payloads[i];
    } else if (to_index > from_index) {
        for (uint64_t i = count; i-- > 0;)
            starts[i] = from_starts[i];
        for (uint64_t i = count; i-- > 0;)
            payloads[i] = from_payloads[i];
    }
}

static void move_children(struct zio_view_tree_node *to, uint64_t to_index,
                          const struct zio_view_tree_node *from, uint64_t from_index,
                          uint64_t count) {
    uint64_t *keys = to->inner.keys + to_index;
    struct zio_view_tree_node **children = to->inner.children + to_index;
    const uint64_t *from_keys = from->inner.keys + from_index;
    struct zio_view_tree_node *const *from_children = from->inner.children + from_index;
    if (to != from || to_index < from_index)
        for (uint64_t i = 0; i < count; i++) {
            keys[i] = from_keys[i];
            children[i] = from_children[i];
        }
    else if (to_index > from_index)
        for (uint64_t i = count; i-- > 0;) {
            keys[i] = from_keys[i];
            children[i] = from_children[i];
        }
}

/* Where to split what has become too long by a change at [position, position + 1): behind the
 * change when it is at the end, before it when it is at the front, so that filling in order leaves
 * full nodes behind; at the change when that is near the middle; else in the middle. */
static uint64_t split_point(uint64_t total, uint64_t max, uint64_t position) {
    if (position + 1 >= total)
        return max;
    if (position == 0)
        return total - max;
    if (position + 1 >= total / 4 && position + 1 <= total - total / 4)
        return position + 1;
    return total / 2;
}

/* Puts `right` behind nodes[depth] of the path, at the level above. */
static void add_sibling(struct zio_view_tree *tree, struct zio__path *path, uint32_t depth,
                        uint64_t key, struct zio_view_tree_node *right,
                        struct zio__node_reserve *reserve) {
    for (; depth > 0; depth--) {
        struct zio_view_tree_node *node = path->nodes[depth - 1];
        uint64_t index = path->indices[depth - 1] + UINT64_C(1);
        struct zio_view_tree_node *target = node, *half = NULL;
        if (node->count == ZIO__INNER_MAX) {
            uint64_t point = split_point(ZIO__INNER_MAX + 1, ZIO__INNER_MAX, index);
            half = zio__reserve_take(reserve);
            /* The new child counts: it goes left when it comes before the point. */
            uint64_t from = index < point ? point - 1 : point;
            half->count = node->count - from;
            move_children(half, 0, node, from, half->count);
            node->count = from;
            if (index >= point) {
                target = half;
                index -= from;
            }
        }
        move_children(target, index + 1, target, index, target->count - index);
        target->inner.keys[index] = key;
        target->inner.children[index] = right;
        target->count++;
        if (!half)
            return;
        key = half->inner.keys[0];
        right = half;
    }
    struct zio_view_tree_node *root = zio__reserve_take(reserve);
    root->count = 2;
    root->inner.keys[1] = key;
    root->inner.children[0] = tree->root;
    root->inner.children[1] = right;
    tree->root = root;
    tree->height++;
}

/* Takes child `index` out of nodes[depth]; its node has been freed. */
static void drop_child(struct zio_view_tree *tree, struct zio__path *path, uint32_t depth,
                       uint64_t index) {
    for (;;) {
        struct zio_view_tree_node *node = path->nodes[depth];
        node->count--;
        move_children(node, index, node, index + 1, node->count - index);
        if (depth == 0)
            break;
        struct zio_view_tree_node *parent = path->nodes[depth - 1];
        uint64_t self = path->indices[depth - 1];
        if (node->count == 0) {
            zio_slab_free(tree->nodes, node);
            index = self;
        } else {
            if (node->count >= MERGE_BELOW(ZIO__INNER_MAX))
                return;
            struct zio_view_tree_node *left = NULL, *right = NULL;
            if (self > 0 && parent->inner.children[self - 1]->count + node->count <=
                                MERGE_INTO(ZIO__INNER_MAX)) {
                left = parent->inner.children[self - 1];
                right = node;
                index = self;
            } else if (self + 1 < parent->count &&
                       parent->inner.children[self + 1]->count + node->count <=
                           MERGE_INTO(ZIO__INNER_MAX)) {
                left = node;
                right = parent->inner.children[self + 1];
                index = self + 1;
            } else
                return;
            right->inner.keys[0] = parent->inner.keys[index];
            move_children(left, left->count, right, 0, right->count);
            left->count += right->count;
            zio_slab_free(tree->nodes, right);
        }
        depth--;
    }
    while (tree->height > 1 && tree->root->count == 1) {
        struct zio_view_tree_node *only = tree->root->inner.children[0];
        zio_slab_free(tree->nodes, tree->root);
        tree->root = only;
        tree->height--;
    }
}

static void free_leaf(struct zio_view_tree *tree, struct zio_view_tree_node *leaf) {
    if (leaf->previous)
        leaf->previous->next = leaf->next;
    if (leaf->next)
        leaf->next->previous = leaf->previous;
    zio_slab_free(tree->nodes, leaf);
}

static void shrink_leaf(struct zio_view_tree *tree, struct zio__path *path) {
    uint32_t depth = path->depth;
    if (depth == 0)
        return;
    struct zio_view_tree_node *leaf = path->nodes[depth], *parent = path->nodes[depth - 1];
    uint64_t self = path->indices[depth - 1];
    if (leaf->count == 0) {
        free_leaf(tree, leaf);
        drop_child(tree, path, depth - 1, self);
        return;
    }
    struct zio_view_tree_node *left = leaf, *right = leaf;
    if (self > 0 && leaf->previous->count + leaf->count <= MERGE_INTO(ZIO__LEAF_MAX))
        left = leaf->previous;
    else if (self + 1 < parent->count &&
             leaf->next->count + leaf->count <= MERGE_INTO(ZIO__LEAF_MAX)) {
        right = leaf->next;
        self++;
    } else
        return;
    move_views(left, left->count, right, 0, right->count);
    left->count += right->count;
    free_leaf(tree, right);
    drop_child(tree, path, depth - 1, self);
}

/* Copies views [from, to) of the sequence that the replacement makes into another leaf. */
static void copy_replaced(struct zio_view_tree_node *target, const struct zio_view_tree_node *leaf,
                          uint64_t first, uint64_t last, const struct zio_view *out, uint64_t count,
                          uint64_t from, uint64_t to) {
    uint64_t at = 0;
    for (; from < to && from < first; from++, at++)
        move_views(target, at, leaf, from, 1);
    for (; from < to && from < first + count; from++, at++)
        zio__leaf_set(target, at, &out[from - first]);
    if (from < to)
        move_views(target, at, leaf, from - first - count + last, to - from);
    target->count = at + (from < to ? to - from : 0);
}

static void split_leaf(struct zio_view_tree *tree, struct zio__path *path, uint64_t first,
                       uint64_t last, const struct zio_view *out, uint64_t count,
                       struct zio__node_reserve *reserve) {
    struct zio_view_tree_node *leaf = path->nodes[path->depth];
    struct zio_view_tree_node *right = zio__reserve_take(reserve);
    uint64_t total = leaf->count - (last - first) + count;
    uint64_t point = split_point(total, ZIO__LEAF_MAX,
                                 last == leaf->count ? total - 1
                                 : first == 0        ? 0
                                                     : first);
    copy_replaced(right, leaf, first, last, out, count, point, total);
    right->previous = leaf;
    right->next = leaf->next;
    if (leaf->next)
        leaf->next->previous = right;
    leaf->next = right;

    uint64_t fresh = point <= first ? 0 : point - first < count ? point - first : count;
    if (first + fresh < point)
        move_views(leaf, first + count, leaf, last, point - first - count);
    for (uint64_t i = 0; i < fresh; i++)
        zio__leaf_set(leaf, first + i, &out[i]);
    leaf->count = point;
    add_sibling(tree, path, path->depth, right->leaf.starts[0], right, reserve);
}

void zio__path_replace(struct zio_view_tree *tree, struct zio__path *path, uint64_t first,
                       uint64_t last, const struct zio_view *out, uint64_t count,
                       struct zio__node_reserve *reserve) {
    struct zio_view_tree_node *leaf = path->nodes[path->depth];
    uint64_t before = leaf->count;
    uint64_t after = before - (last - first) + count;
    tree->count += after - before;
    if (after > ZIO__LEAF_MAX) {
        split_leaf(tree, path, first, last, out, count, reserve);
        return;
    }
    move_views(leaf, first + count, leaf, last, before - last);
    for (uint64_t i = 0; i < count; i++)
        zio__leaf_set(leaf, first + i, &out[i]);
    leaf->count = after;
    if (after < before && after < MERGE_BELOW(ZIO__LEAF_MAX))
        shrink_leaf(tree, path);
}
