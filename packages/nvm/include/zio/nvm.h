/* Pools in persistent memory and their log: a file that is mapped, holds extents and a ring of
 * records, and makes writes to other files durable by reference. The layout is nvm_format.h.
 *
 * Results are 0, a count, or a negative errno; a struct zio_nvm_problem, where one is taken, says
 * more. Threads: everything may be called from any thread, but close and abandon only when nothing
 * else runs. Not async-signal-safe. Own memory, raw system calls: no malloc, no libc.
 * Fork: the pool stays with the process that opened it; in a child every call fails with
 * ZIO_ENOTSUP, and the child's copy of the descriptor keeps the pool locked until it ends. */
#ifndef ZIO_NVM_H
#define ZIO_NVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <zio/error.h>
#include <zio/storage.h>

#define ZIO_NVM_ABI_VERSION 0

struct zio_nvm_pool; /* one opened pool */
struct zio_nvm_file; /* a file under its log */

/* The version that the running code was compiled with. */
int zio_nvm_abi_version(void);

/* What can be wrong with a pool or a file of its log. `offset` of the problem is where in the pool,
 * `path` the file, where there is one. */
#define ZIO_NVM_PROBLEMS(X)                                                                        \
  X(NONE, "nothing is wrong")                                                                      \
  X(SYSTEM, "a system call failed")                                                                \
  X(NOT_A_POOL, "this is not a pool")                                                              \
  X(FOREIGN_VERSION, "the pool has a format of another version")                                   \
  X(HEADER_DAMAGED, "the header of the pool is damaged")                                           \
  X(TRUNCATED, "the file is shorter than the pool")                                                \
  X(SUPERBLOCK_DAMAGED, "both copies of the superblock are damaged")                               \
  X(SUPERBLOCK_STALE, "a superblock is older than the log: its newer copies are damaged")          \
  X(RECORD_DAMAGED, "a record that was made durable is damaged")                                   \
  X(RECORD_INVALID, "a record refers to what does not exist")                                      \
  X(DATA_DAMAGED, "the data of a record does not have its checksum")                               \
  X(FILE_SLOT_DAMAGED, "the entry of a file is damaged")                                           \
  X(FILE_CHANGED, "the file was changed or replaced by somebody else")                             \
  X(FILE_MISSING, "the file is gone")                                                              \
  X(IN_USE, "the pool is in use by another process")                                               \
  X(NEEDS_RECOVERY, "the log holds what was not applied to its files")                             \
  X(UNSUITABLE, "this file system cannot hold a pool")

enum zio_nvm_problem_kind {
#define ZIO_NVM_PROBLEM_ENUM(name, text) ZIO_NVM_##name,
  ZIO_NVM_PROBLEMS(ZIO_NVM_PROBLEM_ENUM)
#undef ZIO_NVM_PROBLEM_ENUM
      ZIO_NVM_PROBLEM_COUNT
};

struct zio_nvm_problem {
  enum zio_nvm_problem_kind kind;
  int code;           /* the negative errno that was returned */
  uint64_t offset;    /* in the pool */
  const char *action; /* a static string: the system call that failed, or NULL */
  int32_t owner_pid;  /* IN_USE: who, as far as is known; else 0 */
  char path[3856];    /* of the file; "" where it is about none */
};

const char *zio_nvm_problem_name(enum zio_nvm_problem_kind kind); /* "TRUNCATED" */
const char *zio_nvm_problem_text(enum zio_nvm_problem_kind kind);

/* What a pool lies on, and with it what survives. */
enum zio_nvm_medium {
  ZIO_NVM_MEDIUM_DAX = 1,  /* mapped with MAP_SYNC: cache lines are flushed, survives power cuts */
  ZIO_NVM_MEDIUM_DISK = 2, /* an ordinary file: msync, survives power cuts */
  ZIO_NVM_MEDIUM_DRAM = 3, /* tmpfs: survives processes only */
};

struct zio_nvm_create_options {
  uint64_t bytes;      /* of the pool; all of it is allocated at once */
  uint64_t ring_bytes; /* of the log; 0: a quarter of the pool */
  uint32_t files;      /* that can be under the log at a time; 0: by the size of the pool */
  bool checksum_data;  /* records carry checksums of their data too */
};

