/* Opening a pool, with what recovery there is to do, and ending it. */
#include "nvm_internal.h"

#include <zio/signals.h>

#include "bytes.h"

/* More than enough for the depth of every cut that taking a record out can need. */
enum { NODE_RESERVE = 32 };

int nvm__usable(struct zio_nvm_pool *pool) {
    if (zio_syscall(SYS_getpid) != pool->pid)
        return ZIO_ENOTSUP;
    return atomic_load_explicit(&pool->failed, memory_order_relaxed);
}

static void dispose(struct zio_nvm_pool *pool) {
    for (uint32_t slot = 0; pool->files && slot < pool->file_slots; slot++)
        if (pool->files[slot].pool && pool->files[slot].descriptor >= 0)
            zio_syscall(SYS_close, pool->files[slot].descriptor);
    zio_slab_destroy(&pool->nodes);
    if (pool->block_uses)
        zio_pages_free(pool->block_uses, pool->blocks * sizeof *pool->block_uses);
    if (pool->extent_blocks)
        zio_pages_free(pool->extent_blocks, pool->blocks * sizeof *pool->extent_blocks);
    if (pool->files)
        zio_pages_free(pool->files[0].entry, pool->file_slots * (sizeof *pool->files + NVM_PAGE));
    nvm__unmap(pool);
    zio_pages_free(pool, sizeof *pool);
}

static bool is_same_boot(const struct zio_nvm_pool *pool) {
    bool known = false, same = pool->super.state == NVM_OPEN;
    for (int i = 0; i < 16; i++) {
        known = known || pool->boot[i];
        same = same && pool->boot[i] == pool->super.boot[i];
    }
    return known && same && pool->device == pool->super.device && pool->inode == pool->super.inode;
}

static void start_ring(struct zio_nvm_pool *pool, struct nvm_cursor end, uint64_t committed) {
    pool->ring.head = end.at;
    pool->ring.next = end.sequence;
    pool->ring.used = end.walked;
    pool->committed = committed;
    atomic_store(&pool->durable, committed);
    atomic_store(&pool->appended, end.sequence - 1);
    pool->generation = pool->super.generation - 1;
}

/* Applies what counts, and makes the pool ours. */
static int recover(struct zio_nvm_pool *pool, const struct nvm_scan *scan, bool same_boot,
                   bool accept_changed, struct zio_nvm_problem *problem) {
    uint64_t tail_sequence = pool->super.tail_sequence;
    struct nvm_cursor end = scan->end;
    start_ring(pool, end, same_boot ? tail_sequence - 1 : end.sequence - 1);
    pool->committed_at = same_boot ? pool->super.tail : end.at;
    /* What only the death of a process left is made durable before files are touched: else a power
     * cut in between would leave them with writes that were never committed. */
    int result = scan->records > 0 ? nvm__commit(pool) : 0;
    if (result < 0)
        return nvm__system(problem, result, "msync", NULL);
    if (scan->records > 0)
        result = nvm__apply(pool, end, accept_changed, problem);
    if (result < 0)
        return result;
    pool->super.state = NVM_OPEN;
    pool->super.owner_pid = (uint32_t)pool->pid;
    pool->super.device = pool->device;
    pool->super.inode = pool->inode;
    zio__copy_bytes(pool->super.boot, pool->boot, sizeof pool->boot);
    /* No record of the ring can have a number beyond this. */
    uint64_t next = tail_sequence + pool->ring_bytes / NVM_LINE + 2;
    result = nvm__retire(pool, end, next);
    if (result < 0)
        return nvm__system(problem, result, "msync", NULL);
    end.sequence = next;
    end.walked = 0;
    start_ring(pool, end, next - 1);
    pool->committed_at = end.at;
    return 0;
}

static int load(struct zio_nvm_pool *pool, const struct zio_nvm_open_options *options,
                struct zio_nvm_recovery *recovery, struct zio_nvm_problem *problem) {
    int result = nvm__check_header(pool, pool->bytes, &recovery->repaired, problem);
    if (result == 0)
        result = nvm__choose_super(pool, &recovery->repaired, problem);
    if (result == 0 && zio_slab_init(&pool->nodes, zio_view_tree_node_bytes(), NODE_RESERVE) < 0)
        result = nvm__system(problem, ZIO_ENOMEM, "mmap", NULL);
    if (result == 0)
        result = nvm__load_files(pool, &recovery->repaired, problem);
    if (result == 0 && nvm__init_blocks(pool) < 0)
        result = nvm__system(problem, ZIO_ENOMEM, "mmap", NULL);
    if (result < 0)
        return result;
    bool same_boot = pool->same_boot = is_same_boot(pool);
    recovery->was_clean = pool->super.state == NVM_CLEAN;
    recovery->same_boot = same_boot;
    struct nvm_scan scan;
    result = nvm__scan(pool, same_boot, &scan, NULL, problem);
    recovery->records = scan.records;
    recovery->bytes = scan.bytes;
    recovery->dropped = scan.dropped;
    recovery->repaired += scan.end.damaged;
    if (result < 0)
        return result;
    start_ring(pool, scan.end, scan.end.sequence - 1);
    if (options->read_only)
        return 0;
    if (options->expect_clean && !recovery->was_clean)
        return nvm__problem(problem, ZIO_NVM_NEEDS_RECOVERY, ZIO_EBUSY, NVM_SUPERBLOCKS, NULL);
    return recover(pool, &scan, same_boot, options->accept_changed, problem);
}

