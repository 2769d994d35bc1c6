/* Writing records, and making them durable. A write is staged without a lock (small data on the
 * stack, others in blocks), then appended under the log's lock; what is in the ring is therefore
 * always complete, but for one record that a dying process may leave.
 *
 * Commit: flush the data and the records, fence; then a pair of commit records, flush, fence. Who
 * waits for the lock meanwhile finds his records durable too, or commits all that came since. */
#include "nvm_internal.h"

#include <time.h>

#include <zio/signals.h>

#include "bytes.h"

static uint32_t span_of(const struct nvm_staged *staged) {
    uint64_t bytes = NVM_LINE + (staged->kind == NVM_RECORD_INLINE ? staged->length : 0);
    return (uint32_t)((bytes + NVM_LINE - 1) & ~(uint64_t)(NVM_LINE - 1));
}

/* Bytes of the ring that stay unused where a record of this span comes at `head`. */
static uint32_t pad_before(const struct zio_nvm_pool *pool, uint64_t head, uint32_t span) {
    return span > pool->ring_bytes - head ? (uint32_t)(pool->ring_bytes - head) : 0;
}

static uint64_t advance(const struct zio_nvm_pool *pool, uint64_t head, uint64_t bytes) {
    return head + bytes == pool->ring_bytes ? 0 : head + bytes;
}

/* Under the log's lock, with the room there. Returns where the record lies in the ring. */
static uint64_t put_record(struct zio_nvm_pool *pool, struct nvm_record *record,
                           const void *inline_data) {
    struct nvm_ring *ring = &pool->ring;
    uint64_t at = ring->head, in_pool = pool->ring_offset + at;
    record->sequence = ring->next++;
    record->generation = pool->generation;
    record->crc = nvm__record_crc(pool, record, inline_data);
    if (record->kind == NVM_RECORD_INLINE)
        zio_pm_store(&pool->pm, in_pool + NVM_LINE, inline_data, record->length);
    zio_pm_store(&pool->pm, in_pool, record, sizeof *record);
    ring->head = advance(pool, at, record->span);
    ring->used += record->span;
    return at;
}

static void put_pad(struct zio_nvm_pool *pool, uint32_t bytes) {
    struct nvm_record pad;
    zio__zero_bytes(&pad, sizeof pad);
    pad.kind = NVM_RECORD_PAD;
    pad.span = bytes;
    put_record(pool, &pad, NULL);
}

/* Room is kept for two pairs of commits: that of a commit which has begun and does not cover this
 * write, and that of the one which will. A third needs a write after this one. */
static bool has_room(const struct zio_nvm_pool *pool, const struct nvm_group *group) {
    uint64_t head = pool->ring.head, needed = 4 * NVM_LINE;
    for (unsigned i = 0; i < group->count; i++) {
        uint32_t span = span_of(&group->records[i]), pad = pad_before(pool, head, span);
        head = advance(pool, pad ? 0 : head, span);
        needed += span + pad;
    }
    return needed <= pool->ring_bytes - pool->ring.used;
}

/* Lets readers find what the records will hold. A group that memory is short for is cut. */
static int index_group(struct zio_nvm_file *file, struct nvm_group *group, uint64_t at) {
    struct zio_nvm_pool *pool = file->pool;
    uint64_t head = pool->ring.head, sequence = pool->ring.next;
    group->bytes = 0;
    for (unsigned i = 0; i < group->count; i++) {
        struct nvm_staged *staged = &group->records[i];
        uint32_t span = span_of(staged);
        if (pad_before(pool, head, span)) {
            head = 0;
            sequence++;
        }
        uint64_t data =
            staged->kind == NVM_RECORD_INLINE ? pool->ring_offset + head + NVM_LINE : staged->data;
        /* The tag keeps pieces of different records apart, so that taking one out never splits. */
        int result = zio_view_tree_insert(&file->tree, at + group->bytes, staged->length, 1, data,
                                          (uint16_t)sequence++);
        if (result < 0) {
            group->count = i;
            return i == 0 ? result : 0;
        }
        head = advance(pool, head, span);
        group->bytes += staged->length;
    }
    return 0;
}

