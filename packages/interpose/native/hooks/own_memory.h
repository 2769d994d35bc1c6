/* /proc/self/mem: a file whose offsets are addresses. The kernel reaches memory through it without ever
 * waiting for a fault to be served, so that a view gives EIO (TRAPS 22). Where the program says the
 * offset we fill what may be meant before the call; at the file's position we learn of it by the error.
 * Any other file may have such an offset: filling costs time, never bytes. */
#ifndef ZIO_OWN_MEMORY_H
#define ZIO_OWN_MEMORY_H

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zio/syscall.h>

#include "../instance.h"
#include "readable.h"

static inline bool zio__reveal(int64_t offset, size_t length) {
    const void *memory = (const void *)(uintptr_t)offset;
    if (offset <= 0 || length == 0 || !zio_tracker_may_hold(&zio__tracker, memory, length))
        return false;
    int saved = errno;
    zio_tracker_materialise(&zio__tracker, memory, length);
    errno = saved;
    return true;
}

/* After a call at the position that ended with `result`: whether it is worth another try. */
static inline bool zio__reveal_at_position(ssize_t result, int fd, size_t length) {
    if (result >= 0 || errno != EIO)
        return false;
    long position = zio_syscall(SYS_lseek, fd, 0, SEEK_CUR);
    return zio__reveal(position, length);
}

/* For a vector, which is the program's to spoil; what lies far behind the offset is not looked for. */
static inline void zio__reveal_vector(int64_t offset, const struct iovec *iov, int count) {
    enum { NEAR = 1 << 21, VECTOR_MAX = 1024 };
    size_t bytes = 0;
    if (offset <= 0 || count <= 0 || count > VECTOR_MAX ||
        !zio_tracker_may_hold(&zio__tracker, (const void *)(uintptr_t)offset, NEAR) ||
        !zio__is_readable(iov, (size_t)count * sizeof *iov))
        return;
    for (int i = 0; i < count; i++)
        bytes += iov[i].iov_len;
    zio__reveal(offset, bytes);
}

#endif
