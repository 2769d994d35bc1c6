/* Memory that is filled on first touch, for LazyBuffer: one userfaultfd and one handler
 * thread a process, shared by all regions of all worker threads; both exist only while a
 * region does. Thread-safe. Not to be used in a forked child. */
#ifndef ZIO_LAZY_ENGINE_H
#define ZIO_LAZY_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { ZIO_LAZY_ERRORS = 16 };

enum zio_lazy_source_kind {
    ZIO_LAZY_COPIED,   /* pages of our own: handed over by UFFDIO_MOVE where the kernel can */
    ZIO_LAZY_BORROWED, /* memory that the caller keeps alive and unchanged */
    ZIO_LAZY_FILE,     /* a private mapping of a file */
};

struct zio_lazy_error {
    uint64_t offset, length; /* the bytes that could not be had */
};

struct zio_lazy_stats {
    uint64_t faults, filled_bytes;
    uint64_t error_count; /* may exceed what `errors` holds: the first ones */
    struct zio_lazy_error errors[ZIO_LAZY_ERRORS];
};

struct zio_lazy_region;

struct zio_lazy_options {
    uint64_t max_window_bytes; /* a power of two, at least a page */
    bool poison;               /* what cannot be had raises SIGBUS; else it reads zeros */
    uint32_t disabled;         /* mask of kernel features; the first region of all decides */
};

/* `length` bytes that show `available` bytes of the source, then zeros. `bytes` is copied
 * at once for COPIED. Both return 0 or a negative errno; the region has one reference. */
int zio_lazy_region_of_memory(enum zio_lazy_source_kind kind, const void *bytes, uint64_t available,
                              uint64_t length, const struct zio_lazy_options *options,
                              struct zio_lazy_region **region);
/* The descriptor is needed during the call only. -ENODEV, -EACCES: cannot be mapped. */
int zio_lazy_region_of_file(int fd, uint64_t offset, uint64_t available, uint64_t length,
                            const struct zio_lazy_options *options,
                            struct zio_lazy_region **region);

void *zio_lazy_region_data(const struct zio_lazy_region *region);
void zio_lazy_region_stats(const struct zio_lazy_region *region, struct zio_lazy_stats *stats);
void zio_lazy_region_hold(struct zio_lazy_region *region);
/* Unmaps the data and lets go of the source, once; the numbers stay until the release. */
void zio_lazy_region_unmap(struct zio_lazy_region *region);
void zio_lazy_region_release(struct zio_lazy_region *region);

#ifdef __cplusplus
}
#endif

#endif
