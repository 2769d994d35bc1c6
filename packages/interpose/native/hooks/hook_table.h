/* Every symbol that libzio.so takes the place of: X(need, result, name, parameters). REQUIRED
 * ones exist in every glibc we support and zIO stays off without them; OPTIONAL ones may be
 * absent. The order matters at the top: resolving the later ones may call the first ones.
 * native/libzio.map lists the same names; a test compares the two. */
#ifndef ZIO_HOOK_TABLE_H
#define ZIO_HOOK_TABLE_H

struct aiocb;
struct sigevent;
struct timespec;
struct timeval;
struct utimbuf;

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

/* clang-format off */
#define ZIO_MEMORY_HOOKS(X) \
  X(REQUIRED, void,    free,    (void *)) \
  X(REQUIRED, void *,  realloc, (void *, size_t)) \
  X(REQUIRED, void *,  memcpy,  (void *, const void *, size_t)) \
  X(REQUIRED, void *,  memmove, (void *, const void *, size_t)) \
  X(REQUIRED, void *,  memset,  (void *, int, size_t)) \
  X(REQUIRED, void *,  mempcpy, (void *, const void *, size_t)) \
  X(REQUIRED, void,    bcopy,   (const void *, void *, size_t)) \
  X(OPTIONAL, void *,  __memcpy_chk,  (void *, const void *, size_t, size_t)) \
  X(OPTIONAL, void *,  __memmove_chk, (void *, const void *, size_t, size_t)) \
  X(OPTIONAL, void *,  __mempcpy_chk, (void *, const void *, size_t, size_t)) \
  X(OPTIONAL, void *,  __memset_chk,  (void *, int, size_t, size_t))

#define ZIO_INPUT_HOOKS(X) \
  X(REQUIRED, ssize_t, read,     (int, void *, size_t)) \
  X(REQUIRED, ssize_t, pread,    (int, void *, size_t, off_t)) \
  X(REQUIRED, ssize_t, pread64,  (int, void *, size_t, off_t)) \
  X(REQUIRED, ssize_t, readv,    (int, const struct iovec *, int)) \
  X(REQUIRED, ssize_t, preadv,   (int, const struct iovec *, int, off_t)) \
  X(REQUIRED, ssize_t, preadv64, (int, const struct iovec *, int, off_t)) \
  X(OPTIONAL, ssize_t, preadv2,  (int, const struct iovec *, int, off_t, int)) \
  X(OPTIONAL, ssize_t, preadv64v2, (int, const struct iovec *, int, off_t, int)) \
  X(REQUIRED, ssize_t, recv,     (int, void *, size_t, int)) \
  X(REQUIRED, ssize_t, recvfrom, (int, void *, size_t, int, struct sockaddr *, socklen_t *)) \
  X(REQUIRED, ssize_t, recvmsg,  (int, struct msghdr *, int)) \
  X(OPTIONAL, int,     recvmmsg, (int, struct mmsghdr *, unsigned, int, struct timespec *)) \
  X(OPTIONAL, ssize_t, __read_chk,     (int, void *, size_t, size_t)) \
  X(OPTIONAL, ssize_t, __pread_chk,    (int, void *, size_t, off_t, size_t)) \
  X(OPTIONAL, ssize_t, __pread64_chk,  (int, void *, size_t, off_t, size_t)) \
  X(OPTIONAL, ssize_t, __recv_chk,     (int, void *, size_t, size_t, int)) \
  X(OPTIONAL, ssize_t, __recvfrom_chk, (int, void *, size_t, size_t, int, struct sockaddr *, socklen_t *))