static void put_group(struct zio_nvm_file *file, const struct nvm_group *group, uint64_t at) {
    struct zio_nvm_pool *pool = file->pool;
    for (unsigned i = 0; i < group->count; i++) {
        const struct nvm_staged *staged = &group->records[i];
        uint32_t span = span_of(staged), pad = pad_before(pool, pool->ring.head, span);
        if (pad)
            put_pad(pool, pad);
        bool is_inline = staged->kind == NVM_RECORD_INLINE;
        struct nvm_record record;
        record.kind = staged->kind;
        record.flags =
            (uint16_t)((i + 1 < group->count ? NVM_RECORD_MORE : 0) |
                       (pool->flags & NVM_FLAG_CHECKSUM_DATA && !is_inline ? NVM_RECORD_CRC : 0));
        record.slot = file->slot;
        record.use = file->entry->use;
        record.offset = at;
        record.length = staged->length;
        record.data = is_inline ? pool->ring_offset + pool->ring.head + NVM_LINE : staged->data;
        record.data_crc = staged->crc;
        record.span = span;
        if (!is_inline)
            nvm__use_blocks(pool, staged->data, staged->length);
        put_record(pool, &record, is_inline ? group->staging + staged->data : NULL);
        at += staged->length;
    }
}

static void count_references(struct zio_nvm_pool *pool, const struct nvm_group *group) {
    for (unsigned i = 0; i < group->count; i++)
        if (group->records[i].kind == NVM_RECORD_DATA && !group->records[i].own)
            atomic_fetch_add(&pool->referenced_bytes, group->records[i].length);
}

