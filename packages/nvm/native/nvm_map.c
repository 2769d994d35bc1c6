/* The pool's file: opening it, finding out what it lies on, mapping it. */
#include "nvm_internal.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>

#include <zio/syscall.h>

#include "bytes.h"

#ifndef MAP_SYNC
#define MAP_SYNC 0x80000
#endif
#ifndef MAP_SHARED_VALIDATE
#define MAP_SHARED_VALIDATE 0x03
#endif

void nvm__read_boot(uint8_t boot[16]) {
    char text[36];
    for (int i = 0; i < 16; i++)
        boot[i] = 0;
    long fd = zio_syscall(SYS_openat, AT_FDCWD, "/proc/sys/kernel/random/boot_id",
                          O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    long length = zio_syscall(SYS_read, fd, text, sizeof text);
    zio_syscall(SYS_close, fd);
    if (length != (long)sizeof text)
        return;
    int digits = 0;
    for (int i = 0; i < 36; i++) {
        if (text[i] == '-')
            continue;
        unsigned value = (unsigned)(text[i] <= '9' ? text[i] - '0' : (text[i] | 32) - 'a' + 10);
        boot[digits / 2] = (uint8_t)(boot[digits / 2] << 4 | (value & 15));
        digits++;
    }
}

int nvm__find_medium(struct zio_nvm_pool *pool, int fd, const char *path,
                     struct zio_nvm_problem *problem) {
    struct statfs where;
    long result = zio_syscall(SYS_fstatfs, fd, &where);
    if (result < 0)
        return nvm__system(problem, (int)result, "fstatfs", path);
    pool->medium = ZIO_NVM_MEDIUM_DISK;
    unsigned long type = (unsigned long)where.f_type & 0xffffffff;
    if (type == TMPFS_MAGIC || type == RAMFS_MAGIC)
        pool->medium = ZIO_NVM_MEDIUM_DRAM;
    if (type == HUGETLBFS_MAGIC)
        return nvm__problem(problem, ZIO_NVM_UNSUITABLE, ZIO_ENOTSUP, 0, path);
    return 0;
}

int nvm__open_file(struct zio_nvm_pool *pool, const char *path, struct zio_nvm_problem *problem) {
    size_t length = 0;
    while (path[length] && length + 1 < NVM_PATH_BYTES)
        length++;
    if (path[length])
        return nvm__system(problem, -ENAMETOOLONG, "open", path);
    zio__copy_bytes(pool->path, path, length + 1);
    int flags = (pool->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    long fd = zio_syscall(SYS_openat, AT_FDCWD, path, flags, 0);
    int result = nvm__keep(&pool->own, fd);
    return result < 0 ? nvm__system(problem, result, "open", path) : 0;
}

int nvm__map_file(struct zio_nvm_pool *pool, struct zio_nvm_problem *problem) {
    struct stat found;
    int fd = atomic_load(&pool->own.number);
    long result = zio_syscall(SYS_fstat, fd, &found);
    if (result < 0)
        return nvm__system(problem, (int)result, "fstat", pool->path);
    if (!S_ISREG(found.st_mode))
        return nvm__problem(problem, ZIO_NVM_NOT_A_POOL, ZIO_EINVAL, 0, pool->path);
    result = nvm__find_medium(pool, fd, pool->path, problem);
    if (result < 0)
        return (int)result;
    pool->bytes = (uint64_t)found.st_size;
    if (pool->bytes < NVM_FILES)
        return nvm__problem(problem, pool->bytes < 4096 ? ZIO_NVM_NOT_A_POOL : ZIO_NVM_TRUNCATED,
                            ZIO_EINVAL, pool->bytes, pool->path);
    result = nvm__map(pool, fd, pool->bytes, problem);
    pool->one_fence = pool->one_fence || pool->pm.flush == ZIO_PM_MSYNC;
    return (int)result;
}

int nvm__map(struct zio_nvm_pool *pool, int fd, uint64_t bytes, struct zio_nvm_problem *problem) {
    int protection = PROT_READ | (pool->read_only ? 0 : PROT_WRITE);
    pool->pm.flush = ZIO_PM_MSYNC;
    long base = -1;
    if (pool->medium == ZIO_NVM_MEDIUM_DRAM) {
        pool->pm.flush = ZIO_PM_NONE;
    } else {
        base = zio_syscall(SYS_mmap, 0, bytes, protection, MAP_SHARED_VALIDATE | MAP_SYNC,
                           fd, 0);
        if (base > 0 || base < -4095) {
            pool->medium = ZIO_NVM_MEDIUM_DAX;
            pool->pm.flush = zio_pm_best_flush();
        }
    }
    if (base < 0 && base >= -4095)
        base = zio_syscall(SYS_mmap, 0, bytes, protection, MAP_SHARED, fd, 0);
    if (base < 0 && base >= -4095)
        return nvm__system(problem, (int)base, "mmap", NULL);
    pool->pm.base = (unsigned char *)base;
    pool->pm.bytes = bytes;
    pool->pm.descriptor = fd;
    pool->mapped = bytes;
    return 0;
}

void nvm__unmap(struct zio_nvm_pool *pool) {
    if (pool->pm.base)
        zio_syscall(SYS_munmap, pool->pm.base, pool->mapped);
    pool->pm.base = NULL;
    nvm__drop(&pool->own);
}
