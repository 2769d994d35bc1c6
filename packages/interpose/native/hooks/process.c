/* The hooks on processes and credentials. fork(3) itself reaches us through pthread_atfork;
 * its relatives do not (TRAPS 1). The handler thread and that of a pool are not libc's, so credentials
 * and namespaces are followed by starting them anew (TRAPS 7). */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>
#include <zio/syscall.h>

#include "../instance.h"
#include "../logged_files.h"
#include "../signals.h"
#include "hook_table.h"
#include "process.h"

ZIO_EXPORT pid_t _Fork(void) {
    if (!zio__is_tracking() && !zio__follows())
        return ZIO_REAL(_Fork)();
    zio__before_fork();
    pid_t child = ZIO_REAL(_Fork)();
    int saved = errno;
    zio__after_fork(child == 0, false);
    errno = saved;
    return child;
}

/* Children in our memory: one of vfork(2) runs while its parent thread waits, with that thread's
 * storage; others run beside us, with whatever storage they were given. One may execute a program
 * that does not follow files, and cannot bring them up to date itself, because it may be killed with
 * locks that are ours: so the parent does it before. */
static __thread bool may_be_lodger;
static _Atomic bool any_lodgers;

void zio__before_lodger(void) {
    zio__files_settle();
    atomic_store(&any_lodgers, true);
}

bool zio__is_at_home(void) {
    if (atomic_load_explicit(&any_lodgers, memory_order_relaxed))
        return false;
    if (may_be_lodger)
        may_be_lodger = (int)zio_syscall(SYS_getpid) != zio__tracker.owner_pid;
    return !may_be_lodger;
}

__attribute__((used)) static pid_t (*zio__before_vfork(void))(void) {
    zio__files_settle();
    may_be_lodger = true;
    return ZIO_REAL(vfork);
}

/* The real one returns twice to where the program called, so nothing of ours may be on the stack by
 * then. */
__asm__(".text\n"
        ".globl vfork\n"
        ".type vfork, %function\n"
        "vfork:\n"
        ".cfi_startproc\n"
#if defined(__x86_64__)
        "  subq $8, %rsp\n"
        ".cfi_adjust_cfa_offset 8\n"
        "  call zio__before_vfork\n"
        "  addq $8, %rsp\n"
        ".cfi_adjust_cfa_offset -8\n"
        "  jmp *%rax\n"
#elif defined(__aarch64__)
        "  stp x29, x30, [sp, #-16]!\n"
        ".cfi_adjust_cfa_offset 16\n"
        ".cfi_rel_offset x30, 8\n"
        "  bl zio__before_vfork\n"
        "  ldp x29, x30, [sp], #16\n"
        ".cfi_adjust_cfa_offset -16\n"
        ".cfi_restore x30\n"
        "  mov x16, x0\n"
        "  br x16\n"
#else
#error "vfork for this architecture"
#endif
        ".cfi_endproc\n"
        ".size vfork, .-vfork\n");

/* Without the program's handlers, and so without our own end of it. */
#define ZIO_EXIT(name)                                                                             \
    ZIO_EXPORT void name(int status) {                                                             \
        if (zio__follows())                                                                        \
            zio__files_end(false);                                                                 \
        ZIO_REAL(name)(status);                                                                    \
        __builtin_unreachable();                                                                   \
    }
ZIO_EXIT(_exit)
ZIO_EXIT(_Exit)

struct clone_start {
    int (*run)(void *);
    void *argument;
    bool shares_descriptors;
};

static int run_in_clone(void *argument) {
    struct clone_start start = *(struct clone_start *)argument;
    zio__after_fork(true, start.shares_descriptors);
    return start.run(start.argument);
}

ZIO_EXPORT int clone(int (*run)(void *), void *stack, int flags, void *argument, ...) {
    va_list rest;
    va_start(rest, argument);
    pid_t *parent_tid = va_arg(rest, pid_t *);
    void *tls = va_arg(rest, void *);
    pid_t *child_tid = va_arg(rest, pid_t *);
    va_end(rest);
    if ((flags & (CLONE_VM | CLONE_THREAD)) == CLONE_VM)
        zio__before_lodger();
    if (zio__shares_storage((uint64_t)(unsigned)flags))
        zio__signals_never_put_off();
    if ((!zio__is_tracking() && !zio__follows()) || (flags & CLONE_VM) || !run || !stack)
        return ZIO_REAL(clone)(run, stack, flags, argument, parent_tid, tls, child_tid);
    struct clone_start start = {run, argument, flags & CLONE_FILES};
    zio__before_fork();
    int child = ZIO_REAL(clone)(run_in_clone, stack, flags, &start, parent_tid, tls, child_tid);
    int saved = errno;
    zio__after_fork(false, false);
    errno = saved;
    return child;
}

/* Servers start as root and have their first large input as somebody else, often in a child; and in
 * another root directory, where what we open has no path. */