#define ZIO_OUTPUT_HOOKS(X) \
  X(REQUIRED, ssize_t, write,     (int, const void *, size_t)) \
  X(REQUIRED, ssize_t, pwrite,    (int, const void *, size_t, off_t)) \
  X(REQUIRED, ssize_t, pwrite64,  (int, const void *, size_t, off_t)) \
  X(REQUIRED, ssize_t, writev,    (int, const struct iovec *, int)) \
  X(REQUIRED, ssize_t, pwritev,   (int, const struct iovec *, int, off_t)) \
  X(REQUIRED, ssize_t, pwritev64, (int, const struct iovec *, int, off_t)) \
  X(OPTIONAL, ssize_t, pwritev2,  (int, const struct iovec *, int, off_t, int)) \
  X(OPTIONAL, ssize_t, pwritev64v2, (int, const struct iovec *, int, off_t, int)) \
  X(REQUIRED, ssize_t, send,      (int, const void *, size_t, int)) \
  X(REQUIRED, ssize_t, sendto,    (int, const void *, size_t, int, const struct sockaddr *, socklen_t)) \
  X(REQUIRED, ssize_t, sendmsg,   (int, const struct msghdr *, int)) \
  X(OPTIONAL, int,     sendmmsg,  (int, struct mmsghdr *, unsigned, int))

#define ZIO_MAPPING_HOOKS(X) \
  X(REQUIRED, void *, mmap,     (void *, size_t, int, int, int, off_t)) \
  X(REQUIRED, void *, mmap64,   (void *, size_t, int, int, int, off_t)) \
  X(REQUIRED, int,    munmap,   (void *, size_t)) \
  X(REQUIRED, void *, mremap,   (void *, size_t, size_t, int, ...)) \
  X(REQUIRED, int,    madvise,  (void *, size_t, int)) \
  X(OPTIONAL, ssize_t, process_madvise, (int, const struct iovec *, size_t, int, unsigned)) \
  X(REQUIRED, int,    mprotect, (void *, size_t, int)) \
  X(REQUIRED, int,    mlock,    (const void *, size_t)) \
  X(OPTIONAL, int,    mlock2,   (const void *, size_t, unsigned)) \
  X(REQUIRED, int,    mlockall, (int)) \
  X(OPTIONAL, int,    pkey_mprotect, (void *, size_t, int, int)) \
  X(REQUIRED, void *, shmat,    (int, const void *, int))

