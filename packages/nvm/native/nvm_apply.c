/* The digest: the log is applied to its files in order, the files are synced, and only when the
 * superblock says durably that this is done are blocks and ring given back. Whatever a crash cuts
 * short is done again from the old tail, with the same result. */
#include "nvm_internal.h"

#include <sys/stat.h>
#include <time.h>


#include "bytes.h"

enum { GATHER = 64, GATHER_BYTES = 8 << 20, ELSEWHERE_STEPS = 5000 };

/* Writes of one file that follow each other. */
struct gather {
    struct zio_nvm_file *file;
    uint64_t offset, bytes;
    int count;
    struct iovec pieces[GATHER];
};

static int target_of(const struct gather *gather) {
    return atomic_load(&gather->file->target.number);
}

static int write_gathered(struct gather *gather) {
    struct iovec *piece = gather->pieces, *end = piece + gather->count;
    uint64_t offset = gather->offset;
    const struct zio_nvm_observer *observer = NULL;
    if (gather->count > 0)
        observer = gather->file->pool->pm.observer;
    for (struct iovec *each = piece; observer && each < end; each++) {
        observer->file_write(observer->context, target_of(gather), offset, each->iov_base,
                             each->iov_len);
        offset += each->iov_len;
    }
    offset = gather->offset;
    while (piece < end) {
        long done = zio_syscall(SYS_pwritev, target_of(gather), piece, end - piece, offset,
                                offset >> 32);
        if (done == -EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? (int)done : -EIO;
        offset += (uint64_t)done;
        for (; piece < end && (size_t)done >= piece->iov_len; piece++)
            done -= (long)piece->iov_len;
        if (piece < end) {
            piece->iov_base = (char *)piece->iov_base + done;
            piece->iov_len -= (size_t)done;
        }
    }
    gather->count = 0;
    gather->bytes = 0;
    return 0;
}

static int gather_record(struct gather *gather, struct zio_nvm_file *file,
                         const struct nvm_record *record) {
    bool follows = gather->count > 0 && gather->count < GATHER && gather->file == file &&
                   gather->offset + gather->bytes == record->offset && gather->bytes < GATHER_BYTES;
    if (!follows) {
        int result = write_gathered(gather);
        if (result < 0)
            return result;
        gather->file = file;
        gather->offset = record->offset;
    }
    struct iovec *piece = &gather->pieces[gather->count++];
    piece->iov_base = nvm__at(file->pool, record->data);
    piece->iov_len = record->length;
    gather->bytes += record->length;
    return 0;
}

/* Under the digest lock: nobody else moves it but a repair, and that no further than the superblock. */
static struct nvm_cursor from_tail(struct zio_nvm_pool *pool) {
    uint64_t mask = nvm__enter_state(pool);
    struct nvm_cursor cursor = {.at = pool->shared->retired_at,
                                .sequence = atomic_load(&pool->shared->retired)};
    nvm__leave_state(pool, mask);
    return cursor;
}

/* Whether somebody else may have the target open: for a worker the rest of its process too. */
static bool has_others(const struct zio_nvm_file *file) {
    const struct zio_nvm_pool *pool = file->pool;
    uint64_t any = 0;
    for (uint32_t i = 0; i < NVM_MEMBER_WORDS; i++) {
        uint64_t own = !pool->is_worker && i == pool->slot / 64 ? UINT64_C(1) << pool->slot % 64 : 0;
        any |= file->shared->users[i] & ~own;
    }
    return any != 0;
}

static int begin_file(struct zio_nvm_file *file, bool accept_changed,
                      struct zio_nvm_problem *problem) {
    int result = nvm__open_target(file, problem);
    if (result != 0 && !accept_changed && has_others(file))
        return NVM_ELSEWHERE;
    if (result == ZIO_ENOENT && accept_changed) { /* a file that is to be forgotten */
        file->touched = false;
        return 0;
    }
    return result < 0 ? result : nvm__check_target(file, accept_changed, problem);
}

/* The flag is set last and cleared first: where it is set the entry says so too. */
int nvm__mark_file(struct zio_nvm_file *file) {
    nvm__fetch_entry(file);
    file->entry->state = NVM_FILE_CHANGING;
    int result = nvm__write_entry(file);
    atomic_store(&file->shared->digesting, 1);
    return result;
}

/* Opens and checks the files that have records, all of them before one is marked. */
static int begin_files(struct zio_nvm_pool *pool, struct nvm_cursor from, uint64_t end,
                       bool accept_changed, struct zio_nvm_problem *problem) {
    const struct nvm_record *record;
    struct nvm_cursor cursor = from;
    int result;
    for (uint32_t slot = 0; slot < pool->file_slots; slot++)
        pool->files[slot].touched = false;
    while ((result = nvm__next_data(pool, &cursor, end, &record)) > 0)
        pool->files[record->slot].touched = true;
    if (result < 0)
        return nvm__problem(problem, ZIO_NVM_RECORD_DAMAGED, result, pool->ring_offset + cursor.at,
                            NULL);
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t slot = 0; slot < pool->file_slots && result == 0; slot++) {
            struct zio_nvm_file *file = &pool->files[slot];
            if (!file->touched)
                continue;
            uint64_t mask = nvm__enter_state(pool);
            result = pass == 0 ? begin_file(file, accept_changed, problem) : nvm__mark_file(file);
            nvm__leave_state(pool, mask);
        }
    return result;
}

