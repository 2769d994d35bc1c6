/* The digest: the log is applied to its files in order, the files are synced, and only when the
 * superblock says durably that this is done are blocks and ring given back. Whatever a crash cuts
 * short is done again from the old tail, with the same result. */
#include "nvm_internal.h"

#include <zio/signals.h>

#include "bytes.h"

enum { GATHER = 64, GATHER_BYTES = 8 << 20 };

/* Writes of one file that follow each other. */
struct gather {
    struct zio_nvm_file *file;
    uint64_t offset, bytes;
    int count;
    struct iovec pieces[GATHER];
};

static int write_gathered(struct gather *gather) {
    struct iovec *piece = gather->pieces, *end = piece + gather->count;
    uint64_t offset = gather->offset;
    const struct zio_nvm_observer *observer = NULL;
    if (gather->count > 0)
        observer = gather->file->pool->pm.observer;
    for (struct iovec *each = piece; observer && each < end; each++) {
        observer->file_write(observer->context, gather->file->descriptor, offset, each->iov_base,
                             each->iov_len);
        offset += each->iov_len;
    }
    offset = gather->offset;
    while (piece < end) {
        long done = zio_syscall(SYS_pwritev, gather->file->descriptor, piece, end - piece, offset,
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

static struct nvm_cursor from_tail(const struct zio_nvm_pool *pool) {
    struct nvm_cursor cursor = {.at = pool->super.tail, .sequence = pool->super.tail_sequence};
    return cursor;
}

/* The next record of data before `end`: 1, 0 at the end, or -EIO. */
static int next_data(const struct zio_nvm_pool *pool, struct nvm_cursor *cursor, uint64_t end,
                     const struct nvm_record **record) {
    while (cursor->sequence < end) {
        if (!nvm__next_record(pool, cursor, record))
            return -EIO;
        if ((*record)->kind == NVM_RECORD_DATA || (*record)->kind == NVM_RECORD_INLINE)
            return 1;
    }
    return 0;
}

/* Opens and checks the files that have records; a file that is to be forgotten stays untouched. */
static int begin_files(struct zio_nvm_pool *pool, uint64_t end, bool accept_changed,
                       struct zio_nvm_problem *problem) {
    struct nvm_cursor cursor = from_tail(pool);
    const struct nvm_record *record;
    int result;
    while ((result = next_data(pool, &cursor, end, &record)) > 0)
        pool->files[record->slot].touched = true;
    for (uint32_t slot = 0; slot < pool->file_slots && result == 0; slot++) {
        struct zio_nvm_file *file = &pool->files[slot];
        if (!file->touched)
            continue;
        result = nvm__open_target(file, problem);
        if (result == ZIO_ENOENT && accept_changed) {
            file->touched = false;
            result = 0;
            continue;
        }
        if (result == 0) {
            zio_lock_exclusive(&file->lock);
            result = nvm__check_target(file, accept_changed, problem);
            zio_unlock_exclusive(&file->lock);
        }
    }
    if (result == -EIO && problem && problem->kind == ZIO_NVM_NONE)
        nvm__problem(problem, ZIO_NVM_RECORD_DAMAGED, -EIO, pool->ring_offset + cursor.at, NULL);
    return result;
}

static int sync_file(struct zio_nvm_file *file) {
    const struct zio_nvm_observer *observer = file->pool->pm.observer;
    long result = zio_syscall(SYS_fsync, file->descriptor);
    if (result < 0)
        return (int)result;
    if (observer)
        observer->file_sync(observer->context, file->descriptor);
    result = nvm__note_target(file);
    file->entry->state = NVM_FILE_USED;
    file->changing = false;
    return result < 0 ? (int)result : nvm__write_entry(file);
}

static int write_files(struct zio_nvm_pool *pool, uint64_t end) {
    struct gather gather;
    gather.count = 0;
    gather.bytes = 0;
    struct nvm_cursor cursor = from_tail(pool);
    const struct nvm_record *record;
    int result = 0;
    for (uint32_t slot = 0; slot < pool->file_slots && result == 0; slot++)
        if (pool->files[slot].touched) {
            zio_lock_exclusive(&pool->files[slot].lock);
            pool->files[slot].entry->state = NVM_FILE_CHANGING;
            pool->files[slot].changing = true;
            result = nvm__write_entry(&pool->files[slot]);
            zio_unlock_exclusive(&pool->files[slot].lock);
        }
    while (result == 0 && (result = next_data(pool, &cursor, end, &record)) > 0) {
        struct zio_nvm_file *file = &pool->files[record->slot];
        result = file->touched ? gather_record(&gather, file, record) : 0;
        if (result == 0)
            atomic_fetch_add(&pool->digested_bytes, record->length);
    }
    return result == 0 ? write_gathered(&gather) : result;
}

int nvm__apply(struct zio_nvm_pool *pool, struct nvm_cursor end, bool accept_changed,
               struct zio_nvm_problem *problem) {
    for (uint32_t slot = 0; slot < pool->file_slots; slot++)
        pool->files[slot].touched = false;
    int result = begin_files(pool, end.sequence, accept_changed, problem);
    if (result < 0)
        return result;
    result = write_files(pool, end.sequence);
    for (uint32_t slot = 0; slot < pool->file_slots && result == 0; slot++)
        if (pool->files[slot].touched) {
            zio_lock_exclusive(&pool->files[slot].lock);
            result = sync_file(&pool->files[slot]);
            zio_unlock_exclusive(&pool->files[slot].lock);
        }
    return result < 0 ? nvm__system(problem, result, "digest", NULL) : 0;
}

/* Takes a record's pieces out of the index, less what newer records lie over. */
static int leave_index(struct zio_nvm_file *file, const struct nvm_record *record) {
    uint64_t at = record->offset, end = record->offset + record->length;
    struct zio_view view;
    int result = 0;
    zio_lock_exclusive(&file->tree_lock);
    while (result == 0 && at < end && zio_view_tree_next(&file->tree, at, &view) &&
           view.start < end) {
        if (view.offset >= record->data && view.offset < record->data + record->length)
            result = zio_view_tree_carve(&file->tree, view.start, view.length);
        at = view.start + view.length;
    }
    zio_unlock_exclusive(&file->tree_lock);
    return result;
}

/* The files that nobody has open and of which nothing is left in the log. */
int nvm__forget_files(struct zio_nvm_pool *pool, uint64_t end) {
    int result = 0;
    zio_lock_exclusive(&pool->table_lock);
    for (uint32_t slot = 0; slot < pool->file_slots && result == 0; slot++) {
        struct zio_nvm_file *file = &pool->files[slot];
        if (!file->known || file->users > 0 || file->last_sequence >= end)
            continue;
        nvm__forget_file(file);
        result = nvm__write_entry(file);
    }
    zio_unlock_exclusive(&pool->table_lock);
    return result;
}

/* Under the digest lock, after the files up to `end` were synced: gives everything before it back.
 * With `next` the sequence numbers jump there, past whatever may still lie in the ring. */
int nvm__retire(struct zio_nvm_pool *pool, struct nvm_cursor end, uint64_t next) {
    struct nvm_cursor cursor = from_tail(pool);
    const struct nvm_record *record;
    pool->super.tail = end.at;
    pool->super.tail_sequence = next;
    int result = nvm__write_super(pool);
    if (result < 0)
        return result;
    struct nvm_cursor again = cursor;
    while (result == 0 && (result = next_data(pool, &cursor, end.sequence, &record)) > 0)
        result = leave_index(&pool->files[record->slot], record);
    if (result < 0)
        return result;
    nvm__wait_for_readers(pool);
    while ((result = next_data(pool, &again, end.sequence, &record)) > 0)
        if (record->kind == NVM_RECORD_DATA)
            nvm__leave_blocks(pool, record->data, record->length);
    zio_lock_exclusive(&pool->log_lock);
    pool->ring.used -= again.walked;
    pool->generation = pool->super.generation - 1; /* that of the older copy, which is enough */
    atomic_store(&pool->retired, next);
    zio_unlock_exclusive(&pool->log_lock);
    return result < 0 ? result : nvm__forget_files(pool, end.sequence);
}

static int digest_locked(struct zio_nvm_pool *pool, struct zio_nvm_problem *problem) {
    int result = nvm__commit(pool);
    if (result < 0)
        return nvm__system(problem, result, "msync", NULL);
    zio_lock_exclusive(&pool->commit_lock);
    struct nvm_cursor end = {.at = pool->committed_at, .sequence = pool->committed + 1};
    zio_unlock_exclusive(&pool->commit_lock);
    if (end.sequence == pool->super.tail_sequence)
        return nvm__forget_files(pool, end.sequence);
    result = nvm__apply(pool, end, false, problem);
    if (result < 0)
        return result;
    result = nvm__retire(pool, end, end.sequence);
    if (result < 0) {
        atomic_store(&pool->failed, result);
        return nvm__system(problem, result, "digest", NULL);
    }
    atomic_fetch_add(&pool->digests, 1);
    return 0;
}

int zio_nvm_digest(struct zio_nvm_pool *pool, struct zio_nvm_problem *problem) {
    nvm__problem(problem, ZIO_NVM_NONE, 0, 0, NULL);
    int usable = nvm__usable(pool);
    if (usable < 0 || pool->read_only)
        return nvm__system(problem, usable < 0 ? usable : ZIO_EINVAL, "digest", NULL);
    uint64_t mask = zio_signals_block();
    zio_lock_exclusive(&pool->digest_lock);
    int result = digest_locked(pool, problem);
    zio_unlock_exclusive(&pool->digest_lock);
    zio_signals_restore(mask);
    return result;
}
