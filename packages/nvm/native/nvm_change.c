/* Files that others look at or change by ways of the kernel: what they look like with the log, and
 * how they are brought up to date, changed, and left to the kernel. */
#include "nvm_internal.h"

#include <sys/stat.h>


#include "bytes.h"

uint64_t zio_nvm_retired(struct zio_nvm_pool *pool) {
    return atomic_load(&pool->shared->retired);
}

int zio_nvm_status(struct zio_nvm_file *file, struct zio_storage_status *status) {
    struct nvm_shared_file *shared = file->shared;
    int usable = nvm__usable(file->pool);
    if (usable == ZIO_ENOTSUP || atomic_load(&shared->left))
        return ZIO_ENOTSUP;
    uint64_t modified = atomic_load(&shared->modified_ns);
    status->bytes = atomic_load(&shared->bytes);
    if (modified != 0) {
        status->modified.tv_sec = (time_t)(modified / UINT64_C(1000000000));
        status->modified.tv_nsec = (long)(modified % UINT64_C(1000000000));
        return 0;
    }
    struct stat found;
    int fd = nvm__target_number(file);
    long result = fd < 0 ? fd : zio_syscall(SYS_fstat, fd, &found);
    if (result == 0)
        status->modified = found.st_mtim;
    return (int)result;
}

/* A digest waits for whoever allocates space for it. */
static bool is_settled(const struct zio_nvm_file *file) {
    return atomic_load(&file->shared->last_sequence) <
               atomic_load(&file->pool->shared->retired) &&
           !atomic_load(&file->shared->digesting);
}

int zio_nvm_settle(struct zio_nvm_file *file) {
    int usable = nvm__usable(file->pool);
    if (usable < 0)
        return usable;
    return is_settled(file) ? 0 : zio_nvm_digest(file->pool, NULL);
}

int zio_nvm_settle_all(struct zio_nvm_pool *pool) {
    int usable = nvm__usable(pool);
    if (usable < 0)
        return usable;
    const struct nvm_shared *shared = pool->shared;
    return atomic_load(&shared->appended) < atomic_load(&shared->retired)
               ? 0
               : zio_nvm_digest(pool, NULL);
}

/* With 0 the file is settled, and its lock held with signals blocked. */
static int lock_settled(struct zio_nvm_file *file, uint64_t *mask) {
    for (int attempt = 0;; attempt++) {
        int result = attempt < 3 ? zio_nvm_settle(file) : 0;
        if (result < 0)
            return result;
        *mask = nvm__lock_file(file);
        /* Where others write faster than this: under the lock. */
        if (attempt >= 3)
            result = zio_nvm_settle(file);
        if (result == 0 && is_settled(file))
            return 0;
        nvm__unlock_file(file, *mask);
        if (result < 0)
            return result;
    }
}

/* The same, and in the state; nobody allocates space for the file, nor begins to. */
static int enter_settled(struct zio_nvm_file *file, uint64_t *mask, uint64_t *inner) {
    for (;;) {
        int result = lock_settled(file, mask);
        if (result < 0)
            return result;
        *inner = nvm__enter_state(file->pool);
        if (!atomic_load(&file->shared->digesting))
            return 0;
        nvm__leave_state(file->pool, *inner);
        nvm__unlock_file(file, *mask);
    }
}

int zio_nvm_begin_change(struct zio_nvm_file *file) {
    if (nvm__usable(file->pool) == ZIO_ENOTSUP)
        return ZIO_ENOTSUP;
    uint64_t mask, inner;
    int result = enter_settled(file, &mask, &inner);
    if (result < 0)
        return result;
    if (atomic_load(&file->shared->left))
        result = ZIO_ENOTSUP;
    if (result == 0) {
        file->shared->altering = 1;
        result = nvm__free_entry(file);
    }
    nvm__leave_state(file->pool, inner);
    if (result < 0)
        nvm__unlock_file(file, mask);
    else
        file->signals = mask;
    return result;
}

static int take_path(struct zio_nvm_file *file, const char *path) {
    uint32_t bytes = 0;
    while (bytes < NVM_PATH_BYTES && path[bytes])
        bytes++;
    if (bytes == NVM_PATH_BYTES || path[0] != '/')
        return bytes == NVM_PATH_BYTES ? -ENAMETOOLONG : ZIO_EINVAL;
    zio__zero_bytes(file->entry->path, sizeof file->entry->path);
    zio__copy_bytes(file->entry->path, path, bytes);
    file->entry->path_bytes = bytes;
    return 0;
}

/* What cannot be followed is left. The path is NULL where it is the old one. */
int nvm__look_anew(struct zio_nvm_file *file, const char *path) {
    struct nvm_shared_file *shared = file->shared;
    uint64_t mask = nvm__enter_state(file->pool);
    nvm__fetch_entry(file);
    int result = path && !path[0] ? 1 : path ? take_path(file, path) : 0;
    if (result == 0)
        result = nvm__open_target(file, NULL);
    if (result == 0)
        result = nvm__note_target(file);
    shared->reserved_from = 0;
    if (result == 0) {
        file->entry->state = NVM_FILE_USED;
        result = nvm__write_entry(file);
        nvm__mark_target(file);
        atomic_store(&shared->bytes, file->entry->bytes);
        atomic_store(&shared->modified_ns, 0);
    } else {
        atomic_store(&shared->left, 1);
        if (atomic_load(&file->is_other))
            nvm__drop(&file->target);
    }
    shared->reserved_to = 0;
    shared->altering = shared->unaided = 0;
    nvm__leave_state(file->pool, mask);
    return result > 0 ? 0 : result;
}

int zio_nvm_end_change(struct zio_nvm_file *file, const char *path) {
    int result = nvm__look_anew(file, path);
    nvm__unlock_file(file, file->signals);
    return result;
}

int zio_nvm_leave(struct zio_nvm_file *file) {
    if (nvm__usable(file->pool) == ZIO_ENOTSUP)
        return ZIO_ENOTSUP;
    uint64_t mask, inner;
    int result = enter_settled(file, &mask, &inner);
    if (result < 0)
        return result;
    if (!atomic_load(&file->shared->left)) {
        atomic_store(&file->shared->left, 1);
        result = nvm__free_entry(file);
    }
    nvm__leave_state(file->pool, inner);
    nvm__unlock_file(file, mask);
    return result;
}
