/* The pool's file: opening and locking it, finding out what it lies on, mapping it. The lock is one
 * of the open file description: processes that inherit it by fork share it, everybody else is told
 * who has it. */
#include "nvm_internal.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>

#include <zio/syscall.h>

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

static int lock_file(struct zio_nvm_pool *pool, const char *path, struct zio_nvm_problem *problem) {
    struct flock lock = {.l_type = pool->read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};
    long result = zio_syscall(SYS_fcntl, pool->descriptor, F_OFD_SETLK, &lock);
    if (result == 0)
        return 0;
    if (result != -EAGAIN && result != -EACCES)
        return nvm__system(problem, (int)result, "fcntl", path);
    nvm__problem(problem, ZIO_NVM_IN_USE, ZIO_EBUSY, 0, path);
    if (problem) {
        /* Without a lock it may be changing: only the number of a process is taken from it. */
        struct nvm_superblock super;
        uint64_t newest = 0;
        for (int copy = 0; copy < 2; copy++) {
            long at = NVM_SUPERBLOCKS + copy * NVM_PAGE;
            long got = zio_syscall(SYS_pread64, pool->descriptor, &super, sizeof super, at);
            if (got == (long)sizeof super && super.generation >= newest) {
                newest = super.generation;
                problem->owner_pid = (int32_t)super.owner_pid;
            }
        }
    }
    return ZIO_EBUSY;
}

int nvm__find_medium(struct zio_nvm_pool *pool, const char *path, struct zio_nvm_problem *problem) {
    struct statfs where;
    long result = zio_syscall(SYS_fstatfs, pool->descriptor, &where);
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

int nvm__map_file(struct zio_nvm_pool *pool, const char *path, struct zio_nvm_problem *problem) {
    int flags = (pool->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    long fd = zio_syscall(SYS_openat, AT_FDCWD, path, flags, 0);
    if (fd < 0)
        return nvm__system(problem, (int)fd, "open", path);
    pool->descriptor = (int)fd;
    struct stat found;
    long result = zio_syscall(SYS_fstat, fd, &found);
    if (result < 0)
        return nvm__system(problem, (int)result, "fstat", path);
    if (!S_ISREG(found.st_mode))
        return nvm__problem(problem, ZIO_NVM_NOT_A_POOL, ZIO_EINVAL, 0, path);
    result = lock_file(pool, path, problem);
    if (result == 0)
        result = nvm__find_medium(pool, path, problem);
    if (result < 0)
        return (int)result;
    pool->device = found.st_dev;
    pool->inode = found.st_ino;
    pool->bytes = (uint64_t)found.st_size;
    if (pool->bytes < NVM_FILES)
        return nvm__problem(problem, pool->bytes < 4096 ? ZIO_NVM_NOT_A_POOL : ZIO_NVM_TRUNCATED,
                            ZIO_EINVAL, pool->bytes, path);
    return nvm__map(pool, pool->bytes, problem);
}

int nvm__map(struct zio_nvm_pool *pool, uint64_t bytes, struct zio_nvm_problem *problem) {
    int protection = PROT_READ | (pool->read_only ? 0 : PROT_WRITE);
    pool->pm.flush = ZIO_PM_MSYNC;
    long base = -1;
    if (pool->medium == ZIO_NVM_MEDIUM_DRAM) {
        pool->pm.flush = ZIO_PM_NONE;
    } else {
        base = zio_syscall(SYS_mmap, 0, bytes, protection, MAP_SHARED_VALIDATE | MAP_SYNC,
                           pool->descriptor, 0);
        if (base > 0 || base < -4095) {
            pool->medium = ZIO_NVM_MEDIUM_DAX;
            pool->pm.flush = zio_pm_best_flush();
        }
    }
    if (base < 0 && base >= -4095)
        base = zio_syscall(SYS_mmap, 0, bytes, protection, MAP_SHARED, pool->descriptor, 0);
    if (base < 0 && base >= -4095)
        return nvm__system(problem, (int)base, "mmap", NULL);
    pool->pm.base = (unsigned char *)base;
    pool->pm.bytes = bytes;
    pool->pm.descriptor = pool->descriptor;
    pool->mapped = bytes;
    return 0;
}

void nvm__unmap(struct zio_nvm_pool *pool) {
    if (pool->pm.base)
        zio_syscall(SYS_munmap, pool->pm.base, pool->mapped);
    pool->pm.base = NULL;
    if (pool->descriptor >= 0)
        zio_syscall(SYS_close, pool->descriptor);
    pool->descriptor = -1;
}
