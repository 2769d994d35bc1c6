/* The striped map: which tree holds what, the filter in front, the set locks. A granule's filter
 * slot is written only under the lock of the granule's stripe (slots are a multiple of stripes),
 * so it needs no atomic read-modify-write; look-ups read it without a lock. It is never zero
 * while a piece of the granule is visible. */
#include <zio/view_map.h>

#include "arena_internal.h"
#include "view_tree_internal.h"

#include <zio/syscall.h>

#include <linux/mman.h>
#include <time.h>

#define GRANULE_BYTES (UINT64_C(1) << ZIO_VIEW_MAP_GRANULE_SHIFT)
#define FILTER_BYTES  (ZIO_VIEW_MAP_FILTER_SLOTS * sizeof(_Atomic uint32_t))

enum {
    /* For carving when memory is out: a cut takes at most a node a level, each stripe at once. */
    NODE_RESERVE = 2 * ZIO_VIEW_MAP_STRIPES,
    /* A look for the next piece tries so many granules by the filter, then asks every tree. */
    GRANULES_BY_FILTER = 256,
};

_Static_assert(ZIO_VIEW_MAP_FILTER_SLOTS % ZIO_VIEW_MAP_STRIPES == 0,
               "all granules of a filter slot belong to one stripe");

static void init_trees(struct zio_view_map *map, const struct zio_view_tree_hooks *hooks) {
    for (int i = 0; i < ZIO_VIEW_MAP_STRIPES; i++) {
        map->stripes[i].lock = (struct zio_lock){0};
        zio_view_tree_init(&map->stripes[i].tree, &map->nodes, hooks);
    }
    atomic_store(&map->count, 0);
}

int zio_view_map_init(struct zio_view_map *map, const struct zio_view_tree_hooks *hooks) {
    init_trees(map, hooks);
    map->filter = zio_pages_alloc(FILTER_BYTES);
    if (!map->filter)
        return ZIO_ENOMEM;
    int result = zio_slab_init(&map->nodes, zio_view_tree_node_bytes(), NODE_RESERVE);
    if (result != 0) {
        zio_pages_free(map->filter, FILTER_BYTES);
        map->filter = NULL;
    }
    return result;
}

void zio_view_map_destroy(struct zio_view_map *map) {
    for (int i = 0; i < ZIO_VIEW_MAP_STRIPES; i++)
        zio_view_tree_clear(&map->stripes[i].tree);
    atomic_store(&map->count, 0);
    zio_slab_destroy(&map->nodes);
    zio_pages_free(map->filter, FILTER_BYTES);
    map->filter = NULL;
}

void zio_view_map_after_fork(struct zio_view_map *map) {
    /* A thread of the parent may have been in the middle of a change: nothing of the trees is
     * read. The slab maps its chunks anew when they are needed. */
    init_trees(map, map->stripes[0].tree.hooks);
    zio_slab_destroy(&map->nodes);
    zio_syscall(SYS_madvise, map->filter, zio__round_up(FILTER_BYTES, ZIO__PAGE_BYTES),
                MADV_DONTNEED);
}

static struct zio_view_tree *tree_of(const struct zio_view_map *map, uint64_t address) {
    uint64_t granule = address >> ZIO_VIEW_MAP_GRANULE_SHIFT;
    return (struct zio_view_tree *)&map->stripes[granule % ZIO_VIEW_MAP_STRIPES].tree;
}

static _Atomic uint32_t *filter_of(const struct zio_view_map *map, uint64_t address) {
    return &map->filter[(address >> ZIO_VIEW_MAP_GRANULE_SHIFT) % ZIO_VIEW_MAP_FILTER_SLOTS];
}

/* The end of the granule of `address`, or of the range if that comes first. */
static uint64_t granule_end(uint64_t address, uint64_t end) {
    uint64_t next = (address | (GRANULE_BYTES - 1)) + 1;
    return next == 0 || next > end ? end : next;
}

void zio_view_map_lock(struct zio_view_map *map, zio_stripes shared, zio_stripes exclusive) {
    for (zio_stripes rest = shared | exclusive; rest; rest &= rest - 1) {
        struct zio_lock *lock = &map->stripes[__builtin_ctzll(rest)].lock;
        if (exclusive & rest & -rest)
            zio_lock_exclusive(lock);
        else
            zio_lock_shared(lock);
    }
}

