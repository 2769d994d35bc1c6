/* Putting files under the log and taking them out. A file is in use by members, which is shared, and
 * within a member by those who attached it. */
#include "nvm_internal.h"

#include <fcntl.h>
#include <sys/stat.h>


#include "bytes.h"

static struct zio_nvm_file *find_file(struct zio_nvm_pool *pool, uint64_t device,
                                      uint64_t inode) {
    for (uint32_t slot = 0; slot < pool->file_slots; slot++) {
        const struct nvm_shared_file *shared = pool->files[slot].shared;
        if (atomic_load(&shared->known) && shared->device == device && shared->inode == inode)
            return &pool->files[slot];
    }
    return NULL;
}

static struct zio_nvm_file *free_slot(struct zio_nvm_pool *pool) {
    for (uint32_t slot = 0; slot < pool->file_slots; slot++)
        if (!atomic_load(&pool->files[slot].shared->known) && pool->files[slot].users == 0)
            return &pool->files[slot];
    return NULL;
}

/* Takes over *fd: the target of the file from now on. */
static int become_target(struct zio_nvm_file *file, long *fd) {
    nvm__drop(&file->target);
    int result = nvm__has_locks((int)*fd) ? nvm__keep_at(&file->target, *fd)
                                            : nvm__keep(&file->target, *fd);
    atomic_store(&file->reads_only, false);
    *fd = -1;
    file->use = file->shared->use;
    atomic_store(&file->is_other, false);
    return result;
}

static int start_file(struct zio_nvm_file *file, long *fd, const char *path, uint32_t path_bytes) {
    struct nvm_shared_file *shared = file->shared;
    nvm__fetch_entry(file);
    shared->use = file->entry->use + 1;
    int result = become_target(file, fd);
    if (result == 0)
        result = nvm__note_target(file);
    if (result < 0)
        return result;
    struct nvm_file_entry *entry = file->entry;
    atomic_store(&shared->bytes, entry->bytes);
    atomic_store(&shared->modified_ns, 0);
    atomic_store(&shared->last_sequence, 0);
    atomic_store(&shared->left, 0);
    shared->reserved_from = shared->reserved_to = 0;
    atomic_store(&shared->digesting, 0);
    shared->altering = shared->unaided = 0;
    entry->use = shared->use;
    entry->path_bytes = path_bytes;
    zio__zero_bytes(entry->path, sizeof entry->path);
    zio__copy_bytes(entry->path, path, path_bytes);
    entry->state = NVM_FILE_USED;
    result = nvm__write_entry(file);
    nvm__mark_target(file); /* durable with the space that comes next */
    /* Where space cannot be reserved, writes could not be promised. */
    if (result == 0)
        result = nvm__reserve(file, atomic_load(&shared->bytes), 1);
    return result;
}

/* Under the table's lock; the member is counted already. */
static void use_file(struct zio_nvm_file *file) {
    struct zio_nvm_pool *pool = file->pool;
    if (file->users++ > 0)
        return;
    /* The trees lack what it has in the log. */
    zio_lock_exclusive(&pool->index_lock);
    pool->index.valid = false;
    zio_unlock_exclusive(&pool->index_lock);
}

/* Whether a descriptor of ours for the file is there already. */
static bool has_target(struct zio_nvm_pool *pool, const struct stat *wanted) {
    uint64_t mask = nvm__enter_state(pool);
    const struct zio_nvm_file *file =
        find_file(pool, nvm__device_of_stat(wanted->st_dev), wanted->st_ino);
    bool has = file && nvm__has_target(file);
    nvm__leave_state(pool, mask);
    return has;
}

