/* Putting files under the log and taking them out. */
#include "nvm_internal.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <zio/signals.h>

#include "bytes.h"

/* A descriptor of the pool's own for the same file, which reads and writes. */
static int reopen(int descriptor) {
    char path[32] = "/proc/self/fd/";
    char digits[12];
    int count = 0, at = 14;
    for (int rest = descriptor; count == 0 || rest > 0; rest /= 10)
        digits[count++] = (char)('0' + rest % 10);
    while (count > 0)
        path[at++] = digits[--count];
    path[at] = 0;
    return (int)zio_syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
}

static struct zio_nvm_file *find_file(struct zio_nvm_pool *pool, uint64_t device,
                                      uint64_t inode) {
    for (uint32_t slot = 0; slot < pool->file_slots; slot++) {
        struct zio_nvm_file *file = &pool->files[slot];
        if (file->known && file->descriptor >= 0 && file->device == device && file->inode == inode)
            return file;
    }
    return NULL;
}

static struct zio_nvm_file *free_slot(struct zio_nvm_pool *pool) {
    for (uint32_t slot = 0; slot < pool->file_slots; slot++)
        if (!pool->files[slot].known)
            return &pool->files[slot];
    return NULL;
}

static int start_file(struct zio_nvm_file *file, int descriptor, const char *path,
                      uint32_t path_bytes) {
    file->descriptor = descriptor;
    int result = nvm__note_target(file);
    if (result < 0)
        return result;
    atomic_store(&file->bytes, file->entry->bytes);
    file->entry->use++;
    file->entry->path_bytes = path_bytes;
    zio__zero_bytes(file->entry->path, sizeof file->entry->path);
    zio__copy_bytes(file->entry->path, path, path_bytes);
    file->entry->state = NVM_FILE_USED;
    zio_lock_exclusive(&file->lock);
    /* Where space cannot be reserved, writes could not be promised. */
    result = nvm__reserve(file, file->entry->bytes, 1);
    zio_unlock_exclusive(&file->lock);
    return result;
}

static int attach_locked(struct zio_nvm_pool *pool, int descriptor, const struct stat *wanted,
                         const char *path, uint32_t path_bytes, struct zio_nvm_file **result) {
    struct zio_nvm_file *file = find_file(pool, wanted->st_dev, wanted->st_ino);
    if (file && atomic_load(&file->left))
        return ZIO_ENOTSUP;
    if (file) {
        zio_syscall(SYS_close, descriptor);
    } else {
        file = free_slot(pool);
        if (!file)
            return -ENFILE;
        int code = start_file(file, descriptor, path, path_bytes);
        if (code < 0) {
            file->descriptor = -1; /* the caller's still */
            nvm__forget_file(file);
            nvm__write_entry(file);
            return code == -EOPNOTSUPP ? ZIO_ENOTSUP : code;
        }
    }
    file->device = wanted->st_dev;
    file->inode = wanted->st_ino;
    file->known = true;
    file->users++;
    *result = file;
    return 0;
}

int zio_nvm_attach(struct zio_nvm_pool *pool, int descriptor, const char *path,
                   struct zio_nvm_file **file, struct zio_nvm_problem *problem) {
    int usable = nvm__usable(pool);
    if (usable < 0 || pool->read_only)
        return nvm__system(problem, usable < 0 ? usable : ZIO_EINVAL, "attach", path);
    uint32_t path_bytes = 0;
    while (path_bytes < NVM_PATH_BYTES && path[path_bytes])
        path_bytes++;
    if (path_bytes == NVM_PATH_BYTES || path[0] != '/')
        return nvm__system(problem, path_bytes == NVM_PATH_BYTES ? -ENAMETOOLONG : ZIO_EINVAL,
                           "attach", path);
    struct stat wanted;
    long result = zio_syscall(SYS_fstat, descriptor, &wanted);
    if (result == 0 && !S_ISREG(wanted.st_mode))
        result = ZIO_ENOTSUP;
    if (result < 0)
        return nvm__system(problem, (int)result, "fstat", path);
    int own = reopen(descriptor);
    if (own < 0)
        return nvm__system(problem, own, "open", path);
    for (int attempt = 0; attempt < 2; attempt++) {
        uint64_t mask = zio_signals_block();
        zio_lock_exclusive(&pool->table_lock);
        result = attach_locked(pool, own, &wanted, path, path_bytes, file);
        zio_unlock_exclusive(&pool->table_lock);
        zio_signals_restore(mask);
        /* Places of files that nobody has open come free by a digest. */
        if (result != -ENFILE || attempt == 1 || zio_nvm_digest(pool, NULL) < 0)
            break;
    }
    if (result < 0) {
        zio_syscall(SYS_close, own);
        return nvm__system(problem, (int)result, "attach", path);
    }
    return 0;
}

int zio_nvm_find(struct zio_nvm_pool *pool, uint64_t device, uint64_t inode,
                 struct zio_nvm_file **file) {
    if (nvm__usable(pool) == ZIO_ENOTSUP)
        return ZIO_ENOTSUP;
    uint64_t mask = zio_signals_block();
    zio_lock_exclusive(&pool->table_lock);
    struct zio_nvm_file *found = find_file(pool, device, inode);
    if (found)
        found->users++;
    zio_unlock_exclusive(&pool->table_lock);
    zio_signals_restore(mask);
    if (!found)
        return ZIO_ENOENT;
    *file = found;
    return 0;
}

int zio_nvm_detach(struct zio_nvm_file *file) {
    uint64_t mask = zio_signals_block();
    zio_lock_exclusive(&file->pool->table_lock);
    if (file->users > 0 && --file->users == 0 && atomic_load(&file->left))
        nvm__forget_file(file);
    zio_unlock_exclusive(&file->pool->table_lock);
    zio_signals_restore(mask);
    return 0;
}
