/* The files under the log: their entries in the pool, what the targets are known to look like, and
 * the space reserved in them. Each entry has two copies, written one after the other. */
#include "nvm_internal.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <linux/falloc.h>

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

static int load_file(struct zio_nvm_pool *pool, uint32_t slot, uint32_t *repaired,
                     struct zio_nvm_problem *problem) {
    struct zio_nvm_file *file = &pool->files[slot];
    const struct nvm_file_entry *best = NULL;
    for (unsigned copy = 0; copy < 2; copy++) {
        const struct nvm_file_entry *entry = nvm__at(pool, entry_at(slot, copy));
        if (!is_entry_valid(pool, entry))
            ++*repaired;
        else if (!best || entry->generation > best->generation) {
            best = entry;
            file->copy = copy;
        }
    }
    if (!best)
        return nvm__problem(problem, ZIO_NVM_FILE_SLOT_DAMAGED, -EIO, entry_at(slot, 0), NULL);
    file->pool = pool;
    file->slot = slot;
    file->descriptor = -1;
    zio_view_tree_init(&file->tree, &pool->nodes, NULL);
    if (best->generation > 0)
        zio__copy_bytes(file->entry, best, sizeof *best);
    file->known = file->entry->state != NVM_FILE_FREE;
    atomic_store(&file->bytes, best->bytes);
    return 0;
}

int nvm__load_files(struct zio_nvm_pool *pool, uint32_t *repaired,
                    struct zio_nvm_problem *problem) {
    size_t bytes = pool->file_slots * (sizeof *pool->files + NVM_PAGE);
    unsigned char *pages = zio_pages_alloc(bytes);
    if (!pages)
        return nvm__system(problem, ZIO_ENOMEM, "mmap", NULL);
    pool->files = (struct zio_nvm_file *)(pages + (size_t)pool->file_slots * NVM_PAGE);
    for (uint32_t slot = 0; slot < pool->file_slots; slot++) {
        pool->files[slot].entry = (struct nvm_file_entry *)(pages + (size_t)slot * NVM_PAGE);
        int result = load_file(pool, slot, repaired, problem);
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
        file->copy ^= 1; /* not the newest first: it may be the only one that is whole */
        uint64_t at = entry_at(file->slot, file->copy);
        file->entry->generation++;
        file->entry->crc = entry_crc(pool, file->entry);
        zio_pm_store(&pool->pm, at, file->entry, sizeof *file->entry);
        zio_pm_flush(&pool->pm, &batch, at, sizeof *file->entry);
        int result = zio_pm_fence(&pool->pm, &batch);
        if (result < 0)
            return result;
    }
    return 0;
}

static int stat_target(int descriptor, struct statx *found) {
    return (int)zio_syscall(SYS_statx, descriptor, "", AT_EMPTY_PATH,
                            STATX_BASIC_STATS | STATX_BTIME, found);
}

static uint64_t device_of(const struct statx *found) {
    return (uint64_t)found->stx_dev_major << 32 | found->stx_dev_minor;
}

int nvm__note_target(struct zio_nvm_file *file) {
    struct statx found;
    int result = stat_target(file->descriptor, &found);
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
    return 0;
}

int nvm__open_target(struct zio_nvm_file *file, struct zio_nvm_problem *problem) {
    if (file->descriptor >= 0)
        return 0;
    long fd = zio_syscall(SYS_openat, AT_FDCWD, file->entry->path,
                          O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0);
    if (fd == -ENOENT || fd == -ENOTDIR)
        return nvm__problem(problem, ZIO_NVM_FILE_MISSING, ZIO_ENOENT, entry_at(file->slot, 0),
                            file->entry->path);
    if (fd < 0)
        return nvm__system(problem, (int)fd, "open", file->entry->path);
    file->descriptor = (int)fd;
    return 0;
}

