/* The hooks on the memory map. userfaultfd's events are what guarantees that views follow
 * it; these calls only spare the event where they can, and keep mprotect and mremap exact. */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <zio/syscall.h>

#include "../instance.h"
#include "../logged_files.h"
#include "../presence.h"
#include "hook_table.h"
#include "process.h"
#include "readable.h"

static bool may_hold(const void *start, size_t length) {
    return length > 0 && zio_tracker_may_hold(&zio__tracker, start, length);
}

static long retire(void *start, size_t length, struct zio_map_call call) {
    bool entered = zio__enter();
    long result = zio_tracker_retire(&zio__tracker, start, length, &call);
    if (entered)
        zio__leave();
    if (result >= 0 || result < -4095)
        return result;
    errno = (int)-result;
    return -1;
}

ZIO_EXPORT void *mmap(void *start, size_t length, int protection, int flags, int fd, off_t offset) {
    if (zio__follows() && !(flags & MAP_ANONYMOUS))
        zio__descriptor_leave(fd, true);
    if (!(flags & MAP_FIXED) || !may_hold(start, length) || offset % 4096 != 0)
        return ZIO_REAL(mmap)(start, length, protection, flags, fd, offset);
    struct zio_map_call call = {
        .number = SYS_mmap,
        .arguments = {(long)start, (long)length, protection, flags, fd, offset}};
    return (void *)retire(start, length, call);
}

ZIO_EXPORT void *mmap64(void *start, size_t length, int protection, int flags, int fd,
                        off_t offset) {
    return mmap(start, length, protection, flags, fd, offset);
}

ZIO_EXPORT int munmap(void *start, size_t length) {
    if (!may_hold(start, length))
        return ZIO_REAL(munmap)(start, length);
    struct zio_map_call call = {.number = SYS_munmap, .arguments = {(long)start, (long)length}};
    return (int)retire(start, length, call);
}

enum {
    ADVICE_DONTNEED_LOCKED = 24, /* Linux 5.18 */
    ADVICE_GUARD = 102,          /* MADV_GUARD_INSTALL, Linux 6.13; raises no event */
};

ZIO_EXPORT int madvise(void *start, size_t length, int advice) {
    if (advice == ADVICE_GUARD)
        atomic_store(&zio__tracker.has_guards, true);
    bool ends = advice == MADV_DONTNEED || advice == MADV_FREE || advice == ADVICE_GUARD ||
                advice == ADVICE_DONTNEED_LOCKED;
    if (!ends || !may_hold(start, length))
        return ZIO_REAL(madvise)(start, length, advice);
    struct zio_map_call call = {.number = SYS_madvise,
                                .arguments = {(long)start, (long)length, advice},
                                .keeps_mapping = true,
                                .skips_gaps = true};
    return (int)retire(start, length, call);
}

/* Of advice to other processes, or to this one from outside, only guards matter here: all else raises
 * events. Whose memory is meant is not asked; filling changes no byte. */
ZIO_EXPORT ssize_t process_madvise(int pidfd, const struct iovec *iov, size_t count, int advice,
                                   unsigned flags) {
    if (advice == ADVICE_GUARD && count <= 1024 && zio__is_readable(iov, count * sizeof *iov)) {
        atomic_store(&zio__tracker.has_guards, true);
        for (size_t i = 0; i < count; i++)
            if (may_hold(iov[i].iov_base, iov[i].iov_len))
                zio_tracker_materialise(&zio__tracker, iov[i].iov_base, iov[i].iov_len);
    }
    long result = zio_syscall(ZIO__SYS_PROCESS_MADVISE, pidfd, iov, count, advice, flags);
    if (result >= 0)
        return (ssize_t)result; /* glibc 2.36 has a name for it */
    errno = (int)-result;
    return -1;
}

