/* The copy hooks. They run inside allocators and before main, thousands of times a message:
 * below the threshold they are one compare and a jump. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "../boot.h"
#include "../heap.h"
#include "../instance.h"
#include "../ledger.h"
#include "../policy.h"
#include "../presence.h"
#include "hook_table.h"

void __chk_fail(void) __attribute__((noreturn));

enum { PIECES = 24 };

/* A real copy of viewed memory reads the origins, so that no page of the source faults. Where the
 * source turns out to be plain memory, the caller copies. */
static bool copy_from_origins(unsigned char *to, const void *from, size_t length) {
    struct iovec pieces[PIECES];
    struct zio_origin *origins[PIECES];
    struct zio_tracker_holds holds = {0};
    int count = zio_tracker_translate(&zio__tracker, from, length, pieces, origins, PIECES, &holds);
    if (count == ZIO_EINVAL)
        zio_tracker_count(&zio__tracker, ZIO_COUNT_too_many_pieces, 1);
    if (count == 0)
        zio_tracker_overwrite(&zio__tracker, to, length);
    else
        zio_tracker_make_room(&zio__tracker, to, length);
    if (count <= 0)
        return false;
    struct zio__timed timed = zio__policy_copy_begins();
    for (int i = 0; i < count; i++) {
        zio__real.memcpy(to, pieces[i].iov_base, pieces[i].iov_len);
        to += pieces[i].iov_len;
    }
    zio__policy_copy_ends(timed, length);
    zio_tracker_release(&zio__tracker, origins, count, &holds);
    return true;
}

static bool overlaps(const void *a, const void *b, size_t length) {
    uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
    return x < y + length && y < x + length;
}

/* False: the bytes are still to be copied. */
static bool copy_views(void *to, const void *from, size_t length) {
    if (!zio__has_stack())
        return false;
    if (!zio_tracker_may_hold(&zio__tracker, from, length)) {
        zio_tracker_overwrite(&zio__tracker, to, length);
        return false;
    }
    zio__ledger_tidy();
    struct zio__timed timed = zio__policy_elision_begins();
    if (zio_tracker_copy(&zio__tracker, to, from, length)) {
        zio__policy_elision_ends(timed);
        return true;
    }
    if (overlaps(to, from, length))
        return false;
    return copy_from_origins(to, from, length);
}

static void *copy(void *to, const void *from, size_t length) {
    if (!zio__real.memmove)
        return zio__boot_memmove(to, from, length);
    if (!atomic_load_explicit(&zio__on, memory_order_acquire) ||
        (!zio_tracker_may_hold(&zio__tracker, from, length) &&
         !zio_tracker_may_hold(&zio__tracker, to, length)) ||
        !zio__enter())
        return zio__real.memmove(to, from, length);
    bool done = copy_views(to, from, length);
    zio__leave();
    return done ? to : zio__real.memmove(to, from, length);
}

static void *set(void *to, int value, size_t length) {
    if (!zio__real.memset)
        return zio__boot_memset(to, value, length);
    if (!atomic_load_explicit(&zio__on, memory_order_acquire) ||
        !zio_tracker_may_hold(&zio__tracker, to, length) || !zio__enter())
        return zio__real.memset(to, value, length);
    bool zeroes = (unsigned char)value == 0 && zio__has_stack();
    if (zeroes)
        zio_tracker_zero(&zio__tracker, to, length);
    else if (zio__has_stack())
        zio_tracker_overwrite(&zio__tracker, to, length);
    zio__leave();
    return zeroes ? to : zio__real.memset(to, value, length);
}

ZIO_EXPORT void *memcpy(void *to, const void *from, size_t length) {
    if (zio__is_small(length))
        return zio__real.memcpy(to, from, length);
    return copy(to, from, length);
}

ZIO_EXPORT void *memmove(void *to, const void *from, size_t length) {
    if (zio__is_small(length))
        return zio__real.memmove(to, from, length);
    return copy(to, from, length);
}

