/* Changing the size of a pool that one process has open, and nothing lies in. */
#include "nvm_internal.h"


#include "bytes.h"

static int remap(struct zio_nvm_pool *pool, uint64_t bytes) {
    struct zio_pm old = pool->pm;
    uint64_t old_mapped = pool->mapped;
    int result = nvm__map(pool, pool->pm.descriptor, bytes, NULL);
    if (result < 0)
        return result;
    zio_pages_free(pool->extent_blocks, pool->blocks * sizeof *pool->extent_blocks);
    zio_syscall(SYS_munmap, old.base, old_mapped);
    pool->bytes = bytes;
    pool->shared = nvm__at(pool, pool->shared_offset);
    for (uint32_t slot = 0; slot < pool->file_slots; slot++)
        pool->files[slot].shared = &pool->shared->files[slot];
    result = nvm__init_blocks(pool);
    if (result == 0)
        nvm__clear_counts(pool);
    return result;
}

static int resize_alone(struct zio_nvm_pool *pool, uint64_t bytes) {
    uint64_t old_bytes = pool->bytes;
    if (pool->shared->blocks_free != pool->blocks)
        return ZIO_EBUSY;
    long result = 0;
    if (bytes > old_bytes)
        result = zio_syscall(SYS_fallocate, pool->pm.descriptor, 0, old_bytes, bytes - old_bytes);
    if (result == 0)
        result = remap(pool, bytes);
    if (result < 0)
        return (int)result;
    result = nvm__write_super(pool);
    if (result == 0 && bytes < old_bytes)
        result = zio_syscall(SYS_ftruncate, pool->pm.descriptor, bytes);
    if (result < 0)
        atomic_store(&pool->shared->failed, (int)result);
    return (int)result;
}

int zio_nvm_resize(struct zio_nvm_pool *pool, uint64_t bytes) {
    int32_t pid;
    nvm__stop_worker(pool); /* it has the pool mapped as it was */
    int result = zio_nvm_digest(pool, NULL);
    if (result < 0)
        return result;
    bytes &= ~(uint64_t)(NVM_PAGE - 1);
    if (bytes >= UINT64_C(1) << 46 || bytes < pool->data_offset ||
        nvm__count_blocks(bytes - pool->data_offset) < 4)
        return ZIO_EINVAL;
    uint64_t mask = nvm__block_signals(pool);
    result = nvm__own_number(pool) < 0 ? -EBADF : nvm__close_gate(pool, NULL);
    if (result == 0) {
        result = nvm__has_members(pool, &pid) ? ZIO_EBUSY : resize_alone(pool, bytes);
        nvm__open_gate(pool);
    }
    nvm__restore_signals(pool, mask);
    return result;
}
