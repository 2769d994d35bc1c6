/* The hooks on the memory map. userfaultfd's events are what guarantees that views follow
 * it; these calls only spare the event where they can, and keep mprotect and mremap exact. */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>
#include <zio/syscall.h>

#include "../instance.h"
#include "hook_table.h"

struct map_call {
    long number, arguments[6];
};

static long issue(void *arguments) {
    const struct map_call *call = arguments;
    const long *a = call->arguments;
    return zio_syscall6(call->number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static bool may_hold(const void *start, size_t length) {
    return length > 0 && zio_tracker_may_hold(&zio__tracker, start, length);
}

static long retire(void *start, size_t length, struct map_call call) {
    long result = zio_tracker_retire(&zio__tracker, start, length, issue, &call);
    if (result >= 0 || result < -4095)
        return result;
    errno = (int)-result;
    return -1;
}

ZIO_EXPORT void *mmap(void *start, size_t length, int protection, int flags, int fd, off_t offset) {
    if (!(flags & MAP_FIXED) || !may_hold(start, length) || offset % 4096 != 0)
        return ZIO_REAL(mmap)(start, length, protection, flags, fd, offset);
    return (void *)retire(
        start, length,
        (struct map_call){SYS_mmap, {(long)start, (long)length, protection, flags, fd, offset}});
}

ZIO_EXPORT void *mmap64(void *start, size_t length, int protection, int flags, int fd,
                        off_t offset) {
    return mmap(start, length, protection, flags, fd, offset);
}

ZIO_EXPORT int munmap(void *start, size_t length) {
    if (!may_hold(start, length))
        return ZIO_REAL(munmap)(start, length);
    return (int)retire(start, length, (struct map_call){SYS_munmap, {(long)start, (long)length}});
}

ZIO_EXPORT int madvise(void *start, size_t length, int advice) {
    if ((advice != MADV_DONTNEED && advice != MADV_FREE) || !may_hold(start, length))
        return ZIO_REAL(madvise)(start, length, advice);
    return (int)retire(start, length,
                       (struct map_call){SYS_madvise, {(long)start, (long)length, advice}});
}

/* Views are taken for writable memory; what becomes read-only must be memory again. */
ZIO_EXPORT int mprotect(void *start, size_t length, int protection) {
    if (!(protection & PROT_WRITE) && may_hold(start, length))
        zio_tracker_materialise(&zio__tracker, start, length);
    return ZIO_REAL(mprotect)(start, length, protection);
}

/* Locked pages must be present, and the kernel would wait for the handler page by page. */
ZIO_EXPORT int mlock(const void *start, size_t length) {
    if (may_hold(start, length))
        zio_tracker_yield_range(&zio__tracker, start, length);
    return ZIO_REAL(mlock)(start, length);
}

ZIO_EXPORT int mlock2(const void *start, size_t length, unsigned flags) {
    if (may_hold(start, length))
        zio_tracker_yield_range(&zio__tracker, start, length);
    return ZIO_REAL(mlock2)(start, length, flags);
}

/* A range of which we registered a part is several mappings to the kernel, which then says
 * EFAULT where plain succeeds (TRAPS 17): give the range back and ask again. */
ZIO_EXPORT void *mremap(void *start, size_t old_length, size_t new_length, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    void *target = flags & MREMAP_FIXED ? va_arg(rest, void *) : NULL;
    va_end(rest);
    int saved = errno;
    void *result = ZIO_REAL(mremap)(start, old_length, new_length, flags, target);
    if (result != MAP_FAILED || errno != EFAULT)
        return result;
    int failure = errno;
    if (!zio_tracker_yield_range(&zio__tracker, start, old_length)) {
        errno = failure;
        return result;
    }
    errno = saved;
    return ZIO_REAL(mremap)(start, old_length, new_length, flags, target);
}
