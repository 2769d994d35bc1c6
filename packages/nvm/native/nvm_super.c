/* The header and the two copies of the superblock. A superblock is written as two copies, one after
 * the other: a copy that a power cut tore leaves the other one, and once both are written, damage
 * to one of them takes nothing away. */
#include "nvm_internal.h"

#include "bytes.h"

uint32_t nvm__header_crc(const struct nvm_header *header) {
    struct nvm_header copy;
    zio__copy_bytes(&copy, header, sizeof copy);
    copy.crc = 0;
    return nvm__crc32c(0, &copy, sizeof copy);
}

static bool layout_fits(const struct nvm_header *header) {
    uint64_t files_end = NVM_FILES + (uint64_t)header->file_slots * NVM_FILE_BYTES;
    return header->file_slots > 0 && header->file_slots <= 1 << 16 &&
           header->shared_bytes >= nvm__shared_bytes(header->file_slots) &&
           header->shared_bytes % NVM_PAGE == 0 &&
           header->shared_bytes < UINT64_C(1) << 40 &&
           header->ring_offset == files_end + header->shared_bytes &&
           header->ring_bytes >= NVM_PAGE &&
           header->ring_bytes % NVM_PAGE == 0 && header->ring_bytes < UINT64_C(1) << 46 &&
           header->data_offset == header->ring_offset + header->ring_bytes;
}

static enum zio_nvm_problem_kind header_problem(const struct nvm_header *header) {
    if (header->magic != NVM_MAGIC)
        return ZIO_NVM_NOT_A_POOL;
    /* Before the checksum: another version may compute it another way. */
    if (header->version != NVM_VERSION)
        return ZIO_NVM_FOREIGN_VERSION;
    if (header->crc != nvm__header_crc(header) || !layout_fits(header))
        return ZIO_NVM_HEADER_DAMAGED;
    return ZIO_NVM_NONE;
}

static bool repair(struct zio_nvm_pool *pool, uint64_t offset, const void *good, size_t bytes) {
    if (pool->read_only)
        return true;
    struct zio_pm_batch batch = {.count = 0};
    zio_pm_store(&pool->pm, offset, good, bytes);
    zio_pm_flush(&pool->pm, &batch, offset, bytes);
    return zio_pm_fence(&pool->pm, &batch) == 0;
}

int nvm__check_header(struct zio_nvm_pool *pool, uint64_t file_bytes, uint32_t *repaired,
                      struct zio_nvm_problem *problem) {
    const struct nvm_header *header = nvm__at(pool, 0);
    const struct nvm_header *twin = nvm__at(pool, NVM_HEADER_COPY);
    enum zio_nvm_problem_kind first = header_problem(header), second = header_problem(twin);
    if (first != ZIO_NVM_NONE) {
        /* A header of another version whose twin is of this one was damaged in its version. */
        if (second != ZIO_NVM_NONE)
            return nvm__problem(problem, first, ZIO_EINVAL,
                                first == ZIO_NVM_FOREIGN_VERSION ? 8 : 0, NULL);
        header = twin;
    }
    if (file_bytes < header->data_offset + NVM_PAGE)
        return nvm__problem(problem, ZIO_NVM_TRUNCATED, ZIO_EINVAL, file_bytes, NULL);
    if ((first != ZIO_NVM_NONE && !repair(pool, 0, twin, sizeof *twin)) ||
        (second != ZIO_NVM_NONE && !repair(pool, NVM_HEADER_COPY, header, sizeof *header)))
        return nvm__system(problem, -EIO, "msync", NULL);
    *repaired += (first != ZIO_NVM_NONE) + (second != ZIO_NVM_NONE);
    pool->shared_offset = header->ring_offset - header->shared_bytes;
    pool->ring_offset = header->ring_offset;
    pool->ring_bytes = header->ring_bytes;
    pool->data_offset = header->data_offset;
    pool->file_slots = header->file_slots;
    pool->flags = header->flags;
    zio__copy_bytes(pool->uuid, header->uuid, sizeof pool->uuid);
    pool->seed = nvm__crc32c(0, header->uuid, sizeof header->uuid);
    return 0;
}

static uint32_t super_crc(const struct zio_nvm_pool *pool, const struct nvm_superblock *super) {
    return nvm__crc32c(pool->seed, &super->state, sizeof *super - sizeof super->crc);
}

int nvm__newest_super(const struct zio_nvm_pool *pool, struct nvm_superblock *super, unsigned *copy,
                      unsigned *damaged) {
    int result = -EIO;
    *damaged = 0;
    for (unsigned i = 0; i < 2; i++) {
        struct nvm_superblock found; /* somebody may be writing it */
        zio__copy_bytes(&found, nvm__at(pool, NVM_SUPERBLOCKS + i * NVM_PAGE), sizeof found);
        if (found.crc != super_crc(pool, &found) || found.tail >= pool->ring_bytes ||
            found.tail % NVM_LINE || found.pool_bytes % NVM_PAGE ||
            found.pool_bytes <= pool->data_offset) {
            ++*damaged;
        } else if (result < 0 || found.generation > super->generation) {
            zio__copy_bytes(super, &found, sizeof found);
            *copy = i;
            result = 0;
        }
    }
    return result;
}

int nvm__choose_super(struct zio_nvm_pool *pool, uint32_t *repaired,
                      struct zio_nvm_problem *problem) {
    struct nvm_superblock super;
    unsigned damaged;
    if (nvm__newest_super(pool, &super, &pool->super_copy, &damaged) < 0)
        return nvm__problem(problem, ZIO_NVM_SUPERBLOCK_DAMAGED, ZIO_EINVAL, NVM_SUPERBLOCKS, NULL);
    if (super.pool_bytes > pool->bytes)
        return nvm__problem(problem, ZIO_NVM_TRUNCATED, ZIO_EINVAL, pool->bytes, NULL);
    *repaired += damaged; /* the next nvm__write_super writes both */
    pool->bytes = super.pool_bytes;
    zio__copy_bytes(&pool->super, &super, sizeof super);
    return 0;
}

int nvm__write_super(struct zio_nvm_pool *pool) {
    for (int i = 0; i < 2; i++) {
        struct zio_pm_batch batch = {.count = 0};
        pool->super_copy ^= 1;
        uint64_t at = NVM_SUPERBLOCKS + pool->super_copy * NVM_PAGE;
        pool->super.generation++;
        pool->super.pool_bytes = pool->bytes;
        pool->super.crc = super_crc(pool, &pool->super);
        zio_pm_store(&pool->pm, at, &pool->super, sizeof pool->super);
        zio_pm_flush(&pool->pm, &batch, at, sizeof pool->super);
        int result = zio_pm_fence(&pool->pm, &batch);
        if (result < 0)
            return result;
    }
    return 0;
}