#define ZIO_PROCESS_HOOKS(X) \
  X(OPTIONAL, pid_t, _Fork,     (void)) \
  X(REQUIRED, pid_t, vfork,     (void)) \
  X(REQUIRED, void,  _exit,     (int)) \
  X(REQUIRED, void,  _Exit,     (int)) \
  X(REQUIRED, int,   clone,     (int (*)(void *), void *, int, void *, ...)) \
  X(REQUIRED, long,  syscall,   (long, ...)) \
  X(REQUIRED, int,   execve,    (const char *, char *const[], char *const[])) \
  X(REQUIRED, int,   execv,     (const char *, char *const[])) \
  X(REQUIRED, int,   execvp,    (const char *, char *const[])) \
  X(REQUIRED, int,   execvpe,   (const char *, char *const[], char *const[])) \
  X(REQUIRED, int,   execl,     (const char *, const char *, ...)) \
  X(REQUIRED, int,   execlp,    (const char *, const char *, ...)) \
  X(REQUIRED, int,   execle,    (const char *, const char *, ...)) \
  X(REQUIRED, int,   fexecve,   (int, char *const[], char *const[])) \
  X(OPTIONAL, int,   execveat,  (int, const char *, char *const[], char *const[], int)) \
  X(REQUIRED, int,   posix_spawn, (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[], char *const[])) \
  X(REQUIRED, int,   posix_spawnp, (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[], char *const[])) \
  X(REQUIRED, int,   setuid,    (uid_t)) \
  X(REQUIRED, int,   setgid,    (gid_t)) \
  X(REQUIRED, int,   seteuid,   (uid_t)) \
  X(REQUIRED, int,   setegid,   (gid_t)) \
  X(REQUIRED, int,   setreuid,  (uid_t, uid_t)) \
  X(REQUIRED, int,   setregid,  (gid_t, gid_t)) \
  X(REQUIRED, int,   setresuid, (uid_t, uid_t, uid_t)) \
  X(REQUIRED, int,   setresgid, (gid_t, gid_t, gid_t)) \
  X(REQUIRED, int,   setgroups, (size_t, const gid_t *)) \
  X(REQUIRED, int,   initgroups, (const char *, gid_t)) \
  X(OPTIONAL, int,   capset,    (void *, const void *)) \
  X(REQUIRED, int,   setfsuid,  (uid_t)) \
  X(REQUIRED, int,   setfsgid,  (gid_t)) \
  X(REQUIRED, int,   umount,    (const char *)) \
  X(REQUIRED, int,   umount2,   (const char *, int)) \
  X(REQUIRED, int,   chroot,    (const char *)) \
  X(OPTIONAL, int,   pivot_root, (const char *, const char *)) \
  X(REQUIRED, int,   unshare,   (int)) \
  X(REQUIRED, int,   setns,     (int, int)) \
  X(REQUIRED, int,   close,     (int)) \
  X(REQUIRED, int,   ioctl,     (int, unsigned long, ...)) \
  X(REQUIRED, int,   dup2,      (int, int)) \
  X(REQUIRED, int,   dup3,      (int, int, int)) \
  X(OPTIONAL, int,   close_range, (unsigned, unsigned, int)) \
  X(OPTIONAL, void,  closefrom, (int)) \
  X(REQUIRED, struct dirent *,   readdir,   (DIR *)) \
  X(REQUIRED, struct dirent64 *, readdir64, (DIR *)) \
  X(OPTIONAL, ssize_t, getdents64, (int, void *, size_t)) \
  X(REQUIRED, int,   sigaltstack, (const stack_t *restrict, stack_t *restrict)) \
  X(REQUIRED, int,   sigaction,   (int, const struct sigaction *restrict, struct sigaction *restrict)) \
  X(OPTIONAL, sighandler_t, signal,        (int, sighandler_t)) \
  X(OPTIONAL, sighandler_t, bsd_signal,    (int, sighandler_t)) \
  X(OPTIONAL, sighandler_t, ssignal,       (int, sighandler_t)) \
  X(OPTIONAL, sighandler_t, sysv_signal,   (int, sighandler_t)) \
  X(OPTIONAL, sighandler_t, __sysv_signal, (int, sighandler_t)) \
  X(OPTIONAL, sighandler_t, sigset,        (int, sighandler_t)) \
  X(REQUIRED, int,   siginterrupt, (int, int)) \
  X(REQUIRED, int,   pthread_setcanceltype, (int, int *)) \
  X(REQUIRED, int,   prctl,     (int, ...)) \
  X(REQUIRED, ssize_t, vmsplice, (int, const struct iovec *, size_t, unsigned)) \
  X(REQUIRED, int,   setrlimit,   (__rlimit_resource_t, const struct rlimit *)) \
  X(REQUIRED, int,   setrlimit64, (__rlimit_resource_t, const struct rlimit64 *)) \
  X(REQUIRED, int,   prlimit,     (pid_t, enum __rlimit_resource, const struct rlimit *, struct rlimit *)) \
  X(REQUIRED, int,   prlimit64,   (pid_t, enum __rlimit_resource, const struct rlimit64 *, struct rlimit64 *))

