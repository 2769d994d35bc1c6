/* The allocator of extents. Each block of 4 KiB has a count of uses: one for who holds the extent,
 * one for each record of the log that touches it; at 0 it is free. So a small piece that a record
 * refers to does not pin the rest of a large extent. All of it is volatile: what the log refers to
 * is found by scanning the log, and nobody else holds anything when a pool is opened. */
#include "nvm_internal.h"

#include <zio/signals.h>

#include "bytes.h"

int nvm__init_blocks(struct zio_nvm_pool *pool) {
    pool->blocks = (pool->bytes - pool->data_offset) / NVM_PAGE;
    pool->blocks_free = pool->blocks;
    pool->block_hint = 0;
    pool->block_uses = zio_pages_alloc(pool->blocks * sizeof *pool->block_uses);
    pool->extent_blocks = zio_pages_alloc(pool->blocks * sizeof *pool->extent_blocks);
    return pool->block_uses && pool->extent_blocks ? 0 : ZIO_ENOMEM;
}

/* The first of `wanted` free blocks in a row in [from, to), or UINT64_MAX. */
static uint64_t find_free(const struct zio_nvm_pool *pool, uint64_t from, uint64_t to,
                          uint64_t wanted) {
    uint64_t found = 0;
    for (uint64_t block = from; block < to; block++) {
        found = pool->block_uses[block] == 0 ? found + 1 : 0;
        if (found == wanted)
            return block + 1 - wanted;
    }
    return UINT64_MAX;
}

int zio_nvm_allocate(struct zio_nvm_pool *pool, size_t bytes, struct zio_storage_extent *extent) {
    int usable = nvm__usable(pool);
    if (usable < 0)
        return usable;
    uint64_t wanted = ((uint64_t)bytes + NVM_PAGE - 1) / NVM_PAGE;
    if (wanted == 0 || bytes > pool->bytes)
        return wanted == 0 ? ZIO_EINVAL : ZIO_ENOMEM;
    uint64_t mask = zio_signals_block(), first = UINT64_MAX;
    zio_lock_exclusive(&pool->blocks_lock);
    if (wanted <= pool->blocks_free) {
        first = find_free(pool, pool->block_hint, pool->blocks, wanted);
        if (first == UINT64_MAX)
            first = find_free(pool, 0, pool->blocks, wanted);
    }
    if (first != UINT64_MAX) {
        for (uint64_t block = first; block < first + wanted; block++)
            pool->block_uses[block] = 1;
        pool->extent_blocks[first] = (uint32_t)wanted;
        pool->blocks_free -= wanted;
        pool->block_hint = first + wanted;
    }
    zio_unlock_exclusive(&pool->blocks_lock);
    zio_signals_restore(mask);
    if (first == UINT64_MAX)
        return ZIO_ENOMEM;
    extent->token = pool->data_offset + first * NVM_PAGE;
    extent->data = nvm__at(pool, extent->token);
    extent->bytes = wanted * NVM_PAGE;
    return 0;
}

static void leave_locked(struct zio_nvm_pool *pool, uint64_t first, uint64_t end) {
    for (uint64_t block = first; block < end; block++)
        if (pool->block_uses[block] > 0 && --pool->block_uses[block] == 0)
            pool->blocks_free++;
}

void zio_nvm_release(struct zio_nvm_pool *pool, uint64_t token) {
    if (nvm__usable(pool) == ZIO_ENOTSUP || token < pool->data_offset)
        return;
    uint64_t first = (token - pool->data_offset) / NVM_PAGE;
    uint64_t mask = zio_signals_block();
    zio_lock_exclusive(&pool->blocks_lock);
    if (first < pool->blocks) {
        leave_locked(pool, first, first + pool->extent_blocks[first]);
        pool->extent_blocks[first] = 0;
    }
    zio_unlock_exclusive(&pool->blocks_lock);
    zio_signals_restore(mask);
}

int zio_nvm_persist(struct zio_nvm_pool *pool, uint64_t token, size_t offset, size_t bytes) {
    int usable = nvm__usable(pool);
    if (usable < 0)
        return usable;
    if (token < pool->data_offset || token > pool->bytes || offset > pool->bytes - token ||
        bytes > pool->bytes - token - offset)
        return ZIO_EINVAL;
    struct zio_pm_batch batch;
    batch.count = 0;
    zio_pm_flush(&pool->pm, &batch, token + offset, bytes);
    return zio_pm_fence(&pool->pm, &batch);
}

static void block_range(const struct zio_nvm_pool *pool, uint64_t data, uint64_t length,
                        uint64_t *first, uint64_t *end) {
    *first = (data - pool->data_offset) / NVM_PAGE;
    *end = (data + length - pool->data_offset + NVM_PAGE - 1) / NVM_PAGE;
}

void nvm__use_blocks(struct zio_nvm_pool *pool, uint64_t data, uint64_t length) {
    uint64_t first, end;
    block_range(pool, data, length, &first, &end);
    zio_lock_exclusive(&pool->blocks_lock);
    for (uint64_t block = first; block < end; block++)
        if (pool->block_uses[block]++ == 0)
            pool->blocks_free--;
    zio_unlock_exclusive(&pool->blocks_lock);
}

void nvm__leave_blocks(struct zio_nvm_pool *pool, uint64_t data, uint64_t length) {
    uint64_t first, end;
    block_range(pool, data, length, &first, &end);
    zio_lock_exclusive(&pool->blocks_lock);
    leave_locked(pool, first, end);
    zio_unlock_exclusive(&pool->blocks_lock);
}
