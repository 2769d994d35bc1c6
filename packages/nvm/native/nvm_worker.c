/* The digest in the background: a thread of a process that writes, unknown to libc and with a
 * descriptor table of its own, as decision 9 has it for the fault handler. It sleeps until the log is
 * half full, or a file lacks space ahead, and then one of all those of the tree sees to it, by targets that it opens itself. What
 * it cannot open, because the path leads elsewhere by now, the writers apply with the descriptors
 * that they have, when they find no room. */
#include "nvm_internal.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>


#include "bytes.h"
#include "clone.h"

enum {
    WORKER_STACK = 64 * 1024,
    WORKER_TLS = 16 * 1024, /* zeros, for code that reads a thread-local variable by mistake */
    WORKER_TLS_ABOVE = 4096,
    RETRY_NS = 50 * 1000 * 1000,
    GONE_STEPS = 1000,
};

static void wait_for_call(struct nvm_shared *shared, uint32_t seen, const struct timespec *most) {
    zio_syscall(SYS_futex, &shared->call, FUTEX_WAIT, seen, most);
}

void nvm__call_workers(struct zio_nvm_pool *pool, bool all) {
    atomic_fetch_add(&pool->shared->call, 1);
    zio_syscall(SYS_futex, &pool->shared->call, FUTEX_WAKE, all ? INT32_MAX : 1);
}

static int digest_once(struct zio_nvm_pool *pool) {
    if (!nvm__try_lock(pool, &pool->shared->digest_lock))
        return ZIO_EBUSY; /* somebody is at it */
    int result = 0, steps = 0;
    if (atomic_load(&pool->shared->pressed))
        result = nvm__digest_locked(pool, NULL);
    if (result == 0 && atomic_load(&pool->shared->lacking) &&
        (steps = nvm__reserve_ahead(pool)) > 0)
        atomic_store(&pool->shared->lacking, 1); /* until no file takes a step */
    nvm__unlock(&pool->shared->digest_lock);
    return result < 0 || steps < 0 ? (result < 0 ? result : steps) : 0;
}

ZIO__NEVER_RETURNS static void worker_main(void *argument) {
    struct nvm_worker *worker = argument;
    struct zio_nvm_pool *pool = worker->pool;
    struct nvm_shared *shared = pool->shared;
    const struct timespec retry = {.tv_sec = 0, .tv_nsec = RETRY_NS};
    zio_syscall(SYS_prctl, PR_SET_NAME, "zio-digest");
    zio__close_all_but(atomic_load(&pool->own.number), -1);
    zio_syscall(SYS_chdir, "/");
    while (!atomic_load(&worker->stop)) {
        uint32_t seen = atomic_load(&shared->call);
        if (atomic_load(&worker->stop))
            break;
        if ((!atomic_load(&shared->pressed) && !atomic_load(&shared->lacking)) ||
            atomic_load(&shared->failed) != 0) {
            wait_for_call(shared, seen, NULL);
            continue;
        }
        int result = digest_once(pool);
        uint32_t unstuck = 0;
        if (result == NVM_ELSEWHERE && atomic_compare_exchange_strong(&shared->stuck, &unstuck, 1))
            nvm__call_workers(pool, true);
        if (result < 0)
            wait_for_call(shared, atomic_load(&shared->call), &retry);
    }
    for (uint32_t slot = 0; slot < pool->file_slots; slot++)
        nvm__drop(&pool->files[slot].target);
    for (;;)
        zio_syscall(SYS_exit, 0);
}

