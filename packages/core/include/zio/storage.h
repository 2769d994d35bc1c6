/* The storage ABI, version 1 (a draft: any release may change it): who provides the memory of
 * origins, and who makes what was written to a file durable by reference to it. A provider is a
 * shared object that exports one table, `const struct zio_storage zio_storage`; the kernel's own
 * (anonymous memory, write, fsync) is compiled into the interposer behind the same table.
 *
 * Results are 0, a count, or -errno as the plain call would give; errno itself is not touched.
 * Threads: every function may be called from any thread; calls on one file are ordered as the host
 * makes them. Not async-signal-safe. allocate, release, find, status, retired and persist never
 * block in IO; the others may, as write and fsync do. The host holds no lock of its own.
 * Signals: the host calls with all signals of the thread blocked, so that no handler comes back into
 * the provider; it need not block them itself.
 * Memory: a provider runs below the application's malloc and must not use it, nor call any libc
 * function that the host hooks.
 * Processes: a pool may be open in several processes of one tree at a time, which see one consistent
 * file each; any of them may be killed at any moment.
 * Fork: the host calls before_fork, then after_fork in both processes; the child uses the pool as
 * a process of its own. A child that skips this (raw clone) finds every call refused with
 * ZIO_ENOTSUP. */
#ifndef ZIO_STORAGE_H
#define ZIO_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <time.h>

#include <zio/error.h>

#define ZIO_STORAGE_ABI_VERSION 1

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
  /* Input may land in extents at the cost of memory. Without it a store to a page of them can cost more
   * than a copy of it (a fault with a transaction of a file system): input lands in the host's own
   * memory, and the log copies. */
  ZIO_STORAGE_TAKES_INPUT = 1 << 5,
};

struct zio_storage_pool; /* the provider's: one opened pool */
struct zio_storage_file; /* the provider's: one file whose writes are logged */

/* How to open a pool. The texts are not kept. */
struct zio_storage_options {
  const char *path;  /* of the pool; NULL: the provider has but one */
  const char *tree;  /* names the processes that may have it open together; NULL: this one alone */
  uint64_t bytes;    /* of a pool that does not exist yet; 0: do not create it */
  bool checks_data;  /* a pool that is created keeps checksums of the data too */
};

/* Why something was refused: one line without a newline, ended by a zero. */
struct zio_storage_refusal {
  char text[512];
};

/* Where in a file. */
enum { ZIO_STORAGE_AT_END = -1, ZIO_STORAGE_AT_POSITION = -2 };
struct zio_storage_place {
  int64_t offset; /* from 0 on, or one of the two above */
  /* An open descriptor of the application's whose position the kernel keeps. AT_POSITION reads it;
   * AT_POSITION and AT_END set it behind what was written or read, in one step with that for all
   * processes. -1: none, for an offset. */
  int descriptor;
  /* By CLOCK_REALTIME_COARSE, as the kernel's times of files; 0: the provider asks the kernel, which
   * takes a system call that the host may do without. */
  uint64_t now_ns;
};

/* A file as whoever reads through the log sees it. */
struct zio_storage_status {
  uint64_t bytes;
  struct timespec modified;
};

