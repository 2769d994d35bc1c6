/* Files that others look at or change by ways of the kernel: what they look like with the log, and
 * how they are brought up to date, changed, and left to the kernel. */
#include "nvm_internal.h"

#include <sys/stat.h>

#include <zio/signals.h>

#include "bytes.h"

uint64_t zio_nvm_retired(struct zio_nvm_pool *pool) {
    return atomic_load(&pool->retired);
}

int zio_nvm_status(struct zio_nvm_file *file, struct zio_storage_status *status) {
    int usable = nvm__usable(file->pool);
    if (usable == ZIO_ENOTSUP || atomic_load(&file->left))
        return ZIO_ENOTSUP;
    uint64_t modified = atomic_load(&file->modified_ns);
    status->bytes = atomic_load(&file->bytes);
    if (modified != 0) {
        status->modified.tv_sec = (time_t)(modified / UINT64_C(1000000000));
        status->modified.tv_nsec = (long)(modified % UINT64_C(1000000000));
        return 0;
    }
    struct stat found;
    long result = zio_syscall(SYS_fstat, file->descriptor, &found);
    if (result == 0)
        status->modified = found.st_mtim;
    return (int)result;
}

static bool is_settled(const struct zio_nvm_file *file) {
    return atomic_load(&file->last_sequence) < atomic_load(&file->pool->retired);
}

int zio_nvm_settle(struct zio_nvm_file *file) {
    int usable = nvm__usable(file->pool);
    if (usable < 0)
        return usable;
    return is_settled(file) ? 0 : zio_nvm_digest(file->pool, NULL);
}

/* With 0 the file is settled, and its lock held with signals blocked. */
static int settle_and_lock(struct zio_nvm_file *file, uint64_t *mask) {
    for (;;) {
        int result = zio_nvm_settle(file);
        if (result < 0)
            return result;
        *mask = zio_signals_block();
        zio_lock_exclusive(&file->lock);
        if (is_settled(file))
            return 0;
        zio_unlock_exclusive(&file->lock);
        zio_signals_restore(*mask);
    }
}

int zio_nvm_begin_change(struct zio_nvm_file *file) {
    uint64_t mask;
    int result = atomic_load(&file->left) ? ZIO_ENOTSUP : settle_and_lock(file, &mask);
    if (result == 0)
        file->signals = mask;
    return result;
}

static int take_path(struct zio_nvm_file *file, const char *path) {
    uint32_t bytes = 0;
    while (bytes < NVM_PATH_BYTES && path[bytes])
        bytes++;
    if (bytes == NVM_PATH_BYTES)
        return -ENAMETOOLONG;
    zio__zero_bytes(file->entry->path, sizeof file->entry->path);
    zio__copy_bytes(file->entry->path, path, bytes);
    file->entry->path_bytes = bytes;
    return 0;
}

/* The entry goes: nothing of the file is in the log, and recovery is not to look for it. */
static int leave_to_kernel(struct zio_nvm_file *file) {
    atomic_store(&file->left, true);
    file->entry->state = NVM_FILE_FREE;
    return nvm__write_entry(file);
}

int zio_nvm_end_change(struct zio_nvm_file *file, const char *path) {
    uint64_t mask = file->signals;
    int result = 0;
    if (path && !path[0]) {
        result = leave_to_kernel(file);
    } else {
        result = path ? take_path(file, path) : 0;
        if (result == 0)
            result = nvm__note_target(file);
        atomic_store(&file->bytes, file->entry->bytes);
        atomic_store(&file->modified_ns, 0);
        file->reserved_from = file->reserved_to = 0;
        if (result == 0)
            result = nvm__write_entry(file);
        else
            leave_to_kernel(file);
    }
    zio_unlock_exclusive(&file->lock);
    zio_signals_restore(mask);
    return result;
}

int zio_nvm_leave(struct zio_nvm_file *file) {
    uint64_t mask;
    int result = settle_and_lock(file, &mask);
    if (result < 0)
        return result;
    result = atomic_load(&file->left) ? 0 : leave_to_kernel(file);
    zio_unlock_exclusive(&file->lock);
    zio_signals_restore(mask);
    return result;
}