/* By the clock that the kernel's own times of files go by. */
static void note_time(struct zio_nvm_file *file) {
    struct timespec now = {0, 0};
    zio_syscall(SYS_clock_gettime, CLOCK_REALTIME_COARSE, &now);
    atomic_store(&file->modified_ns,
                 (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec);
}

/* 0, an error, or ZIO_EAGAIN where the ring has no room before the next digest. */
static int append_group(struct zio_nvm_file *file, int64_t offset, struct nvm_group *group,
                        uint64_t *where) {
    struct zio_nvm_pool *pool = file->pool;
    uint64_t mask = zio_signals_block();
    zio_lock_exclusive(&file->lock);
    uint64_t at = offset < 0 ? atomic_load(&file->bytes) : (uint64_t)offset;
    int result = atomic_load(&file->left)                     ? ZIO_ENOTSUP
                 : group->bytes > (uint64_t)INT64_MAX - at ? -EFBIG
                                                           : nvm__reserve(file, at, group->bytes);
    if (result == 0) {
        zio_lock_exclusive(&pool->log_lock);
        zio_lock_exclusive(&file->tree_lock);
        result = has_room(pool, group) ? index_group(file, group, at) : ZIO_EAGAIN;
        if (result == 0) {
            put_group(file, group, at);
            file->last_sequence = pool->ring.next - 1;
            if (at + group->bytes > atomic_load(&file->bytes))
                atomic_store(&file->bytes, at + group->bytes);
            atomic_store(&pool->appended, pool->ring.next - 1);
            atomic_fetch_add(&pool->appended_bytes, group->bytes);
            count_references(pool, group);
            note_time(file);
        }
        zio_unlock_exclusive(&file->tree_lock);
        zio_unlock_exclusive(&pool->log_lock);
    }
    zio_unlock_exclusive(&file->lock);
    zio_signals_restore(mask);
    *where = at;
    return result;
}

static int append_staged(struct zio_nvm_file *file, int64_t offset, struct nvm_group *group,
                         uint64_t *where) {
    struct zio_nvm_pool *pool = file->pool;
    int result;
    unsigned own = group->count;
    while ((result = append_group(file, offset, group, where)) == ZIO_EAGAIN) {
        atomic_fetch_add(&pool->waits, 1);
        int digested = zio_nvm_digest(pool, NULL);
        if (digested < 0) {
            result = digested;
            break;
        }
    }
    /* The log counts its own uses. */
    for (unsigned i = 0; i < own; i++)
        if (group->records[i].own) {
            zio_nvm_release(pool, group->records[i].data);
            atomic_fetch_sub(&pool->staged, 1);
        }
    return result;
}

ssize_t nvm__log(struct zio_nvm_file *file, int64_t offset, const struct zio_storage_piece *pieces,
                 size_t count, uint64_t *where, uint64_t *sequence) {
    struct zio_nvm_pool *pool = file->pool;
    int usable = nvm__usable(pool);
    if (usable < 0)
        return usable;
    if (pool->read_only || offset < -1)
        return ZIO_EINVAL;
    struct nvm_group group;
    size_t index = 0;
    uint64_t done = 0, written = 0, at = 0, mask = 0;
    int result = nvm__stage_group(pool, &group, pieces, count, &index, &done);
    /* An append that takes several groups stays in one piece. Only appending waits here, so that
     * the rest may be staged, and touch the caller's memory, meanwhile. */
    if (offset < 0) {
        mask = zio_signals_block();
        zio_lock_exclusive(&file->append_lock);
    }
    while (result == 0 && group.count > 0) {
        uint64_t wanted = group.bytes, here = 0;
        result = append_staged(file, offset < 0 ? -1 : offset + (int64_t)written, &group, &here);
        if (result < 0)
            break;
        if (written == 0)
            at = here;
        written += group.bytes;
        if (group.bytes < wanted)
            break;
        result = nvm__stage_group(pool, &group, pieces, count, &index, &done);
    }
    if (offset < 0) {
        zio_unlock_exclusive(&file->append_lock);
        zio_signals_restore(mask);
    }
    *where = at;
    *sequence = written > 0 ? atomic_load(&file->last_sequence) + 1 : 0;
    return written > 0 ? (ssize_t)written : result;
}

ssize_t zio_nvm_log(struct zio_nvm_file *file, int64_t offset,
                    const struct zio_storage_piece *pieces, size_t count, uint64_t *where) {
    uint64_t ignored, sequence;
    return nvm__log(file, offset, pieces, count, where ? where : &ignored, &sequence);
}

static void flush_ring(struct zio_nvm_pool *pool, struct zio_pm_batch *batch, uint64_t from,
                       uint64_t to, bool any) {
    if (from < to) {
        zio_pm_flush(&pool->pm, batch, pool->ring_offset + from, to - from);
    } else if (any) {
        zio_pm_flush(&pool->pm, batch, pool->ring_offset + from, pool->ring_bytes - from);
        zio_pm_flush(&pool->pm, batch, pool->ring_offset, to);
    }
}

static int flush_records(struct zio_nvm_pool *pool, struct zio_pm_batch *batch,
                         struct nvm_cursor *cursor, uint64_t end) {
    const struct nvm_record *record;
    while (cursor->sequence < end) {
        if (!nvm__next_record(pool, cursor, &record))
            return -EIO; /* somebody wrote over the pool */
        if (record->kind == NVM_RECORD_DATA)
            zio_pm_flush(&pool->pm, batch, record->data, record->length);
    }
    return 0;
}

static uint64_t put_commit(struct zio_nvm_pool *pool, uint64_t covered) {
    zio_lock_exclusive(&pool->log_lock);
    for (int twin = 0; twin < 2; twin++) {
        struct nvm_record commit;
        zio__zero_bytes(&commit, sizeof commit);
        commit.kind = NVM_RECORD_COMMIT;
        commit.flags = twin ? NVM_RECORD_TWIN : 0;
        commit.span = NVM_LINE;
        commit.offset = covered;
        put_record(pool, &commit, NULL);
    }
    uint64_t head = pool->ring.head;
    zio_unlock_exclusive(&pool->log_lock);
    return head;
}

/* Under the commit lock. */
static int commit_locked(struct zio_nvm_pool *pool) {
    zio_lock_exclusive(&pool->log_lock);
    uint64_t covered = pool->ring.next - 1;
    struct nvm_cursor end = {.at = pool->ring.head, .sequence = pool->ring.next};
    zio_unlock_exclusive(&pool->log_lock);
    struct nvm_cursor cursor = {.at = pool->committed_at, .sequence = pool->committed + 1};
    uint64_t from = cursor.at;
    struct zio_pm_batch batch;
    batch.count = 0;
    int result = flush_records(pool, &batch, &cursor, end.sequence);
    if (result == 0) {
        flush_ring(pool, &batch, from, end.at, cursor.walked > 0);
        result = zio_pm_fence(&pool->pm, &batch);
    }
    if (result == 0) {
        uint64_t head = put_commit(pool, covered);
        flush_ring(pool, &batch, end.at, head, true);
        result = zio_pm_fence(&pool->pm, &batch);
    }
    if (result < 0)
        return result;
    pool->committed = covered;
    pool->committed_at = end.at;
    atomic_store(&pool->durable, covered);
    atomic_fetch_add(&pool->commits, 1);
    return 0;
}

int nvm__commit(struct zio_nvm_pool *pool) {
    uint64_t wanted = atomic_load(&pool->appended);
    uint64_t mask = zio_signals_block();
    int result = 0;
    if (atomic_load(&pool->durable) < wanted) {
        zio_lock_exclusive(&pool->commit_lock);
        result = atomic_load(&pool->failed);
        if (result == 0 && atomic_load(&pool->durable) < wanted) {
            result = commit_locked(pool);
            if (result < 0)
                atomic_store(&pool->failed, result);
        }
        zio_unlock_exclusive(&pool->commit_lock);
    }
    zio_signals_restore(mask);
    return result;
}

int zio_nvm_sync(struct zio_nvm_pool *pool) {
    int usable = nvm__usable(pool);
    return usable < 0 ? usable : pool->read_only ? ZIO_EINVAL : nvm__commit(pool);
}