/* Files that are logged. None of them is missed where it is absent. */
#define ZIO_FILE_HOOKS(X) \
  X(OPTIONAL, int,     open,       (const char *, int, ...)) \
  X(OPTIONAL, int,     open64,     (const char *, int, ...)) \
  X(OPTIONAL, int,     openat,     (int, const char *, int, ...)) \
  X(OPTIONAL, int,     openat64,   (int, const char *, int, ...)) \
  X(OPTIONAL, int,     creat,      (const char *, mode_t)) \
  X(OPTIONAL, int,     creat64,    (const char *, mode_t)) \
  X(OPTIONAL, int,     __open_2,   (const char *, int)) \
  X(OPTIONAL, int,     __open64_2, (const char *, int)) \
  X(OPTIONAL, int,     __openat_2, (int, const char *, int)) \
  X(OPTIONAL, int,     __openat64_2, (int, const char *, int)) \
  X(OPTIONAL, FILE *,  fopen,      (const char *, const char *)) \
  X(OPTIONAL, FILE *,  fopen64,    (const char *, const char *)) \
  X(OPTIONAL, FILE *,  freopen,    (const char *, const char *, FILE *)) \
  X(OPTIONAL, FILE *,  freopen64,  (const char *, const char *, FILE *)) \
  X(OPTIONAL, FILE *,  fdopen,     (int, const char *)) \
  X(OPTIONAL, int,     fclose,     (FILE *)) \
  X(OPTIONAL, int,     dprintf,    (int, const char *, ...)) \
  X(OPTIONAL, int,     vdprintf,   (int, const char *, va_list)) \
  X(OPTIONAL, int,     __dprintf_chk,  (int, int, const char *, ...)) \
  X(OPTIONAL, int,     __vdprintf_chk, (int, int, const char *, va_list)) \
  X(OPTIONAL, off_t,   lseek,      (int, off_t, int)) \
  X(OPTIONAL, off_t,   lseek64,    (int, off_t, int)) \
  X(OPTIONAL, int,     fsync,      (int)) \
  X(OPTIONAL, int,     fdatasync,  (int)) \
  X(OPTIONAL, void,    sync,       (void)) \
  X(OPTIONAL, int,     syncfs,     (int)) \
  X(OPTIONAL, ssize_t, sendfile,   (int, int, off_t *, size_t)) \
  X(OPTIONAL, ssize_t, sendfile64, (int, int, off_t *, size_t)) \
  X(OPTIONAL, ssize_t, splice,     (int, off_t *, int, off_t *, size_t, unsigned)) \
  X(OPTIONAL, ssize_t, copy_file_range, (int, off_t *, int, off_t *, size_t, unsigned)) \
  X(OPTIONAL, int,     aio_read,   (struct aiocb *)) \
  X(OPTIONAL, int,     aio_read64, (struct aiocb *)) \
  X(OPTIONAL, int,     aio_write,  (struct aiocb *)) \
  X(OPTIONAL, int,     aio_write64, (struct aiocb *)) \
  X(OPTIONAL, int,     lio_listio, (int, struct aiocb *const *, int, struct sigevent *)) \
  X(OPTIONAL, int,     lio_listio64, (int, struct aiocb *const *, int, struct sigevent *)) \
  X(OPTIONAL, int,     dup,        (int)) \
  X(OPTIONAL, int,     fcntl,      (int, int, ...)) \
  X(OPTIONAL, int,     fcntl64,    (int, int, ...)) \
  X(OPTIONAL, int,     posix_spawn_file_actions_addopen, (posix_spawn_file_actions_t *, int, const char *, int, mode_t))

#define ZIO_STATUS_HOOKS(X) \
  X(OPTIONAL, int, stat,       (const char *, struct stat *)) \
  X(OPTIONAL, int, stat64,     (const char *, struct stat64 *)) \
  X(OPTIONAL, int, lstat,      (const char *, struct stat *)) \
  X(OPTIONAL, int, lstat64,    (const char *, struct stat64 *)) \
  X(OPTIONAL, int, fstat,      (int, struct stat *)) \
  X(OPTIONAL, int, fstat64,    (int, struct stat64 *)) \
  X(OPTIONAL, int, fstatat,    (int, const char *, struct stat *, int)) \
  X(OPTIONAL, int, fstatat64,  (int, const char *, struct stat64 *, int)) \
  X(OPTIONAL, int, __xstat,    (int, const char *, struct stat *)) \
  X(OPTIONAL, int, __xstat64,  (int, const char *, struct stat64 *)) \
  X(OPTIONAL, int, __lxstat,   (int, const char *, struct stat *)) \
  X(OPTIONAL, int, __lxstat64, (int, const char *, struct stat64 *)) \
  X(OPTIONAL, int, __fxstat,   (int, int, struct stat *)) \
  X(OPTIONAL, int, __fxstat64, (int, int, struct stat64 *)) \
  X(OPTIONAL, int, __fxstatat,   (int, int, const char *, struct stat *, int)) \
  X(OPTIONAL, int, __fxstatat64, (int, int, const char *, struct stat64 *, int)) \
  X(OPTIONAL, int, statx,      (int, const char *restrict, int, unsigned, struct statx *restrict))

