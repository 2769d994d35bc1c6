/* Descriptors that are opened while they can be had, for a time when they cannot: this process's
 * mappings, and a view of /proc that shows a forked child its own. A change of root or of mounts
 * takes the paths away. Their numbers lie in a table that belongs to the program, so each is compared
 * with what was opened before it is used. */
#include <errno.h>
#include <fcntl.h>

#include <zio/syscall.h>
#include <zio/uffd.h>

#include "internal.h"

bool zio_kept_is_ours(const struct zio_kept *kept) {
    return kept->identity != 0 && zio__descriptor_identity(kept->number) == kept->identity;
}

/* Takes over fd, or a negative code. */
static int keep(struct zio_kept *kept, long fd) {
    if (fd >= 0)
        fd = zio__fd_move_away((int)fd);
    *kept = (struct zio_kept){.number = -1};
    if (fd < 0)
        return (int)fd;
    *kept = (struct zio_kept){.number = (int)fd, .identity = zio__descriptor_identity((int)fd)};
    return 0;
}

void zio_kept_close(struct zio_kept *kept) {
    if (zio_kept_is_ours(kept))
        zio_syscall(SYS_close, kept->number);
    *kept = (struct zio_kept){.number = -1};
}

int zio__kept_leave_number(struct zio_kept *kept, int number) {
    if (number != kept->number || !zio_kept_is_ours(kept))
        return 0;
    int fd = zio__fd_copy_away(number);
    if (fd < 0)
        *kept = (struct zio_kept){.number = -1};
    else
        __atomic_store_n(&kept->number, fd, __ATOMIC_RELAXED);
    return fd < 0 ? fd : 0;
}

/* Of the thread: once the main thread has left, /proc/self/maps is empty. */
long zio__maps_open(const struct zio_uffd *uffd) {
    static const char *const paths[] = {"/proc/thread-self/maps", "/proc/self/maps"};
    long fd = -ENOENT;
    for (int i = 0; i < 2 && fd == -ENOENT; i++)
        fd = zio_syscall(SYS_openat, AT_FDCWD, paths[i], O_RDONLY | O_CLOEXEC);
    if (fd < 0 && zio_kept_is_ours(&uffd->proc)) {
        long own = zio_syscall(SYS_openat, uffd->proc.number, "thread-self/maps",
                               O_RDONLY | O_CLOEXEC);
        return own < 0 ? fd : own;
    }
    return fd;
}

int zio_uffd_keep_maps(struct zio_uffd *uffd) {
    return zio_kept_is_ours(&uffd->maps) ? 0 : keep(&uffd->maps, zio__maps_open(uffd));
}

#ifndef SYS_fsopen
#define SYS_fsopen   430
#define SYS_fsconfig 431
#define SYS_fsmount  432
#endif

void zio_uffd_keep_proc(struct zio_uffd *uffd) {
    enum { CLOEXEC = 1, SET_STRING = 1, CREATE = 6 };
    enum { READ_ONLY_NOSUID_NODEV_NOEXEC = 15 };
    if (zio_kept_is_ours(&uffd->proc) || zio_seccomp_filters() != 0)
        return;
    /* A directory of the real /proc would lead out of the new root by "..". This one leads nowhere,
     * has no files but those of processes, and shows of them only what could be traced. */
    long context = zio_syscall(SYS_fsopen, "proc", CLOEXEC), fd = context;
    if (context >= 0) {
        if ((fd = zio_syscall(SYS_fsconfig, context, SET_STRING, "subset", "pid", 0)) >= 0 &&
            (fd = zio_syscall(SYS_fsconfig, context, SET_STRING, "hidepid", "ptraceable", 0)) >= 0 &&
            (fd = zio_syscall(SYS_fsconfig, context, CREATE, 0, 0, 0)) >= 0)
            fd = zio_syscall(SYS_fsmount, context, CLOEXEC, READ_ONLY_NOSUID_NODEV_NOEXEC);
        zio_syscall(SYS_close, context);
    }
    keep(&uffd->proc, fd);
}
