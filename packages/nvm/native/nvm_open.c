/* Opening a pool, as the first process of its tree, with what recovery there is to do, or as one
 * more; and ending it. */
#include "nvm_internal.h"

#include <sys/mman.h>
#include <time.h>

#include <zio/signals.h>

#include "bytes.h"

/* More than enough for the depth of every cut that taking a record out can need. */
enum { NODE_RESERVE = 32 };

int nvm__usable(struct zio_nvm_pool *pool) {
    if (atomic_load_explicit(pool->sentinel, memory_order_relaxed) == 0)
        return ZIO_ENOTSUP;
    return atomic_load_explicit(&pool->shared->failed, memory_order_relaxed);
}

/* What a process that was made behind our back inherited of these is not its own. */
static void dispose(struct zio_nvm_pool *pool) {
    bool ours = atomic_load(pool->sentinel) != 0;
    if (ours)
        nvm__stop_worker(pool);
    for (uint32_t slot = 0; pool->files && slot < pool->file_slots; slot++)
        nvm__drop(&pool->files[slot].target);
    zio_slab_destroy(&pool->nodes);
    if (pool->extent_blocks)
        zio_pages_free(pool->extent_blocks, pool->blocks * sizeof *pool->extent_blocks);
    if (pool->files)
        zio_pages_free(pool->files[0].entry, pool->file_slots * (sizeof *pool->files + NVM_PAGE));
    if (pool->read_only && pool->block_uses)
        zio_pages_free(pool->block_uses, pool->blocks * NVM_COUNT_BYTES);
    if (pool->read_only && pool->shared)
        zio_pages_free(pool->shared, nvm__shared_bytes(pool->file_slots));
    if (pool->life && ours)
        zio_syscall(SYS_munmap, pool->life, NVM_PAGE);
    if (pool->gate >= 0)
        nvm__open_gate(pool);
    nvm__unmap(pool);
    zio_pages_free(pool->path, NVM_PATH_BYTES);
    zio_pages_free((void *)pool->sentinel, NVM_PAGE);
    zio_pages_free(pool, sizeof *pool);
}

static struct zio_nvm_pool *make_handle(void) {
    struct zio_nvm_pool *pool = zio_pages_alloc(sizeof *pool);
    if (!pool)
        return NULL;
    pool->path = zio_pages_alloc(NVM_PATH_BYTES);
    pool->sentinel = zio_pages_alloc(NVM_PAGE);
    pool->own.number = -1;
    pool->gate = -1;
    if (pool->path && pool->sentinel &&
        zio_syscall(SYS_madvise, pool->sentinel, NVM_PAGE, MADV_WIPEONFORK) == 0) {
        atomic_store(pool->sentinel, 1);
        return pool;
    }
    if (pool->path)
        zio_pages_free(pool->path, NVM_PATH_BYTES);
    if (pool->sentinel)
        zio_pages_free((void *)pool->sentinel, NVM_PAGE);
    zio_pages_free(pool, sizeof *pool);
    return NULL;
}

static bool is_same_boot(const struct zio_nvm_pool *pool) {
    bool known = false, same = pool->super.state == NVM_OPEN;
    for (int i = 0; i < 16; i++) {
        known = known || pool->boot[i];
        same = same && pool->boot[i] == pool->super.boot[i];
    }
    return known && same && pool->own.device == pool->super.device &&
           pool->own.inode == pool->super.inode;
}

static void start_ring(struct zio_nvm_pool *pool, struct nvm_cursor end, uint64_t committed,
                       uint64_t committed_at) {
    struct nvm_shared *shared = pool->shared;
    shared->ring.head = end.at;
    shared->ring.next = end.sequence;
    shared->ring.used = end.walked;
    shared->committed = committed;
    shared->committed_at = committed_at;
    atomic_store(&shared->durable, committed);
    atomic_store(&shared->appended, end.sequence - 1);
}