/* The target gets the time of the last write, not that of the digest. */
static void set_time(struct zio_nvm_file *file) {
    uint64_t modified = atomic_load(&file->shared->modified_ns);
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                {.tv_sec = (time_t)(modified / UINT64_C(1000000000)),
                                 .tv_nsec = (long)(modified % UINT64_C(1000000000))}};
    if (modified != 0)
        zio_syscall(SYS_utimensat, atomic_load(&file->target.number), NULL, times, 0);
}

int nvm__sync_file(struct zio_nvm_file *file) {
    const struct zio_nvm_observer *observer = file->pool->pm.observer;
    int fd = atomic_load(&file->target.number);
    set_time(file);
    long result = zio_syscall(SYS_fsync, fd);
    if (result < 0)
        return (int)result;
    if (observer)
        observer->file_sync(observer->context, fd);
    uint64_t mask = nvm__enter_state(file->pool);
    if (atomic_load(&file->shared->digesting)) { /* it was not forgotten meanwhile */
        nvm__fetch_entry(file);
        result = nvm__note_target(file);
        file->entry->state = NVM_FILE_USED;
        atomic_store(&file->shared->digesting, 0);
        if (result == 0)
            result = nvm__write_entry(file);
    }
    nvm__leave_state(file->pool, mask);
    return (int)result;
}

static int write_files(struct zio_nvm_pool *pool, struct nvm_cursor cursor, uint64_t end) {
    struct gather gather;
    gather.count = 0;
    gather.bytes = 0;
    const struct nvm_record *record;
    int result;
    while ((result = nvm__next_data(pool, &cursor, end, &record)) > 0) {
        struct zio_nvm_file *file = &pool->files[record->slot];
        result = file->touched ? gather_record(&gather, file, record) : 0;
        if (result < 0)
            return result;
        atomic_fetch_add(&pool->shared->digested_bytes, record->length);
    }
    return result == 0 ? write_gathered(&gather) : result;
}

int nvm__apply(struct zio_nvm_pool *pool, struct nvm_cursor end, bool accept_changed,
               struct zio_nvm_problem *problem) {
    struct nvm_cursor from = from_tail(pool);
    int result = begin_files(pool, from, end.sequence, accept_changed, problem);
    if (result < 0)
        return result;
    result = write_files(pool, from, end.sequence);
    for (uint32_t slot = 0; slot < pool->file_slots && result == 0; slot++)
        if (pool->files[slot].touched)
            result = nvm__sync_file(&pool->files[slot]);
    return result < 0 ? nvm__system(problem, result, "digest", NULL) : 0;
}

/* The files that nobody uses and of which nothing is left in the log; and what this process has of
 * files that are gone. */
int nvm__forget_files(struct zio_nvm_pool *pool) {
    int result = 0;
    nvm__clear_dead(pool);
    uint64_t mask = nvm__block_signals(pool);
    zio_lock_exclusive(&pool->table_lock);
    uint64_t inner = nvm__enter_state(pool);
    for (uint32_t slot = 0; slot < pool->file_slots && result == 0; slot++) {
        struct zio_nvm_file *file = &pool->files[slot];
        struct nvm_shared_file *shared = file->shared;
        if (file->users > 0)
            continue;
        if (atomic_load(&shared->known) && !nvm__is_used(shared) &&
            atomic_load(&shared->last_sequence) < atomic_load(&pool->shared->retired))
            result = nvm__forget_file(file);
        if (!atomic_load(&shared->known) || file->use != shared->use)
            nvm__drop(&file->target);
    }
    nvm__leave_state(pool, inner);
    zio_unlock_exclusive(&pool->table_lock);
    nvm__restore_signals(pool, mask);
    return result;
}

enum { RETIRE_AT_ONCE = 256 };

