/* A registered range whose pages are filled from a pattern by a handler: what most tests
 * of this package need. The fault callback runs on the handler thread: no libc in it. */
#ifndef ZIO_TEST_ZONE_H
#define ZIO_TEST_ZONE_H

#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include <zio/arena.h>
#include <zio/handler.h>
#include <zio/syscall.h>
#include <zio/uffd.h>

#include "harness.h"

enum { PAGE = 4096 };

struct zone {
    struct zio_uffd uffd;
    struct zio_handler handler;
    unsigned char *base;    /* registered, missing */
    unsigned char *pattern; /* what a touch must find */
    size_t bytes;
    _Atomic int refuse; /* the callback returns ZIO_EAGAIN this many times (-1: for ever) */
    _Atomic int calls, faults, last_code;
    _Atomic uint32_t last_thread;
    _Atomic bool drains, must_read;
    _Atomic int drained;
};

static struct zone zone;

static inline int zone_fault(void *context, uint64_t page, uint64_t flags, uint32_t thread) {
    struct zone *z = context;
    (void)flags;
    atomic_fetch_add(&z->calls, 1);
    atomic_store(&z->last_thread, thread);
    int refuse = atomic_load(&z->refuse);
    if (refuse != 0) {
        if (refuse > 0)
            atomic_fetch_sub(&z->refuse, 1);
        return ZIO_EAGAIN;
    }
    uint64_t done, offset = page - (uint64_t)(uintptr_t)z->base;
    if (offset >= z->bytes)
        return 0;
    int code = zio_uffd_copy(&z->uffd, page, z->pattern + offset, PAGE, &done);
    atomic_store(&z->last_code, code);
    if (code == ZIO_EEXIST || code == ZIO_ENOENT)
        code = 0;
    if (code == 0)
        atomic_fetch_add(&z->faults, 1);
    return code;
}

static inline void zone_drain(void *context) {
    struct zone *z = context;
    struct zio_event event;
    if (!atomic_load(&z->drains))
        return;
    while (zio_handler_peek_event(&z->handler, &event)) {
        zio_handler_pop_event(&z->handler);
        atomic_fetch_add(&z->drained, 1);
    }
}

static inline bool zone_must_read(void *context) {
    return atomic_load(&((struct zone *)context)->must_read);
}

static const struct zio_handler_ops zone_ops = {
    .fault = zone_fault, .context = &zone, .drain = zone_drain, .must_read = zone_must_read};

static inline void require_userfaultfd(struct zio_uffd *uffd, uint32_t disabled) {
    struct zio_uffd_reason reason;
    if (zio_uffd_open(uffd, NULL, disabled, &reason) != 0)
        SKIP("no userfaultfd: %s", reason.text);
}

/* Opens, maps and registers; the handler is not started. */
static inline void zone_open(size_t pages) {
    require_userfaultfd(&zone.uffd, 0);
    zone.bytes = pages * PAGE;
    zone.base = zio_pages_alloc(zone.bytes);
    zone.pattern = zio_pages_alloc(zone.bytes);
    CHECK(zone.base && zone.pattern);
    for (size_t i = 0; i < zone.bytes; i++)
        zone.pattern[i] = (unsigned char)(i * 7 + i / PAGE + 1);
    CHECK_EQ(zio_uffd_register(&zone.uffd, (uintptr_t)zone.base, zone.bytes), 0);
}

static inline void zone_start(void) {
    CHECK_EQ(zio_handler_start(&zone.handler, &zone.uffd, &zone_ops), 0);
}

static inline bool zone_matches(size_t first_page, size_t pages) {
    return memcmp(zone.base + first_page * PAGE, zone.pattern + first_page * PAGE, pages * PAGE) ==
           0;
}

static inline bool wait_for(bool (*condition)(void), double timeout_ms) {
    double end = now_ms() + timeout_ms;
    while (!condition()) {
        if (now_ms() > end)
            return false;
        usleep(100);
    }
    return true;
}

#endif
