/* What the files of core know of the arena beyond its public header. */
#ifndef ZIO_NATIVE_ARENA_INTERNAL_H
#define ZIO_NATIVE_ARENA_INTERNAL_H

#include <zio/arena.h>

/* The largest page size of the architecture, so that no call is needed to learn the real one. */
#if defined(__x86_64__)
enum { ZIO__PAGE_BYTES = 4096 };
#else
enum { ZIO__PAGE_BYTES = 65536 };
#endif

static inline size_t zio__round_up(size_t bytes, size_t unit) {
    return (bytes + unit - 1) / unit * unit;
}

/* In a forked child: unlocks the slab and counts its free objects again. An object that another
 * thread of the parent was taking or giving back at that moment may be lost. */
void zio__slab_after_fork(struct zio_slab *slab);

#endif
