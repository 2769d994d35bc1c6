/* The hooks on stdio, whose own reads and writes no hook sees: the file of a stream is the kernel's
 * for as long as the stream is open. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <zio/syscall.h>

#include "../instance.h"
#include "../logged_changes.h"
#include "../logged_files.h"
#include "hook_table.h"

/* A stream was opened: closed again where the file is refused. */
static FILE *opened(FILE *stream) {
    if (!stream)
        return NULL;
    int fd = fileno(stream), refusal = zio__descriptor_opened(fd);
    if (refusal != 0) {
        ZIO_REAL(fclose)(stream);
        errno = -refusal;
        return NULL;
    }
    zio__descriptor_leave(fd, false);
    return stream;
}

/* Before, because opening may read, truncate or look for the end. */
#define ZIO_FOPEN(name)                                                                            \
    ZIO_EXPORT FILE *name(const char *path, const char *mode) {                                    \
        if (!zio__follows())                                                                       \
            return ZIO_REAL(name)(path, mode);                                                     \
        zio__path_leave(AT_FDCWD, path);                                                           \
        return opened(ZIO_REAL(name)(path, mode));                                                 \
    }
ZIO_FOPEN(fopen)
ZIO_FOPEN(fopen64)

#define ZIO_FREOPEN(name)                                                                          \
    ZIO_EXPORT FILE *name(const char *path, const char *mode, FILE *stream) {                      \
        if (!zio__follows())                                                                       \
            return ZIO_REAL(name)(path, mode, stream);                                             \
        int old = fileno(stream);                                                    \
        if (path)                                                                                  \
            zio__path_leave(AT_FDCWD, path);                                                       \
        zio__descriptor_forget(old);                                                               \
        return opened(ZIO_REAL(name)(path, mode, stream));                                         \
    }
ZIO_FREOPEN(freopen)
ZIO_FREOPEN(freopen64)

ZIO_EXPORT FILE *fdopen(int fd, const char *mode) {
    if (zio__follows())
        zio__descriptor_leave(fd, false);
    return ZIO_REAL(fdopen)(fd, mode);
}

ZIO_EXPORT int fclose(FILE *stream) {
    if (!zio__follows())
        return ZIO_REAL(fclose)(stream);
    int saved = errno, fd = fileno(stream);
    errno = saved;
    int result = ZIO_REAL(fclose)(stream);
    zio__descriptor_forget(fd);
    return result;
}

/* Formats straight into a descriptor. */
ZIO_EXPORT int vdprintf(int fd, const char *format, va_list arguments) {
    if (zio__follows())
        zio__descriptor_leave(fd, false);
    return ZIO_REAL(vdprintf)(fd, format, arguments);
}

ZIO_EXPORT int dprintf(int fd, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int result = vdprintf(fd, format, arguments);
    va_end(arguments);
    return result;
}

ZIO_EXPORT int __vdprintf_chk(int fd, int flag, const char *format, va_list arguments) {
    if (zio__follows())
        zio__descriptor_leave(fd, false);
    return ZIO_REAL(__vdprintf_chk)(fd, flag, format, arguments);
}

ZIO_EXPORT int __dprintf_chk(int fd, int flag, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int result = __vdprintf_chk(fd, flag, format, arguments);
    va_end(arguments);
    return result;
}
