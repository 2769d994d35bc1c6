/* The hooks on names, sizes and times of files: changes that the kernel makes, of files that have
 * everything by then. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <utime.h>
#include <zio/syscall.h>

#include "../instance.h"
#include "../logged_changes.h"
#include "../logged_files.h"
#include "../nvm_pool.h"
#include "hook_table.h"

static int refused(int refusal) {
    errno = -refusal;
    return -1;
}

/* A change of the data or times of a file. */
#define ZIO_CHANGED_PATH(name, directory, path, follows, parameters, arguments)                    \
    ZIO_EXPORT int name parameters {                                                               \
        if (!zio__follows())                                                                       \
            return ZIO_REAL(name) arguments;                                                       \
        struct zio__change change;                                                                 \
        zio__change_path(&change, directory, path, follows);                                       \
        if (change.refusal != 0)                                                                   \
            return refused(change.refusal);                                                        \
        int result = ZIO_REAL(name) arguments;                                                     \
        zio__change_end(&change, NULL, -1);                                                        \
        return result;                                                                             \
    }

#define ZIO_CHANGED_FILE(name, written, fail, parameters, arguments)                               \
    ZIO_EXPORT int name parameters {                                                               \
        if (!zio__follows())                                                                       \
            return ZIO_REAL(name) arguments;                                                       \
        struct zio__change change;                                                                 \
        zio__change_descriptor(&change, fd);                                                       \
        if (change.refusal != 0)                                                                   \
            return fail(change.refusal);                                                           \
        int result = ZIO_REAL(name) arguments;                                                     \
        zio__change_end(&change, NULL, (written) ? fd : -1);                                       \
        return result;                                                                             \
    }

/* posix_fallocate gives its error as the result. */
static int told(int refusal) {
    return -refusal;
}

ZIO_CHANGED_PATH(truncate, AT_FDCWD, path, true, (const char *path, off_t length), (path, length))
ZIO_CHANGED_PATH(truncate64, AT_FDCWD, path, true, (const char *path, off_t length),
                 (path, length))
ZIO_CHANGED_FILE(ftruncate, true, refused, (int fd, off_t length), (fd, length))
ZIO_CHANGED_FILE(ftruncate64, true, refused, (int fd, off_t length), (fd, length))
ZIO_CHANGED_FILE(fallocate, true, refused, (int fd, int mode, off_t offset, off_t length),
                 (fd, mode, offset, length))
ZIO_CHANGED_FILE(fallocate64, true, refused, (int fd, int mode, off_t offset, off_t length),
                 (fd, mode, offset, length))
ZIO_CHANGED_FILE(posix_fallocate, true, told, (int fd, off_t offset, off_t length),
                 (fd, offset, length))
ZIO_CHANGED_FILE(posix_fallocate64, true, told, (int fd, off_t offset, off_t length),
                 (fd, offset, length))

ZIO_CHANGED_PATH(utime, AT_FDCWD, path, true, (const char *path, const struct utimbuf *times),
                 (path, times))
ZIO_CHANGED_PATH(utimes, AT_FDCWD, path, true, (const char *path, const struct timeval times[2]),
                 (path, times))
ZIO_CHANGED_PATH(lutimes, AT_FDCWD, path, false, (const char *path, const struct timeval times[2]),
                 (path, times))
ZIO_CHANGED_FILE(futimes, false, refused, (int fd, const struct timeval times[2]), (fd, times))
ZIO_CHANGED_FILE(futimens, false, refused, (int fd, const struct timespec times[2]), (fd, times))
ZIO_CHANGED_PATH(futimesat, directory, path, true,
                 (int directory, const char *path, const struct timeval times[2]),
                 (directory, path, times))