/* Views are taken for writable memory; what becomes read-only must be memory again. */
ZIO_EXPORT int mprotect(void *start, size_t length, int protection) {
    if (!(protection & PROT_WRITE) && may_hold(start, length))
        zio_tracker_materialise(&zio__tracker, start, length);
    return ZIO_REAL(mprotect)(start, length, protection);
}

ZIO_EXPORT int pkey_mprotect(void *start, size_t length, int protection, int key) {
    if (may_hold(start, length))
        zio_tracker_materialise(&zio__tracker, start, length);
    return ZIO_REAL(pkey_mprotect)(start, length, protection, key);
}

/* SHM_REMAP replaces what is there and raises no event. */
ZIO_EXPORT void *shmat(int id, const void *at, int flags) {
    struct shmid_ds segment;
    int saved = errno;
    if (!at || !(flags & SHM_REMAP) || shmctl(id, IPC_STAT, &segment) != 0 ||
        !may_hold(at, segment.shm_segsz)) {
        errno = saved;
        return ZIO_REAL(shmat)(id, at, flags);
    }
    struct zio_map_call call = {.number = SYS_shmat, .arguments = {id, (long)at, flags}};
    return (void *)retire((void *)at, segment.shm_segsz, call);
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

ZIO_EXPORT int mlockall(int flags) {
    int result = ZIO_REAL(mlockall)(flags);
    if (zio__is_tracking())
        zio_tracker_after_mlockall(&zio__tracker);
    return result;
}

/* Registering a part of a mapping splits it, and the parts may never merge again (each has
 * got its own anon_vma). mremap(2) moves one mapping only and says EFAULT where plain succeeds
 * (TRAPS 17). What it would have done is done in steps then. */
static void *remap_in_steps(void *start, size_t old_length, size_t new_length, int flags) {
    if (new_length <= old_length) {
        if (new_length < old_length &&
            ZIO_REAL(munmap)((char *)start + new_length, old_length - new_length) != 0)
            return MAP_FAILED;
        return start;
    }
    if (!(flags & MREMAP_MAYMOVE)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    void *moved = ZIO_REAL(mmap)(NULL, new_length, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (moved == MAP_FAILED)
        return moved;
    memcpy(moved, start, old_length);
    munmap(start, old_length);
    return moved;
}

/* Since Linux 6.17 mremap(2) moves several mappings at once to a fixed place, but no registered
 * ones: it says EFAULT when it comes to the first of them, and those before it are gone by then. */
static bool is_one_mapping(const void *start, size_t length) {
    struct zio_mapping mapping;
    uint64_t from = (uint64_t)(uintptr_t)start;
    return zio_mapping_query(&zio__tracker.uffd, from, &mapping) == 0 &&
           mapping.end >= from + length;
}

static size_t round_to_pages(size_t length) {
    return (length + 4095) & ~(size_t)4095;
}

ZIO_EXPORT void *mremap(void *start, size_t old_length, size_t new_length, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    void *target = flags & MREMAP_FIXED ? va_arg(rest, void *) : NULL;
    va_end(rest);
    int saved = errno;
    size_t old_pages = round_to_pages(old_length), new_pages = round_to_pages(new_length);
    if ((flags & MREMAP_FIXED) && zio__is_tracking() && !is_one_mapping(start, old_pages))
        zio_tracker_yield_range(&zio__tracker, start, old_pages);
    void *result = ZIO_REAL(mremap)(start, old_length, new_length, flags, target);
    if (result != MAP_FAILED || errno != EFAULT || !zio__is_tracking())
        return result;
    if (!zio_tracker_is_suitable(&zio__tracker, start, old_pages))
        return result;
    zio_tracker_yield_range(&zio__tracker, start, old_pages);
    errno = saved;
    result = ZIO_REAL(mremap)(start, old_length, new_length, flags, target);
    if (result != MAP_FAILED || errno != EFAULT || (flags & ~MREMAP_MAYMOVE) != 0 || new_pages == 0)
        return result;
    errno = saved;
    return remap_in_steps(start, old_pages, new_pages, flags);
}
