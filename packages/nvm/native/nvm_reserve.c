/* Space in the targets: allocated before a write is acknowledged, so that the digest does not find
 * the disk full, and given back when the log is done with the file. */
#include "nvm_internal.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <linux/falloc.h>

#include <zio/syscall.h>

/* The target keeps its times where they are the user's to set: to reserve is no write. */
static void restore_time(int fd, const struct stat *before) {
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, before->st_mtim};
    zio_syscall(SYS_utimensat, fd, NULL, times, 0);
}

/* Gives back what was reserved beyond the end of the target, which keeps its times. */
void nvm__trim_target(struct zio_nvm_file *file) {
    struct stat found;
    int fd = atomic_load(&file->target.number);
    if (file->shared->reserved_to == 0 || zio_syscall(SYS_fstat, fd, &found) < 0)
        return;
    if (zio_syscall(SYS_ftruncate, fd, found.st_size) == 0)
        restore_time(fd, &found);
}

/* As the kernel would refuse it now; what is acknowledged must not be refused later. */
bool nvm__exceeds_limit(uint64_t end) {
    struct {
        uint64_t now, most;
    } limit;
    return zio_syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) == 0 && end > limit.now;
}

uint64_t nvm__space_ahead(const struct zio_nvm_pool *pool) {
    uint64_t bytes = pool->blocks * NVM_PAGE / 8;
    uint64_t least = 1 << 20, most = 64 << 20;
    return bytes < least ? least : bytes > most ? most : bytes;
}

/* The rest of it is the worker's to allocate. */
static uint64_t ahead(const struct zio_nvm_pool *pool) {
    uint64_t all = nvm__space_ahead(pool);
    return all / 8 < 1 << 20 ? 1 << 20 : all / 8;
}

int nvm__allocate_space(struct zio_nvm_file *file, uint64_t from, uint64_t length) {
    int fd = atomic_load(&file->target.number);
    struct stat before;
    long known = zio_syscall(SYS_fstat, fd, &before), result;
    do
        result = zio_syscall(SYS_fallocate, fd, FALLOC_FL_KEEP_SIZE, from, length);
    while (result == -EINTR);
    if (known == 0 && result == 0)
        restore_time(fd, &before);
    return (int)result;
}

static int sync_target(struct zio_nvm_file *file) {
    const struct zio_nvm_observer *observer = file->pool->pm.observer;
    int fd = atomic_load(&file->target.number);
    long result = zio_syscall(SYS_fsync, fd);
    if (result == 0 && observer)
        observer->file_sync(observer->context, fd);
    return (int)result;
}

/* Allocating may change the target's time of modification, so it is noted as the pool's own doing
 * around it. */
int nvm__reserve(struct zio_nvm_file *file, uint64_t offset, uint64_t length) {
    struct nvm_shared_file *shared = file->shared;
    uint64_t end = offset + length, from = offset;
    if (offset >= shared->reserved_from && end <= shared->reserved_to)
        return 0;
    if (nvm__exceeds_limit(end))
        return -EFBIG;
    bool extends = offset >= shared->reserved_from && offset <= shared->reserved_to &&
                   shared->reserved_to > shared->reserved_from;
    if (extends)
        from = shared->reserved_to;
    uint64_t more = end >= atomic_load(&shared->bytes) ? ahead(file->pool) : 0;
    bool noted = atomic_load(&shared->digesting); /* by the digest that runs, which will note it at its end */
    int result = nvm__open_target(file, NULL);
    if (result != 0)
        return result < 0 ? result : -ESTALE;
    if (!noted) {
        nvm__fetch_entry(file);
        file->entry->state = NVM_FILE_CHANGING;
        result = nvm__write_entry(file);
    }
    if (result < 0)
        return result;
    int allocated = nvm__allocate_space(file, from, end - from + more);
    if (allocated < 0 && more > 0) {
        more = 0;
        allocated = nvm__allocate_space(file, from, end - from);
    }
    /* Before it is noted: a power cut would give back the space, and the older time. */
    result = sync_target(file);
    if (!noted) {
        if (result == 0)
            result = nvm__note_target(file);
        file->entry->state = NVM_FILE_USED;
        if (result == 0)
            result = nvm__write_entry(file);
    }
    if (allocated < 0 || result < 0)
        return allocated < 0 ? allocated : result;
    if (!extends)
        shared->reserved_from = from;
    shared->reserved_to = end + more;
    return 0;
}
