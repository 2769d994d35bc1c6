/* The allocator of extents. Each block of 4 KiB has a count of the records of the log that touch it,
 * and an owner: the member that has allocated it and not released it yet. With neither it is free.
 * So a small piece that a record refers to does not pin the rest of a large extent, and what a dead
 * member held comes back. All of it is volatile, behind the data: what the log refers to is found
 * from the log, and owners end with the members. */
#include "nvm_internal.h"

#include <zio/signals.h>

#include "bytes.h"

uint64_t nvm__count_blocks(uint64_t data_bytes) {
    uint64_t blocks = data_bytes / (NVM_PAGE + NVM_COUNT_BYTES);
    while (blocks > 0 && blocks * (NVM_PAGE + NVM_COUNT_BYTES) + 8 > data_bytes)
        blocks--;
    return blocks;
}

int nvm__init_blocks(struct zio_nvm_pool *pool) {
    pool->blocks = nvm__count_blocks(pool->bytes - pool->data_offset);
    size_t bytes = pool->blocks * NVM_COUNT_BYTES;
    void *counts = nvm__at(pool, pool->data_offset + pool->blocks * NVM_PAGE);
    if (pool->read_only)
        counts = zio_pages_alloc(bytes);
    pool->block_uses = counts;
    pool->block_owners = (uint16_t *)(pool->block_uses + pool->blocks);
    pool->extent_blocks = zio_pages_alloc(pool->blocks * sizeof *pool->extent_blocks);
    return counts && pool->extent_blocks ? 0 : ZIO_ENOMEM;
}

void nvm__clear_counts(struct zio_nvm_pool *pool) {
    zio__zero_bytes(pool->block_uses, pool->blocks * NVM_COUNT_BYTES);
    pool->shared->blocks_free = pool->blocks;
    pool->shared->block_hint = 0;
    pool->shared->log_data = 0;
}

static bool is_free(const struct zio_nvm_pool *pool, uint64_t block) {
    return pool->block_uses[block] == 0 && pool->block_owners[block] == 0;
}

/* The first of `wanted` free blocks in a row in [from, to), or UINT64_MAX. */
static uint64_t find_free(const struct zio_nvm_pool *pool, uint64_t from, uint64_t to,
                          uint64_t wanted) {
    uint64_t found = 0;
    for (uint64_t block = from; block < to; block++) {
        found = is_free(pool, block) ? found + 1 : 0;
        if (found == wanted)
            return block + 1 - wanted;
    }
    return UINT64_MAX;
}

static uint64_t take_blocks(struct zio_nvm_pool *pool, uint64_t wanted) {
    struct nvm_shared *shared = pool->shared;
    uint64_t first = UINT64_MAX;
    if (wanted <= shared->blocks_free) {
        first = find_free(pool, shared->block_hint, pool->blocks, wanted);
        if (first == UINT64_MAX)
            first = find_free(pool, 0, pool->blocks, wanted);
    }
    if (first == UINT64_MAX)
        return first;
    atomic_store(&nvm__self(pool)->owns, 1);
    for (uint64_t block = first; block < first + wanted; block++)
        pool->block_owners[block] = (uint16_t)(pool->slot + 1);
    pool->extent_blocks[first] = (uint32_t)wanted;
    shared->blocks_free -= wanted;
    shared->block_hint = first + wanted;
    return first;
}

int zio_nvm_allocate(struct zio_nvm_pool *pool, size_t bytes, struct zio_storage_extent *extent) {
    int usable = nvm__usable(pool);
    if (usable < 0)
        return usable;
    uint64_t wanted = ((uint64_t)bytes + NVM_PAGE - 1) / NVM_PAGE;
    if (wanted == 0 || bytes > pool->bytes)
        return wanted == 0 ? ZIO_EINVAL : ZIO_ENOMEM;
    uint64_t mask = nvm__enter_state(pool);
    uint64_t first = take_blocks(pool, wanted);
    nvm__leave_state(pool, mask);
    if (first == UINT64_MAX)
        return ZIO_ENOMEM;
    extent->token = pool->data_offset + first * NVM_PAGE;
    extent->data = nvm__at(pool, extent->token);
    extent->bytes = wanted * NVM_PAGE;
    return 0;
}

static void disown_block(struct zio_nvm_pool *pool, uint64_t block) {
    pool->block_owners[block] = 0;
    if (pool->block_uses[block] == 0)
        pool->shared->blocks_free++;
}

void nvm__disown(struct zio_nvm_pool *pool, uint64_t token) {
    uint64_t first = (token - pool->data_offset) / NVM_PAGE;
    if (first >= pool->blocks)
        return;
    for (uint64_t i = 0; i < pool->extent_blocks[first]; i++)
        disown_block(pool, first + i);
    pool->extent_blocks[first] = 0;
}

void nvm__disown_all(struct zio_nvm_pool *pool, uint32_t slot) {
    for (uint64_t block = 0; block < pool->blocks; block++)
        if (pool->block_owners[block] == slot + 1)
            disown_block(pool, block);
}

void zio_nvm_release(struct zio_nvm_pool *pool, uint64_t token) {
    if (nvm__usable(pool) == ZIO_ENOTSUP || token < pool->data_offset)
        return;
    uint64_t mask = nvm__enter_state(pool);
    nvm__disown(pool, token);
    nvm__leave_state(pool, mask);
}

int zio_nvm_persist(struct zio_nvm_pool *pool, uint64_t token, size_t offset, size_t bytes) {
    int usable = nvm__usable(pool);
    if (usable < 0)
        return usable;
    uint64_t end = pool->data_offset + pool->blocks * NVM_PAGE;
    if (token < pool->data_offset || token > end || offset > end - token ||
        bytes > end - token - offset)
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
    for (uint64_t block = first; block < end; block++) {
        if (is_free(pool, block))
            pool->shared->blocks_free--;
        pool->block_uses[block]++;
    }
}

void nvm__leave_blocks(struct zio_nvm_pool *pool, uint64_t data, uint64_t length) {
    uint64_t first, end;
    block_range(pool, data, length, &first, &end);
    for (uint64_t block = first; block < end; block++)
        if (pool->block_uses[block] > 0 && --pool->block_uses[block] == 0 &&
            pool->block_owners[block] == 0)
            pool->shared->blocks_free++;
}
