/* Where our descriptors stand in a table that belongs to the program, and whether a number is
 * still ours. Programs expect the lowest free number, count what they may open, and close or
 * replace any number they like. */
#include <fcntl.h>
#include <linux/stat.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <zio/arena.h>
#include <zio/syscall.h>

#include "internal.h"

enum {
    /* A table that must grow further for us would make every fork dearer. */
    HIGHEST_NUMBER = 4096,
    USUAL_LIMIT = 1024,
    PLACER_STACK_BYTES = 16 * 1024,
    ROOM = 16, /* numbers beyond the limit, for what is there already */
};

uint64_t zio__descriptor_identity(int fd) {
    struct statx status;
    if (fd < 0 ||
        zio_syscall(SYS_statx, fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &status) < 0)
        return 0;
    /* Not only the inode: on kernels where all anonymous files share one. */
    return status.stx_ino ^ (uint64_t)status.stx_dev_major << 48 ^
           (uint64_t)status.stx_dev_minor << 32;
}

struct placing {
    int fd;
    struct rlimit limit;
    _Atomic long result;
};

ZIO__NEVER_RETURNS static void place(void *argument) {
    struct placing *placing = argument;
    struct rlimit wide = placing->limit;
    rlim_t least = wide.rlim_cur;
    wide.rlim_cur += ROOM;
    if (wide.rlim_max < wide.rlim_cur) /* needs CAP_SYS_RESOURCE */
        wide.rlim_max = wide.rlim_cur;
    long code = zio_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &wide, 0);
    if (code == 0)
        code = zio_syscall(SYS_fcntl, placing->fd, F_DUPFD_CLOEXEC, least);
    atomic_store(&placing->result, code);
    for (;;)
        zio_syscall(SYS_exit_group, 0);
}

/* A number beyond the program's limit is one that it is never given and that it never misses. Limits
 * belong to the process, so that a child which shares the table can raise its own. */
static long duplicate_beyond(int fd, const struct rlimit *limit) {
    struct placing placing = {.fd = fd, .limit = *limit, .result = -EPERM};
    unsigned char *stack = zio_pages_alloc(PLACER_STACK_BYTES);
    if (!stack)
        return ZIO_ENOMEM;
    uint64_t mask = zio_signals_block();
    long child = zio__clone(CLONE_VM | CLONE_FILES | CLONE_VFORK, stack + PLACER_STACK_BYTES, 0, 0,
                            0, place, &placing);
    while (child > 0 && zio_syscall(SYS_wait4, child, 0, __WALL, 0) == -EINTR)
        ;
    zio_signals_restore(mask);
    zio_pages_free(stack, PLACER_STACK_BYTES);
    return child > 0 ? atomic_load(&placing.result) : child;
}

int zio__fd_copy_away(int fd) {
    struct rlimit limit = {0, 0};
    zio_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, &limit);
    rlim_t soft = limit.rlim_cur;
    /* The program may raise its limit again. */
    if (limit.rlim_cur < USUAL_LIMIT)
        limit.rlim_cur = USUAL_LIMIT;
    long copied = -1;
    if (soft > HIGHEST_NUMBER)
        copied = zio_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, HIGHEST_NUMBER);
    else
        copied = duplicate_beyond(fd, &limit);
    const rlim_t within[] = {soft > ROOM ? soft - 4 : 3, soft / 4 * 3, 3};
    for (int i = 0; i < 3 && copied < 0; i++)
        if (within[i] >= 3)
            copied = zio_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, within[i]);
    return (int)copied;
}

int zio__fd_move_away(int fd) {
    int moved = zio__fd_copy_away(fd);
    if (moved < 0 && fd > 2)
        return fd;
    zio_syscall(SYS_close, fd);
    return moved < 0 ? -EMFILE : moved;
}
