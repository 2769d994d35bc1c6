/* The hooks that open files: one that the patterns name comes under the log with its descriptor, or
 * is refused where that cannot be. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <zio/syscall.h>

#include "../instance.h"
#include "../logged_changes.h"
#include "../logged_files.h"
#include "hook_table.h"

/* Looks at what was opened, and closes it again where it may not be used. */
static int opened(int fd) {
    int refusal = fd < 0 ? 0 : zio__descriptor_opened(fd);
    if (refusal == 0)
        return fd;
    zio_syscall(SYS_close, fd);
    errno = -refusal;
    return -1;
}

/* Truncation is a change of a file that is logged already. */
static bool may_truncate(int flags) {
    return (flags & O_TRUNC) && !(flags & O_PATH) && (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
}

#define ZIO_OPENED(directory, path, flags, call)                                                   \
    if (!zio__follows())                                                                           \
        return call;                                                                               \
    struct zio__change change = {.file = NULL};                                                    \
    if (may_truncate(flags))                                                                       \
        zio__change_path(&change, directory, path, !((flags)&O_NOFOLLOW));                         \
    if (change.refusal != 0) {                                                                     \
        errno = -change.refusal;                                                                   \
        return -1;                                                                                 \
    }                                                                                              \
    int fd = call;                                                                                 \
    zio__change_end(&change, NULL, fd);                                                            \
    return opened(fd)

static mode_t mode_of(int flags, va_list *rest) {
    bool has = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
    return has ? (mode_t)va_arg(*rest, unsigned) : 0;
}

#define ZIO_OPEN(name)                                                                             \
    ZIO_EXPORT int name(const char *path, int flags, ...) {                                        \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = mode_of(flags, &rest);                                                       \
        va_end(rest);                                                                              \
        ZIO_OPENED(AT_FDCWD, path, flags, ZIO_REAL(name)(path, flags, mode));                      \
    }
ZIO_OPEN(open)
ZIO_OPEN(open64)

#define ZIO_OPENAT(name)                                                                           \
    ZIO_EXPORT int name(int directory, const char *path, int flags, ...) {                         \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = mode_of(flags, &rest);                                                       \
        va_end(rest);                                                                              \
        ZIO_OPENED(directory, path, flags, ZIO_REAL(name)(directory, path, flags, mode));          \
    }
ZIO_OPENAT(openat)
ZIO_OPENAT(openat64)

#define ZIO_CREAT(name)                                                                            \
    ZIO_EXPORT int name(const char *path, mode_t mode) {                                           \
        ZIO_OPENED(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, ZIO_REAL(name)(path, mode));      \
    }
ZIO_CREAT(creat)
ZIO_CREAT(creat64)

/* The checked forms take no mode, and end the program where one were needed. */
#define ZIO_OPEN_2(name)                                                                           \
    ZIO_EXPORT int name(const char *path, int flags) {                                             \
        ZIO_OPENED(AT_FDCWD, path, flags, ZIO_REAL(name)(path, flags));                            \
    }
ZIO_OPEN_2(__open_2)
ZIO_OPEN_2(__open64_2)

#define ZIO_OPENAT_2(name)                                                                         \
    ZIO_EXPORT int name(int directory, const char *path, int flags) {                              \
        ZIO_OPENED(directory, path, flags, ZIO_REAL(name)(directory, path, flags));                \
    }
ZIO_OPENAT_2(__openat_2)
ZIO_OPENAT_2(__openat64_2)
