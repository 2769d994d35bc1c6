/* The interval tree of views: what inserting, carving and looking up mean. view_node.c keeps the
 * B+tree in shape. Nothing here changes the tree before all memory for the change is in hand. */
#include <zio/view_tree.h>

#include "view_node.h"
#include "view_tree_internal.h"

#define OFFSET_LIMIT (UINT64_C(1) << 48)

size_t zio_view_tree_node_bytes(void) {
    return ZIO__NODE_BYTES;
}

void zio_view_tree_init(struct zio_view_tree *tree, struct zio_slab *nodes,
                        const struct zio_view_tree_hooks *hooks) {
    *tree = (struct zio_view_tree){.nodes = nodes, .hooks = hooks};
}

static uint64_t view_end(const struct zio_view *view) {
    return view->start + view->length;
}

struct zio_view zio__view_cut(struct zio_view view, uint64_t from, uint64_t to) {
    uint64_t end = view_end(&view);
    from = from > view.start ? from : view.start;
    to = to < end ? to : end;
    if (view.handle != 0)
        view.offset += from - view.start;
    view.start = from;
    view.length = to - from;
    return view;
}

bool zio__view_continues(const struct zio_view *left, const struct zio_view *right) {
    return left->start + left->length == right->start && left->handle == right->handle &&
           left->tag == right->tag &&
           (left->handle == 0 || left->offset + left->length == right->offset);
}

void zio__tree_tell(const struct zio_view_tree *tree, zio_handle handle, bool added) {
    if (tree->hooks && handle != 0)
        (added ? tree->hooks->added : tree->hooks->removed)(tree->hooks->context, handle);
}

/* Tells the hooks what replacing [first, last) by out[0..count) changes: new pieces before old
 * ones, so that a handle that stays never seems gone meanwhile. */
static void tell_replaced(const struct zio_view_tree *tree, const struct zio_view_tree_node *leaf,
                          uint64_t first, uint64_t last, const struct zio_view *out,
                          uint64_t count) {
    if (!tree->hooks)
        return;
    const struct zio__payload *payloads = leaf->leaf.payloads;
    for (uint64_t i = 0; i < count; i++) {
        if (first < last && payloads[first].handle == out[i].handle)
            first++;
        else if (first < last && payloads[last - 1].handle == out[i].handle)
            last--;
        else
            zio__tree_tell(tree, out[i].handle, true);
    }
    for (; first < last; first++)
        zio__tree_tell(tree, payloads[first].handle, false);
}

/* Removes [start, end), from one leaf after the other. Only a cut within one view can need nodes;
 * they are taken before anything has changed. */
static int carve(struct zio_view_tree *tree, uint64_t start, uint64_t end,
                 struct zio__node_reserve *reserve) {
    for (;;) {
        struct zio__path path;
        struct zio_view_tree_node *leaf = zio__find_path(tree, start, &path);
        uint64_t upper = path.upper ? *path.upper : UINT64_MAX;
        uint64_t first = zio__rank(leaf->leaf.starts, leaf->count, start);
        if (first > 0 && zio__leaf_end(leaf, first - 1) > start)
            first--;
        uint64_t last = first;
        while (last < leaf->count && leaf->leaf.starts[last] < end)
            last++;

        struct zio_view out[2];
        uint64_t count = 0;
        if (first < last && leaf->leaf.starts[first] < start)
            out[count++] = zio__view_cut(zio__leaf_view(leaf, first), 0, start);
        if (first < last && zio__leaf_end(leaf, last - 1) > end)
            out[count++] = zio__view_cut(zio__leaf_view(leaf, last - 1), end, UINT64_MAX);

        size_t nodes = zio__nodes_for_growth(&path, leaf->count - (last - first) + count);
        if (zio__reserve_fill(reserve, nodes, true) != 0)
            return ZIO_ENOMEM;
        uint64_t next = leaf->next && end > upper ? leaf->next->leaf.starts[0] : UINT64_MAX;
        if (first < last) {
            tell_replaced(tree, leaf, first, last, out, count);
            zio__path_replace(tree, &path, first, last, out, count, reserve);
        }
        if (next >= end)
            return 0;
        start = next;
    }
}

int zio_view_tree_carve(struct zio_view_tree *tree, uint64_t start, uint64_t length) {
    if (length == 0 || start > UINT64_MAX - length)
        return ZIO_EINVAL;
    if (!tree->root)
        return 0;
    struct zio__node_reserve reserve = {.slab = tree->nodes};
    int result = carve(tree, start, start + length, &reserve);
    zio__reserve_drain(&reserve);
    return result;
}