/* A handle of its own on the same mapping: what is private to a process is private to the thread. */
static struct zio_nvm_pool *copy_handle(const struct zio_nvm_pool *pool) {
    struct zio_nvm_pool *copy = zio_pages_alloc(sizeof *copy);
    uint32_t repaired = 0;
    if (!copy)
        return NULL;
    zio__copy_bytes(copy, pool, sizeof *copy);
    zio__zero_bytes(&copy->table_lock, sizeof copy->table_lock);
    zio__zero_bytes(&copy->index_lock, sizeof copy->index_lock);
    zio__zero_bytes(&copy->clear_lock, sizeof copy->clear_lock);
    zio__zero_bytes(&copy->nodes, sizeof copy->nodes);
    zio__zero_bytes(&copy->worker, sizeof copy->worker);
    copy->index.valid = false;
    copy->files = NULL;
    copy->life = NULL;
    copy->background = false;
    copy->is_worker = true;
    if (nvm__init_files(copy, false, &repaired, NULL) == 0)
        return copy;
    zio_pages_free(copy, sizeof *copy);
    return NULL;
}

/* Also in a child by fork, where the thread is not. */
void nvm__free_worker(struct nvm_worker *worker) {
    struct zio_nvm_pool *copy = worker->pool;
    if (copy) {
        zio_pages_free(copy->files[0].entry,
                       copy->file_slots * (sizeof *copy->files + NVM_PAGE));
        zio_pages_free(copy, sizeof *copy);
    }
    if (worker->memory)
        zio_pages_free(worker->memory, WORKER_STACK + WORKER_TLS);
    zio__zero_bytes(worker, sizeof *worker);
}

static void start_locked(struct zio_nvm_pool *pool) {
    struct nvm_worker *worker = &pool->worker;
    worker->pool = copy_handle(pool);
    worker->memory = zio_pages_alloc(WORKER_STACK + WORKER_TLS);
    if (!worker->pool || !worker->memory) {
        nvm__free_worker(worker);
        return;
    }
    void **pointer =
        (void **)(worker->memory + WORKER_STACK + WORKER_TLS - WORKER_TLS_ABOVE);
    pointer[0] = pointer; /* x86-64: %fs:0 is the pointer itself */
    pointer[2] = pointer;
    long thread = zio__clone(ZIO__CLONE_THREAD_FLAGS, worker->memory + WORKER_STACK,
                             &worker->thread, &worker->thread, pointer, worker_main, worker);
    if (thread < 0)
        nvm__free_worker(worker);
}

/* Only once in a process: where it fails, writers digest for themselves. */
void nvm__start_worker(struct zio_nvm_pool *pool) {
    uint64_t mask = nvm__block_signals(pool);
    zio_lock_exclusive(&pool->table_lock);
    if (pool->background)
        start_locked(pool);
    pool->background = false;
    zio_unlock_exclusive(&pool->table_lock);
    nvm__restore_signals(pool, mask);
}

void nvm__stop_worker(struct zio_nvm_pool *pool) {
    struct nvm_worker *worker = &pool->worker;
    int32_t thread;
    pool->background = false;
    if (!worker->memory)
        return;
    const struct timespec step = {.tv_nsec = 50 * 1000};
    int32_t last = atomic_load(&worker->thread), process = (int32_t)zio_syscall(SYS_getpid);
    atomic_store(&worker->stop, 1);
    nvm__call_workers(pool, true);
    while ((thread = atomic_load(&worker->thread)) != 0)
        zio_syscall(SYS_futex, &worker->thread, FUTEX_WAIT, thread, NULL);
    /* The kernel clears the word a little before it counts the process's threads without this one. */
    for (int i = 0; i < GONE_STEPS && last && zio_syscall(SYS_tgkill, process, last, 0) == 0; i++)
        zio_syscall(SYS_nanosleep, &step, NULL);
    /* The number goes first, the count under a lock that this takes too; it reaps nobody. */
    zio_syscall(SYS_waitid, P_ALL, 0, NULL, WEXITED | WNOHANG | WNOWAIT, NULL);
    nvm__free_worker(worker);
}

void nvm__pause_worker(struct zio_nvm_pool *pool) {
    if (nvm__usable(pool) == ZIO_ENOTSUP)
        return;
    uint64_t mask = zio_signals_block();
    zio_lock_exclusive(&pool->table_lock);
    nvm__stop_worker(pool);
    pool->background = pool->wants_worker;
    zio_unlock_exclusive(&pool->table_lock);
    zio_signals_restore(mask);
}
