/* The storage ABI, version 0 (a draft: any release may change it): who provides the memory of
 * origins, and who makes what was written to a file durable by reference to it. A provider is a
 * shared object that exports one table, `const struct zio_storage zio_storage`; the kernel's own
 * (anonymous memory, write, fsync) is compiled into the interposer behind the same table.
 *
 * Results are 0, a count, or -errno as the plain call would give; errno itself is not touched.
 * Threads: every function may be called from any thread; calls on one file are ordered as the host
 * makes them. Not async-signal-safe. allocate, release and persist never block in IO; the others
 * may, as write and fsync do. The host holds no lock of its own.
 * Memory: a provider runs below the application's malloc and must not use it, nor call any libc
 * function that the host hooks.
 * Fork: the host calls before_fork, then after_fork in both processes. */
#ifndef ZIO_STORAGE_H
#define ZIO_STORAGE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <zio/error.h>

#define ZIO_STORAGE_ABI_VERSION 0

enum zio_storage_capability {
  /* Extents are private anonymous memory: their pages may be moved out (UFFDIO_MOVE), a child of
   * fork has copies of its own, and a recycled extent is the parent's alone. Without it extents are
   * shared: the provider counts their users across processes. */
  ZIO_STORAGE_PRIVATE = 1 << 0,
  /* What was persisted survives the death of the process. */
  ZIO_STORAGE_SURVIVES_PROCESS = 1 << 1,
  /* What was persisted survives loss of power. */
  ZIO_STORAGE_SURVIVES_POWER = 1 << 2,
  /* attach, log, read and sync work: writes to files are logged by reference. */
  ZIO_STORAGE_LOGS_FILES = 1 << 3,
  /* Records carry checksums of the data, not only of themselves. */
  ZIO_STORAGE_CHECKS_DATA = 1 << 4,
};

struct zio_storage_pool; /* the provider's: one opened pool */
struct zio_storage_file; /* the provider's: one file whose writes are logged */

/* Memory of one origin: page-aligned, a whole number of pages, contents undefined. */
struct zio_storage_extent {
  unsigned char *data;
  size_t bytes;
  uint64_t token; /* the provider's; names the extent in logs and in later calls */
};

/* A piece of a write: bytes of an extent, by reference, or plain memory, which is copied. */
struct zio_storage_piece {
  const unsigned char *data; /* in the extent, or anywhere */
  size_t length;
  uint64_t token; /* of the extent; 0: plain memory */
};

struct zio_storage {
  uint32_t abi_version; /* ZIO_STORAGE_ABI_VERSION */
  uint32_t table_bytes; /* sizeof(struct zio_storage): functions are only ever added at the end */
  uint64_t capabilities; /* what the provider can do; a pool may do less: pool_capabilities */
  const char *name;      /* a word, for messages and `zio doctor` */

  /* Opens a pool, recovers it first where that is due. `options` is the user's text (for example
   * a path), may be empty, and is not kept. On failure *pool is untouched. */
  int (*open)(const char *options, struct zio_storage_pool **pool);
  /* Ends it: extents must have been released, files detached. Applies what is logged. */
  int (*close)(struct zio_storage_pool *pool);
  uint64_t (*pool_capabilities)(const struct zio_storage_pool *pool);

  /* Memory for an origin of at least `bytes`: 0, or ZIO_ENOMEM when the pool is full. The space is
   * there: writing to the extent cannot fail later. One use is counted: the caller's. */
  int (*allocate)(struct zio_storage_pool *pool, size_t bytes, struct zio_storage_extent *extent);
  /* Drops the caller's use. An extent that the log refers to is recycled only when the log is done
   * with it; its bytes must not change before. Never fails. */
  void (*release)(struct zio_storage_pool *pool, uint64_t token);
  /* Makes bytes of an extent durable, in the sense of the pool's capabilities, before it returns.
   * NULL where the pool survives nothing. */
  int (*persist)(struct zio_storage_pool *pool, uint64_t token, size_t offset, size_t bytes);

  /* Starts logging the writes of an open regular file. ZIO_ENOTSUP: not of this pool, the kernel
   * keeps it. The descriptor stays the application's: it is closed after detach. */
  int (*attach)(struct zio_storage_pool *pool, int descriptor, struct zio_storage_file **file);
  /* The last descriptor is going. What is logged stays logged. */
  int (*detach)(struct zio_storage_file *file);
  /* Writes the pieces at `offset` (-1: at the end, as O_APPEND does), by reference where they lie
   * in extents. The result is what pwritev would give, space included: a later fsync does not
   * find the disk full. Visible to readers through this ABI on return; durable after sync. */
  ssize_t (*log)(struct zio_storage_file *file, int64_t offset,
                 const struct zio_storage_piece *pieces, size_t count);
  /* Reads log and file merged, as preadv. */
  ssize_t (*read)(struct zio_storage_file *file, int64_t offset, const struct iovec *pieces,
                  size_t count);
  /* As fsync (data_only: fdatasync): all logged writes are durable on return, in write order. */
  int (*sync)(struct zio_storage_file *file, int data_only);
  /* Applies the log to the file itself, for those who open it without zIO, and before truncation,
   * renaming or unlinking is passed on to the kernel. */
  int (*settle)(struct zio_storage_file *file);

  /* Around fork: `child` is 0 in the parent. A child never applies or recycles; where extents are
   * shared, before_fork counts a use for the child, dropped when the child ends. */
  void (*before_fork)(struct zio_storage_pool *pool);
  void (*after_fork)(struct zio_storage_pool *pool, int child);
};

/* 0, or ZIO_EINVAL for another version or a table that is too short, ZIO_ENOTSUP where a function
 * is missing that its capabilities promise. */
static inline int zio_storage_check(const struct zio_storage *storage) {
  if (storage->abi_version != ZIO_STORAGE_ABI_VERSION || storage->table_bytes < sizeof *storage)
    return ZIO_EINVAL;
  if (!storage->name || !storage->open || !storage->close || !storage->pool_capabilities ||
      !storage->allocate || !storage->release || !storage->before_fork || !storage->after_fork)
    return ZIO_ENOTSUP;
  if ((storage->capabilities & (ZIO_STORAGE_SURVIVES_PROCESS | ZIO_STORAGE_SURVIVES_POWER)) &&
      !storage->persist)
    return ZIO_ENOTSUP;
  if ((storage->capabilities & ZIO_STORAGE_LOGS_FILES) &&
      (!storage->attach || !storage->detach || !storage->log || !storage->read ||
       !storage->sync || !storage->settle))
    return ZIO_ENOTSUP;
  return 0;
}

#endif
