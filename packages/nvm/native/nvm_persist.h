/* How stores become durable: the primitives, and an observer beneath them by which tests see every
 * store, flush and fence. Everything that a pool's owner writes into the pool goes through
 * zio_pm_store; what arrives in extents by other ways is durable from zio_pm_flush and zio_pm_fence
 * on all the same. */
#ifndef ZIO_NVM_PERSIST_H
#define ZIO_NVM_PERSIST_H

#include <stddef.h>
#include <stdint.h>

/* Told after each step on the pool, and before it on a target file (of which it may be told
 * nothing: NULL). Called with locks held; must not call the pool. */
struct zio_nvm_observer {
    void *context;
    void (*store)(void *context, const unsigned char *pool, uint64_t offset, size_t bytes);
    void (*flush)(void *context, uint64_t offset, size_t bytes);
    void (*fence)(void *context);
    void (*file_write)(void *context, int descriptor, uint64_t offset, const void *data,
                       size_t bytes);
    void (*file_sync)(void *context, int descriptor);
};

enum zio_pm_flush {
    ZIO_PM_NONE = 0, /* nothing survives a power cut anyway */
    ZIO_PM_CLFLUSH,
    ZIO_PM_CLFLUSHOPT,
    ZIO_PM_CLWB,
    ZIO_PM_MSYNC,
};

struct zio_pm {
    unsigned char *base;
    uint64_t bytes;
    int descriptor;
    enum zio_pm_flush flush;
    const struct zio_nvm_observer *observer;
};

/* What one thread has flushed since its last fence; with msync the pages are kept until then. */
struct zio_pm_batch {
    unsigned count;
    uint64_t from, to; /* all that was flushed lies between */
};

/* The best instruction of this processor; ZIO_PM_MSYNC where it has none that is known. */
enum zio_pm_flush zio_pm_best_flush(void);
const char *zio_pm_flush_name(enum zio_pm_flush flush);

void zio_pm_store(struct zio_pm *pm, uint64_t offset, const void *from, size_t bytes);
void zio_pm_flush(struct zio_pm *pm, struct zio_pm_batch *batch, uint64_t offset, size_t bytes);
/* Returns 0, or the negative errno of msync: then it is not known what is durable. */
int zio_pm_fence(struct zio_pm *pm, struct zio_pm_batch *batch);

#endif
