/* Going through the records of the ring. What counts: after a power cut, everything up to the
 * highest sequence number that any valid commit record in the ring names, because a commit is only
 * written once all that it covers is durable, or is believed only if it proves to be; every record up to there must then be valid, or the
 * pool is damaged. After the death of a process, every valid record up to the first gap, less the
 * beginning of a write whose end is missing. */
#include "nvm_internal.h"

#include "bytes.h"

uint32_t nvm__record_crc(const struct zio_nvm_pool *pool, const struct nvm_record *record,
                         const void *inline_data) {
    uint32_t crc = nvm__crc32c(pool->seed, (const char *)record + sizeof record->crc, NVM_LINE - 4);
    return record->kind == NVM_RECORD_INLINE ? nvm__crc32c(crc, inline_data, record->length) : crc;
}

static const struct nvm_record *record_at(const struct zio_nvm_pool *pool, uint64_t at) {
    return nvm__at(pool, pool->ring_offset + at);
}

/* Nothing is read beyond the ring, whatever the record says. */
static bool is_record_valid(const struct zio_nvm_pool *pool, uint64_t at, uint64_t sequence) {
    const struct nvm_record *record = record_at(pool, at);
    if (record->sequence != sequence || record->span < NVM_LINE || record->span % NVM_LINE ||
        record->span > pool->ring_bytes - at || record->kind < NVM_RECORD_DATA ||
        record->kind > NVM_RECORD_PAD)
        return false;
    if (record->kind == NVM_RECORD_INLINE && record->length > record->span - NVM_LINE)
        return false;
    return record->crc == nvm__record_crc(pool, record, record + 1);
}

static void pass(const struct zio_nvm_pool *pool, struct nvm_cursor *cursor, uint32_t span,
                 uint64_t count) {
    cursor->at += span;
    if (cursor->at == pool->ring_bytes)
        cursor->at = 0;
    cursor->walked += span;
    cursor->sequence += count;
}

/* Commits are written in pairs. One of a pair that is damaged is passed over: the other one says
 * the same, and by its sequence number what lies between is known. */
static bool is_damaged_twin(const struct zio_nvm_pool *pool, const struct nvm_cursor *cursor) {
    uint64_t next = cursor->at + NVM_LINE == pool->ring_bytes ? 0 : cursor->at + NVM_LINE;
    if (cursor->walked + 2 * NVM_LINE > pool->ring_bytes ||
        !is_record_valid(pool, next, cursor->sequence + 1))
        return false;
    const struct nvm_record *record = record_at(pool, next);
    return cursor->twin_next ||
           (record->kind == NVM_RECORD_COMMIT && record->flags & NVM_RECORD_TWIN);
}

int nvm__next_record(const struct zio_nvm_pool *pool, struct nvm_cursor *cursor,
                     const struct nvm_record **record) {
    if (cursor->walked >= pool->ring_bytes)
        return 0;
    if (!is_record_valid(pool, cursor->at, cursor->sequence)) {
        if (!is_damaged_twin(pool, cursor))
            return 0;
        pass(pool, cursor, NVM_LINE, 1);
        cursor->damaged++;
    }
    *record = record_at(pool, cursor->at);
    cursor->twin_next =
        (*record)->kind == NVM_RECORD_COMMIT && !((*record)->flags & NVM_RECORD_TWIN);
    pass(pool, cursor, (*record)->span, 1);
    return 1;
}

/* What the highest commit of this lap says. */
struct committed {
    uint64_t last;    /* the sequence number that it covers; 0: there is none */
    uint64_t durable; /* was before it; the same where it counts by itself */
};

/* Any commit tells too of a superblock that came after the one that was found. */
static struct committed find_committed(const struct zio_nvm_pool *pool, uint64_t *newest) {
    uint64_t tail = pool->super.tail_sequence, window = pool->ring_bytes / NVM_LINE;
    struct committed committed = {0, 0};
    for (uint64_t at = 0; at < pool->ring_bytes; at += NVM_LINE) {
        const struct nvm_record *record = record_at(pool, at);
        if (record->kind != NVM_RECORD_COMMIT || record->span != NVM_LINE)
            continue;
        bool counts = record->sequence >= tail && record->sequence - tail <= window &&
                      record->offset < record->sequence && record->offset > committed.last;
        bool newer = record->generation > *newest;
        if ((!counts && !newer) || !is_record_valid(pool, at, record->sequence))
            continue;
        if (counts) {
            committed.last = record->offset;
            committed.durable =
                record->flags & NVM_RECORD_ALONE ? record->data : record->offset;
        }
        if (newer)
            *newest = record->generation;
    }
    if (committed.last < tail)
        committed.last = committed.durable = 0;
    return committed;
}

static bool is_possible(const struct zio_nvm_pool *pool, const struct nvm_record *record) {
    if (record->kind != NVM_RECORD_DATA && record->kind != NVM_RECORD_INLINE)
        return true;
    if (record->slot >= pool->file_slots || record->length == 0 ||
        record->length > (uint64_t)INT64_MAX - record->offset ||
        record->offset > (uint64_t)INT64_MAX)
        return false;
    const struct nvm_shared_file *file = &pool->shared->files[record->slot];
    if (!atomic_load(&file->known) || file->use != record->use)
        return false;
    if (record->kind == NVM_RECORD_INLINE)
        return record->data == (uint64_t)((const unsigned char *)(record + 1) - pool->pm.base);
    uint64_t end = pool->data_offset + pool->blocks * NVM_PAGE;
    return record->data >= pool->data_offset && record->data < end &&
           record->length <= end - record->data;
}

