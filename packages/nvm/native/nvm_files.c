/* The files under the log: their entries in the pool, and what the targets are known to look like.
 * Each entry has two copies, written one after the other. */
#include "nvm_internal.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <zio/syscall.h>

#include "bytes.h"

static uint64_t entry_at(uint32_t slot, unsigned copy) {
    return NVM_FILES + (uint64_t)slot * NVM_FILE_BYTES + copy * NVM_PAGE;
}

static uint32_t entry_crc(const struct zio_nvm_pool *pool, const struct nvm_file_entry *entry) {
    return nvm__crc32c(pool->seed, &entry->state, sizeof *entry - sizeof entry->crc);
}

/* An entry that was never used is all zeros: its first words say enough. */
static bool is_entry_valid(const struct zio_nvm_pool *pool, const struct nvm_file_entry *entry) {
    if (entry->crc == 0 && entry->state == 0 && entry->generation == 0)
        return true;
    return entry->crc == entry_crc(pool, entry) && entry->state <= NVM_FILE_CHANGING &&
           entry->path[NVM_PATH_BYTES - 1] == 0;
}

int nvm__choose_entry(struct zio_nvm_pool *pool, uint32_t slot, uint32_t *copy,
                      uint32_t *damaged) {
    const struct nvm_file_entry *best = NULL;
    for (unsigned i = 0; i < 2; i++) {
        const struct nvm_file_entry *entry = nvm__at(pool, entry_at(slot, i));
        if (!is_entry_valid(pool, entry))
            ++*damaged;
        else if (!best || entry->generation > best->generation) {
            best = entry;
            *copy = i;
        }
    }
    return best ? 0 : -EIO;
}

/* An entry that was never used is all zeros, and so is its copy. */
void nvm__fetch_entry(struct zio_nvm_file *file) {
    const void *entry = nvm__at(file->pool, entry_at(file->slot, file->shared->copy));
    zio__copy_bytes(file->entry, entry, sizeof *file->entry);
}

static int load_file(struct zio_nvm_file *file, uint32_t *repaired,
                     struct zio_nvm_problem *problem) {
    struct nvm_shared_file *shared = file->shared;
    if (nvm__choose_entry(file->pool, file->slot, &shared->copy, repaired) < 0)
        return nvm__problem(problem, ZIO_NVM_FILE_SLOT_DAMAGED, -EIO, entry_at(file->slot, 0),
                            NULL);
    nvm__fetch_entry(file);
    shared->use = file->entry->use;
    shared->device = file->entry->device;
    shared->inode = file->entry->inode;
    atomic_store(&shared->known, file->entry->state != NVM_FILE_FREE);
    atomic_store(&shared->bytes, file->entry->bytes);
    return 0;
}

int nvm__init_files(struct zio_nvm_pool *pool, bool load, uint32_t *repaired,
                    struct zio_nvm_problem *problem) {
    size_t bytes = pool->file_slots * (sizeof *pool->files + NVM_PAGE);
    unsigned char *pages = zio_pages_alloc(bytes);
    if (!pages)
        return nvm__system(problem, ZIO_ENOMEM, "mmap", NULL);
    pool->files = (struct zio_nvm_file *)(pages + (size_t)pool->file_slots * NVM_PAGE);
    for (uint32_t slot = 0; slot < pool->file_slots; slot++) {
        struct zio_nvm_file *file = &pool->files[slot];
        file->pool = pool;
        file->slot = slot;
        file->shared = &pool->shared->files[slot];
        file->target.number = -1;
        file->entry = (struct nvm_file_entry *)(pages + (size_t)slot * NVM_PAGE);
        zio_view_tree_init(&file->tree, &pool->nodes, NULL);
        int result = load ? load_file(file, repaired, problem) : 0;
        if (result < 0)
            return result;
    }
    return 0;
}

int nvm__write_entry(struct zio_nvm_file *file) {
    struct zio_nvm_pool *pool = file->pool;
    for (int i = 0; i < 2; i++) {
        struct zio_pm_batch batch;
        batch.count = 0;
        /* Not the newest first: it may be the only one that is whole. */
        uint32_t copy = file->shared->copy ^ 1;
        uint64_t at = entry_at(file->slot, copy);
        file->entry->generation++;
        file->entry->crc = entry_crc(pool, file->entry);
        zio_pm_store(&pool->pm, at, file->entry, sizeof *file->entry);
        zio_pm_flush(&pool->pm, &batch, at, sizeof *file->entry);
        int result = zio_pm_fence(&pool->pm, &batch);
        if (result < 0)
            return result;
        file->shared->copy = copy;
    }
    return 0;
}

int nvm__free_entry(struct zio_nvm_file *file) {
    if (nvm__has_target(file))
        nvm__unmark_target(file);
    nvm__fetch_entry(file);
    file->entry->state = NVM_FILE_FREE;
    return nvm__write_entry(file);
}

static int stat_target(int descriptor, struct statx *found) {
    return (int)zio_syscall(SYS_statx, descriptor, "", AT_EMPTY_PATH,
                            STATX_BASIC_STATS | STATX_BTIME, found);
}

static uint64_t device_of(const struct statx *found) {
    return (uint64_t)found->stx_dev_major << 32 | found->stx_dev_minor;
}

