/* The interval tree of views: disjoint ranges [start, start + length) of addresses, each
 * showing [offset, offset + length) of an origin named by an opaque handle. A wide,
 * cache-conscious B+tree. A pure data structure: no lock, no system call but the slab's
 * mmap, no knowledge of userfaultfd. Not thread-safe: the caller locks (view_map.h).
 *
 * Merging: pieces that touch in address and in offset and have the same handle and tag
 * are one view. Handle 0 is the zero origin: its views read as zeros, its offset is
 * ignored and kept 0, and adjacent ones always merge when their tags agree. */
#ifndef ZIO_VIEW_TREE_H
#define ZIO_VIEW_TREE_H

#include <stddef.h>
#include <stdint.h>

#include <zio/arena.h>
#include <zio/error.h>

typedef uint64_t zio_handle;

struct zio_view {
  uint64_t start;  /* address */
  uint64_t length; /* bytes, > 0 */
  zio_handle handle;
  uint64_t offset : 48; /* bytes into the origin */
  uint64_t tag : 16;    /* the caller's: the site that made the view */
};

/* Told of every piece that begins or ceases to refer to a handle (never for handle 0).
 * A view that is cut in two adds one, two that merge remove one; what neither begins nor
 * ends on balance may go untold. New pieces are told before old ones, so a handle that
 * stays, or is being inserted, never seems gone in between. May be called with locks
 * held; must not re-enter the tree. */
struct zio_view_tree_hooks {
  void (*added)(void *context, zio_handle handle);
  void (*removed)(void *context, zio_handle handle);
  void *context;
};

struct zio_view_tree_node; /* opaque */

struct zio_view_tree {
  struct zio_slab *nodes; /* of zio_view_tree_node_bytes() objects; may be shared by trees */
  const struct zio_view_tree_hooks *hooks; /* NULL: none */
  struct zio_view_tree_node *root;
  size_t count; /* views */
  uint32_t height;
};

size_t zio_view_tree_node_bytes(void);
void zio_view_tree_init(struct zio_view_tree *tree, struct zio_slab *nodes,
                        const struct zio_view_tree_hooks *hooks);
/* Removes every view (hooks are told) and frees the nodes. */
void zio_view_tree_clear(struct zio_view_tree *tree);

/* Makes [start, start + length) show the handle from offset on; whatever was there is
 * cut. All or nothing: 0, ZIO_EINVAL (length 0, an end beyond UINT64_MAX, or bytes of the
 * origin beyond 2^48) or ZIO_ENOMEM. */
int zio_view_tree_insert(struct zio_view_tree *tree, uint64_t start, uint64_t length,
                         zio_handle handle, uint64_t offset, uint16_t tag);
/* Removes what lies in the range. All or nothing: 0, ZIO_EINVAL, ZIO_ENOMEM (a cut in the
 * middle needs room; the slab's reserve is used for it). */
int zio_view_tree_carve(struct zio_view_tree *tree, uint64_t start, uint64_t length);
/* The view that holds an address: returns 1 and fills *view, or 0. */
int zio_view_tree_stab(const struct zio_view_tree *tree, uint64_t address, struct zio_view *view);
/* The first view that ends after `address` (the one that holds it, or the next one):
 * returns 1 and fills *view, or 0. Iterate by continuing at view.start + view.length. */
int zio_view_tree_next(const struct zio_view_tree *tree, uint64_t address, struct zio_view *view);
/* Fills views[0..max) with the pieces of the views inside the range, clipped to it, in
 * order; what lies between them are holes. *covered is the length of the prefix of the
 * range that the returned pieces describe: the whole length unless max was reached.
 * Returns the number of pieces. */
size_t zio_view_tree_translate(const struct zio_view_tree *tree, uint64_t start, uint64_t length,
                               struct zio_view *views, size_t max, uint64_t *covered);
/* Checks every internal invariant; 0, or the line in view_tree.c that found a violation.
 * For tests. */
int zio_view_tree_check(const struct zio_view_tree *tree);

#endif
