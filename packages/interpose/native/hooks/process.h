/* What the hooks on processes share. */
#ifndef ZIO_HOOKS_PROCESS_H
#define ZIO_HOOKS_PROCESS_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ZIO__SYS_PROCESS_MADVISE = 440 }; /* Linux 5.10, on every architecture */

/* Around whatever makes a process with a copy of our memory: as pthread_atfork's handlers, which
 * glibc runs for fork(3) only. */
void zio__before_fork(void);
void zio__after_fork(bool child, bool shares_descriptors);

/* A process that shares our memory, and is not a thread of ours, is about to be made. */
void zio__before_lodger(void);

/* Whether one that is made so runs beside its maker with the same thread-local storage. */
static inline bool zio__shares_storage(uint64_t clone_flags) {
    return (clone_flags & (CLONE_VM | CLONE_SETTLS | CLONE_VFORK)) == CLONE_VM;
}

/* rt_sigaction(2) by syscall(2): its arguments; 0 or a negative errno. */
long zio__raw_sigaction(const long *a);

/* Whether a descriptor number is one of ours, which for the program does not exist. */
bool zio__owns_number(int fd);

/* getdents64(2) without our descriptors: bytes, or -errno. */
long zio__list_directory(int directory, void *buffer, size_t room);

/* A system call by which this thread gives up rights: its result, or -errno. */
long zio__confine_raw(long number, const long *arguments, bool paths_change);
/* Before an ioctl(2). */
void zio__before_ioctl(unsigned long request, const void *argument);
/* Before a seccomp filter is installed. */
void zio__before_seccomp(void);
/* Before memory is spliced into a pipe. */
void zio__before_vmsplice(void);

#endif
