/* The hooks that tell a file's size and time: of a logged file those that it has with its log. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <zio/syscall.h>

#include "../instance.h"
#include "../logged_changes.h"
#include "../logged_files.h"
#include "../nvm_pool.h"
#include "hook_table.h"

/* Within a visit. */
static bool logged_status(uint64_t device, uint64_t inode, struct zio_storage_status *status) {
    const struct zio_storage *storage = zio__nvm_storage();
    struct zio_storage_file *file;
    if (!storage || storage->find(zio__nvm_pool(), device, inode, &file) != 0)
        return false;
    bool known = storage->status(file, status) == 0;
    storage->detach(file);
    return known;
}

/* Before the pool is open here somebody else may log the file: then its name tells. */
static bool status_of(uint64_t device, uint64_t inode, int directory, const char *path, bool follows,
                      struct zio_storage_status *status) {
    struct zio__visit visit;
    int saved = errno;
    bool known = false;
    if (!zio__nvm_pool()) {
        if (path && *path && zio__has_other_name(directory, path, follows, device, inode)) {
            errno = saved;
            return false;
        }
        if (path && *path)
            zio__path_is_ours(directory, path, follows);
        else
            zio__descriptor_settle(directory); /* looks at it */
    }
    if (zio__nvm_pool() && zio__visit_begin(&visit)) {
        known = logged_status(device, inode, status);
        zio__visit_end(&visit);
    }
    errno = saved;
    return known;
}

/* The time of a change is that of the modification at least. */
static bool is_later(struct timespec a, struct timespec b) {
    return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

static int amend(int result, struct stat *found, int directory, const char *path, bool follows) {
    struct zio_storage_status status;
    if (result != 0 || !S_ISREG(found->st_mode) ||
        !status_of(found->st_dev, found->st_ino, directory, path, follows, &status))
        return result;
    found->st_size = (off_t)status.bytes;
    found->st_mtim = status.modified;
    if (is_later(status.modified, found->st_ctim))
        found->st_ctim = status.modified;
    return 0;
}

static int as_libc(long result) {
    if (result >= 0)
        return (int)result;
    errno = (int)-result;
    return -1;
}

/* glibc has had the names without a version number since 2.33; the kernel's call gives the same
 * structure, and so do both forms of it. */
static int path_status(int directory, const char *path, void *found, int flags) {
    int result = as_libc(zio_syscall(SYS_newfstatat, directory, path, found, flags));
    return amend(result, found, directory, path, !(flags & AT_SYMLINK_NOFOLLOW));
}

static int descriptor_status(int fd, void *found) {
    return amend(as_libc(zio_syscall(SYS_fstat, fd, found)), found, fd, NULL, true);
}

#define ZIO_STAT(name, type, flags)                                                                \
    ZIO_EXPORT int name(const char *path, struct type *found) {                                    \
        if (!zio__follows() && ZIO_REAL(name))                                                     \
            return zio__real.name(path, found);                                                    \
        return path_status(AT_FDCWD, path, found, flags);                                          \
    }
ZIO_STAT(stat, stat, 0)
ZIO_STAT(stat64, stat64, 0)
ZIO_STAT(lstat, stat, AT_SYMLINK_NOFOLLOW)
ZIO_STAT(lstat64, stat64, AT_SYMLINK_NOFOLLOW)

#define ZIO_FSTAT(name, type)                                                                      \
    ZIO_EXPORT int name(int fd, struct type *found) {                                              \
        if (!zio__follows() && ZIO_REAL(name))                                                     \
            return zio__real.name(fd, found);                                                      \
        return descriptor_status(fd, found);                                                       \
    }
ZIO_FSTAT(fstat, stat)
ZIO_FSTAT(fstat64, stat64)

#define ZIO_FSTATAT(name, type)                                                                    \
    ZIO_EXPORT int name(int directory, const char *path, struct type *found, int flags) {          \
        if (!zio__follows() && ZIO_REAL(name))                                                     \
            return zio__real.name(directory, path, found, flags);                                  \
        return path_status(directory, path, found, flags);                                         \
    }
ZIO_FSTATAT(fstatat, stat)
ZIO_FSTATAT(fstatat64, stat64)

/* What programs that were built for an older glibc call. Version 1 is the kernel's structure, 0 too
 * on arm64. */
static bool is_known_version(int version) {
    return version == 0 || version == 1;
}

#define ZIO_XSTAT(name, type, flags)                                                               \
    ZIO_EXPORT int name(int version, const char *path, struct type *found) {                       \
        if (!zio__follows() && ZIO_REAL(name))                                                     \
            return zio__real.name(version, path, found);                                           \
        if (!is_known_version(version))                                                            \
            return as_libc(-EINVAL);                                                               \
        return path_status(AT_FDCWD, path, found, flags);                                          \
    }
ZIO_XSTAT(__xstat, stat, 0)
ZIO_XSTAT(__xstat64, stat64, 0)
ZIO_XSTAT(__lxstat, stat, AT_SYMLINK_NOFOLLOW)
ZIO_XSTAT(__lxstat64, stat64, AT_SYMLINK_NOFOLLOW)

#define ZIO_FXSTAT(name, type)                                                                     \
    ZIO_EXPORT int name(int version, int fd, struct type *found) {                                 \
        if (!zio__follows() && ZIO_REAL(name))                                                     \
            return zio__real.name(version, fd, found);                                             \
        if (!is_known_version(version))                                                            \
            return as_libc(-EINVAL);                                                               \
        return descriptor_status(fd, found);                                                       \
    }
ZIO_FXSTAT(__fxstat, stat)
ZIO_FXSTAT(__fxstat64, stat64)

#define ZIO_FXSTATAT(name, type)                                                                   \
    ZIO_EXPORT int name(int version, int directory, const char *path, struct type *found,          \
                        int flags) {                                                               \
        if (!zio__follows() && ZIO_REAL(name))                                                     \
            return zio__real.name(version, directory, path, found, flags);                         \
        if (!is_known_version(version))                                                            \
            return as_libc(-EINVAL);                                                               \
        return path_status(directory, path, found, flags);                                         \
    }
ZIO_FXSTATAT(__fxstatat, stat)
ZIO_FXSTATAT(__fxstatat64, stat64)

ZIO_EXPORT int statx(int directory, const char *restrict path, int flags, unsigned mask,
                     struct statx *restrict found) {
    struct zio_storage_status status;
    int result = ZIO_REAL(statx)(directory, path, flags, mask, found);
    if (!zio__follows() || result != 0 || !S_ISREG(found->stx_mode) ||
        !status_of(makedev(found->stx_dev_major, found->stx_dev_minor), found->stx_ino, directory,
                   path, !(flags & AT_SYMLINK_NOFOLLOW), &status))
        return result;
    struct timespec changed = {found->stx_ctime.tv_sec, found->stx_ctime.tv_nsec};
    found->stx_size = status.bytes;
    found->stx_mtime.tv_sec = status.modified.tv_sec;
    found->stx_mtime.tv_nsec = (uint32_t)status.modified.tv_nsec;
    if (is_later(status.modified, changed))
        found->stx_ctime = found->stx_mtime;
    return 0;
}
