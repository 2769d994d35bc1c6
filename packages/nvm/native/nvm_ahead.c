/* Space in the targets ahead of what is logged, allocated by the thread that digests: a writer that has
 * to do it itself holds up all others meanwhile. Allocating changes the target's times, so the file is
 * marked as in a digest, under the same lock; but nobody waits for the state while the kernel is at it. */
#include "nvm_internal.h"

enum { STEP_BYTES = 16 << 20 }; /* where a sync costs nothing, and a digest may be waiting */

/* Under the state lock. What is reserved beyond the end of a file that grows by appending. */
static uint64_t left_of(const struct nvm_shared_file *shared) {
    uint64_t end = atomic_load(&shared->bytes);
    if (shared->reserved_to <= shared->reserved_from || end < shared->reserved_from ||
        end > shared->reserved_to)
        return UINT64_MAX; /* it does not */
    return shared->reserved_to - end;
}

bool nvm__lacks_space(const struct zio_nvm_file *file) {
    return !file->shared->unaided && left_of(file->shared) < nvm__space_ahead(file->pool) / 2;
}

static bool is_suited(const struct nvm_shared_file *shared) {
    return atomic_load(&shared->known) && !atomic_load(&shared->left) && !shared->altering &&
           !atomic_load(&shared->digesting);
}

struct step {
    uint64_t from, bytes;
    uint32_t use;
};

/* Marks the file where it needs space and can be had by its path; 1: then *step says what to do. */
static int begin(struct zio_nvm_file *file, struct step *step) {
    struct nvm_shared_file *shared = file->shared;
    uint64_t mask = nvm__enter_state(file->pool);
    uint64_t wanted = nvm__space_ahead(file->pool), left = left_of(shared);
    int result = 0;
    bool marked = false;
    if (is_suited(shared) && nvm__lacks_space(file)) {
        result = nvm__open_target(file, NULL);
        shared->unaided = result != 0 || nvm__exceeds_limit(shared->reserved_to + wanted - left);
        step->from = shared->reserved_to;
        step->bytes = wanted - left;
        if (file->pool->medium == ZIO_NVM_MEDIUM_DRAM && step->bytes > STEP_BYTES)
            step->bytes = STEP_BYTES;
        step->use = shared->use;
        if (!shared->unaided) {
            result = nvm__mark_file(file);
            marked = result == 0;
        }
    }
    nvm__leave_state(file->pool, mask);
    return marked ? 1 : shared->unaided ? 0 : result;
}

/* What a writer allocated meanwhile, or a repair forgot, stays as it is. */
static void note_space(struct zio_nvm_file *file, const struct step *step, bool allocated) {
    struct nvm_shared_file *shared = file->shared;
    uint64_t mask = nvm__enter_state(file->pool), end = step->from + step->bytes;
    if (shared->use == step->use && !allocated)
        shared->unaided = 1;
    else if (shared->use == step->use && shared->reserved_from < step->from &&
        step->from <= shared->reserved_to && shared->reserved_to < end)
        shared->reserved_to = end;
    nvm__leave_state(file->pool, mask);
}

/* One step for one file. Where there is no space the writer finds out by itself. */
static int reserve_step(struct zio_nvm_file *file) {
    struct step step;
    int result = begin(file, &step);
    if (result <= 0)
        return result;
    int allocated = nvm__allocate_space(file, step.from, step.bytes);
    result = nvm__sync_file(file);
    if (result < 0)
        return result;
    note_space(file, &step, allocated == 0);
    return allocated == 0;
}

int nvm__reserve_ahead(struct zio_nvm_pool *pool) {
    int result = nvm__end_abandoned(pool), steps = 0;
    atomic_store(&pool->shared->lacking, 0); /* before it is looked for: nothing is missed */
    for (uint32_t slot = 0; slot < pool->file_slots && result == 0; slot++) {
        result = reserve_step(&pool->files[slot]);
        steps += result > 0;
        result = result > 0 ? 0 : result;
    }
    return result < 0 ? result : steps;
}

/* Under the digest lock: a file that is marked still was left so by a process that died. */
int nvm__end_abandoned(struct zio_nvm_pool *pool) {
    int result = 0;
    for (uint32_t slot = 0; slot < pool->file_slots && result == 0; slot++) {
        struct zio_nvm_file *file = &pool->files[slot];
        if (!atomic_load(&file->shared->digesting))
            continue;
        uint64_t mask = nvm__enter_state(pool);
        bool opened = nvm__open_target(file, NULL) == 0;
        if (!opened) /* its entry says that it changes, which recovery bears */
            atomic_store(&file->shared->digesting, 0);
        nvm__leave_state(pool, mask);
        if (opened)
            result = nvm__sync_file(file);
    }
    return result;
}
