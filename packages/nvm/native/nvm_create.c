/* Making a pool: all of its space is allocated at once, so that writing to it cannot fail later. */
#include "nvm_internal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include <zio/syscall.h>

#include "bytes.h"

enum { LEAST_RING = 16384, LEAST_BLOCKS = 4, ZEROS_BYTES = 1 << 20 };
#define ZEROED_MAX (UINT64_C(4) << 30) /* seconds, on a disk */

enum { FALLOC_WRITE_ZEROES = 0x80 }; /* Linux 6.17 */

static int plan(const struct zio_nvm_create_options *options, struct nvm_header *header) {
    zio__zero_bytes(header, sizeof *header);
    uint64_t files = options->files, ring = options->ring_bytes;
    if (files == 0) {
        files = options->bytes / (4 << 20);
        files = files < 8 ? 8 : files > 1024 ? 1024 : files;
    }
    if (ring == 0)
        ring = options->bytes / 4;
    ring &= ~(uint64_t)(NVM_PAGE - 1);
    if (files > 1 << 16 || options->bytes % NVM_PAGE || options->bytes >= UINT64_C(1) << 46 ||
        ring >= options->bytes)
        return ZIO_EINVAL;
    if (ring < LEAST_RING)
        ring = LEAST_RING;
    header->magic = NVM_MAGIC;
    header->version = NVM_VERSION;
    header->flags = options->checksum_data ? NVM_FLAG_CHECKSUM_DATA : 0;
    header->file_slots = (uint32_t)files;
    header->shared_bytes = nvm__shared_bytes((uint32_t)files);
    header->ring_offset = NVM_FILES + files * NVM_FILE_BYTES + header->shared_bytes;
    header->ring_bytes = ring;
    header->data_offset = header->ring_offset + ring;
    return options->bytes < header->data_offset ||
                   nvm__count_blocks(options->bytes - header->data_offset) < LEAST_BLOCKS
               ? ZIO_EINVAL
               : 0;
}

static int make_identity(struct nvm_header *header) {
    struct timespec now = {0, 0};
    zio_syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    header->created_s = (uint64_t)now.tv_sec;
    if (zio_syscall(SYS_getrandom, header->uuid, sizeof header->uuid, 0) != sizeof header->uuid)
        return -EIO;
    header->uuid[6] = (uint8_t)((header->uuid[6] & 0x0f) | 0x40);
    header->uuid[8] = (uint8_t)((header->uuid[8] & 0x3f) | 0x80);
    header->crc = nvm__header_crc(header);
    return 0;
}

/* The header comes last: what a power cut leaves of a pool before that is not one. */
static int write_pool(struct zio_nvm_pool *pool, const struct nvm_header *header) {
    struct zio_pm_batch batch;
    batch.count = 0;
    pool->seed = nvm__crc32c(0, header->uuid, sizeof header->uuid);
    pool->super.state = NVM_CLEAN;
    pool->super.tail_sequence = 1;
    int result = nvm__write_super(pool);
    if (result < 0)
        return result;
    zio_pm_store(&pool->pm, NVM_HEADER_COPY, header, sizeof *header);
    zio_pm_store(&pool->pm, 0, header, sizeof *header);
    zio_pm_flush(&pool->pm, &batch, NVM_HEADER_COPY, sizeof *header);
    zio_pm_flush(&pool->pm, &batch, 0, sizeof *header);
    result = zio_pm_fence(&pool->pm, &batch);
    return result < 0 ? result : (int)zio_syscall(SYS_fsync, pool->pm.descriptor);
}

static void directory_of(const char *path, char directory[4096]) {
    size_t length = 0, cut = 0;
    for (; path[length] && length + 1 < 4096; length++) {
        directory[length] = path[length];
        if (path[length] == '/')
            cut = length + 1;
    }
    if (cut == 0)
        directory[cut++] = '.';
    directory[cut] = 0;
}

