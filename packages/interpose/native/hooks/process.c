/* The hooks on processes and credentials. fork(3) itself reaches us through pthread_atfork;
 * its relatives do not (TRAPS 1). The handler thread is not libc's, so credentials and
 * namespaces are followed by starting it anew (TRAPS 7). */
#include <errno.h>
#include <linux/sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>
#include <sys/mman.h>
#include <zio/syscall.h>

#include "../instance.h"
#include "hook_table.h"

void zio__around_fork_before(void);
void zio__around_fork_after(bool child);

static bool is_on(void) {
    return atomic_load_explicit(&zio__on, memory_order_acquire);
}

ZIO_EXPORT pid_t _Fork(void) {
    if (!is_on())
        return ZIO_REAL(_Fork)();
    zio__around_fork_before();
    pid_t child = ZIO_REAL(_Fork)();
    int saved = errno;
    zio__around_fork_after(child == 0);
    errno = saved;
    return child;
}

struct clone_start {
    int (*run)(void *);
    void *argument;
};

static int run_in_clone(void *argument) {
    struct clone_start start = *(struct clone_start *)argument;
    zio__around_fork_after(true);
    return start.run(start.argument);
}

ZIO_EXPORT int clone(int (*run)(void *), void *stack, int flags, void *argument, ...) {
    va_list rest;
    va_start(rest, argument);
    pid_t *parent_tid = va_arg(rest, pid_t *);
    void *tls = va_arg(rest, void *);
    pid_t *child_tid = va_arg(rest, pid_t *);
    va_end(rest);
    if (!is_on() || (flags & CLONE_VM) || !run || !stack)
        return ZIO_REAL(clone)(run, stack, flags, argument, parent_tid, tls, child_tid);
    struct clone_start start = {run, argument};
    zio__around_fork_before();
    int child = ZIO_REAL(clone)(run_in_clone, stack, flags, &start, parent_tid, tls, child_tid);
    int saved = errno;
    zio__around_fork_after(false);
    errno = saved;
    return child;
}

/* Whether a raw system call makes a process with a copy of our memory, on this same stack. */
static bool forks(long number, const long *a) {
#ifdef SYS_fork
    if (number == SYS_fork)
        return true;
#endif
    if (number == SYS_clone)
        return !(a[0] & (CLONE_VM | CLONE_VFORK)) && a[1] == 0;
    if (number == SYS_clone3 && a[0] && a[1] >= (long)CLONE_ARGS_SIZE_VER0) {
        const struct clone_args *arguments = (const void *)a[0];
        return !(arguments->flags & (CLONE_VM | CLONE_VFORK)) && arguments->stack == 0;
    }
    return false;
}

ZIO_EXPORT long syscall(long number, ...) {
    long a[6];
    va_list rest;
    va_start(rest, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(rest, long);
    va_end(rest);
    if (is_on()) {
        if (forks(number, a)) {
            zio__around_fork_before();
            long result = zio_syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]);
            zio__around_fork_after(result == 0);
            if (result >= 0)
                return result;
            errno = (int)-result;
            return -1;
        }
        if (number == SYS_mprotect)
            return mprotect((void *)a[0], (size_t)a[1], (int)a[2]);
        if (number == SYS_io_uring_register)
            zio__memory_is_pinned();
        if (number == SYS_mlockall)
            return mlockall((int)a[0]);
        if (number == SYS_mremap)
            return (long)mremap((void *)a[0], (size_t)a[1], (size_t)a[2], (int)a[3], (void *)a[4]);
    }
    return ZIO_REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Under a limit of the address space, room that plain has must not be taken by origins: views
 * end and so does their memory (TRAPS 17). */
static int after_limit(int result) {
    struct rlimit64 limit;
    int saved = errno;
    if (result == 0 && is_on() && zio_syscall(SYS_prlimit64, 0, RLIMIT_AS, 0, &limit) == 0 &&
        limit.rlim_cur != RLIM64_INFINITY)
        zio__turn_off("off: the address space is limited (RLIMIT_AS)");
    errno = saved;
    return result;
}

ZIO_EXPORT int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit) {
    return after_limit(ZIO_REAL(setrlimit)(resource, limit));
}

ZIO_EXPORT int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit) {
    return after_limit(ZIO_REAL(setrlimit64)(resource, limit));
}

ZIO_EXPORT int prlimit(pid_t pid, enum __rlimit_resource resource, const struct rlimit *limit,
                       struct rlimit *old) {
    return after_limit(ZIO_REAL(prlimit)(pid, resource, limit, old));
}

ZIO_EXPORT int prlimit64(pid_t pid, enum __rlimit_resource resource, const struct rlimit64 *limit,
                         struct rlimit64 *old) {
    return after_limit(ZIO_REAL(prlimit64)(pid, resource, limit, old));
}

#define ZIO_FOLLOWED(name, parameters, arguments)                                                  \
    ZIO_EXPORT int name parameters {                                                               \
        if (!is_on())                                                                              \
            return ZIO_REAL(name) arguments;                                                       \
        zio_tracker_quiesce(&zio__tracker);                                                        \
        int result = ZIO_REAL(name) arguments;                                                     \
        int saved = errno;                                                                         \
        zio_tracker_resume(&zio__tracker);                                                         \
        errno = saved;                                                                             \
        return result;                                                                             \
    }

ZIO_FOLLOWED(setuid, (uid_t user), (user))
ZIO_FOLLOWED(setgid, (gid_t group), (group))
ZIO_FOLLOWED(seteuid, (uid_t user), (user))
ZIO_FOLLOWED(setegid, (gid_t group), (group))
ZIO_FOLLOWED(setreuid, (uid_t real, uid_t effective), (real, effective))
ZIO_FOLLOWED(setregid, (gid_t real, gid_t effective), (real, effective))
ZIO_FOLLOWED(setresuid, (uid_t real, uid_t effective, uid_t saved_id), (real, effective, saved_id))
ZIO_FOLLOWED(setresgid, (gid_t real, gid_t effective, gid_t saved_id), (real, effective, saved_id))
ZIO_FOLLOWED(setgroups, (size_t count, const gid_t *groups), (count, groups))
ZIO_FOLLOWED(unshare, (int flags), (flags))
ZIO_FOLLOWED(setns, (int fd, int kind), (fd, kind))