/* Frees some of what lies between the tail and what is retired; whether there is more. */
static bool free_some(struct zio_nvm_pool *pool) {
    struct nvm_shared *state = pool->shared;
    uint64_t end = atomic_load(&state->retired);
    struct nvm_cursor cursor = {.at = state->tail, .sequence = state->tail_sequence};
    const struct nvm_record *record;
    for (int i = 0; i < RETIRE_AT_ONCE && cursor.sequence < end; i++) {
        if (!nvm__next_record(pool, &cursor, &record)) {
            cursor.sequence = end; /* jumped over */
            cursor.at = state->retired_at;
            break;
        }
        if (record->kind == NVM_RECORD_DATA) {
            nvm__leave_blocks(pool, record->data, record->length);
            state->log_data -= record->length;
        }
    }
    state->block_hint = 0; /* what was used last is still in the caches */
    state->tail = cursor.at;
    state->tail_sequence = cursor.sequence;
    state->ring.used -= cursor.walked;
    if (cursor.sequence < end)
        return true;
    atomic_store(&state->stuck, 0);
    atomic_store(&state->pressed, nvm__is_pressed(pool));
    return false;
}

/* Under the digest lock, after the files up to `end` were synced: gives everything before it back.
 * With `next` the sequence numbers jump there, past whatever may still lie in the ring. Readers
 * learn of it before anything is used again. */
int nvm__retire(struct zio_nvm_pool *pool, struct nvm_cursor end, uint64_t next) {
    struct nvm_shared *state = pool->shared;
    pool->super.tail = end.at;
    pool->super.tail_sequence = next;
    int result = nvm__write_super(pool);
    if (result < 0)
        return result;
    for (bool more = true, first = true; more; first = false) {
        uint64_t mask = nvm__enter_state(pool);
        if (first && atomic_load(&state->retired) < end.sequence) {
            state->retired_at = end.at;
            state->generation = pool->super.generation - 1;
            atomic_store(&state->retired, end.sequence);
        }
        more = free_some(pool);
        nvm__leave_state(pool, mask);
    }
    return nvm__forget_files(pool);
}

/* A digest that a dead process had begun is begun anew: the same records, and what came since. */
int nvm__digest_locked(struct zio_nvm_pool *pool, struct zio_nvm_problem *problem) {
    struct nvm_shared *state = pool->shared;
    unsigned damaged;
    int result = atomic_load(&state->failed);
    if (result == 0)
        result = nvm__end_abandoned(pool);
    if (result == 0)
        result = nvm__commit(pool);
    if (result == 0)
        result = nvm__newest_super(pool, &pool->super, &pool->super_copy, &damaged);
    if (result < 0)
        return nvm__system(problem, result, "msync", NULL);
    uint64_t mask = nvm__enter_state(pool);
    struct nvm_cursor end = {.at = state->committed_at, .sequence = state->committed + 1};
    bool nothing = end.sequence <= atomic_load(&state->retired);
    while (nothing && free_some(pool)) /* of a digest that did not end */
        ;
    nvm__leave_state(pool, mask);
    if (nothing)
        return nvm__forget_files(pool);
    result = nvm__apply(pool, end, false, problem);
    if (result < 0)
        return result;
    result = nvm__retire(pool, end, end.sequence);
    if (result < 0) {
        atomic_store(&state->failed, result);
        return nvm__system(problem, result, "digest", NULL);
    }
    atomic_fetch_add(&state->digests, 1);
    return 0;
}

static int digest(struct zio_nvm_pool *pool, struct zio_nvm_problem *problem) {
    nvm__problem(problem, ZIO_NVM_NONE, 0, 0, NULL);
    uint64_t mask = nvm__block_signals(pool);
    nvm__lock(pool, &pool->shared->digest_lock);
    int result = nvm__digest_locked(pool, problem);
    nvm__unlock(&pool->shared->digest_lock);
    nvm__restore_signals(pool, mask);
    return result;
}

/* What only others can do is waited for, as long as they may well be at it. */
int zio_nvm_digest(struct zio_nvm_pool *pool, struct zio_nvm_problem *problem) {
    const struct timespec pause = {.tv_sec = 0, .tv_nsec = 1000 * 1000};
    int usable = nvm__usable(pool);
    if (usable < 0 || pool->read_only)
        return nvm__system(problem, usable < 0 ? usable : ZIO_EINVAL, "digest", NULL);
    for (int step = 0;; step++) {
        int result = digest(pool, problem);
        if (result != NVM_ELSEWHERE)
            return result;
        if (step == ELSEWHERE_STEPS)
            return -ESTALE;
        atomic_store(&pool->shared->pressed, 1);
        nvm__call_workers(pool, true);
        nvm__clear_dead(pool);
        zio_syscall(SYS_nanosleep, &pause, NULL);
    }
}
