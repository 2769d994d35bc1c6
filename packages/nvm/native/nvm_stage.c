/* Getting the data of a write to where its records will find them: small ones into the group, by
 * reference where they lie in extents, all others into blocks. The only place where memory of the
 * caller is read. */
#include "nvm_internal.h"

#include <time.h>

#include <zio/syscall.h>

#include "bytes.h"

enum { KERNEL_COPY_MIN = 8192, PATIENT_STEPS = 10000 }; /* about two seconds, and the digests between */

/* As many blocks as there are, for `*bytes` or fewer. */
static int allocate_some(struct zio_nvm_pool *pool, uint64_t *bytes,
                         struct zio_storage_extent *extent) {
    int result;
    while ((result = zio_nvm_allocate(pool, *bytes, extent)) == ZIO_ENOMEM && *bytes > NVM_PAGE)
        *bytes = (*bytes + 1) / 2;
    return result;
}

/* Dead members were cleared by the digest before. */
static bool has_staged(const struct zio_nvm_pool *pool) {
    for (uint32_t slot = 0; slot < NVM_MEMBERS; slot++)
        if (atomic_load(&pool->shared->members[slot].staged) > 0)
            return true;
    return false;
}

/* The same after a digest. Blocks that other writes have staged, and not logged yet, come free by
 * one of the next digests: they are waited for, in short steps, but not for ever, because such a
 * write may itself be waiting to append behind this one. */
static int allocate_patiently(struct zio_nvm_pool *pool, uint64_t *bytes,
                              struct zio_storage_extent *extent) {
    const struct timespec pause = {.tv_sec = 0, .tv_nsec = 200000};
    atomic_fetch_add(&pool->shared->waits, 1);
    for (int step = 0;; step++) {
        uint64_t appended = atomic_load(&pool->shared->appended_bytes);
        bool others = has_staged(pool);
        int result = zio_nvm_digest(pool, NULL);
        if (result == 0)
            result = allocate_some(pool, bytes, extent);
        if (result != ZIO_ENOMEM)
            return result;
        others = others || has_staged(pool) ||
                 atomic_load(&pool->shared->appended_bytes) != appended;
        if (!others || step == PATIENT_STEPS)
            return -ENOSPC;
        zio_syscall(SYS_nanosleep, &pause, NULL);
    }
}

/* On a disk a store to a page that is clean is a fault, and a transaction of the file system; the kernel
 * takes large data for less. False: it did not take all of it. */
static bool write_by_kernel(struct zio_nvm_pool *pool, uint64_t offset, const unsigned char *from,
                            uint64_t bytes) {
    if (pool->pm.flush != ZIO_PM_MSYNC || bytes < KERNEL_COPY_MIN ||
        nvm__exceeds_limit(offset + bytes)) /* SIGXFSZ would come */
        return false;
    int fd = nvm__own_number(pool);
    for (uint64_t done = 0; fd >= 0 && done < bytes;) {
        long result = zio_syscall(SYS_pwrite64, fd, from + done, bytes - done, offset + done);
        if (result <= 0 && result != -EINTR)
            return false;
        done += result > 0 ? (uint64_t)result : 0;
    }
    return fd >= 0;
}

static void copy_to_extent(struct zio_nvm_pool *pool, uint64_t offset, const unsigned char *from,
                           uint64_t bytes) {
    if (!write_by_kernel(pool, offset, from, bytes))
        zio_pm_store(&pool->pm, offset, from, bytes);
    else if (pool->pm.observer)
        pool->pm.observer->store(pool->pm.observer->context, pool->pm.base, offset, bytes);
}

/* An extent with the next bytes of a piece: as many as there is room for. Whoever has staged
 * something already logs that first instead of waiting for more. */
static int stage_copy(struct zio_nvm_pool *pool, struct nvm_staged *staged,
                      const unsigned char *from, uint64_t length, bool first) {
    struct zio_storage_extent extent;
    uint64_t bytes = length < NVM_COPY_MAX ? length : NVM_COPY_MAX;
    atomic_fetch_add(&nvm__self(pool)->staged, 1); /* before it has the blocks: who lacks them looks */
    int result = zio_nvm_allocate(pool, bytes, &extent);
    if (result == ZIO_ENOMEM && first) {
        atomic_fetch_sub(&nvm__self(pool)->staged, 1);
        result = allocate_patiently(pool, &bytes, &extent);
        atomic_fetch_add(&nvm__self(pool)->staged, 1);
    }
    if (result < 0) {
        atomic_fetch_sub(&nvm__self(pool)->staged, 1);
        return result;
    }
    copy_to_extent(pool, extent.token, from, bytes);
    staged->kind = NVM_RECORD_DATA;
    staged->data = extent.token;
    staged->length = bytes;
    staged->own = true;
    return 0;
}

static int stage_reference(const struct zio_nvm_pool *pool, struct nvm_staged *staged,
                           const struct zio_storage_piece *piece, uint64_t done) {
    uint64_t data = (uint64_t)(piece->data - pool->pm.base) + done;
    uint64_t end = pool->data_offset + pool->blocks * NVM_PAGE;
    if (data < pool->data_offset || data >= end || piece->length - done > end - data)
        return ZIO_EINVAL;
    staged->kind = NVM_RECORD_DATA;
    staged->data = data;
    staged->length = piece->length - done;
    staged->own = false;
    return 0;
}

int nvm__stage_group(struct zio_nvm_pool *pool, struct nvm_group *group,
                     const struct zio_storage_piece *pieces, size_t count, size_t *index,
                     uint64_t *done) {
    group->count = 0;
    group->staged = 0;
    group->bytes = 0;
    while (*index < count && group->count < NVM_GROUP_MAX) {
        const struct zio_storage_piece *piece = &pieces[*index];
        uint64_t left = piece->length - *done;
        struct nvm_staged *staged = &group->records[group->count];
        int result = 0;
        if (left == 0) {
            (*index)++;
            *done = 0;
            continue;
        }
        if (piece->token) {
            result = stage_reference(pool, staged, piece, *done);
        } else if (left <= NVM_INLINE_MAX - group->staged) {
            zio__copy_bytes(group->staging + group->staged, piece->data + *done, left);
            staged->kind = NVM_RECORD_INLINE;
            staged->data = group->staged;
            staged->length = left;
            staged->own = false;
            group->staged += (uint32_t)left;
        } else if (left <= NVM_INLINE_MAX) {
            return 0; /* in the next group */
        } else {
            result = stage_copy(pool, staged, piece->data + *done, left, group->count == 0);
        }
        if (result < 0)
            return group->count > 0 ? 0 : result;
        staged->crc = 0;
        if (nvm__checks_data(pool) && staged->kind == NVM_RECORD_DATA)
            staged->crc = nvm__crc32c(0, nvm__at(pool, staged->data), staged->length);
        *done += staged->length;
        group->bytes += staged->length;
        group->count++;
    }
    return 0;
}