struct zio_storage_usage {
  uint64_t bytes, used_bytes;        /* of the pool's data */
  uint64_t log_bytes, used_log_bytes;
  uint64_t logged_bytes;             /* since the pool was opened, by all processes */
  uint64_t referenced_bytes;         /* of these, by reference to extents */
  uint64_t digested_bytes;
  uint64_t waits;                    /* writes that waited for room */
};

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

  /* Opens a pool, creates it where that is wanted, recovers it first where that is due. Processes
   * with the same `tree` share it; others are refused with -EBUSY. On failure *pool is untouched and
   * *refusal, which may be NULL, says why. */
  int (*open)(const struct zio_storage_options *options, struct zio_storage_pool **pool,
              struct zio_storage_refusal *refusal);
  /* Ends it in this process. The last process of the tree applies what is logged; it alone gets 1.
   * Extents of this process that the log does not refer to are gone. */
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

  /* The functions from here on are there where LOGS_FILES is. */

  /* Starts logging the writes of an open regular file, in every process of the tree. `path` is
   * absolute and is where recovery will look for it. The descriptor stays the application's.
   * One use is counted: the caller's. The provider may open the file too, but closes what it opened
   * only in detach, because the process's record locks (fcntl(2)) end with any descriptor that is
   * closed. ZIO_ENOTSUP: not of this pool, or it was left to the kernel. */
  int (*attach)(struct zio_storage_pool *pool, int descriptor, const char *path,
                struct zio_storage_file **file);
  /* The file with this identity, where it is under the log, with a use counted: 0 or ZIO_ENOENT. */
  int (*find)(struct zio_storage_pool *pool, uint64_t device, uint64_t inode,
              struct zio_storage_file **file);
  /* Drops a use. What is logged stays logged. */
  int (*detach)(struct zio_storage_file *file);

  /* Writes the pieces, by reference where they lie in extents. The result is what pwritev would
   * give, space included: a later fsync does not find the disk full. Visible to every reader through
   * this ABI on return; durable after sync. *sequence, which may be NULL: when `retired` has reached
   * it the log is done with the pieces. ZIO_ENOTSUP: the file was left to the kernel meanwhile. */
  ssize_t (*log)(struct zio_storage_file *file, struct zio_storage_place place,
                 const struct zio_storage_piece *pieces, size_t count, uint64_t *sequence);
  /* Reads log and file merged, as preadv. ZIO_ENOTSUP as above. */
  ssize_t (*read)(struct zio_storage_file *file, struct zio_storage_place place,
                  const struct iovec *pieces, size_t count);
  /* As fsync (data_only: fdatasync): all logged writes are durable on return, in write order. */
  int (*sync)(struct zio_storage_file *file, int data_only);
  /* As fstat would give it, did the file hold what is logged. ZIO_ENOTSUP as above. */
  int (*status)(struct zio_storage_file *file, struct zio_storage_status *status);
  /* Everything before this sequence number was applied, in whatever process: extents that were
   * logged before are free of the log. */
  uint64_t (*retired)(struct zio_storage_pool *pool);

  /* Applies the log of this file to the file itself, for those who read it by other ways. */
  int (*settle)(struct zio_storage_file *file);
  /* Around a change that the kernel makes on the application's behalf (truncate, fallocate, utimens,
   * rename, unlink): settles the file and keeps others from logging to it; then looks at it anew.
   * `path`: its new name, absolute; "": it is gone; NULL: as before. On the same thread, nothing
   * else between. */
  int (*begin_change)(struct zio_storage_file *file);
  int (*end_change)(struct zio_storage_file *file, const char *path);
  /* Settles the file and leaves it to the kernel from now on, in every process, until the last use
   * of it has ended: for ways to use it that cannot be followed (mappings, stdio, O_DIRECT). */
  int (*leave)(struct zio_storage_file *file);

  void (*usage)(struct zio_storage_pool *pool, struct zio_storage_usage *usage);

  /* Around fork: `child` is 0 in the parent. What the child inherits of files stays in use by it.
   * Extents stay the parent's: the host sees to it that the child shows none of them. */
  void (*before_fork)(struct zio_storage_pool *pool);
  void (*after_fork)(struct zio_storage_pool *pool, int child);

  /* Where LOGS_FILES is: `settle` for every file of the pool, also those that nobody has open. */
  int (*settle_all)(struct zio_storage_pool *pool);
  /* Ends the threads that the provider has in this process, which are unknown to libc: before the
   * process may have but one, and when its credentials have changed. They begin anew, as the process
   * is then, with the next write. */
  void (*quiesce)(struct zio_storage_pool *pool);
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
      (!storage->attach || !storage->find || !storage->detach || !storage->log || !storage->read ||
       !storage->sync || !storage->status || !storage->retired || !storage->settle ||
       !storage->begin_change || !storage->end_change || !storage->leave || !storage->usage ||
       !storage->settle_all || !storage->quiesce))
    return ZIO_ENOTSUP;
  return 0;
}

#endif