ZIO_EXPORT int utimensat(int directory, const char *path, const struct timespec times[2], int flags) {
    if (!zio__follows())
        return ZIO_REAL(utimensat)(directory, path, times, flags);
    struct zio__change change;
    const char *given = path; /* which the headers say is never NULL, and the kernel allows */
    __asm__("" : "+r"(given));
    if (given)
        zio__change_path(&change, directory, given, !(flags & AT_SYMLINK_NOFOLLOW));
    else
        zio__change_descriptor(&change, directory);
    if (change.refusal != 0)
        return refused(change.refusal);
    int result = ZIO_REAL(utimensat)(directory, path, times, flags);
    zio__change_end(&change, NULL, -1);
    return result;
}

/* A name goes away: the file is out of the log, even where it has another one, because recovery would
 * not find it. */
static int remove_name(int directory, const char *path, int flags, int (*call)(int, const char *, int)) {
    struct zio__change change;
    zio__change_path(&change, directory, path, false);
    if (change.refusal != 0)
        return refused(change.refusal);
    int result = call(directory, path, flags);
    zio__change_end(&change, result == 0 ? "" : NULL, -1);
    return result;
}

static int plain_unlink(int directory, const char *path, int flags) {
    (void)directory, (void)flags;
    return ZIO_REAL(unlink)(path);
}

static int plain_unlinkat(int directory, const char *path, int flags) {
    return ZIO_REAL(unlinkat)(directory, path, flags);
}

static int plain_remove(int directory, const char *path, int flags) {
    (void)directory, (void)flags;
    return ZIO_REAL(remove)(path);
}

ZIO_EXPORT int unlink(const char *path) {
    return zio__follows() ? remove_name(AT_FDCWD, path, 0, plain_unlink) : ZIO_REAL(unlink)(path);
}

ZIO_EXPORT int unlinkat(int directory, const char *path, int flags) {
    return zio__follows() && !(flags & AT_REMOVEDIR)
               ? remove_name(directory, path, flags, plain_unlinkat)
               : ZIO_REAL(unlinkat)(directory, path, flags);
}

ZIO_EXPORT int remove(const char *path) {
    return zio__follows() ? remove_name(AT_FDCWD, path, 0, plain_remove) : ZIO_REAL(remove)(path);
}

