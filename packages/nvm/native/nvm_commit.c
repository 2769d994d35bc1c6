/* Making records durable: flush the data and the records, fence; then a pair of commit records,
 * flush, fence. On a disk, where a fence takes as long as all the rest, the first one is left out: the
 * commit says so, and is believed only where checksums tell that all it covers is there; otherwise
 * what was durable before counts, which it names. Where that is not known, after a death, both fences
 * are taken. Who waits for the lock meanwhile, in whatever process, finds his records durable too, or
 * commits all that came since. A holder that dies has made nothing durable that it says of. */
#include "nvm_internal.h"

#include "bytes.h"

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

/* `alone`: nothing has made sure of what it covers, and `durable` is all that counts without proof. */
static uint64_t put_commit(struct zio_nvm_pool *pool, uint64_t covered, uint64_t durable,
                           bool alone) {
    uint64_t mask = nvm__enter_state(pool);
    for (int twin = 0; twin < 2; twin++) {
        struct nvm_record commit;
        zio__zero_bytes(&commit, sizeof commit);
        commit.kind = NVM_RECORD_COMMIT;
        commit.flags = (uint16_t)((twin ? NVM_RECORD_TWIN : NVM_RECORD_MORE) |
                                  (alone ? NVM_RECORD_ALONE : 0));
        commit.data = alone ? durable : 0;
        commit.span = NVM_LINE;
        commit.offset = covered;
        nvm__put_record(pool, &commit, NULL);
    }
    uint64_t head = pool->shared->ring.head;
    nvm__leave_state(pool, mask);
    return head;
}

/* Under the commit lock. ZIO_EAGAIN: somebody died in the state meanwhile, and it was built anew. */
static int commit_locked(struct zio_nvm_pool *pool) {
    struct nvm_shared *state = pool->shared;
    uint64_t mask = nvm__enter_state(pool);
    uint64_t covered = state->ring.next - 1, repairs = atomic_load(&state->repairs);
    struct nvm_cursor end = {.at = state->ring.head, .sequence = state->ring.next};
    struct nvm_cursor cursor = {.at = state->committed_at, .sequence = state->committed + 1};
    bool alone = pool->one_fence && !state->doubtful;
    nvm__leave_state(pool, mask);
    uint64_t from = cursor.at, durable = cursor.sequence - 1;
    struct zio_pm_batch batch;
    batch.count = 0;
    int result = flush_records(pool, &batch, &cursor, end.sequence);
    if (result == 0) {
        flush_ring(pool, &batch, from, end.at, cursor.walked > 0);
        if (!alone)
            result = zio_pm_fence(&pool->pm, &batch);
    }
    if (result == 0) {
        uint64_t head = put_commit(pool, covered, durable, alone);
        flush_ring(pool, &batch, end.at, head, true);
        result = zio_pm_fence(&pool->pm, &batch);
    }
    if (result < 0)
        return result;
    mask = nvm__enter_state(pool);
    if (atomic_load(&state->repairs) == repairs) {
        state->committed = covered;
        state->committed_at = end.at;
        state->doubtful = 0;
        atomic_store(&state->durable, covered);
        atomic_fetch_add(&state->commits, 1);
    } else {
        result = ZIO_EAGAIN;
    }
    nvm__leave_state(pool, mask);
    return result;
}

int nvm__commit(struct zio_nvm_pool *pool) {
    struct nvm_shared *state = pool->shared;
    uint64_t wanted = atomic_load(&state->appended);
    if (atomic_load(&state->durable) >= wanted)
        return 0;
    uint64_t mask = nvm__block_signals(pool);
    nvm__lock(pool, &state->commit_lock);
    int result = atomic_load(&state->failed);
    if (result == 0 && atomic_load(&state->durable) < wanted) {
        while ((result = commit_locked(pool)) == ZIO_EAGAIN)
            ;
        if (result < 0)
            atomic_store(&state->failed, result);
    }
    nvm__unlock(&state->commit_lock);
    nvm__restore_signals(pool, mask);
    return result;
}

int zio_nvm_sync(struct zio_nvm_pool *pool) {
    int usable = nvm__usable(pool);
    return usable < 0 ? usable : pool->read_only ? ZIO_EINVAL : nvm__commit(pool);
}
