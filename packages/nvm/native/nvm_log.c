/* Writes to files: staged, then appended group by group under the file's lock, so that a write of
 * several groups stays in one piece, whichever process it comes from. */
#include "nvm_internal.h"


/* A holder that died between begin_change and end_change may have had the target changed. */
uint64_t nvm__lock_file(struct zio_nvm_file *file) {
    struct nvm_shared_file *shared = file->shared;
    uint64_t mask = nvm__block_signals(file->pool);
    nvm__lock(file->pool, &shared->lock);
    if (shared->altering)
        nvm__look_anew(file, NULL);
    return mask;
}

void nvm__unlock_file(struct zio_nvm_file *file, uint64_t mask) {
    nvm__unlock(&file->shared->lock);
    nvm__restore_signals(file->pool, mask);
}

ssize_t nvm__log(struct zio_nvm_file *file, int64_t offset, uint64_t now_ns,
                 const struct zio_storage_piece *pieces, size_t count, uint64_t *where,
                 uint64_t *sequence) {
    struct zio_nvm_pool *pool = file->pool;
    int usable = nvm__usable(pool);
    if (usable < 0)
        return usable;
    if (pool->read_only || offset < -1)
        return ZIO_EINVAL;
    if (pool->background)
        nvm__start_worker(pool);
    struct nvm_group group;
    group.now_ns = now_ns;
    size_t index = 0;
    uint64_t done = 0, written = 0;
    int result;
    *where = *sequence = 0;
    while ((result = nvm__stage_group(pool, &group, pieces, count, &index, &done)) == 0 &&
           group.count > 0) {
        uint64_t here = 0;
        result = nvm__append(file, offset < 0 ? -1 : offset + (int64_t)written, &group, &here);
        if (result < 0)
            break;
        if (written == 0)
            *where = here;
        written += group.bytes;
        *sequence = group.sequence;
    }
    return written > 0 ? (ssize_t)written : result;
}

ssize_t zio_nvm_log(struct zio_nvm_file *file, int64_t offset,
                    const struct zio_storage_piece *pieces, size_t count, uint64_t *where) {
    uint64_t ignored, sequence;
    if (nvm__usable(file->pool) == ZIO_ENOTSUP)
        return ZIO_ENOTSUP;
    uint64_t mask = nvm__lock_file(file);
    ssize_t result = nvm__log(file, offset, 0, pieces, count, where ? where : &ignored, &sequence);
    nvm__unlock_file(file, mask);
    return result;
}
