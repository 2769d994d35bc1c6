/* The hooks on processes and credentials. fork(3) itself reaches us through pthread_atfork;
 * its relatives do not (TRAPS 1). The handler thread is not libc's, so credentials and
 * namespaces are followed by starting it anew (TRAPS 7). */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>

#include "../instance.h"
#include "hook_table.h"
#include "process.h"

ZIO_EXPORT pid_t _Fork(void) {
    if (!zio__is_tracking())
        return ZIO_REAL(_Fork)();
    zio__before_fork();
    pid_t child = ZIO_REAL(_Fork)();
    int saved = errno;
    zio__after_fork(child == 0, false);
    errno = saved;
    return child;
}

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
    if (!zio__is_tracking() || (flags & CLONE_VM) || !run || !stack)
        return ZIO_REAL(clone)(run, stack, flags, argument, parent_tid, tls, child_tid);
    struct clone_start start = {run, argument, flags & CLONE_FILES};
    zio__before_fork();
    int child = ZIO_REAL(clone)(run_in_clone, stack, flags, &start, parent_tid, tls, child_tid);
    int saved = errno;
    zio__after_fork(false, false);
    errno = saved;
    return child;
}

/* Servers start as root and have their first large input as somebody else, often in a child. */
static void before_credentials(void) {
    if (zio__is_tracking())
        zio_tracker_keep_device(&zio__tracker);
}

/* The handler follows after libc has told every thread: until then it serves those that wait for
 * a page and could not answer otherwise. */
#define ZIO_FOLLOWED(name, parameters, arguments)                                                  \
    ZIO_EXPORT int name parameters {                                                               \
        before_credentials();                                                                      \
        int result = ZIO_REAL(name) arguments;                                                     \
        int saved = errno;                                                                         \
        if (zio__is_tracking()) {                                                                  \
            zio_tracker_quiesce(&zio__tracker);                                                    \
            zio_tracker_resume(&zio__tracker);                                                     \
        }                                                                                          \
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

/* A process with a second thread may not enter a user or mount namespace: the handler pauses. */
#define ZIO_ALONE(name, parameters, arguments)                                                     \
    ZIO_EXPORT int name parameters {                                                               \
        if (!zio__is_tracking())                                                                   \
            return ZIO_REAL(name) arguments;                                                       \
        zio_tracker_quiesce(&zio__tracker);                                                        \
        int result = ZIO_REAL(name) arguments;                                                     \
        int saved = errno;                                                                         \
        zio_tracker_resume(&zio__tracker);                                                         \
        errno = saved;                                                                             \
        return result;                                                                             \
    }

ZIO_ALONE(unshare, (int flags), (flags))
ZIO_ALONE(setns, (int fd, int kind), (fd, kind))