int zio_nvm_open(const char *path, const struct zio_nvm_open_options *options,
                 struct zio_nvm_pool **pool, struct zio_nvm_recovery *recovery,
                 struct zio_nvm_problem *problem) {
    struct zio_nvm_recovery unwanted;
    if (!recovery)
        recovery = &unwanted;
    zio__zero_bytes(recovery, sizeof *recovery);
    nvm__problem(problem, ZIO_NVM_NONE, 0, 0, NULL);
    struct zio_nvm_pool *opened = zio_pages_alloc(sizeof *opened);
    if (!opened)
        return nvm__system(problem, ZIO_ENOMEM, "mmap", path);
    opened->descriptor = -1;
    opened->read_only = options->read_only;
    opened->pid = (int32_t)zio_syscall(SYS_getpid);
    opened->pm.observer = options->observer;
    if (options->boot)
        zio__copy_bytes(opened->boot, options->boot, sizeof opened->boot);
    else
        nvm__read_boot(opened->boot);
    int result = nvm__map_file(opened, path, problem);
    if (result == 0)
        result = load(opened, options, recovery, problem);
    if (result < 0) {
        /* For what is about the pool itself. */
        if (problem && !problem->path[0]) {
            const char *action = problem->action;
            nvm__problem(problem, problem->kind, result, problem->offset, path);
            problem->action = action;
        }
        /* Who only looks sees the good part of a damaged pool too. */
        if (options->read_only && opened->block_uses) {
            *pool = opened;
            return result;
        }
        dispose(opened);
        return result;
    }
    *pool = opened;
    return 0;
}

int zio_nvm_close(struct zio_nvm_pool *pool, struct zio_nvm_problem *problem) {
    nvm__problem(problem, ZIO_NVM_NONE, 0, 0, NULL);
    int result = 0;
    if (!pool->read_only && zio_syscall(SYS_getpid) == pool->pid) {
        for (uint32_t slot = 0; slot < pool->file_slots; slot++)
            pool->files[slot].users = 0;
        result = zio_nvm_digest(pool, problem);
        if (result == 0) {
            pool->super.state = NVM_CLEAN;
            result = nvm__write_super(pool);
            if (result < 0)
                nvm__system(problem, result, "msync", NULL);
        }
    }
    dispose(pool);
    return result;
}

void zio_nvm_abandon(struct zio_nvm_pool *pool) {
    dispose(pool);
}

static int resize_locked(struct zio_nvm_pool *pool, uint64_t bytes) {
    struct zio_pm old = pool->pm;
    uint64_t old_bytes = pool->bytes, old_mapped = pool->mapped;
    if (pool->blocks_free != pool->blocks)
        return ZIO_EBUSY;
    long result = 0;
    if (bytes > old_bytes)
        result = zio_syscall(SYS_fallocate, pool->descriptor, 0, old_bytes, bytes - old_bytes);
    if (result == 0)
        result = nvm__map(pool, bytes, NULL);
    if (result < 0)
        return (int)result;
    zio_pages_free(pool->block_uses, pool->blocks * sizeof *pool->block_uses);
    zio_pages_free(pool->extent_blocks, pool->blocks * sizeof *pool->extent_blocks);
    zio_syscall(SYS_munmap, old.base, old_mapped);
    pool->bytes = bytes;
    result = nvm__init_blocks(pool);
    if (result == 0)
        result = nvm__write_super(pool);
    if (result == 0 && bytes < old_bytes)
        result = zio_syscall(SYS_ftruncate, pool->descriptor, bytes);
    if (result < 0)
        atomic_store(&pool->failed, (int)result);
    return (int)result;
}

int zio_nvm_resize(struct zio_nvm_pool *pool, uint64_t bytes) {
    int result = zio_nvm_digest(pool, NULL);
    if (result < 0)
        return result;
    bytes &= ~(uint64_t)(NVM_PAGE - 1);
    if (bytes < pool->data_offset + 4 * NVM_PAGE || bytes >= UINT64_C(1) << 46)
        return ZIO_EINVAL;
    uint64_t mask = zio_signals_block();
    zio_lock_exclusive(&pool->digest_lock);
    result = resize_locked(pool, bytes);
    zio_unlock_exclusive(&pool->digest_lock);
    zio_signals_restore(mask);
    return result;
}
