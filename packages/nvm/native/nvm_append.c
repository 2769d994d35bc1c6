/* Appending records to the ring. A write is staged without the state lock (small data on the stack,
 * others in blocks), then appended under it; what is in the ring is therefore always complete, but
 * for the records of one write that a dying process may leave, which nvm_repair.c takes away. */
#include "nvm_internal.h"

#include <time.h>

#include <zio/syscall.h>

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

/* Under the state lock, with the room there. Head and number follow the record, so that whoever
 * finds them finds the record too. */
void nvm__put_record(struct zio_nvm_pool *pool, struct nvm_record *record, const void *inline_data) {
    struct nvm_ring *ring = &pool->shared->ring;
    uint64_t at = ring->head, in_pool = pool->ring_offset + at;
    record->sequence = ring->next;
    record->generation = pool->shared->generation;
    record->crc = nvm__record_crc(pool, record, inline_data);
    if (record->kind == NVM_RECORD_INLINE)
        zio_pm_store(&pool->pm, in_pool + NVM_LINE, inline_data, record->length);
    zio_pm_store(&pool->pm, in_pool, record, sizeof *record);
    ring->next++;
    ring->head = advance(pool, at, record->span);
    ring->used += record->span;
}

static void put_pad(struct zio_nvm_pool *pool, uint32_t bytes, bool within) {
    struct nvm_record pad;
    zio__zero_bytes(&pad, sizeof pad);
    pad.kind = NVM_RECORD_PAD;
    pad.flags = within ? NVM_RECORD_MORE : 0;
    pad.span = bytes;
    nvm__put_record(pool, &pad, NULL);
}

/* Room is kept for two pairs of commits: that of a commit which has begun and does not cover this
 * write, and that of the one which will. A third needs a write after this one. */
static bool has_room(const struct zio_nvm_pool *pool, const struct nvm_group *group) {
    uint64_t head = pool->shared->ring.head, needed = 4 * NVM_LINE;
    for (unsigned i = 0; i < group->count; i++) {
        uint32_t span = span_of(&group->records[i]), pad = pad_before(pool, head, span);
        head = advance(pool, pad ? 0 : head, span);
        needed += span + pad;
    }
    return needed <= pool->ring_bytes - pool->shared->ring.used;
}

static void put_group(struct zio_nvm_file *file, struct nvm_group *group, uint64_t at) {
    struct zio_nvm_pool *pool = file->pool;
    for (unsigned i = 0; i < group->count; i++) {
        struct nvm_staged *staged = &group->records[i];
        uint64_t head = pool->shared->ring.head;
        uint32_t span = span_of(staged), pad = pad_before(pool, head, span);
        if (pad) {
            put_pad(pool, pad, i > 0);
            head = 0;
        }
        bool is_inline = staged->kind == NVM_RECORD_INLINE;
        struct nvm_record record;
        record.kind = staged->kind;
        record.flags =
            (uint16_t)((i + 1 < group->count ? NVM_RECORD_MORE : 0) |
                       (nvm__checks_data(pool) && !is_inline ? NVM_RECORD_CRC : 0));
        record.slot = file->slot;
        record.use = file->shared->use;
        record.offset = at;
        record.length = staged->length;
        record.data = is_inline ? pool->ring_offset + head + NVM_LINE : staged->data;
        record.data_crc = staged->crc;
        record.span = span;
        if (!is_inline)
            nvm__use_blocks(pool, staged->data, staged->length);
        pool->shared->log_data += is_inline ? 0 : staged->length;
        nvm__put_record(pool, &record, is_inline ? group->staging + staged->data : NULL);
        at += staged->length;
    }
}

/* The extents that were made for this write: the log counts its own uses. */
static void disown_group(struct zio_nvm_pool *pool, struct nvm_group *group) {
    for (unsigned i = 0; i < group->count; i++)
        if (group->records[i].own) {
            nvm__disown(pool, group->records[i].data);
            group->records[i].own = false;
            atomic_fetch_sub(&nvm__self(pool)->staged, 1);
        }
}