ZIO_EXPORT void *mempcpy(void *to, const void *from, size_t length) {
    if (zio__is_small(length))
        return zio__real.mempcpy(to, from, length);
    return (unsigned char *)copy(to, from, length) + length;
}

ZIO_EXPORT void bcopy(const void *from, void *to, size_t length) {
    if (zio__is_small(length))
        zio__real.memmove(to, from, length);
    else
        copy(to, from, length);
}

ZIO_EXPORT void *memset(void *to, int value, size_t length) {
    if (zio__is_small(length))
        return zio__real.memset(to, value, length);
    return set(to, value, length);
}

ZIO_EXPORT void *__memcpy_chk(void *to, const void *from, size_t length, size_t room) {
    if (length > room)
        __chk_fail();
    return zio__is_small(length) ? zio__real.memcpy(to, from, length) : copy(to, from, length);
}

ZIO_EXPORT void *__memmove_chk(void *to, const void *from, size_t length, size_t room) {
    if (length > room)
        __chk_fail();
    return zio__is_small(length) ? zio__real.memmove(to, from, length) : copy(to, from, length);
}

ZIO_EXPORT void *__mempcpy_chk(void *to, const void *from, size_t length, size_t room) {
    if (length > room)
        __chk_fail();
    return mempcpy(to, from, length);
}

ZIO_EXPORT void *__memset_chk(void *to, int value, size_t length, size_t room) {
    if (length > room)
        __chk_fail();
    return zio__is_small(length) ? zio__real.memset(to, value, length) : set(to, value, length);
}

/* The program's view of a block: nothing of it matters after free. The size is asked for
 * only where views can be. */
static size_t viewed_size(void *block) {
    if (!block || !zio__real.malloc_usable_size || !zio_tracker_may_hold(&zio__tracker, block, 1))
        return 0;
    return zio__real.malloc_usable_size(block);
}

static void discard(void *block, size_t size) {
    if (!zio__enter())
        return;
    if (zio__has_stack())
        zio_tracker_discard(&zio__tracker, block, size);
    zio__leave();
}

ZIO_SLOW static void free_slowly(void *block) {
    if (zio_tracker_has_views(&zio__tracker)) {
        size_t size = viewed_size(block);
        if (atomic_load_explicit(&zio__heap_wished, memory_order_relaxed))
            zio__heap_keep();
        if (size >= 4096)
            discard(block, size);
    }
    /* While we look for it, dlsym frees the text of an earlier error of the program's: that is lost. */
    void (*real)(void *) = ZIO_REAL(free);
    if (real)
        real(block);
}

ZIO_EXPORT void free(void *block) {
    if (!zio_tracker_has_views(&zio__tracker) && zio__real.free)
        zio__real.free(block);
    else
        free_slowly(block);
}

/* A block that grows beyond its room and shows origins gets new room and the same views; the
 * allocator's own copy, or mremap, would touch every page. Where there is no room for both the
 * allocator decides, and a failure leaves the block as it was. */
ZIO_SLOW static void *realloc_slowly(void *block, size_t length) {
    size_t size = zio_tracker_has_views(&zio__tracker) ? viewed_size(block) : 0;
    if (size < 4096 || length <= size || zio__is_small(size) || !zio__has_stack())
        return ZIO_REAL(realloc)(block, length);
    int saved = errno;
    void *grown = ZIO_REAL(malloc)(length);
    if (!grown) {
        errno = saved;
        return ZIO_REAL(realloc)(block, length);
    }
    copy(grown, block, size);
    discard(block, size);
    zio__real.free(block);
    return grown;
}

ZIO_EXPORT void *realloc(void *block, size_t length) {
    if (!zio_tracker_has_views(&zio__tracker) && zio__real.realloc)
        return zio__real.realloc(block, length);
    return realloc_slowly(block, length);
}