void zio_view_map_unlock(struct zio_view_map *map, zio_stripes shared, zio_stripes exclusive) {
    for (zio_stripes rest = shared | exclusive; rest; rest &= rest - 1) {
        struct zio_lock *lock = &map->stripes[__builtin_ctzll(rest)].lock;
        if (exclusive & rest & -rest)
            zio_unlock_exclusive(lock);
        else
            zio_unlock_shared(lock);
    }
}

static uint64_t monotonic_ns(void) {
    struct timespec now;
    zio_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

bool zio_view_map_lock_timed(struct zio_view_map *map, zio_stripes exclusive, uint64_t timeout_ns) {
    uint64_t start = 0;
    for (zio_stripes rest = exclusive; rest; rest &= rest - 1) {
        struct zio_lock *lock = &map->stripes[__builtin_ctzll(rest)].lock;
        if (zio_lock_exclusive_timed(lock, 0))
            continue;
        uint64_t now = timeout_ns ? monotonic_ns() : 0;
        start = start ? start : now;
        if (now - start < timeout_ns && zio_lock_exclusive_timed(lock, timeout_ns - (now - start)))
            continue;
        /* Gives back those below the one that was not to be had. */
        zio_view_map_unlock(map, 0, exclusive & ((rest & -rest) - 1));
        return false;
    }
    return true;
}

/* Publishes how many pieces a change in one granule has made of `before`. `guarded`: the slot was
 * zero and guard_slot has counted one ahead. */
static void settle(struct zio_view_map *map, uint64_t address, size_t before, bool guarded) {
    _Atomic uint32_t *slot = filter_of(map, address);
    int64_t change = (int64_t)(tree_of(map, address)->count - before) - guarded;
    if (change == 0)
        return;
    uint32_t pieces = atomic_load_explicit(slot, memory_order_relaxed);
    atomic_store_explicit(slot, pieces + (uint32_t)change, memory_order_release);
    atomic_fetch_add_explicit(&map->count, (uint64_t)change, memory_order_release);
}

/* Counts a piece ahead where there is none, before one becomes visible. */
static bool guard_slot(struct zio_view_map *map, uint64_t address) {
    _Atomic uint32_t *slot = filter_of(map, address);
    if (atomic_load_explicit(slot, memory_order_relaxed) != 0)
        return false;
    atomic_fetch_add_explicit(&map->count, 1, memory_order_release);
    atomic_store_explicit(slot, 1, memory_order_release);
    return true;
}

static int insert_piece(struct zio_view_map *map, const struct zio_view *piece,
                        struct zio__node_reserve *reserve) {
    struct zio_view_tree *tree = tree_of(map, piece->start);
    size_t before = tree->count;
    bool guarded = guard_slot(map, piece->start);
    int result = zio__view_tree_insert(tree, piece, reserve);
    settle(map, piece->start, before, guarded);
    return result;
}

/* Nodes that suffice to insert `pieces` pieces in address order where a tree has none. The first
 * splits happen wherever the gap lies in its leaf, at most two a level; from then on the gap is at
 * the end of a leaf, and each split leaves a full node behind. */
static size_t nodes_for_pieces(const struct zio_view_tree *tree, uint64_t pieces) {
    if (tree->height == 1 && tree->root->count + pieces <= ZIO__LEAF_MAX)
        return 0;
    if (pieces == 1)
        return tree->height + 1;
    return 2 * pieces / ZIO__LEAF_MAX + 4 * (tree->height + 2);
}

static size_t nodes_for_range(const struct zio_view_map *map, uint64_t start, uint64_t end) {
    uint64_t granules =
        ((end - 1) >> ZIO_VIEW_MAP_GRANULE_SHIFT) - (start >> ZIO_VIEW_MAP_GRANULE_SHIFT) + 1;
    size_t nodes = 0;
    for (uint64_t i = 0; i < granules && i < ZIO_VIEW_MAP_STRIPES; i++)
        nodes += nodes_for_pieces(tree_of(map, start + i * GRANULE_BYTES),
                                  (granules - i - 1) / ZIO_VIEW_MAP_STRIPES + 1);
    return nodes;
}

int zio_view_map_insert(struct zio_view_map *map, uint64_t start, uint64_t length,
                        zio_handle handle, uint64_t offset, uint16_t tag) {
    struct zio_view whole;
    int result = zio__view_make(&whole, start, length, handle, offset, tag);
    if (result != 0)
        return result;
    uint64_t end = start + length;
    struct zio__node_reserve reserve = {.slab = &map->nodes};
    if (granule_end(start, end) == end) {
        result = insert_piece(map, &whole, &reserve);
        zio__reserve_drain(&reserve);
        return result;
    }
    if (zio__reserve_fill(&reserve, nodes_for_range(map, start, end), false) != 0)
        return ZIO_ENOMEM;
    /* Carving over several granules cannot fail. It may remove the last piece of the handle that
     * is inserted: this is kept meanwhile. */
    zio__tree_tell(tree_of(map, start), handle, true);
    zio_view_map_carve(map, start, length);
    for (uint64_t at = start; at < end; at = granule_end(at, end)) {
        struct zio_view piece = whole;
        piece.start = at;
        piece.length = granule_end(at, end) - at;
        piece.offset = handle == 0 ? 0 : offset + (at - start);
        insert_piece(map, &piece, &reserve);
    }
    zio__tree_tell(tree_of(map, start), handle, false);
    zio__reserve_drain(&reserve);
    return 0;
}

/* Where the first piece at or after `at` begins (or `at` itself when it lies in one); UINT64_MAX:
 * there is none before `end`. Granules that the filter knows to be empty cost a load each; a long
 * empty stretch is skipped by asking every tree that the range touches. */
static uint64_t find_piece(const struct zio_view_map *map, uint64_t at, uint64_t end,
                           struct zio_view *piece) {
    for (int tries = 0; at < end && tries < GRANULES_BY_FILTER; tries++) {
        uint64_t stop = granule_end(at, end);
        if (atomic_load_explicit(filter_of(map, at), memory_order_relaxed) != 0 &&
            zio_view_tree_next(tree_of(map, at), at, piece) && piece->start < stop)
            return piece->start > at ? piece->start : at;
        at = stop;
    }
    if (at >= end)
        return UINT64_MAX;
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < ZIO_VIEW_MAP_STRIPES; i++) {
        struct zio_view candidate;
        if (!zio_view_tree_next(&map->stripes[i].tree, at, &candidate))
            continue;
        uint64_t start = candidate.start > at ? candidate.start : at;
        if (start >= end || start >= best)
            continue;
        best = start;
        *piece = candidate;
    }
    return best;
}