#define ZIO_NAME_HOOKS(X) \
  X(OPTIONAL, int, truncate,    (const char *, off_t)) \
  X(OPTIONAL, int, truncate64,  (const char *, off_t)) \
  X(OPTIONAL, int, ftruncate,   (int, off_t)) \
  X(OPTIONAL, int, ftruncate64, (int, off_t)) \
  X(OPTIONAL, int, fallocate,   (int, int, off_t, off_t)) \
  X(OPTIONAL, int, fallocate64, (int, int, off_t, off_t)) \
  X(OPTIONAL, int, posix_fallocate,   (int, off_t, off_t)) \
  X(OPTIONAL, int, posix_fallocate64, (int, off_t, off_t)) \
  X(OPTIONAL, int, utime,       (const char *, const struct utimbuf *)) \
  X(OPTIONAL, int, utimes,      (const char *, const struct timeval *)) \
  X(OPTIONAL, int, lutimes,     (const char *, const struct timeval *)) \
  X(OPTIONAL, int, futimes,     (int, const struct timeval *)) \
  X(OPTIONAL, int, futimens,    (int, const struct timespec *)) \
  X(OPTIONAL, int, futimesat,   (int, const char *, const struct timeval *)) \
  X(OPTIONAL, int, utimensat,   (int, const char *, const struct timespec *, int)) \
  X(OPTIONAL, int, unlink,      (const char *)) \
  X(OPTIONAL, int, unlinkat,    (int, const char *, int)) \
  X(OPTIONAL, int, remove,      (const char *)) \
  X(OPTIONAL, int, rename,      (const char *, const char *)) \
  X(OPTIONAL, int, renameat,    (int, const char *, int, const char *)) \
  X(OPTIONAL, int, renameat2,   (int, const char *, int, const char *, unsigned)) \
  X(OPTIONAL, int, link,        (const char *, const char *)) \
  X(OPTIONAL, int, linkat,      (int, const char *, int, const char *, int))

/* Not ours, but called: X as above. */
#define ZIO_BORROWED(X) \
  X(OPTIONAL, size_t, malloc_usable_size, (void *)) \
  X(REQUIRED, void *, malloc,             (size_t))

#define ZIO_HOOKS(X) \
  ZIO_MEMORY_HOOKS(X) ZIO_INPUT_HOOKS(X) ZIO_OUTPUT_HOOKS(X) ZIO_MAPPING_HOOKS(X) ZIO_PROCESS_HOOKS(X) \
  ZIO_FILE_HOOKS(X) ZIO_STATUS_HOOKS(X) ZIO_NAME_HOOKS(X)
/* clang-format on */

/* The functions behind the hooks: what the program would have called without us. NULL until
 * resolved; ZIO_REAL resolves on first use. */
struct zio__real {
#define ZIO_REAL_POINTER(need, result, name, parameters) result(*name) parameters;
    ZIO_HOOKS(ZIO_REAL_POINTER)
    ZIO_BORROWED(ZIO_REAL_POINTER)
#undef ZIO_REAL_POINTER
};
extern struct zio__real zio__real;
void zio__resolve_real(void);
/* The first REQUIRED name that could not be found, or NULL. */
const char *zio__missing_real(void);

#define ZIO_REAL(name)                                                                             \
    (__builtin_expect(zio__real.name == NULL, 0) ? zio__resolve_real() : (void)0, zio__real.name)

/* A hook's slow part: apart, so that the quick one keeps its arguments in registers and jumps. */
#define ZIO_SLOW __attribute__((noinline))
#define ZIO_EXPORT __attribute__((visibility("default")))
/* Where the program called the hook: what the policy learns by. */
#define ZIO_SITE() ((uintptr_t)__builtin_return_address(0))

#endif
