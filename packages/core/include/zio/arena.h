/* Memory of the data plane: straight from mmap, never from malloc, because the data plane
 * runs inside the allocator's own memcpy. Metadata objects of one fixed size come from a
 * slab and keep their type for ever (a freed node may still be read by an optimistic
 * reader). All functions are thread-safe unless said otherwise; none is
 * async-signal-safe; none touches errno. */
#ifndef ZIO_ARENA_H
#define ZIO_ARENA_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <zio/lock.h>

/* An anonymous private mapping of `bytes` (rounded up to pages), MADV_NOHUGEPAGE.
 * NULL when the kernel refuses. Owned by the caller; give back with zio_pages_free. */
void *zio_pages_alloc(size_t bytes);
void zio_pages_free(void *pages, size_t bytes);

/* A slab of objects of one size, grown in chunks, with an emergency reserve. */
struct zio_slab {
  struct zio_lock lock;
  size_t object_bytes;
  void *free_list;
  void *chunks; /* every chunk mapped so far, for zio_slab_destroy */
  char *fresh;  /* the newest chunk's objects that were never handed out */
  size_t fresh_count;
  size_t free_count, total_count; /* free_count includes fresh_count */
  size_t reserve_count;
  size_t total_max; /* objects; 0: as many as the kernel gives */
};

/* object_bytes >= 16, rounded up to 64. `reserve` objects are kept for
 * zio_slab_alloc_reserved. Returns 0 or ZIO_ENOMEM. */
int zio_slab_init(struct zio_slab *slab, size_t object_bytes, size_t reserve);
void *zio_slab_alloc(struct zio_slab *slab);          /* NULL: out of memory; contents undefined */
void *zio_slab_alloc_reserved(struct zio_slab *slab); /* may take from the reserve */
void zio_slab_free(struct zio_slab *slab, void *object);
void zio_slab_destroy(struct zio_slab *slab); /* unmaps everything; not thread-safe */

#endif
