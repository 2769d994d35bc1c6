/* The hooks on limits and confinement: before the program runs under a rule that we would break,
 * every view becomes memory and zIO ends. */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <zio/syscall.h>

#include "../instance.h"
#include "../logged_files.h"
#include "../logged_io.h"
#include "hook_table.h"
#include "process.h"
#include "readable.h"

enum { PROCESSES_LEAST = 2 };

/* Under a limit of the address space, room that plain has must not be taken by origins: views
 * end and so does their memory (TRAPS 17). */
static int after_limit(int resource, int result) {
    struct rlimit64 limit;
    int saved = errno;
    if (resource == RLIMIT_FSIZE)
        zio__file_limit_changed();
    if (result == 0 && zio__is_tracking() &&
        zio_syscall(SYS_prlimit64, 0, RLIMIT_AS, 0, &limit) == 0 &&
        limit.rlim_cur != RLIM64_INFINITY)
        zio__turn_off("off: the address space is limited (RLIMIT_AS)");
    errno = saved;
    return result;
}

/* A server that shall have no further process (HAProxy) could not get the thread that serves faults
 * with its first large input: it is started before. rlim_cur comes first in both structs. */
static void before_limit(pid_t pid, int resource, const void *limit) {
    if (resource == RLIMIT_NPROC && (pid == 0 || pid == zio_syscall(SYS_getpid)) && limit &&
        zio__is_readable(limit, sizeof(struct rlimit)) &&
        ((const struct rlimit *)limit)->rlim_cur < PROCESSES_LEAST)
        zio__ready();
}

ZIO_EXPORT int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit) {
    before_limit(0, (int)resource, limit);
    return after_limit((int)resource, ZIO_REAL(setrlimit)(resource, limit));
}

ZIO_EXPORT int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit) {
    before_limit(0, (int)resource, limit);
    return after_limit((int)resource, ZIO_REAL(setrlimit64)(resource, limit));
}

ZIO_EXPORT int prlimit(pid_t pid, enum __rlimit_resource resource, const struct rlimit *limit,
                       struct rlimit *old) {
    before_limit(pid, (int)resource, limit);
    return after_limit((int)resource, ZIO_REAL(prlimit)(pid, resource, limit, old));
}

ZIO_EXPORT int prlimit64(pid_t pid, enum __rlimit_resource resource, const struct rlimit64 *limit,
                         struct rlimit64 *old) {
    before_limit(pid, (int)resource, limit);
    return after_limit((int)resource, ZIO_REAL(prlimit64)(pid, resource, limit, old));
}

/* A filter may kill the thread that makes one of our system calls (TRAPS 5). */
void zio__before_seccomp(void) {
    zio__files_end(true);
    if (zio__is_tracking())
        zio__turn_off("off: a seccomp filter was installed");
    if (zio_tracker_is_owner(&zio__tracker)) {
        zio__tracker.uffd.maps.ended = true; /* threads that were in an input may ask for it still */
        atomic_store(&zio__confined, true);
    }
}

ZIO_EXPORT int prctl(int option, ...) {
    unsigned long a[4];
    va_list rest;
    va_start(rest, option);
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(rest, unsigned long);
    va_end(rest);
    /* Without a program it is only a question whether the kernel has filters. */
    if (option == PR_SET_SECCOMP && (a[0] != SECCOMP_MODE_FILTER || a[1]))
        zio__before_seccomp();
    return ZIO_REAL(prctl)(option, a[0], a[1], a[2], a[3]);
}

/* The pipe goes on showing the very pages: what the program writes to them later, by input too,
 * comes out of it. Such pages must never be evicted, and nothing tells them (TRAPS 15). */
void zio__before_vmsplice(void) {
    if (zio__is_tracking())
        zio__turn_off("off: vmsplice shares memory with a pipe");
}

ZIO_EXPORT ssize_t vmsplice(int fd, const struct iovec *iov, size_t count, unsigned flags) {
    zio__before_vmsplice();
    return ZIO_REAL(vmsplice)(fd, iov, count, flags);
}