int zio_view_map_carve(struct zio_view_map *map, uint64_t start, uint64_t length) {
    if (length == 0 || start > UINT64_MAX - length)
        return ZIO_EINVAL;
    /* A cut needs a node only when the range lies within one piece, and so within one granule:
     * over several granules nothing can fail. */
    uint64_t end = start + length;
    struct zio_view piece;
    for (uint64_t at = start; (at = find_piece(map, at, end, &piece)) != UINT64_MAX;) {
        struct zio_view_tree *tree = tree_of(map, at);
        uint64_t stop = granule_end(at, end);
        size_t before = tree->count;
        int result = zio_view_tree_carve(tree, at, stop - at);
        settle(map, at, before, false);
        if (result != 0)
            return result;
        at = stop;
    }
    return 0;
}

int zio_view_map_stab(const struct zio_view_map *map, uint64_t address, struct zio_view *view) {
    return zio_view_tree_stab(tree_of(map, address), address, view);
}

size_t zio_view_map_translate(const struct zio_view_map *map, uint64_t start, uint64_t length,
                              struct zio_view *views, size_t max, uint64_t *covered) {
    uint64_t end = length > UINT64_MAX - start ? UINT64_MAX : start + length;
    size_t count = 0;
    *covered = length;
    struct zio_view piece;
    for (uint64_t at = start; (at = find_piece(map, at, end, &piece)) != UINT64_MAX;) {
        piece = zio__view_cut(piece, at, end);
        if (count > 0 && zio__view_continues(&views[count - 1], &piece))
            views[count - 1].length += piece.length;
        else if (count < max)
            views[count++] = piece;
        else {
            *covered = at - start;
            break;
        }
        uint64_t stop = granule_end(at, end), described = 0;
        at += piece.length;
        if (at < stop) /* the rest of the granule at once; with no room left up to its next piece */
            count += zio_view_tree_translate(tree_of(map, piece.start), at, stop - at,
                                             views + count, max - count, &described);
        at += described;
    }
    return count;
}

int zio_view_map_next(const struct zio_view_map *map, uint64_t start, uint64_t length,
                      struct zio_view *view) {
    uint64_t covered;
    return zio_view_map_translate(map, start, length, view, 1, &covered) == 1;
}