/* Applies what counts, and makes the pool ours. Nobody else has it. */
static int recover(struct zio_nvm_pool *pool, const struct nvm_scan *scan, bool same_boot,
                   bool accept_changed, struct zio_nvm_problem *problem) {
    struct nvm_superblock *super = &pool->super;
    uint64_t tail_sequence = super->tail_sequence;
    struct nvm_cursor end = scan->end;
    start_ring(pool, end, same_boot ? tail_sequence - 1 : end.sequence - 1,
               same_boot ? super->tail : end.at);
    /* What only the death of a process left is made durable before files are touched: else a power
     * cut in between would leave them with writes that were never committed. */
    int result = scan->records > 0 ? nvm__commit(pool) : 0;
    if (result < 0)
        return nvm__system(problem, result, "msync", NULL);
    if (scan->records > 0)
        result = nvm__apply(pool, end, accept_changed, problem);
    if (result < 0)
        return result;
    super->state = NVM_OPEN;
    super->owner_pid = (uint32_t)zio_syscall(SYS_getpid);
    super->device = pool->own.device;
    super->inode = pool->own.inode;
    zio__copy_bytes(super->boot, pool->boot, sizeof pool->boot);
    super->tail = end.at;
    /* No record of the ring can have a number beyond this. */
    super->tail_sequence = tail_sequence + pool->ring_bytes / NVM_LINE + 2;
    result = nvm__write_super(pool);
    if (result < 0)
        return nvm__system(problem, result, "msync", NULL);
    end.sequence = super->tail_sequence;
    end.walked = 0;
    nvm__start_at(pool->shared, super);
    start_ring(pool, end, end.sequence - 1, end.at);
    nvm__clear_counts(pool);
    result = nvm__forget_files(pool);
    if (result < 0)
        return nvm__system(problem, result, "msync", NULL);
    atomic_store(&pool->shared->founded, 1);
    return 0;
}

static int found(struct zio_nvm_pool *pool, const struct zio_nvm_open_options *options,
                 struct zio_nvm_recovery *recovery, struct zio_nvm_problem *problem) {
    nvm__reset_shared(pool);
    for (int i = 0; options->tree && options->tree[i] && i < NVM_TREE_BYTES - 1; i++)
        pool->shared->tree[i] = options->tree[i];
    nvm__clear_counts(pool);
    int result = pool->read_only ? 0 : nvm__join(pool);
    if (result == ZIO_ENOTSUP)
        return nvm__problem(problem, ZIO_NVM_UNSUITABLE, ZIO_ENOTSUP, 0, NULL);
    if (result < 0)
        return nvm__system(problem, result, "join", NULL);
    result = nvm__init_files(pool, true, &recovery->repaired, problem);
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
    start_ring(pool, scan.end, scan.end.sequence - 1, scan.end.at);
    if (options->read_only)
        return 0;
    if (options->expect_clean && !recovery->was_clean)
        return nvm__problem(problem, ZIO_NVM_NEEDS_RECOVERY, ZIO_EBUSY, NVM_SUPERBLOCKS, NULL);
    return recover(pool, &scan, same_boot, options->accept_changed, problem);
}

static bool is_same_tree(const struct zio_nvm_pool *pool, const char *tree) {
    const char *theirs = pool->shared->tree;
    if (!tree || !tree[0])
        return false;
    for (int i = 0; i < NVM_TREE_BYTES - 1; i++) {
        if (theirs[i] != tree[i])
            return false;
        if (!tree[i])
            return true;
    }
    return true;
}

static int join(struct zio_nvm_pool *pool, const struct zio_nvm_open_options *options, int32_t pid,
                struct zio_nvm_recovery *recovery, struct zio_nvm_problem *problem) {
    if (!is_same_tree(pool, options->tree)) {
        nvm__problem(problem, ZIO_NVM_IN_USE, ZIO_EBUSY, 0, pool->path);
        if (problem)
            problem->owner_pid = pid;
        return ZIO_EBUSY;
    }
    recovery->same_boot = true;
    int result = nvm__init_files(pool, false, &recovery->repaired, problem);
    if (result == 0 && (result = nvm__join(pool)) < 0)
        nvm__system(problem, result, "join", NULL);
    return result;
}

