/* What is told about a pool. */
#include "nvm_internal.h"

#include "bytes.h"

void zio_nvm_stats(struct zio_nvm_pool *pool, struct zio_nvm_stats *stats) {
    zio__zero_bytes(stats, sizeof *stats);
    stats->bytes = pool->bytes;
    stats->data_offset = pool->data_offset;
    stats->data_bytes = pool->blocks * NVM_PAGE;
    stats->ring_offset = pool->ring_offset;
    stats->ring_bytes = pool->ring_bytes;
    stats->version = NVM_VERSION;
    stats->flags = pool->flags;
    stats->medium = (uint8_t)pool->medium;
    stats->file_slots = pool->file_slots;
    zio__copy_bytes(stats->uuid, pool->uuid, sizeof stats->uuid);
    const char *flush = zio_pm_flush_name(pool->pm.flush);
    for (size_t i = 0; flush[i] && i + 1 < sizeof stats->flush; i++)
        stats->flush[i] = flush[i];
    struct nvm_shared *shared = pool->shared;
    uint64_t mask = nvm__enter_state(pool);
    stats->ring_used = shared->ring.used;
    stats->sequence = shared->ring.next - 1;
    stats->data_free = shared->blocks_free * NVM_PAGE;
    nvm__leave_state(pool, mask);
    stats->committed = atomic_load(&shared->durable);
    stats->appended_bytes = atomic_load(&shared->appended_bytes);
    stats->referenced_bytes = atomic_load(&shared->referenced_bytes);
    stats->digested_bytes = atomic_load(&shared->digested_bytes);
    stats->commits = atomic_load(&shared->commits);
    stats->digests = atomic_load(&shared->digests);
    stats->waits = atomic_load(&shared->waits);
    for (uint32_t slot = 0; slot < pool->file_slots; slot++)
        stats->files += atomic_load(&shared->files[slot].known);
}

unsigned zio_nvm_pressure(struct zio_nvm_pool *pool) {
    struct zio_nvm_stats stats;
    zio_nvm_stats(pool, &stats);
    uint64_t ring = stats.ring_used * 100 / stats.ring_bytes;
    uint64_t data = (stats.data_bytes - stats.data_free) * 100 / stats.data_bytes;
    return (unsigned)(ring > data ? ring : data);
}

int zio_nvm_each_file(struct zio_nvm_pool *pool,
                      int (*visit)(void *context, const struct zio_nvm_file_entry *entry),
                      void *context) {
    for (uint32_t slot = 0; slot < pool->file_slots; slot++) {
        struct zio_nvm_file *file = &pool->files[slot];
        uint64_t mask = nvm__enter_state(pool);
        nvm__fetch_entry(file);
        nvm__leave_state(pool, mask);
        if (file->entry->state == NVM_FILE_FREE)
            continue;
        struct zio_nvm_file_entry entry = {
            .slot = slot,
            .inode = file->entry->inode,
            .bytes = file->entry->bytes,
            .offset = NVM_FILES + (uint64_t)slot * NVM_FILE_BYTES,
            .records = file->records,
            .logged_bytes = file->logged_bytes,
            .path = file->entry->path,
        };
        int result = visit(context, &entry);
        if (result != 0)
            return result;
    }
    return 0;
}

int zio_nvm_each_record(struct zio_nvm_pool *pool,
                        int (*visit)(void *context, const struct zio_nvm_good_record *record),
                        void *context, struct zio_nvm_problem *problem) {
    nvm__problem(problem, ZIO_NVM_NONE, 0, 0, NULL);
    if (!pool->read_only)
        return nvm__system(problem, ZIO_EINVAL, "inspect", NULL);
    struct nvm_visitor visitor = {visit, context};
    struct nvm_scan scan;
    return nvm__scan(pool, pool->same_boot, &scan, &visitor, problem);
}
