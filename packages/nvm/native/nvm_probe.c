/* Trying out what a directory would make of a pool. */
#include <zio/nvm_probe.h>

#include <fcntl.h>

#include <zio/syscall.h>

#include "nvm_internal.h"

static int probe(struct zio_nvm_pool *pool, const char *directory,
                 struct zio_nvm_problem *problem) {
    long fd = zio_syscall(SYS_openat, AT_FDCWD, directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    int kept = nvm__keep(&pool->own, fd);
    if (kept < 0)
        return nvm__system(problem, kept, "open", directory);
    fd = atomic_load(&pool->own.number);
    long result = zio_syscall(SYS_fallocate, fd, 0, 0, NVM_PAGE);
    if (result == -EOPNOTSUPP || (result == 0 && !nvm__keeps_locks((int)fd)))
        return nvm__problem(problem, ZIO_NVM_UNSUITABLE, ZIO_ENOTSUP, 0, directory);
    if (result < 0)
        return nvm__system(problem, (int)result, "fallocate", directory);
    result = nvm__find_medium(pool, (int)fd, directory, problem);
    return result < 0 ? (int)result : nvm__map(pool, (int)fd, NVM_PAGE, problem);
}

int zio_nvm_probe(const char *directory, enum zio_nvm_medium *medium, const char **flush,
                  struct zio_nvm_problem *problem) {
    nvm__problem(problem, ZIO_NVM_NONE, 0, 0, NULL);
    struct zio_nvm_pool *pool = zio_pages_alloc(sizeof *pool);
    if (!pool)
        return nvm__system(problem, ZIO_ENOMEM, "mmap", directory);
    pool->own.number = -1;
    int result = probe(pool, directory, problem);
    *medium = pool->medium;
    *flush = zio_pm_flush_name(pool->pm.flush);
    nvm__unmap(pool);
    zio_pages_free(pool, sizeof *pool);
    return result;
}
