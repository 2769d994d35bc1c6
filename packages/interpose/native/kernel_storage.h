/* The kernel behind the table that every storage provider fills in (zio/storage.h): anonymous
 * memory, which survives nothing, and files that stay the kernel's. */
#ifndef ZIO_KERNEL_STORAGE_H
#define ZIO_KERNEL_STORAGE_H

#include <zio/origin.h>
#include <zio/storage.h>

extern const struct zio_storage zio__kernel_storage;

/* The memory of origins as the pool wants it, out of a storage provider's extents. The provider's
 * pool is opened by the first call. */
extern const struct zio_origin_memory zio__origin_memory;

#endif
