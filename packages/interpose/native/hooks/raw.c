/* syscall(3): the raw calls that have a hook of their own, or make a process, must not pass by. */
#include <errno.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <zio/syscall.h>

#include "../instance.h"
#include "../logged_files.h"
#include "../logged_io.h"
#include "../presence.h"
#include "../signals.h"
#include "hook_table.h"
#include "own_memory.h"
#include "process.h"
#include "raw_files.h"

/* What a raw system call makes of the process, as clone's arguments. */
struct making {
    bool any;
    uint64_t flags, stack;
};

static struct making making(long number, const long *a) {
#ifdef SYS_fork
    if (number == SYS_fork)
        return (struct making){.any = true};
#endif
#ifdef SYS_vfork
    if (number == SYS_vfork)
        return (struct making){.any = true, .flags = CLONE_VM | CLONE_VFORK};
#endif
    if (number == SYS_clone)
        return (struct making){true, (uint64_t)a[0], (uint64_t)a[1]};
    if (number == SYS_clone3 && a[0] && a[1] >= (long)CLONE_ARGS_SIZE_VER0) {
        const struct clone_args *arguments = (const void *)a[0];
        return (struct making){true, arguments->flags, arguments->stack};
    }
    return (struct making){0};
}

static long as_libc(long result) {
    if (result >= 0 || result < -4095)
        return result;
    errno = (int)-result;
    return -1;
}

static long fork_raw(long number, const long *a, bool shares_descriptors) {
    zio__before_fork();
    long result = zio_syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    zio__after_fork(result == 0, shares_descriptors);
    return as_libc(result);
}

ZIO_EXPORT long syscall(long number, ...) {
    long a[6];
    va_list rest;
    va_start(rest, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(rest, long);
    va_end(rest);
    struct making made = making(number, a);
    if ((made.flags & (CLONE_VM | CLONE_THREAD)) == CLONE_VM)
        zio__before_lodger();
    if (zio__shares_storage(made.flags))
        zio__signals_never_put_off();
    if (number == SYS_rt_sigaction)
        return as_libc(zio__raw_sigaction(a));
    if (number == SYS_execve)
        return execve((const char *)a[0], (char *const *)a[1], (char *const *)a[2]);
    if (number == SYS_execveat)
        return execveat((int)a[0], (const char *)a[1], (char *const *)a[2], (char *const *)a[3],
                        (int)a[4]);
    long result;
    if (zio__follows() && zio__raw_on_files(number, a, &result))
        return result;
    if (!zio__is_tracking() && !zio__follows())
        return ZIO_REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    /* A process with a copy of our memory, on this same stack. */
    if (made.any && !(made.flags & (CLONE_VM | CLONE_VFORK)) && made.stack == 0)
        return fork_raw(number, a, made.flags & CLONE_FILES);
    switch (number) {
    case SYS_madvise:
        return madvise((void *)a[0], (size_t)a[1], (int)a[2]);
    case ZIO__SYS_PROCESS_MADVISE:
        return process_madvise((int)a[0], (const struct iovec *)a[1], (size_t)a[2], (int)a[3],
                               (unsigned)a[4]);
    case SYS_read:
    case SYS_write: {
        long result = ZIO_REAL(syscall)(number, a[0], a[1], a[2]);
        return zio__reveal_at_position(result, (int)a[0], (size_t)a[2])
                   ? zio__real.syscall(number, a[0], a[1], a[2])
                   : result;
    }
    case SYS_pread64:
    case SYS_pwrite64:
        zio__reveal(a[3], (size_t)a[2]);
        break;
    case SYS_setrlimit:
    case SYS_prlimit64: {
        long result = ZIO_REAL(syscall)(number, a[0], a[1], a[2], a[3]);
        zio__file_limit_changed();
        return result;
    }
    case SYS_mprotect:
        return mprotect((void *)a[0], (size_t)a[1], (int)a[2]);
    case SYS_pkey_mprotect:
        return pkey_mprotect((void *)a[0], (size_t)a[1], (int)a[2], (int)a[3]);
    case SYS_mremap:
        return (long)mremap((void *)a[0], (size_t)a[1], (size_t)a[2], (int)a[3], (void *)a[4]);
    case SYS_close:
        if (zio__owns_number((int)a[0]))
            return as_libc(-EBADF);
        break;
    case SYS_getdents64:
        return as_libc(zio__list_directory((int)a[0], (void *)a[1], (size_t)a[2]));
    case SYS_close_range:
        return close_range((unsigned)a[0], (unsigned)a[1], (int)a[2]);
#ifdef SYS_dup2
    case SYS_dup2:
        return dup2((int)a[0], (int)a[1]);
#endif
    case SYS_dup3:
        return dup3((int)a[0], (int)a[1], (int)a[2]);
    case SYS_setuid:
    case SYS_setgid:
    case SYS_setreuid:
    case SYS_setregid:
    case SYS_setresuid:
    case SYS_setresgid:
    case SYS_setgroups:
    case SYS_capset:
        return as_libc(zio__confine_raw(number, a, false));
    case SYS_chroot:
    case SYS_pivot_root:
    case 446 /* landlock_restrict_self */:
        return as_libc(zio__confine_raw(number, a, true));
    case SYS_ioctl:
        zio__before_ioctl((unsigned long)a[1], (const void *)a[2]);
        break;
    case SYS_umount2:
        return umount2((const char *)a[0], (int)a[1]);
    case SYS_setfsuid:
        return setfsuid((uid_t)a[0]);
    case SYS_setfsgid:
        return setfsgid((gid_t)a[0]);
    case SYS_unshare:
        return unshare((int)a[0]);
    case SYS_setns:
        return setns((int)a[0], (int)a[1]);
    case SYS_mlockall:
        return mlockall((int)a[0]);
    case SYS_sigaltstack:
        return sigaltstack((const stack_t *)a[0], (stack_t *)a[1]);
    case SYS_seccomp:
        if (a[0] == SECCOMP_SET_MODE_STRICT || (a[0] == SECCOMP_SET_MODE_FILTER && a[2])) {
            zio__before_seccomp();
            if (a[1] & SECCOMP_FILTER_FLAG_TSYNC)
                zio__await_absence();
        }
        break;
    case SYS_prctl:
        return prctl((int)a[0], a[1], a[2], a[3], a[4]);
    case SYS_vmsplice:
        zio__before_vmsplice();
        break;
    case SYS_io_uring_register:
        zio__memory_is_pinned();
        break;
    default:
        break;
    }
    return ZIO_REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