/* stat encodes it in another way than statx. */
uint64_t nvm__device_of_stat(uint64_t device) {
    uint64_t major = (device >> 8 & 0xfff) | (device >> 32 & 0xfffff000);
    uint64_t minor = (device & 0xff) | (device >> 12 & 0xffffff00);
    return major << 32 | minor;
}

int nvm__note_target(struct zio_nvm_file *file) {
    struct statx found;
    int result = stat_target(atomic_load(&file->target.number), &found);
    if (result < 0)
        return result;
    struct nvm_file_entry *entry = file->entry;
    entry->device = device_of(&found);
    entry->inode = found.stx_ino;
    bool born = found.stx_mask & STATX_BTIME;
    entry->birth_s = born ? (uint64_t)found.stx_btime.tv_sec : 0;
    entry->birth_ns = born ? found.stx_btime.tv_nsec : 0;
    entry->bytes = found.stx_size;
    entry->modified_s = (uint64_t)found.stx_mtime.tv_sec;
    entry->modified_ns = found.stx_mtime.tv_nsec;
    file->shared->device = entry->device;
    file->shared->inode = entry->inode;
    atomic_store(&file->is_other, false);
    return 0;
}

bool nvm__has_target(const struct zio_nvm_file *file) {
    return file->use == file->shared->use && nvm__is_kept(&file->target) &&
           !atomic_load(&file->is_other) && !atomic_load(&file->reads_only);
}

static int take_target(struct zio_nvm_file *file, int mode, struct zio_nvm_problem *problem) {
    nvm__drop(&file->target);
    nvm__fetch_entry(file);
    atomic_store(&file->reads_only, mode == O_RDONLY);
    long fd = zio_syscall(SYS_openat, AT_FDCWD, file->entry->path,
                          mode | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0);
    if (fd == -ENOENT || fd == -ENOTDIR)
        return nvm__problem(problem, ZIO_NVM_FILE_MISSING, ZIO_ENOENT, entry_at(file->slot, 0),
                            file->entry->path);
    int result = nvm__keep_at(&file->target, fd);
    if (result < 0)
        return nvm__system(problem, result, "open", file->entry->path);
    file->use = file->shared->use;
    /* Another one under that name: only who accepts changes may take it. */
    bool is_other = file->target.inode != file->shared->inode;
    atomic_store(&file->is_other, is_other);
    return is_other;
}

int nvm__open_target(struct zio_nvm_file *file, struct zio_nvm_problem *problem) {
    return nvm__has_target(file) ? 0 : take_target(file, O_RDWR, problem);
}

int nvm__open_target_to_read(struct zio_nvm_file *file) {
    int result = nvm__open_target(file, NULL);
    return result == -EACCES || result == -EPERM || result == -EROFS
               ? take_target(file, O_RDONLY, NULL)
               : result;
}

/* Device numbers may differ after a start of the machine, so they are not compared. While the pool
 * itself was changing the file, its size lies between what it was and what the log makes it. */
int nvm__check_target(struct zio_nvm_file *file, bool accept_changed,
                      struct zio_nvm_problem *problem) {
    const struct nvm_file_entry *entry = file->entry;
    struct statx found;
    nvm__fetch_entry(file);
    int result = stat_target(atomic_load(&file->target.number), &found);
    if (result < 0)
        return nvm__system(problem, result, "statx", entry->path);
    bool same = (found.stx_mode & 0170000) == 0100000;
    if (same && !accept_changed) {
        same = found.stx_ino == entry->inode;
        if (entry->birth_s && found.stx_mask & STATX_BTIME)
            same = same && (uint64_t)found.stx_btime.tv_sec == entry->birth_s &&
                   found.stx_btime.tv_nsec == entry->birth_ns;
        if (entry->state == NVM_FILE_CHANGING)
            same = same && found.stx_size >= entry->bytes &&
                   found.stx_size <= atomic_load(&file->shared->bytes);
        else
            same = same && found.stx_size == entry->bytes &&
                   (uint64_t)found.stx_mtime.tv_sec == entry->modified_s &&
                   found.stx_mtime.tv_nsec == entry->modified_ns;
    }
    if (same)
        return 0;
    return nvm__problem(problem, ZIO_NVM_FILE_CHANGED, -ESTALE, entry_at(file->slot, 0),
                        entry->path);
}

bool nvm__is_used(const struct nvm_shared_file *shared) {
    uint64_t any = 0;
    for (int i = 0; i < NVM_MEMBER_WORDS; i++)
        any |= shared->users[i];
    return any != 0;
}

/* Where closing a descriptor of a file ends no record locks that the program goes on with. */
static bool may_open_any(const struct zio_nvm_pool *pool) {
    return pool->is_worker || pool->closes || !atomic_load(&pool->shared->founded);
}

int nvm__forget_file(struct zio_nvm_file *file) {
    struct nvm_shared_file *shared = file->shared;
    if (may_open_any(file->pool))
        nvm__open_target(file, NULL);
    if (nvm__has_target(file))
        nvm__trim_target(file);
    int result = nvm__free_entry(file);
    atomic_store(&shared->known, 0);
    atomic_store(&shared->left, 0);
    atomic_store(&shared->modified_ns, 0);
    atomic_store(&shared->last_sequence, 0);
    atomic_store(&shared->digesting, 0);
    shared->altering = 0;
    shared->reserved_from = shared->reserved_to = 0;
    return result;
}