int nvm__next_data(const struct zio_nvm_pool *pool, struct nvm_cursor *cursor, uint64_t end,
                   const struct nvm_record **record) {
    while (cursor->sequence < end) {
        if (!nvm__next_record(pool, cursor, record))
            return -EIO;
        if ((*record)->kind == NVM_RECORD_DATA || (*record)->kind == NVM_RECORD_INLINE)
            return 1;
    }
    return 0;
}

struct nvm_cursor nvm__find_end(const struct zio_nvm_pool *pool, struct nvm_cursor cursor,
                                uint64_t *newest) {
    struct nvm_cursor good = cursor;
    const struct nvm_record *record;
    while (nvm__next_record(pool, &cursor, &record)) {
        if (record->generation > *newest)
            *newest = record->generation;
        if (!(record->flags & NVM_RECORD_MORE))
            good = cursor;
    }
    return good;
}

void nvm__count_record(struct zio_nvm_pool *pool, const struct nvm_record *record) {
    struct nvm_shared_file *file = &pool->shared->files[record->slot];
    if (record->kind == NVM_RECORD_DATA) {
        nvm__use_blocks(pool, record->data, record->length);
        pool->shared->log_data += record->length;
    }
    if (atomic_load(&file->bytes) < record->offset + record->length)
        atomic_store(&file->bytes, record->offset + record->length);
    if (atomic_load(&file->last_sequence) < record->sequence)
        atomic_store(&file->last_sequence, record->sequence);
}

static bool has_good_data(const struct zio_nvm_pool *pool, const struct nvm_record *record) {
    return !(record->flags & NVM_RECORD_CRC) ||
           nvm__crc32c(0, nvm__at(pool, record->data), record->length) == record->data_crc;
}

/* Whether all is there that the commit covers and nothing before it made durable. */
static bool is_proved(const struct zio_nvm_pool *pool, struct nvm_cursor cursor,
                      struct committed committed) {
    const struct nvm_record *record;
    while (cursor.sequence <= committed.last) {
        if (!nvm__next_record(pool, &cursor, &record))
            return false;
        if (record->sequence <= committed.durable)
            continue;
        if (!is_possible(pool, record) || !has_good_data(pool, record) ||
            (record->kind == NVM_RECORD_DATA && !(record->flags & NVM_RECORD_CRC)))
            return false;
    }
    return true;
}

/* One that is not proved was cut off by a power cut; when it was written all that it calls durable
 * was. */
static uint64_t last_durable(const struct zio_nvm_pool *pool, struct nvm_cursor tail,
                             struct committed committed) {
    if (committed.durable == committed.last || is_proved(pool, tail, committed))
        return committed.last;
    return committed.durable >= pool->super.tail_sequence ? committed.durable : 0;
}

static const char *path_of(struct zio_nvm_pool *pool, uint32_t slot) {
    nvm__fetch_entry(&pool->files[slot]);
    return pool->files[slot].entry->path;
}

/* Checks every record before `end`, and counts it, or shows it to the visitor. */
static int go_through(struct zio_nvm_pool *pool, struct nvm_cursor end, struct nvm_scan *scan,
                      const struct nvm_visitor *visitor, struct zio_nvm_problem *problem) {
    const struct nvm_record *record;
    while (scan->end.sequence < end.sequence) {
        uint64_t at = pool->ring_offset + scan->end.at;
        if (!nvm__next_record(pool, &scan->end, &record))
            return nvm__problem(problem, ZIO_NVM_RECORD_DAMAGED, -EIO, at, NULL);
        if (!is_possible(pool, record))
            return nvm__problem(problem, ZIO_NVM_RECORD_INVALID, -EIO, at, NULL);
        if (record->kind != NVM_RECORD_DATA && record->kind != NVM_RECORD_INLINE)
            continue;
        const unsigned char *data = nvm__at(pool, record->data);
        if (!has_good_data(pool, record))
            return nvm__problem(problem, ZIO_NVM_DATA_DAMAGED, -EIO, record->data,
                                path_of(pool, record->slot));
        scan->records++;
        scan->bytes += record->length;
        if (!visitor) {
            nvm__count_record(pool, record);
            pool->files[record->slot].records++;
            pool->files[record->slot].logged_bytes += record->length;
            continue;
        }
        struct zio_nvm_good_record good = {record->slot, record->sequence, record->offset,
                                           record->length, data};
        int result = visitor->visit(visitor->context, &good);
        if (result != 0)
            return result;
    }
    return 0;
}

int nvm__scan(struct zio_nvm_pool *pool, bool same_boot, struct nvm_scan *scan,
              const struct nvm_visitor *visitor, struct zio_nvm_problem *problem) {
    zio__zero_bytes(scan, sizeof *scan);
    scan->end.at = pool->super.tail;
    scan->end.sequence = pool->super.tail_sequence;
    if (pool->super.state == NVM_CLEAN)
        return 0;
    struct committed committed = find_committed(pool, &scan->newest);
    /* Without a power cut what it covers is there, or damaged. */
    scan->committed = same_boot ? committed.last : last_durable(pool, scan->end, committed);
    struct nvm_cursor end = nvm__find_end(pool, scan->end, &scan->newest);
    if (scan->newest > pool->super.generation)
        return nvm__problem(problem, ZIO_NVM_SUPERBLOCK_STALE, -EIO, NVM_SUPERBLOCKS, NULL);
    if (end.sequence <= scan->committed || !same_boot) {
        uint64_t complete = end.sequence;
        /* Where a record below is damaged, going through comes upon it. */
        end.sequence = scan->committed ? scan->committed + 1 : pool->super.tail_sequence;
        if (complete > end.sequence)
            scan->dropped = complete - end.sequence;
    }
    return go_through(pool, end, scan, visitor, problem);
}
