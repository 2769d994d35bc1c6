/* The persist primitives. On x86-64 a cache line is written back by clwb, clflushopt or clflush,
 * whichever comes first among those that the processor has, and sfence orders; elsewhere, and for
 * pools that are not mapped with MAP_SYNC, msync does both. */
#include "nvm_persist.h"

#include <sys/mman.h>

#include <zio/syscall.h>

#include "bytes.h"
#include "nvm_format.h"

#if defined(__x86_64__)
#include <cpuid.h>

enum zio_pm_flush zio_pm_best_flush(void) {
    unsigned a, b = 0, c, d = 0;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        if (b & bit_CLWB)
            return ZIO_PM_CLWB;
        if (b & bit_CLFLUSHOPT)
            return ZIO_PM_CLFLUSHOPT;
    }
    return ZIO_PM_CLFLUSH; /* part of x86-64 */
}

static void flush_lines(enum zio_pm_flush how, char *from, const char *to) {
    switch (how) {
    case ZIO_PM_CLWB:
        for (; from < to; from += NVM_LINE)
            __asm__ volatile("clwb %0" : "+m"(*from));
        break;
    case ZIO_PM_CLFLUSHOPT:
        for (; from < to; from += NVM_LINE)
            __asm__ volatile("clflushopt %0" : "+m"(*from));
        break;
    default:
        for (; from < to; from += NVM_LINE)
            __asm__ volatile("clflush %0" : "+m"(*from));
    }
}

static void fence_lines(void) {
    __asm__ volatile("sfence" ::: "memory");
}
#else
/* dc cvap needs a look at the processor that user space gets from libc only: msync, which does the
 * same in the kernel, serves there. */
enum zio_pm_flush zio_pm_best_flush(void) {
    return ZIO_PM_MSYNC;
}

static void flush_lines(enum zio_pm_flush how, char *from, const char *to) {
    (void)how, (void)from, (void)to;
}

static void fence_lines(void) {
    __asm__ volatile("dmb ish" ::: "memory");
}
#endif

const char *zio_pm_flush_name(enum zio_pm_flush flush) {
    static const char names[][12] = {"none", "clflush", "clflushopt", "clwb", "msync"};
    return names[flush];
}

void zio_pm_store(struct zio_pm *pm, uint64_t offset, const void *from, size_t bytes) {
    zio__copy_bytes(pm->base + offset, from, bytes);
    if (pm->observer)
        pm->observer->store(pm->observer->context, pm->base, offset, bytes);
}

static void remember(struct zio_pm_batch *batch, uint64_t from, uint64_t to) {
    from &= ~(uint64_t)(NVM_PAGE - 1);
    to = (to + NVM_PAGE - 1) & ~(uint64_t)(NVM_PAGE - 1);
    if (batch->count == 0 || from < batch->from)
        batch->from = from;
    if (batch->count == 0 || to > batch->to)
        batch->to = to;
    batch->count++;
}

void zio_pm_flush(struct zio_pm *pm, struct zio_pm_batch *batch, uint64_t offset, size_t bytes) {
    if (bytes == 0)
        return;
    if (pm->flush == ZIO_PM_MSYNC) {
        remember(batch, offset, offset + bytes);
    } else if (pm->flush != ZIO_PM_NONE) {
        uint64_t first = offset & ~(uint64_t)(NVM_LINE - 1);
        flush_lines(pm->flush, (char *)pm->base + first, (char *)pm->base + offset + bytes);
    }
    if (pm->observer)
        pm->observer->flush(pm->observer->context, offset, bytes);
}

/* One call for everything: each makes the disk empty its cache, while pages between that are clean cost
 * nothing. The kernel writes the pages of all at once, and those alone: its own structures of the file
 * only where space was allocated. */
int zio_pm_fence(struct zio_pm *pm, struct zio_pm_batch *batch) {
    long result = 0;
    if (pm->flush == ZIO_PM_MSYNC) {
        if (batch->count > 0)
            result = zio_syscall(SYS_msync, pm->base + batch->from, batch->to - batch->from, MS_SYNC);
        batch->count = 0;
    } else {
        fence_lines();
    }
    if (result == 0 && pm->observer)
        pm->observer->fence(pm->observer->context);
    return (int)result;
}