/* What an insert makes of one leaf: its views [first, last) become out[0..count). */
struct replacement {
    uint64_t first, last, count;
    struct zio_view out[3];
};

static struct replacement plan_insert(const struct zio_view_tree_node *leaf, struct zio_view view) {
    uint64_t start = view.start, end = view_end(&view);
    uint64_t before = start == 0 ? 0 : zio__rank(leaf->leaf.starts, leaf->count, start - 1);
    struct replacement plan = {.first = before, .last = before};
    while (plan.last < leaf->count && leaf->leaf.starts[plan.last] < end)
        plan.last++;

    /* What stays on the left and on the right, or merely touches there. */
    struct zio_view left, right;
    bool has_left = before > 0 && zio__leaf_end(leaf, before - 1) >= start;
    bool has_right = false;
    if (plan.last > before || (has_left && zio__leaf_end(leaf, before - 1) > end)) {
        right = zio__leaf_view(leaf, plan.last > before ? plan.last - 1 : before - 1);
        has_right = view_end(&right) > end;
        if (has_right)
            right = zio__view_cut(right, end, UINT64_MAX);
    }
    if (!has_right && plan.last < leaf->count && leaf->leaf.starts[plan.last] == end) {
        right = zio__leaf_view(leaf, plan.last);
        has_right = zio__view_continues(&view, &right);
        plan.last += has_right;
    }
    if (has_left) {
        plan.first--;
        left = zio__view_cut(zio__leaf_view(leaf, plan.first), 0, start);
        if (zio__view_continues(&left, &view)) {
            view = (struct zio_view){.start = left.start,
                                     .length = left.length + view.length,
                                     .handle = left.handle,
                                     .offset = left.offset,
                                     .tag = left.tag};
            has_left = false;
        }
    }
    if (has_right && zio__view_continues(&view, &right)) {
        view.length += right.length;
        has_right = false;
    }
    if (has_left)
        plan.out[plan.count++] = left;
    plan.out[plan.count++] = view;
    if (has_right)
        plan.out[plan.count++] = right;
    return plan;
}

/* When the last view of the leaf continues in the first of the next leaf, the latter takes it. */
static void join_next_leaf(const struct zio__path *path, struct replacement *plan) {
    struct zio_view_tree_node *leaf = path->nodes[path->depth], *next = leaf->next;
    struct zio_view *view = &plan->out[plan->count - 1];
    if (!next || plan->last != leaf->count || view_end(view) != next->leaf.starts[0])
        return;
    struct zio_view follower = zio__leaf_view(next, 0);
    if (!zio__view_continues(view, &follower))
        return;
    view->length += follower.length;
    zio__leaf_set(next, 0, view);
    *path->upper = view->start;
    plan->count--;
}

/* The leaf that an insert changes: where its start belongs, or the leaf before when the view
 * there touches it and continues in it. */
static struct zio_view_tree_node *find_insert_path(const struct zio_view_tree *tree,
                                                   const struct zio_view *view,
                                                   struct zio__path *path) {
    struct zio_view_tree_node *leaf = zio__find_path(tree, view->start, path);
    const struct zio_view_tree_node *previous = leaf->previous;
    if (!previous || leaf->leaf.starts[0] < view->start ||
        zio__leaf_end(previous, previous->count - 1) != view->start)
        return leaf;
    struct zio_view left = zio__leaf_view(previous, previous->count - 1);
    return zio__view_continues(&left, view) ? zio__find_path(tree, view->start - 1, path) : leaf;
}

/* Whether the view covers views of leaves behind the path's. */
static bool reaches_next_leaf(const struct zio__path *path, uint64_t end) {
    return path->upper && end > *path->upper &&
           path->nodes[path->depth]->next->leaf.starts[0] < end;
}

static int make_root(struct zio_view_tree *tree, struct zio__node_reserve *reserve) {
    if (zio__reserve_fill(reserve, 1, false) != 0)
        return ZIO_ENOMEM;
    tree->root = zio__reserve_take(reserve);
    tree->root->count = 0;
    tree->root->previous = tree->root->next = NULL;
    tree->height = 1;
    return 0;
}

