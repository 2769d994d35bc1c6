/* What view_map.c knows of the tree beyond its public header. */
#ifndef ZIO_NATIVE_VIEW_TREE_INTERNAL_H
#define ZIO_NATIVE_VIEW_TREE_INTERNAL_H

#include <stdbool.h>

#include <zio/view_tree.h>

#include "view_node.h"

/* Checks and fills in a view that is to be inserted; 0 or ZIO_EINVAL. */
int zio__view_make(struct zio_view *view, uint64_t start, uint64_t length, zio_handle handle,
                   uint64_t offset, uint16_t tag);
/* The part of a view that lies in [from, to), which must not be empty. */
struct zio_view zio__view_cut(struct zio_view view, uint64_t from, uint64_t to);
/* Whether `right` is the direct continuation of `left`, so that both are one view. */
bool zio__view_continues(const struct zio_view *left, const struct zio_view *right);
/* zio_view_tree_insert with nodes of the caller's: what the reserve lacks comes from its slab. */
int zio__view_tree_insert(struct zio_view_tree *tree, const struct zio_view *view,
                          struct zio__node_reserve *reserve);
/* Tells the tree's hooks that a piece of the handle began or ceased to be. */
void zio__tree_tell(const struct zio_view_tree *tree, zio_handle handle, bool added);

#endif