/* The canonical name of a file that lies there now; "": none. */
static void name_of(int directory, const char *path, char *name) {
    long fd = zio_syscall(SYS_openat, directory, path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
    name[0] = 0;
    if (fd < 0)
        return;
    if (!zio__descriptor_path((int)fd, name))
        name[0] = 0;
    zio_syscall(SYS_close, fd);
}

/* Files below a directory that got another name are found under their old one no more. */
static void rename_one(struct zio__logged *logged, int fd) {
    char name[ZIO__FILE_PATH_BYTES];
    struct zio_storage_file *file = atomic_load(&logged->file);
    if (zio__descriptor_path(fd, name) && zio__nvm_storage()->begin_change(file) == 0)
        zio__nvm_storage()->end_change(file, name);
}

static void after_directory(void) {
    struct zio__visit visit;
    int saved = errno;
    if (zio__nvm_pool() && zio__visit_begin(&visit)) {
        zio__logged_each(rename_one);
        zio__visit_end(&visit);
    }
    errno = saved;
}

/* What a name stood for until another file took it, or nothing. */
static void before_replacing(int directory, const char *path) {
    struct zio__change change;
    zio__change_path(&change, directory, path, false);
    zio__change_end(&change, NULL, -1);
}

static bool same(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The file whose name went to another one: gone, where it had no further name. */
static void after_replacing(const struct stat *replaced) {
    struct zio__visit visit;
    struct zio_storage_file *file;
    int saved = errno;
    if (!zio__nvm_pool() || !zio__visit_begin(&visit))
        return;
    const struct zio_storage *storage = zio__nvm_storage();
    if (storage->find(zio__nvm_pool(), replaced->st_dev, replaced->st_ino, &file) == 0) {
        if (storage->begin_change(file) == 0)
            storage->end_change(file, "");
        storage->detach(file);
    }
    zio__visit_end(&visit);
    errno = saved;
}

static bool look(int directory, const char *path, struct stat *status) {
    return zio_syscall(SYS_newfstatat, directory, path, status, AT_SYMLINK_NOFOLLOW) == 0;
}

struct renaming {
    int from, to;
    const char *old, *new;
    unsigned flags;
};

enum { FLAG_EXCHANGE = 2 };

static int plain_rename(const struct renaming *r) {
    return ZIO_REAL(rename)(r->old, r->new);
}

static int plain_renameat(const struct renaming *r) {
    return ZIO_REAL(renameat)(r->from, r->old, r->to, r->new);
}

static int plain_renameat2(const struct renaming *r) {
    return ZIO_REAL(renameat2)(r->from, r->old, r->to, r->new, r->flags);
}

/* What has got another name, by which the patterns may know it. */
static void after_naming(const struct stat *named) {
    if (S_ISDIR(named->st_mode))
        after_directory();
    else if (S_ISREG(named->st_mode))
        zio__descriptors_look_again(named->st_dev, named->st_ino);
}

/* Both files are left to the kernel: each would need the other's name at once. */
static int exchange(const struct renaming *r, int (*call)(const struct renaming *)) {
    struct stat one, other;
    zio__path_leave(r->from, r->old);
    zio__path_leave(r->to, r->new);
    int result = call(r), saved = errno;
    if (result == 0 && look(r->from, r->old, &one) && look(r->to, r->new, &other)) {
        after_naming(&one);
        after_naming(&other);
    }
    errno = saved;
    return result;
}

static int rename_followed(const struct renaming *r, int (*call)(const struct renaming *)) {
    struct zio__change change;
    struct stat moved = {0}, replaced = {0};
    char name[ZIO__FILE_PATH_BYTES];
    int saved = errno;
    if (r->flags & FLAG_EXCHANGE)
        return exchange(r, call);
    before_replacing(r->to, r->new);
    zio__change_path(&change, r->from, r->old, false);
    if (change.refusal != 0)
        return refused(change.refusal);
    /* The paths are the program's: the kernel reads them. */
    bool exists = look(r->from, r->old, &moved), replaces = look(r->to, r->new, &replaced);
    int result = call(r);
    if (result == 0 && change.file)
        name_of(r->to, r->new, name);
    zio__change_end(&change, result == 0 && change.file && name[0] ? name : NULL, -1);
    if (result != 0 || !exists)
        return result;
    if (replaces && S_ISREG(replaced.st_mode) && !same(&moved, &replaced))
        after_replacing(&replaced);
    after_naming(&moved);
    errno = saved;
    return result;
}

ZIO_EXPORT int rename(const char *old, const char *new) {
    struct renaming r = {AT_FDCWD, AT_FDCWD, old, new, 0};
    return zio__follows() ? rename_followed(&r, plain_rename) : ZIO_REAL(rename)(old, new);
}

ZIO_EXPORT int renameat(int from, const char *old, int to, const char *new) {
    struct renaming r = {from, to, old, new, 0};
    return zio__follows() ? rename_followed(&r, plain_renameat)
                          : ZIO_REAL(renameat)(from, old, to, new);
}

ZIO_EXPORT int renameat2(int from, const char *old, int to, const char *new, unsigned flags) {
    struct renaming r = {from, to, old, new, flags};
    return zio__follows() ? rename_followed(&r, plain_renameat2)
                          : ZIO_REAL(renameat2)(from, old, to, new, flags);
}

/* A further name, perhaps the one by which the patterns know the file. */
static int linked(int result, int to, const char *new) {
    struct stat status;
    if (result == 0 && zio__follows() && look(to, new, &status) && S_ISREG(status.st_mode))
        zio__descriptors_look_again(status.st_dev, status.st_ino);
    return result;
}

ZIO_EXPORT int link(const char *old, const char *new) {
    return linked(ZIO_REAL(link)(old, new), AT_FDCWD, new);
}

ZIO_EXPORT int linkat(int from, const char *old, int to, const char *new, int flags) {
    return linked(ZIO_REAL(linkat)(from, old, to, new, flags), to, new);
}