int zio__view_tree_insert(struct zio_view_tree *tree, const struct zio_view *view,
                          struct zio__node_reserve *reserve) {
    struct zio__path path;
    if (!tree->root && make_root(tree, reserve) != 0)
        return ZIO_ENOMEM;
    struct zio_view_tree_node *leaf = find_insert_path(tree, view, &path);
    bool covers_leaves = reaches_next_leaf(&path, view_end(view));
    if (covers_leaves) {
        /* All that it covers is cut out first. That frees nodes, takes none, and leaves no node of
         * the path fuller than it was. The handle may be one of those cut: it is kept meanwhile. */
        if (zio__reserve_fill(reserve, tree->height + 1, false) != 0)
            return ZIO_ENOMEM;
        zio__tree_tell(tree, view->handle, true);
        carve(tree, view->start, view_end(view), reserve);
        leaf = find_insert_path(tree, view, &path);
    }
    struct replacement plan = plan_insert(leaf, *view);
    uint64_t after = leaf->count - (plan.last - plan.first) + plan.count;
    if (zio__reserve_fill(reserve, zio__nodes_for_growth(&path, after), false) != 0)
        return ZIO_ENOMEM;
    join_next_leaf(&path, &plan);
    tell_replaced(tree, leaf, plan.first, plan.last, plan.out, plan.count);
    if (path.upper && plan.count > 0 && view_end(&plan.out[plan.count - 1]) > *path.upper)
        *path.upper = view_end(&plan.out[plan.count - 1]);
    zio__path_replace(tree, &path, plan.first, plan.last, plan.out, plan.count, reserve);
    if (covers_leaves)
        zio__tree_tell(tree, view->handle, false);
    return 0;
}

int zio__view_make(struct zio_view *view, uint64_t start, uint64_t length, zio_handle handle,
                   uint64_t offset, uint16_t tag) {
    if (length == 0 || start > UINT64_MAX - length)
        return ZIO_EINVAL;
    if (handle == 0)
        offset = 0;
    else if (offset > OFFSET_LIMIT || length > OFFSET_LIMIT - offset)
        return ZIO_EINVAL;
    *view = (struct zio_view){
        .start = start, .length = length, .handle = handle, .offset = offset, .tag = tag};
    return 0;
}

int zio_view_tree_insert(struct zio_view_tree *tree, uint64_t start, uint64_t length,
                         zio_handle handle, uint64_t offset, uint16_t tag) {
    struct zio_view view;
    int result = zio__view_make(&view, start, length, handle, offset, tag);
    if (result != 0)
        return result;
    struct zio__node_reserve reserve = {.slab = tree->nodes};
    result = zio__view_tree_insert(tree, &view, &reserve);
    zio__reserve_drain(&reserve);
    return result;
}

/* The leaf and index of the first view that ends after the address; NULL: there is none. */
static const struct zio_view_tree_node *seek(const struct zio_view_tree *tree, uint64_t address,
                                             uint64_t *index) {
    if (!tree->root)
        return NULL;
    const struct zio_view_tree_node *leaf = zio__find_leaf(tree, address);
    uint64_t at = zio__rank(leaf->leaf.starts, leaf->count, address);
    if (at > 0 && zio__leaf_end(leaf, at - 1) > address)
        at--;
    if (at == leaf->count) {
        leaf = leaf->next;
        at = 0;
    }
    *index = at;
    return leaf;
}

int zio_view_tree_stab(const struct zio_view_tree *tree, uint64_t address, struct zio_view *view) {
    return zio_view_tree_next(tree, address, view) && view->start <= address;
}

int zio_view_tree_next(const struct zio_view_tree *tree, uint64_t address, struct zio_view *view) {
    uint64_t index;
    const struct zio_view_tree_node *leaf = seek(tree, address, &index);
    if (!leaf)
        return 0;
    *view = zio__leaf_view(leaf, index);
    return 1;
}

size_t zio_view_tree_translate(const struct zio_view_tree *tree, uint64_t start, uint64_t length,
                               struct zio_view *views, size_t max, uint64_t *covered) {
    uint64_t end = length > UINT64_MAX - start ? UINT64_MAX : start + length;
    uint64_t index;
    size_t count = 0;
    const struct zio_view_tree_node *leaf = length ? seek(tree, start, &index) : NULL;
    *covered = length;
    while (leaf) {
        struct zio_view view = zio__leaf_view(leaf, index);
        if (view.start >= end)
            break;
        if (count == max) {
            *covered = view.start > start ? view.start - start : 0;
            break;
        }
        views[count++] = zio__view_cut(view, start, end);
        if (++index == leaf->count) {
            leaf = leaf->next;
            index = 0;
        }
    }
    return count;
}