/* Makes a new pool; ZIO_EEXIST where the file exists. Leaves nothing behind where it fails. */
int zio_nvm_create(const char *path, const struct zio_nvm_create_options *options,
                   struct zio_nvm_problem *problem);

struct zio_nvm_observer;
struct zio_nvm_open_options {
  bool read_only;         /* for inspection: nothing is recovered, nothing written */
  bool accept_changed;    /* apply the log even to files that were changed meanwhile */
  bool signals_blocked;   /* whoever calls has blocked all signals of the thread, here and in every later call */
  bool one_fence;         /* commits as on a disk, for tests of these */
  bool background;        /* the first write starts a thread that digests, unknown to libc */
  bool expect_clean;      /* do not recover: NEEDS_RECOVERY where that were due */
  const char *tree;       /* names the processes that may share it; NULL: this one alone */
  const char *boot;       /* 16 bytes that stand for this start of the machine; NULL: ask */
  const struct zio_nvm_observer *observer; /* of tests; NULL */
};

/* What opening found and did. */
struct zio_nvm_recovery {
  bool was_clean;         /* the last owner had closed it */
  bool same_boot;         /* every completed write counted, not only what was committed */
  uint32_t repaired;      /* damaged copies that were written anew from their twins */
  uint64_t records;       /* applied to their files, or found, where opened to read only */
  uint64_t bytes;         /* of data in them */
  uint64_t dropped;       /* complete records after the last commit that a power cut takes away */
};

/* Opens a pool, and applies what a log holds that was not closed. *recovery may be NULL. */
int zio_nvm_open(const char *path, const struct zio_nvm_open_options *options,
                 struct zio_nvm_pool **pool, struct zio_nvm_recovery *recovery,
                 struct zio_nvm_problem *problem);
/* Applies what is logged, marks the pool as closed and ends it. Files must have been detached.
 * Where applying fails the pool ends nevertheless, and the log stays for the next open. */
int zio_nvm_close(struct zio_nvm_pool *pool, struct zio_nvm_problem *problem);
/* The same; *last: no other process had it open, so everything is applied with a result of 0. */
int zio_nvm_close_telling(struct zio_nvm_pool *pool, bool *last, struct zio_nvm_problem *problem);
/* Ends it as the death of the process would. */
void zio_nvm_abandon(struct zio_nvm_pool *pool);

/* Around fork, as in storage.h: the child is a member of its own, and uses the files that the parent
 * used. Without these a child can do nothing with the pool. */
void zio_nvm_before_fork(struct zio_nvm_pool *pool);
void zio_nvm_after_fork(struct zio_nvm_pool *pool, bool child);

/* Grows or shrinks the pool: ZIO_EBUSY where something lies in it, or another process has it open. */
int zio_nvm_resize(struct zio_nvm_pool *pool, uint64_t bytes);

/* As in storage.h. The token of an extent is its offset in the pool. */
int zio_nvm_allocate(struct zio_nvm_pool *pool, size_t bytes, struct zio_storage_extent *extent);
void zio_nvm_release(struct zio_nvm_pool *pool, uint64_t token);
int zio_nvm_persist(struct zio_nvm_pool *pool, uint64_t token, size_t offset, size_t bytes);

/* Puts a regular file under the log. `descriptor` may be closed afterwards; `path` is absolute and
 * is what recovery will look for. A file that is attached twice is the same zio_nvm_file. */
int zio_nvm_attach(struct zio_nvm_pool *pool, int descriptor, const char *path,
                   struct zio_nvm_file **file, struct zio_nvm_problem *problem);
/* What is logged stays logged. The last detach gives the file's place back after a digest. */
int zio_nvm_detach(struct zio_nvm_file *file);
uint64_t zio_nvm_file_bytes(struct zio_nvm_file *file);
/* The file with this identity (st_dev, st_ino), with a use counted: 0 or ZIO_ENOENT. */
int zio_nvm_find(struct zio_nvm_pool *pool, uint64_t device, uint64_t inode,
                 struct zio_nvm_file **file);

