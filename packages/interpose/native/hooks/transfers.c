/* The hooks on calls by which the kernel reads and writes files itself: where a file is logged it
 * gets everything before it is read, and is left to the kernel before it is written. And those that
 * sync, seek and copy descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <unistd.h>
#include <zio/syscall.h>

#include "../instance.h"
#include "../logged_changes.h"
#include "../logged_files.h"
#include "../logged_io.h"
#include "hook_table.h"
#include "readable.h"

#define ZIO_SEEK(name)                                                                             \
    ZIO_EXPORT off_t name(int fd, off_t offset, int whence) {                                      \
        int64_t result;                                                                            \
        if (zio__follows() && zio__logged_seek(fd, offset, whence, &result))                       \
            return result;                                                                         \
        return ZIO_REAL(name)(fd, offset, whence);                                                 \
    }
ZIO_SEEK(lseek)
ZIO_SEEK(lseek64)

ZIO_EXPORT int fsync(int fd) {
    int result;
    if (zio__follows() && zio__logged_sync(fd, false, &result))
        return result;
    return ZIO_REAL(fsync)(fd);
}

ZIO_EXPORT int fdatasync(int fd) {
    int result;
    if (zio__follows() && zio__logged_sync(fd, true, &result))
        return result;
    return ZIO_REAL(fdatasync)(fd);
}

ZIO_EXPORT void sync(void) {
    if (zio__follows())
        zio__logged_sync_all();
    ZIO_REAL(sync)();
}

ZIO_EXPORT int syncfs(int fd) {
    if (zio__follows())
        zio__logged_sync_all();
    return ZIO_REAL(syncfs)(fd);
}

static void before_transfer(int out, int in) {
    if (!zio__follows())
        return;
    if (out >= 0)
        zio__descriptor_leave(out, false);
    if (in >= 0)
        zio__descriptor_settle(in);
}

#define ZIO_SENDFILE(name)                                                                         \
    ZIO_EXPORT ssize_t name(int out, int in, off_t *offset, size_t count) {                        \
        before_transfer(out, in);                                                                  \
        return ZIO_REAL(name)(out, in, offset, count);                                             \
    }
ZIO_SENDFILE(sendfile)
ZIO_SENDFILE(sendfile64)

ZIO_EXPORT ssize_t splice(int in, off_t *in_offset, int out, off_t *out_offset, size_t length,
                          unsigned flags) {
    before_transfer(out, in);
    return ZIO_REAL(splice)(in, in_offset, out, out_offset, length, flags);
}

ZIO_EXPORT ssize_t copy_file_range(int in, off_t *in_offset, int out, off_t *out_offset,
                                   size_t length, unsigned flags) {
    before_transfer(out, in);
    return ZIO_REAL(copy_file_range)(in, in_offset, out, out_offset, length, flags);
}

/* glibc's threads read and write. Both forms of the structure begin so. */
struct aiocb {
    int aio_fildes;
};

static void before_aio(const struct aiocb *request) {
    if (zio__follows() && zio__is_readable(request, 16))
        zio__descriptor_leave(request->aio_fildes, false);
}

#define ZIO_AIO(name)                                                                              \
    ZIO_EXPORT int name(struct aiocb *request) {                                                   \
        before_aio(request);                                                                       \
        return ZIO_REAL(name)(request);                                                            \
    }
ZIO_AIO(aio_read)
ZIO_AIO(aio_read64)
ZIO_AIO(aio_write)
ZIO_AIO(aio_write64)

#define ZIO_AIO_LIST(name)                                                                         \
    ZIO_EXPORT int name(int mode, struct aiocb *const list[], int count, struct sigevent *event) { \
        for (int i = 0; zio__follows() && i < count; i++)                                          \
            if (list[i])                                                                           \
                before_aio(list[i]);                                                               \
        return ZIO_REAL(name)(mode, list, count, event);                                           \
    }
ZIO_AIO_LIST(lio_listio)
ZIO_AIO_LIST(lio_listio64)

/* A new number: another file may have had it before. */
static int copied(int fd) {
    if (zio__follows())
        zio__descriptor_arrived(fd);
    return fd;
}

ZIO_EXPORT int dup(int fd) {
    return copied(ZIO_REAL(dup)(fd));
}

#define ZIO_FCNTL(name)                                                                            \
    ZIO_EXPORT int name(int fd, int command, ...) {                                                \
        va_list rest;                                                                              \
        va_start(rest, command);                                                                   \
        void *argument = va_arg(rest, void *);                                                     \
        va_end(rest);                                                                              \
        int result = ZIO_REAL(name)(fd, command, argument);                                        \
        return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? copied(result) : result;         \
    }
ZIO_FCNTL(fcntl)
ZIO_FCNTL(fcntl64)

/* The child opens it behind our back, and truncates it perhaps. */
ZIO_EXPORT int posix_spawn_file_actions_addopen(posix_spawn_file_actions_t *actions, int fd,
                                                const char *path, int flags, mode_t mode) {
    if (zio__follows())
        zio__path_leave(AT_FDCWD, path);
    return ZIO_REAL(posix_spawn_file_actions_addopen)(actions, fd, path, flags, mode);
}