/* Under the state lock. *fd is -1 where it was taken over, or is not needed. */
static int attach_locked(struct zio_nvm_pool *pool, long *fd, const struct stat *wanted,
                         const char *path, uint32_t path_bytes, struct zio_nvm_file **result) {
    struct zio_nvm_file *file =
        find_file(pool, nvm__device_of_stat(wanted->st_dev), wanted->st_ino);
    if (file && atomic_load(&file->shared->left)) {
        if (nvm__is_used(file->shared))
            return ZIO_ENOTSUP;
        nvm__forget_file(file); /* by those who died */
        file = NULL;
    }
    if (file) {
        if (*fd >= 0 && !nvm__has_target(file))
            become_target(file, fd);
        *result = file;
        return 0;
    }
    file = free_slot(pool);
    if (!file || *fd < 0)
        return file ? ZIO_EAGAIN : -ENFILE;
    int code = start_file(file, fd, path, path_bytes);
    if (code < 0) {
        nvm__forget_file(file);
        nvm__drop(&file->target);
        return code == -EOPNOTSUPP ? ZIO_ENOTSUP : code;
    }
    atomic_store(&file->shared->known, 1);
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
    bool needed = !has_target(pool, &wanted);
    long own = needed ? nvm__reopen(descriptor) : -EBADF;
    if (needed && own < 0)
        return nvm__system(problem, (int)own, "open", path);
    for (int attempt = 0;; attempt++) {
        uint64_t mask = nvm__block_signals(pool);
        zio_lock_exclusive(&pool->table_lock);
        uint64_t inner = nvm__enter_state(pool);
        result = attach_locked(pool, &own, &wanted, path, path_bytes, file);
        if (result == 0)
            (*file)->shared->users[pool->slot / 64] |= UINT64_C(1) << pool->slot % 64;
        nvm__leave_state(pool, inner);
        if (result == 0)
            use_file(*file);
        zio_unlock_exclusive(&pool->table_lock);
        nvm__restore_signals(pool, mask);
        /* Forgotten since it was looked at. */
        if (result == ZIO_EAGAIN && (own = nvm__reopen(descriptor)) >= 0)
            continue;
        /* Places of files that nobody has open come free by a digest. */
        if (result != -ENFILE || attempt > 0 || zio_nvm_digest(pool, NULL) < 0)
            break;
    }
    if (own >= 0)
        zio_syscall(SYS_close, own);
    return result < 0 ? nvm__system(problem, (int)result, "attach", path) : 0;
}

int zio_nvm_find(struct zio_nvm_pool *pool, uint64_t device, uint64_t inode,
                 struct zio_nvm_file **file) {
    if (nvm__usable(pool) == ZIO_ENOTSUP || pool->read_only)
        return ZIO_ENOTSUP;
    uint64_t mask = nvm__block_signals(pool);
    zio_lock_exclusive(&pool->table_lock);
    uint64_t inner = nvm__enter_state(pool);
    struct zio_nvm_file *found = find_file(pool, nvm__device_of_stat(device), inode);
    if (found && atomic_load(&found->shared->left) && !nvm__is_used(found->shared))
        found = NULL;
    if (found)
        found->shared->users[pool->slot / 64] |= UINT64_C(1) << pool->slot % 64;
    nvm__leave_state(pool, inner);
    if (found)
        use_file(found);
    zio_unlock_exclusive(&pool->table_lock);
    nvm__restore_signals(pool, mask);
    if (!found)
        return ZIO_ENOENT;
    *file = found;
    return 0;
}

/* The last use of a file that was left makes it one that can be attached again. */
int zio_nvm_detach(struct zio_nvm_file *file) {
    struct zio_nvm_pool *pool = file->pool;
    struct nvm_shared_file *shared = file->shared;
    if (nvm__usable(pool) == ZIO_ENOTSUP)
        return ZIO_ENOTSUP;
    int result = 0;
    uint64_t mask = nvm__block_signals(pool);
    zio_lock_exclusive(&pool->table_lock);
    if (file->users > 0 && --file->users == 0) {
        uint64_t inner = nvm__enter_state(pool);
        shared->users[pool->slot / 64] &= ~(UINT64_C(1) << pool->slot % 64);
        bool used = nvm__is_used(shared);
        if (atomic_load(&shared->left) && !used)
            result = nvm__forget_file(file);
        if (!atomic_load(&shared->known) ||
            (used && atomic_load(&shared->last_sequence) < atomic_load(&pool->shared->retired)))
            nvm__drop(&file->target);
        nvm__leave_state(pool, inner);
    }
    zio_unlock_exclusive(&pool->table_lock);
    nvm__restore_signals(pool, mask);
    return result;
}