/* Writes the pieces at `offset` (-1: at the end); *where, which may be NULL, is told the offset.
 * Complete in the sense of a dead process on return; durable after sync. May wait for a digest.
 * Returns what was written: less than asked, or an error, as write would. */
ssize_t zio_nvm_log(struct zio_nvm_file *file, int64_t offset,
                    const struct zio_storage_piece *pieces, size_t count, uint64_t *where);
/* The same at a place of storage.h: a descriptor's position is read and set in the same step. What
 * lies before *sequence is free of the log once zio_nvm_retired has reached it. */
ssize_t zio_nvm_log_at(struct zio_nvm_file *file, struct zio_storage_place place,
                       const struct zio_storage_piece *pieces, size_t count, uint64_t *sequence);
ssize_t zio_nvm_read_at(struct zio_nvm_file *file, struct zio_storage_place place,
                        const struct iovec *pieces, size_t count);
uint64_t zio_nvm_retired(struct zio_nvm_pool *pool);
/* Log and file merged, as preadv. */
ssize_t zio_nvm_read(struct zio_nvm_file *file, int64_t offset, const struct iovec *pieces,
                     size_t count);
/* Everything that was logged when it was called is durable on return, in write order. After a
 * failure nothing more is promised: every later call returns the same error. */
int zio_nvm_sync(struct zio_nvm_pool *pool);
/* Commits, applies the log to its files, syncs them, and gives the space back. */
int zio_nvm_digest(struct zio_nvm_pool *pool, struct zio_nvm_problem *problem);

/* As status, settle, settle_all, begin_change, end_change and leave of storage.h. */
int zio_nvm_status(struct zio_nvm_file *file, struct zio_storage_status *status);
int zio_nvm_settle(struct zio_nvm_file *file);
int zio_nvm_settle_all(struct zio_nvm_pool *pool);
int zio_nvm_begin_change(struct zio_nvm_file *file);
int zio_nvm_end_change(struct zio_nvm_file *file, const char *path);
int zio_nvm_leave(struct zio_nvm_file *file);

struct zio_nvm_stats {
  uint64_t bytes, data_bytes, data_free, ring_bytes, ring_used;
  uint64_t data_offset, ring_offset;
  uint64_t sequence, committed;        /* of the last record, and of the last durable one */
  uint64_t appended_bytes, digested_bytes;
  uint64_t referenced_bytes;           /* of those appended, by reference to extents */
  uint64_t commits, digests, waits;    /* waits: writes that had to wait for a digest */
  uint32_t files, file_slots;
  uint32_t version, flags;
  uint8_t medium;                      /* enum zio_nvm_medium */
  char flush[12];                      /* "clwb", "clflushopt", "clflush", "msync", "none" */
  uint8_t uuid[16];
};
void zio_nvm_stats(struct zio_nvm_pool *pool, struct zio_nvm_stats *stats);
/* The highest share of ring or data that is in use, in percent: digest from 50 on. */
unsigned zio_nvm_pressure(struct zio_nvm_pool *pool);

/* Each file that the pool knows, for inspection. */
struct zio_nvm_file_entry {
  uint32_t slot;
  uint64_t inode, bytes, offset; /* bytes: as last recorded; offset: of the entry in the pool */
  uint64_t records, logged_bytes;
  const char *path;
};
int zio_nvm_each_file(struct zio_nvm_pool *pool,
                      int (*visit)(void *context, const struct zio_nvm_file_entry *entry),
                      void *context);

/* Goes through the log of a pool that was opened to read only and calls `visit` for each record of
 * data that is provably good, in order. Returns 0, what visit returned where that is not 0, or an
 * error with the problem: then everything before it was visited. */
struct zio_nvm_good_record {
  uint32_t slot;
  uint64_t sequence, offset, length;
  const unsigned char *data;
};
int zio_nvm_each_record(struct zio_nvm_pool *pool,
                        int (*visit)(void *context, const struct zio_nvm_good_record *record),
                        void *context, struct zio_nvm_problem *problem);

#endif
