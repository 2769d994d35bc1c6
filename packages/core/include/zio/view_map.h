/* The views of one address space, for many threads: ZIO_VIEW_MAP_STRIPES trees, each with
 * a reader-writer lock; the address space is dealt out to them in granules of 2 MiB
 * (granule number modulo the number of stripes). A view is stored in pieces that never
 * cross a granule; translate joins them again. In front stands a filter, one counter of
 * stored pieces per granule hash, read without any lock.
 *
 * Locks are taken for a set of stripes at once, in ascending order. Who holds a stripe
 * lock must not touch memory that can fault, block in IO, or take stripe locks again.
 * Not async-signal-safe: callers block signals around the locked section. No errno. */
#ifndef ZIO_VIEW_MAP_H
#define ZIO_VIEW_MAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zio/lock.h>
#include <zio/view_tree.h>

enum {
  ZIO_VIEW_MAP_STRIPES = 64,
  ZIO_VIEW_MAP_GRANULE_SHIFT = 21,
  ZIO_VIEW_MAP_FILTER_SLOTS = 1 << 16,
};

typedef uint64_t zio_stripes; /* bit i: stripe i */

struct zio_view_map_stripe {
  _Alignas(64) struct zio_lock lock;
  struct zio_view_tree tree;
};

struct zio_view_map {
  struct zio_view_map_stripe stripes[ZIO_VIEW_MAP_STRIPES];
  _Atomic uint64_t count; /* stored pieces, all stripes; 0 answers every look-up */
  _Atomic uint32_t *filter; /* ZIO_VIEW_MAP_FILTER_SLOTS counters, own pages */
  struct zio_slab nodes;
};

/* hooks as in view_tree.h; added/removed count stored pieces. Returns 0 or ZIO_ENOMEM. */
int zio_view_map_init(struct zio_view_map *map, const struct zio_view_tree_hooks *hooks);
void zio_view_map_destroy(struct zio_view_map *map); /* not thread-safe */
/* In a forked child: unlocks everything and forgets all views WITHOUT telling the hooks
 * (the caller has seen to the origins). */
void zio_view_map_after_fork(struct zio_view_map *map);

/* Lock-free: false means that no view overlaps the range, seen from this thread. */
static inline bool zio_view_map_may_hold(const struct zio_view_map *map, uint64_t start,
                                         uint64_t length) {
  if (atomic_load_explicit(&map->count, memory_order_acquire) == 0 || length == 0) return false;
  uint64_t granule = start >> ZIO_VIEW_MAP_GRANULE_SHIFT;
  uint64_t last = (start + length - 1) >> ZIO_VIEW_MAP_GRANULE_SHIFT;
  if (last - granule >= ZIO_VIEW_MAP_FILTER_SLOTS) return true;
  for (; granule <= last; granule++)
    if (atomic_load_explicit(&map->filter[granule % ZIO_VIEW_MAP_FILTER_SLOTS],
                             memory_order_acquire) != 0)
      return true;
  return false;
}

/* The stripes that a range touches. */
static inline zio_stripes zio_view_map_stripes(uint64_t start, uint64_t length) {
  if (length == 0) return 0;
  uint64_t granule = start >> ZIO_VIEW_MAP_GRANULE_SHIFT;
  uint64_t last = (start + length - 1) >> ZIO_VIEW_MAP_GRANULE_SHIFT;
  if (last - granule >= ZIO_VIEW_MAP_STRIPES - 1) return ~UINT64_C(0);
  zio_stripes set = 0;
  for (; granule <= last; granule++) set |= UINT64_C(1) << (granule % ZIO_VIEW_MAP_STRIPES);
  return set;
}

/* Locks `exclusive` for writing and `shared` for reading; a stripe in both is locked for
 * writing. Unlock with the same two sets. */
void zio_view_map_lock(struct zio_view_map *map, zio_stripes shared, zio_stripes exclusive);
void zio_view_map_unlock(struct zio_view_map *map, zio_stripes shared, zio_stripes exclusive);
/* All of `exclusive` within about timeout_ns, or none: returns whether it holds them. */
bool zio_view_map_lock_timed(struct zio_view_map *map, zio_stripes exclusive, uint64_t timeout_ns);

/* As in view_tree.h, over all stripes that the range touches, which must be locked (for
 * writing: insert, carve, clear; for reading: the others). All or nothing. */
int zio_view_map_insert(struct zio_view_map *map, uint64_t start, uint64_t length,
                        zio_handle handle, uint64_t offset, uint16_t tag);
int zio_view_map_carve(struct zio_view_map *map, uint64_t start, uint64_t length);
int zio_view_map_stab(const struct zio_view_map *map, uint64_t address, struct zio_view *view);
/* The first view, clipped to the range, that lies in [start, start + length). Like translate
 * it joins pieces, so that the whole range must be locked; stab gives the stored piece. */
int zio_view_map_next(const struct zio_view_map *map, uint64_t start, uint64_t length,
                      struct zio_view *view);
/* Pieces that continue each other across granules are joined. */
size_t zio_view_map_translate(const struct zio_view_map *map, uint64_t start, uint64_t length,
                              struct zio_view *views, size_t max, uint64_t *covered);
/* Calls visit for every stored piece, in no particular order across stripes; all stripes
 * must be locked. Stops when visit returns non-zero and returns that. visit must not
 * change the map. */
int zio_view_map_each(const struct zio_view_map *map,
                      int (*visit)(void *context, const struct zio_view *view), void *context);
/* For tests: 0 or a line number; also compares the filter with the trees. */
int zio_view_map_check(const struct zio_view_map *map);

#endif