static int sync_directory(const char *path) {
    char directory[4096];
    directory_of(path, directory);
    long fd = zio_syscall(SYS_openat, AT_FDCWD, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return (int)fd;
    long result = zio_syscall(SYS_fsync, fd);
    zio_syscall(SYS_close, fd);
    return (int)result;
}

/* Space that is allocated and never written is marked so, and the mark goes by a transaction with each
 * first sync. Zeros are written instead, to as much as is soon done. */
static int write_zeros(const struct zio_nvm_pool *pool, int fd) {
    if (zio_syscall(SYS_fallocate, fd, FALLOC_WRITE_ZEROES, 0, pool->bytes) == 0)
        return 0; /* the disk does it by itself */
    void *zeros = zio_pages_alloc(ZEROS_BYTES);
    uint64_t end = pool->bytes < ZEROED_MAX ? pool->bytes : ZEROED_MAX, at = 0;
    long result = zeros ? 0 : ZIO_ENOMEM;
    while (at < end && (result >= 0 || result == -EINTR)) {
        uint64_t bytes = end - at < ZEROS_BYTES ? end - at : ZEROS_BYTES;
        result = zio_syscall(SYS_pwrite64, fd, zeros, bytes, at);
        at += result > 0 ? (uint64_t)result : 0;
    }
    if (zeros)
        zio_pages_free(zeros, ZEROS_BYTES);
    return result < 0 ? (int)result : 0;
}

static int fill_file(struct zio_nvm_pool *pool, int fd, const char *path,
                     struct nvm_header *header, struct zio_nvm_problem *problem) {
    long result;
    do
        result = zio_syscall(SYS_fallocate, fd, 0, 0, pool->bytes);
    while (result == -EINTR);
    if (result == -EOPNOTSUPP || (result == 0 && !nvm__keeps_locks(fd)))
        return nvm__problem(problem, ZIO_NVM_UNSUITABLE, ZIO_ENOTSUP, 0, path);
    if (result < 0)
        return nvm__system(problem, (int)result, "fallocate", path);
    result = make_identity(header);
    if (result < 0)
        return nvm__system(problem, (int)result, "getrandom", path);
    result = nvm__find_medium(pool, fd, path, problem);
    if (result == 0)
        result = nvm__map(pool, fd, pool->bytes, problem);
    if (result < 0)
        return (int)result;
    if (pool->pm.flush == ZIO_PM_MSYNC)
        result = write_zeros(pool, fd);
    if (result < 0)
        return nvm__system(problem, (int)result, "pwrite", path);
    result = write_pool(pool, header);
    return result < 0 ? nvm__system(problem, (int)result, "fsync", path) : 0;
}

/* A name for a file that has none: nobody finds a pool that is not complete, and none is left
 * behind. */
static int name_file(int fd, const char *path, struct zio_nvm_problem *problem) {
    char link[32];
    nvm__descriptor_path(fd, link);
    long result = zio_syscall(SYS_linkat, AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
    if (result == 0)
        result = sync_directory(path);
    return result < 0 ? nvm__system(problem, (int)result, "linkat", path) : 0;
}

static long open_nameless(const char *path) {
    char directory[4096];
    directory_of(path, directory);
    return zio_syscall(SYS_openat, AT_FDCWD, directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

static int make_pool(struct zio_nvm_pool *pool, const char *path, struct nvm_header *header,
                     struct zio_nvm_problem *problem) {
    struct stat there;
    if (zio_syscall(SYS_newfstatat, AT_FDCWD, path, &there, AT_SYMLINK_NOFOLLOW) == 0)
        return nvm__system(problem, ZIO_EEXIST, "open", path);
    long fd = open_nameless(path);
    bool nameless = fd >= 0;
    if (fd == -EOPNOTSUPP || fd == -EISDIR || fd == -ENOENT)
        fd = zio_syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return nvm__system(problem, (int)fd, "open", path);
    int result = fill_file(pool, (int)fd, path, header, problem);
    if (result == 0)
        result = nameless ? name_file((int)fd, path, problem) : sync_directory(path);
    if (result < 0 && !nameless)
        zio_syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    zio_syscall(SYS_close, fd);
    return result;
}

int zio_nvm_create(const char *path, const struct zio_nvm_create_options *options,
                   struct zio_nvm_problem *problem) {
    nvm__problem(problem, ZIO_NVM_NONE, 0, 0, NULL);
    struct nvm_header header;
    if (plan(options, &header) < 0)
        return nvm__system(problem, ZIO_EINVAL, "create", path);
    struct zio_nvm_pool *pool = zio_pages_alloc(sizeof *pool);
    if (!pool)
        return nvm__system(problem, ZIO_ENOMEM, "mmap", path);
    pool->bytes = options->bytes;
    pool->own.number = -1;
    int result = make_pool(pool, path, &header, problem);
    nvm__unmap(pool);
    zio_pages_free(pool, sizeof *pool);
    return result;
}
