/* What the worker does when a file lacks space ahead of its end, done by a test itself. */
#ifndef ZIO_NVM_TEST_AHEAD_H
#define ZIO_NVM_TEST_AHEAD_H

#include "nvm_internal.h"

/* What was reserved is forgotten first, as a repair does, all but what the file has. Returns how
 * many files got more, or an error. */
static inline int allocate_ahead(struct zio_nvm_file *file) {
    struct zio_nvm_pool *pool = file->pool;
    struct nvm_shared_file *shared = file->shared;
    uint64_t mask = nvm__enter_state(pool);
    if (shared->reserved_to > atomic_load(&shared->bytes) &&
        shared->reserved_from < atomic_load(&shared->bytes))
        shared->reserved_to = atomic_load(&shared->bytes);
    nvm__leave_state(pool, mask);
    mask = nvm__block_signals(pool);
    nvm__lock(pool, &pool->shared->digest_lock);
    int steps = nvm__reserve_ahead(pool);
    nvm__unlock(&pool->shared->digest_lock);
    nvm__restore_signals(pool, mask);
    return steps;
}

#endif
