/* Origins: reference-counted buffers that IO lands in and that are never written again
 * until the last reference is gone. They live in size-classed pools; the one freed last
 * is handed out first, because it is the one still in the cache.
 *
 * An origin has two kinds of references: *views* (pieces of application memory that show
 * its bytes) and *holds* (an IO in flight, or the thread that still fills it). When both
 * are zero it returns to its pool by itself. Thread-safe; acquire, hold and release are
 * async-signal-safe (they keep signals off while they hold a lock of the pool); no errno. After fork a
 * child may go on using the pool it inherited (of shared memory it keeps none)
 * once zio_origin_pool_after_fork has reset the locks. */
#ifndef ZIO_ORIGIN_H
#define ZIO_ORIGIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zio/arena.h>
#include <zio/signals.h>

struct zio_origin_pool;

struct zio_origin {
  unsigned char *data; /* page-aligned, `capacity` bytes */
  size_t capacity;     /* bytes, a multiple of the page size */
  _Atomic uint64_t references; /* low 32 bits: views, high 32 bits: holds */
  _Atomic size_t filled;       /* bytes [0, filled) are final */
  _Atomic uint32_t shared;     /* sticky: two views may show the same byte */
  _Atomic uint32_t filling;    /* 1: one of the holds only waits to fill bytes from `filled` on */
  _Atomic uint32_t overwriting; /* inputs under way to bytes below `filled`: make no new view of them */
  uint32_t size_class;
  struct zio_origin_pool *pool;
  struct zio_origin *next, *previous; /* in a free list of its class */
  size_t mapping_bytes; /* of the mapping that starts at `data`; 0: part of another's */
  uint64_t freed_at;    /* in releases of the pool */
  uint64_t token;       /* what the memory is to whoever gave it; 0: nothing */
  uint32_t epoch;       /* of the pool when it was made: another one's memory is the parent's */
  bool in_log;          /* the two that follow are in use; whoever keeps a list of them has a lock */
  uint64_t logged_until;
  struct zio_origin *next_logged;
  _Atomic uint16_t site; /* the owner's: whose input it received last */
};

/* Where origins get their memory; the default is zio_pages_alloc. `allocate` gives whole zeroed or
 * dirty pages, page-aligned, or NULL, and may set *token, which is 0; `release` takes back what it
 * gave. Both are called without a lock of the pool held, from any thread, and must not use malloc.
 * Memory that is `shared` with other processes is never moved out or emptied in place, every origin
 * has an allocation of its own, and after fork a child uses none of it. */
struct zio_origin_memory {
  void *(*allocate)(void *context, size_t bytes, uint64_t *token);
  void (*release)(void *context, void *data, size_t bytes, uint64_t token);
  void *context;
  bool shared;
};

/* Four classes a doubling, from 16 KiB to 1 GiB. */
enum { ZIO_ORIGIN_CLASSES = 65 };

struct zio_origin_pool {
  struct zio_lock lock[ZIO_ORIGIN_CLASSES];
  struct zio_origin *free[ZIO_ORIGIN_CLASSES];   /* warm: the last one freed first */
  struct zio_origin *oldest[ZIO_ORIGIN_CLASSES]; /* the other ends of these lists */
  struct zio_origin *cold[ZIO_ORIGIN_CLASSES];   /* addresses only, their pages are gone */
  struct zio_slab headers;
  struct zio_origin_memory memory;
  struct zio_signal_keeper keeper; /* set before the first zio_origin_acquire; or as it is */
  size_t limit_bytes;
  uint32_t epoch; /* counts the forks that made this process, where memory is shared */
  _Atomic uint64_t frees;
  _Atomic size_t capacity_bytes; /* of all origins that exist, free ones included, cold ones not */
  _Atomic size_t free_bytes;     /* of those in the free lists */
  _Atomic size_t live_count;     /* origins handed out */
};

/* limit_bytes caps the capacity of all origins together. Returns 0 or ZIO_ENOMEM. */
int zio_origin_pool_init(struct zio_origin_pool *pool, size_t limit_bytes);
/* Before the first zio_origin_acquire. What is not `shared` is private anonymous memory: its pages
 * are moved out and given back to the kernel by address. */
void zio_origin_pool_use_memory(struct zio_origin_pool *pool,
                                const struct zio_origin_memory *memory);
/* Unmaps all memory; no origin may be in use. Not thread-safe. */
void zio_origin_pool_destroy(struct zio_origin_pool *pool);
void zio_origin_pool_after_fork(struct zio_origin_pool *pool);

/* An origin with capacity >= bytes, one hold (the caller's), no views, filled = 0 and
 * shared = 0. NULL when the limit is reached (free origins of other classes are given
 * back to the kernel first) or the kernel refuses. */
struct zio_origin *zio_origin_acquire(struct zio_origin_pool *pool, size_t bytes);

static inline void zio_origin_hold(struct zio_origin *origin) {
  atomic_fetch_add_explicit(&origin->references, UINT64_C(1) << 32, memory_order_relaxed);
}
static inline void zio_origin_add_view(struct zio_origin *origin) {
  atomic_fetch_add_explicit(&origin->references, 1, memory_order_relaxed);
}
/* Takes a hold if any view exists, which proves that the origin is in use: for a pointer that was
 * kept without a reference. Headers are never unmapped before the pool is. */
bool zio_origin_hold_viewed(struct zio_origin *origin);
/* Drops a hold. */
void zio_origin_release(struct zio_origin *origin);
/* Drops a view. Signals are blocked, as around every lock of a view map. */
void zio_origin_remove_view(struct zio_origin *origin);

/* True when no hold exists (but that of a waiting filler) and no byte is shown twice, or only one
 * view is left, so that pages wholly below `filled` may be moved out to it. The caller must exclude new
 * references meanwhile, which come through views. */
bool zio_origin_is_movable(const struct zio_origin *origin);

#endif
