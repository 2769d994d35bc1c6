/* Reads and writes of files that are logged, and where their descriptors stand. Each function returns
 * false, with nothing done and errno as it was, where the call is the kernel's as it came. */
#ifndef ZIO_LOGGED_IO_H
#define ZIO_LOGGED_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Of an offset: the descriptor's position. */
enum { ZIO__AT_POSITION = -1 };

/* write(2) and its relatives; `flags` those of pwritev2(2). The vector may be anything. */
bool zio__logged_write(int fd, const struct iovec *pieces, int count, int64_t offset, int flags,
                       ssize_t *result);
/* read(2) and its relatives. */
bool zio__logged_read(int fd, const struct iovec *pieces, int count, int64_t offset, int flags,
                      ssize_t *result);
/* RLIMIT_FSIZE may be another one. */
void zio__file_limit_changed(void);
/* lseek(2). */
bool zio__logged_seek(int fd, int64_t offset, int whence, int64_t *result);
/* fsync(2), fdatasync(2). */
bool zio__logged_sync(int fd, bool data_only, int *result);
/* Syncs every file of ours that is open here: sync(2). */
void zio__logged_sync_all(void);

#endif
