/* The hooks on descriptor numbers. Ours are not the program's: it cannot close them, copy them or
 * meet them where it looks what is open, and may put a file of its own under any number. What no
 * hook sees is repaired when it is noticed (zio__regain_descriptor). */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <unistd.h>

#include <zio/syscall.h>

#include "../instance.h"
#include "../logged_files.h"
#include "hook_table.h"
#include "process.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4
#endif

bool zio__owns_number(int fd) {
    const struct zio_uffd *uffd = &zio__tracker.uffd;
    return fd >= 0 &&
           (fd == uffd->fd || fd == uffd->device_fd || fd == uffd->maps.number ||
            fd == uffd->proc.number) &&
           zio_tracker_owns_number(&zio__tracker, fd);
}

static int no_descriptor(void) {
    errno = EBADF;
    return -1;
}

/* What the program did not open it cannot close; a daemon closes every number there is. */
ZIO_EXPORT int close(int fd) {
    if (zio__follows())
        zio__descriptor_forget(fd);
    return zio__owns_number(fd) ? no_descriptor() : ZIO_REAL(close)(fd);
}

/* Around a call that puts another file under `fd`. */
static void leave(int fd) {
    int saved = errno;
    if (zio__owns_number(fd))
        zio_tracker_leave_number(&zio__tracker, fd);
    errno = saved;
}

/* After it: stdio writes to its three numbers unseen. */
static int replaced(int fd) {
    if (zio__follows())
        zio__descriptor_arrived(fd);
    return fd;
}

ZIO_EXPORT int dup2(int from, int to) {
    if (zio__owns_number(from))
        return no_descriptor();
    leave(to);
    return replaced(ZIO_REAL(dup2)(from, to));
}

ZIO_EXPORT int dup3(int from, int to, int flags) {
    if (from != to && zio__owns_number(from))
        return no_descriptor();
    leave(to);
    return replaced(ZIO_REAL(dup3)(from, to, flags));
}

/* The first number of ours in [first, last], or UINT_MAX. */
static unsigned first_of_ours(unsigned first, unsigned last) {
    const struct zio_uffd *uffd = &zio__tracker.uffd;
    const int numbers[] = {uffd->fd, uffd->device_fd, uffd->maps.number, uffd->proc.number};
    unsigned found = UINT_MAX;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        unsigned number = (unsigned)numbers[i];
        if (numbers[i] >= 0 && number >= first && number <= last && number < found &&
            zio__owns_number(numbers[i]))
            found = number;
    }
    return found;
}

static int plain_close_range(unsigned first, unsigned last, int flags) {
    if (zio__follows() && first <= last && !(flags & CLOSE_RANGE_CLOEXEC))
        zio__descriptors_forget(first, last);
    long result = zio_syscall(SYS_close_range, first, last, flags); /* glibc 2.34 has a name for it */
    if (result >= 0)
        return (int)result;
    errno = (int)-result;
    return -1;
}

ZIO_EXPORT int close_range(unsigned first, unsigned last, int flags) {
    /* Ours are closed on exec already. */
    if (first > last || (flags & CLOSE_RANGE_CLOEXEC))
        return plain_close_range(first, last, flags);
    for (;;) {
        unsigned ours = first_of_ours(first, last);
        if (ours == UINT_MAX)
            return plain_close_range(first, last, flags);
        if (ours > first) {
            int result = plain_close_range(first, ours - 1, flags);
            if (result != 0)
                return result;
        }
        if (ours == last)
            return 0;
        first = ours + 1;
    }
}

ZIO_EXPORT void closefrom(int first) {
    unsigned from = first < 0 ? 0 : (unsigned)first;
    int saved = errno;
    if (zio__follows())
        zio__descriptors_forget(from, UINT_MAX);
    bool closed = first_of_ours(from, INT_MAX) != UINT_MAX && close_range(from, UINT_MAX, 0) == 0;
    errno = saved;
    if (!closed && ZIO_REAL(closefrom))
        zio__real.closefrom(first);
}