static void keep(bool paths_change) {
    int saved = errno;
    if (zio__is_tracking()) {
        if (paths_change)
            zio__look_at_overcommit();
        zio_tracker_keep(&zio__tracker, paths_change);
    }
    errno = saved;
}

static void follow(void) {
    int saved = errno;
    zio__files_quiesce();
    if (zio__is_tracking()) {
        zio_tracker_quiesce(&zio__tracker);
        zio_tracker_resume(&zio__tracker);
    }
    errno = saved;
}

/* The handler follows after libc has told every thread: until then it serves those that wait for
 * a page and could not answer otherwise. */
#define ZIO_FOLLOWED(name, paths_change, parameters, arguments)                                    \
    ZIO_EXPORT int name parameters {                                                               \
        keep(paths_change);                                                                        \
        int result = ZIO_REAL(name) arguments;                                                     \
        follow();                                                                                  \
        return result;                                                                             \
    }

ZIO_FOLLOWED(setuid, false, (uid_t user), (user))
ZIO_FOLLOWED(setgid, false, (gid_t group), (group))
ZIO_FOLLOWED(seteuid, false, (uid_t user), (user))
ZIO_FOLLOWED(setegid, false, (gid_t group), (group))
ZIO_FOLLOWED(setreuid, false, (uid_t real, uid_t effective), (real, effective))
ZIO_FOLLOWED(setregid, false, (gid_t real, gid_t effective), (real, effective))
ZIO_FOLLOWED(setresuid, false, (uid_t real, uid_t effective, uid_t saved_id),
             (real, effective, saved_id))
ZIO_FOLLOWED(setresgid, false, (gid_t real, gid_t effective, gid_t saved_id),
             (real, effective, saved_id))
ZIO_FOLLOWED(setgroups, false, (size_t count, const gid_t *groups), (count, groups))
ZIO_FOLLOWED(initgroups, false, (const char *user, gid_t group), (user, group))
ZIO_FOLLOWED(capset, false, (void *header, const void *data), (header, data))
ZIO_FOLLOWED(chroot, true, (const char *path), (path))

/* File access of this thread only: the handler opens nothing, but the first large input does. */
#define ZIO_OF_FILES(name, type)                                                                   \
    ZIO_EXPORT int name(type id) {                                                                 \
        keep(false);                                                                               \
        return ZIO_REAL(name)(id);                                                                 \
    }
ZIO_OF_FILES(setfsuid, uid_t)
ZIO_OF_FILES(setfsgid, gid_t)

/* What we have open in a file system keeps it busy: tried again without it. The path has been read by
 * then, so that nothing waits for the handler. */
ZIO_EXPORT int umount2(const char *path, int flags) {
    int saved = errno, result = ZIO_REAL(umount2)(path, flags);
    if (result == 0 || errno != EBUSY || !zio__is_tracking())
        return result;
    errno = saved;
    zio_tracker_quiesce(&zio__tracker);
    zio_tracker_let_go(&zio__tracker);
    result = ZIO_REAL(umount2)(path, flags);
    saved = errno;
    zio_tracker_take_back(&zio__tracker);
    zio_tracker_resume(&zio__tracker);
    errno = saved;
    return result;
}

ZIO_EXPORT int umount(const char *path) {
    return umount2(path, 0);
}

/* The kernel gives all processes the new root that had the old one, the handler too. */
ZIO_EXPORT int pivot_root(const char *root, const char *old) {
    keep(true);
    return ZIO_REAL(pivot_root)(root, old);
}

long zio__confine_raw(long number, const long *a, bool paths_change) {
    keep(paths_change);
    long result = zio_syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    /* It is the thread's affair. A process of one thread means itself. */
    if (zio_syscall(SYS_gettid) == zio_syscall(SYS_getpid))
        follow();
    return result;
}

/* Whether a change of namespaces leaves a process with a second thread alone, and would not let it have
 * another: the handler stays as it is. */
static bool leaves_threads(int kinds) {
    return (kinds & CLONE_NEWPID) && !(kinds & (CLONE_NEWUSER | CLONE_VM | CLONE_SIGHAND | CLONE_THREAD));
}

/* A process with a second thread may not enter a user namespace: ours pause. */
#define ZIO_ALONE(name, kinds, parameters, arguments)                                                     \
    ZIO_EXPORT int name parameters {                                                               \
        if (!leaves_threads(kinds))                                                                \
            zio__files_quiesce();                                                                  \
        if (!zio__is_tracking())                                                                   \
            return ZIO_REAL(name) arguments;                                                       \
        keep(true);                                                                                \
        if (leaves_threads(kinds))                                                                 \
            return ZIO_REAL(name) arguments;                                                       \
        zio_tracker_quiesce(&zio__tracker);                                                        \
        int result = ZIO_REAL(name) arguments;                                                     \
        int saved = errno;                                                                         \
        zio_tracker_resume(&zio__tracker);                                                         \
        errno = saved;                                                                             \
        return result;                                                                             \
    }

ZIO_ALONE(unshare, flags, (int flags), (flags))
ZIO_ALONE(setns, kind, (int fd, int kind), (fd, kind))