/* Device numbers may differ after a start of the machine, so they are not compared. While the pool
 * itself was changing the file, its size lies between what it was and what the log makes it. */
int nvm__check_target(struct zio_nvm_file *file, bool accept_changed,
                      struct zio_nvm_problem *problem) {
    const struct nvm_file_entry *entry = file->entry;
    struct statx found;
    int result = stat_target(file->descriptor, &found);
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
                   found.stx_size <= atomic_load(&file->bytes);
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

/* Gives back what was reserved beyond the end of the target, which keeps its times. */
static void trim_target(const struct zio_nvm_file *file) {
    struct statx found;
    if (file->reserved_to == 0 || stat_target(file->descriptor, &found) < 0)
        return;
    struct timespec times[2] = {
        {.tv_nsec = UTIME_OMIT},
        {.tv_sec = found.stx_mtime.tv_sec, .tv_nsec = found.stx_mtime.tv_nsec}};
    if (zio_syscall(SYS_ftruncate, file->descriptor, found.stx_size) == 0)
        zio_syscall(SYS_utimensat, file->descriptor, NULL, times, 0);
}

void nvm__forget_file(struct zio_nvm_file *file) {
    if (file->descriptor >= 0) {
        trim_target(file);
        zio_syscall(SYS_close, file->descriptor);
    }
    file->descriptor = -1;
    file->changing = false;
    atomic_store(&file->left, false);
    atomic_store(&file->modified_ns, 0);
    file->entry->state = NVM_FILE_FREE;
    file->known = false;
    file->reserved_from = file->reserved_to = 0;
    file->last_sequence = 0;
    zio_view_tree_clear(&file->tree);
}

/* As the kernel would refuse it now; what is acknowledged must not be refused later. */
static bool exceeds_limit(uint64_t end) {
    struct {
        uint64_t now, most;
    } limit;
    return zio_syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) == 0 && end > limit.now;
}

static uint64_t ahead(const struct zio_nvm_pool *pool) {
    uint64_t bytes = (pool->bytes - pool->data_offset) / 8;
    uint64_t least = 1 << 20, most = 64 << 20;
    return bytes < least ? least : bytes > most ? most : bytes;
}

static int allocate_space(struct zio_nvm_file *file, uint64_t from, uint64_t length) {
    long result;
    do
        result = zio_syscall(SYS_fallocate, file->descriptor, FALLOC_FL_KEEP_SIZE, from, length);
    while (result == -EINTR);
    return (int)result;
}

/* Under the file's lock. Allocating changes the target's time of modification, so it is noted as
 * the pool's own doing around it. */
int nvm__reserve(struct zio_nvm_file *file, uint64_t offset, uint64_t length) {
    uint64_t end = offset + length, from = offset;
    if (offset >= file->reserved_from && end <= file->reserved_to)
        return 0;
    if (exceeds_limit(end))
        return -EFBIG;
    bool extends = offset >= file->reserved_from && offset <= file->reserved_to &&
                   file->reserved_to > file->reserved_from;
    if (extends)
        from = file->reserved_to;
    uint64_t more = end >= atomic_load(&file->bytes) ? ahead(file->pool) : 0;
    bool noted = file->changing; /* by the digest that runs, which will note it at its end */
    file->entry->state = NVM_FILE_CHANGING;
    int result = noted ? 0 : nvm__write_entry(file);
    if (result < 0)
        return result;
    int allocated = allocate_space(file, from, end - from + more);
    if (allocated < 0 && more > 0) {
        more = 0;
        allocated = allocate_space(file, from, end - from);
    }
    if (!noted) {
        result = nvm__note_target(file);
        file->entry->state = NVM_FILE_USED;
        if (result == 0)
            result = nvm__write_entry(file);
    }
    if (allocated < 0 || result < 0)
        return allocated < 0 ? allocated : result;
    if (!extends)
        file->reserved_from = from;
    file->reserved_to = end + more;
    return 0;
}