static int load(struct zio_nvm_pool *pool, const struct zio_nvm_open_options *options,
                struct zio_nvm_recovery *recovery, struct zio_nvm_problem *problem) {
    int32_t pid = 0;
    int result = nvm__map_file(pool, problem);
    if (result == 0)
        result = nvm__check_header(pool, pool->bytes, &recovery->repaired, problem);
    if (result == 0 && pool->read_only)
        result = nvm__look_lock(pool, problem);
    if (result == 0)
        result = nvm__choose_super(pool, &recovery->repaired, problem);
    if (result < 0)
        return result;
    if (pool->read_only) {
        pool->shared = zio_pages_alloc(nvm__shared_bytes(pool->file_slots));
        pool->name = nvm__lock_name(0, 0);
    } else {
        pool->shared = nvm__at(pool, pool->shared_offset);
    }
    if (!pool->shared || zio_slab_init(&pool->nodes, zio_view_tree_node_bytes(), NODE_RESERVE) < 0 ||
        nvm__init_blocks(pool) < 0)
        return nvm__system(problem, ZIO_ENOMEM, "mmap", NULL);
    const struct timespec pause = {.tv_sec = 0, .tv_nsec = 200 * 1000};
    while (!pool->read_only && nvm__has_members(pool, &pid)) {
        if (atomic_load(&pool->shared->founded))
            return join(pool, options, pid, recovery, problem);
        zio_syscall(SYS_nanosleep, &pause, NULL); /* until it is gone */
    }
    return found(pool, options, recovery, problem);
}

int zio_nvm_open(const char *path, const struct zio_nvm_open_options *options,
                 struct zio_nvm_pool **pool, struct zio_nvm_recovery *recovery,
                 struct zio_nvm_problem *problem) {
    struct zio_nvm_recovery unwanted;
    if (!recovery)
        recovery = &unwanted;
    zio__zero_bytes(recovery, sizeof *recovery);
    nvm__problem(problem, ZIO_NVM_NONE, 0, 0, NULL);
    struct zio_nvm_pool *opened = make_handle();
    if (!opened)
        return nvm__system(problem, ZIO_ENOMEM, "mmap", path);
    opened->read_only = options->read_only;
    opened->pm.observer = options->observer;
    opened->one_fence = options->one_fence;
    opened->guarded = options->signals_blocked;
    opened->wants_worker = opened->background = options->background && !options->read_only;
    if (options->boot)
        zio__copy_bytes(opened->boot, options->boot, sizeof opened->boot);
    else
        nvm__read_boot(opened->boot);
    int result = nvm__open_file(opened, path, problem);
    if (result == 0 && !opened->read_only)
        result = nvm__close_gate(opened, problem);
    if (result == 0)
        result = load(opened, options, recovery, problem);
    if (result < 0) { /* the gate stays closed until this is no member any more */
        /* For what is about the pool itself. */
        if (problem && !problem->path[0]) {
            const char *action = problem->action;
            nvm__problem(problem, problem->kind, result, problem->offset, path);
            problem->action = action;
        }
        /* Who only looks sees the good part of a damaged pool too. */
        if (options->read_only && opened->files) {
            *pool = opened;
            return result;
        }
        dispose(opened);
        return result;
    }
    if (opened->gate >= 0)
        nvm__open_gate(opened);
    *pool = opened;
    return 0;
}

static int close_last(struct zio_nvm_pool *pool, struct zio_nvm_problem *problem) {
    int result = zio_nvm_digest(pool, problem);
    if (result < 0)
        return result;
    atomic_store(&pool->shared->founded, 0); /* who comes now must not take it for open */
    pool->super.state = NVM_CLEAN;
    result = nvm__write_super(pool);
    return result < 0 ? nvm__system(problem, result, "msync", NULL) : 0;
}

int zio_nvm_close(struct zio_nvm_pool *pool, struct zio_nvm_problem *problem) {
    bool last;
    return zio_nvm_close_telling(pool, &last, problem);
}

int zio_nvm_close_telling(struct zio_nvm_pool *pool, bool *last, struct zio_nvm_problem *problem) {
    int32_t pid;
    int result = 0;
    *last = false;
    nvm__problem(problem, ZIO_NVM_NONE, 0, 0, NULL);
    if (!pool->read_only && nvm__usable(pool) != ZIO_ENOTSUP) {
        nvm__stop_worker(pool);
        for (uint32_t slot = 0; slot < pool->file_slots; slot++)
            pool->files[slot].users = 0;
        nvm__clear_self(pool);
        result = nvm__close_gate(pool, problem);
        if (result < 0) /* the pool is out of this user's reach by now; the files need not be */
            zio_nvm_digest(pool, NULL);
        *last = result == 0 && !nvm__has_members(pool, &pid);
        pool->closes = *last;
        if (*last)
            result = close_last(pool, problem);
    }
    dispose(pool);
    return result;
}

void zio_nvm_abandon(struct zio_nvm_pool *pool) {
    dispose(pool);
}