static void count_group(struct zio_nvm_pool *pool, const struct nvm_group *group) {
    atomic_fetch_add(&pool->shared->appended_bytes, group->bytes);
    for (unsigned i = 0; i < group->count; i++)
        if (group->records[i].kind == NVM_RECORD_DATA && !group->records[i].own)
            atomic_fetch_add(&pool->shared->referenced_bytes, group->records[i].length);
}

/* By the clock that the kernel's own times of files go by. */
static void note_time(struct nvm_shared_file *shared, uint64_t now_ns) {
    struct timespec now = {0, 0};
    if (now_ns == 0) {
        zio_syscall(SYS_clock_gettime, CLOCK_REALTIME_COARSE, &now);
        now_ns = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
    }
    atomic_store(&shared->modified_ns, now_ns);
}

bool nvm__is_pressed(const struct zio_nvm_pool *pool) {
    const struct nvm_shared *shared = pool->shared;
    uint64_t most = pool->blocks * NVM_PAGE / 2;
    if (pool->medium == ZIO_NVM_MEDIUM_DRAM && most > NVM_DRAM_LOG)
        most = NVM_DRAM_LOG;
    return shared->ring.used * 2 >= pool->ring_bytes || shared->log_data >= most ||
           (shared->log_data > 0 && shared->blocks_free < pool->blocks / 8);
}

/* 0, an error, or ZIO_EAGAIN where the ring has no room before the next digest. What readers go by
 * comes last: a process that dies before leaves a write that never was, or one that is complete. */
static int append_group(struct zio_nvm_file *file, int64_t offset, struct nvm_group *group,
                        uint64_t *where) {
    struct zio_nvm_pool *pool = file->pool;
    struct nvm_shared *state = pool->shared;
    struct nvm_shared_file *shared = file->shared;
    uint64_t at = offset < 0 ? atomic_load(&shared->bytes) : (uint64_t)offset;
    int result = atomic_load(&state->failed);
    *where = at;
    if (result == 0 && atomic_load(&shared->left))
        result = ZIO_ENOTSUP;
    if (result == 0 && group->bytes > (uint64_t)INT64_MAX - at)
        result = -EFBIG;
    if (result == 0)
        result = nvm__reserve(file, at, group->bytes);
    if (result == 0 && !has_room(pool, group))
        result = ZIO_EAGAIN;
    if (result < 0)
        return result;
    put_group(file, group, at);
    group->sequence = state->ring.next;
    atomic_store(&shared->last_sequence, group->sequence - 1);
    note_time(shared, group->now_ns);
    if (at + group->bytes > atomic_load(&shared->bytes))
        atomic_store(&shared->bytes, at + group->bytes);
    atomic_store(&state->appended, group->sequence - 1);
    count_group(pool, group);
    return 0;
}

int nvm__append(struct zio_nvm_file *file, int64_t offset, struct nvm_group *group,
                uint64_t *where) {
    struct zio_nvm_pool *pool = file->pool;
    for (;;) {
        uint64_t mask = nvm__enter_state(pool);
        int result = append_group(file, offset, group, where);
        if (result != ZIO_EAGAIN)
            disown_group(pool, group);
        bool call = nvm__is_pressed(pool) && atomic_exchange(&pool->shared->pressed, 1) == 0;
        if (result == 0 && nvm__lacks_space(file))
            call |= atomic_exchange(&pool->shared->lacking, 1) == 0;
        nvm__leave_state(pool, mask);
        if (call)
            nvm__call_workers(pool, false);
        if (result != ZIO_EAGAIN)
            return result;
        atomic_fetch_add(&pool->shared->waits, 1);
        result = zio_nvm_digest(pool, NULL);
        if (result < 0) {
            mask = nvm__enter_state(pool);
            disown_group(pool, group);
            nvm__leave_state(pool, mask);
            return result;
        }
    }
}
