/* Finds the file behind a path without a trace: no descriptor but one that opens nothing (O_PATH),
 * whose closing ends no lock of the program's. */
#include "logged_changes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <zio/signals.h>
#include <zio/syscall.h>

#include "file_patterns.h"
#include "hooks/readable.h"
#include "instance.h"
#include "nvm_pool.h"

/* Whether the kernel could read the path's first word at least; it finds out about the rest. */
static bool is_path(const char *path) {
    return path && zio__is_readable_word((uintptr_t)path & ~(uintptr_t)7);
}

/* The canonical name of what a path leads to: its length, or 0. */
static size_t canonical(int directory, const char *path, bool follows, char *name) {
    long fd = zio_syscall(SYS_openat, directory, path,
                          O_PATH | O_CLOEXEC | (follows ? 0 : O_NOFOLLOW));
    if (fd < 0)
        return 0;
    size_t length = zio__descriptor_path((int)fd, name);
    zio_syscall(SYS_close, fd);
    return length;
}

bool zio__has_other_name(int directory, const char *path, bool follows, uint64_t device,
                         uint64_t inode) {
    struct stat itself;
    if (zio__patterns_may_match(path))
        return false;
    return !follows ||
           (zio_syscall(SYS_newfstatat, directory, path, &itself, AT_SYMLINK_NOFOLLOW) == 0 &&
            itself.st_dev == device && itself.st_ino == inode);
}

/* Within a visit. False: no regular file, or none of ours. */
static bool look(int directory, const char *path, bool follows, struct stat *status, int *refusal) {
    char name[ZIO__FILE_PATH_BYTES];
    *refusal = 0;
    if (!is_path(path) || zio_syscall(SYS_newfstatat, directory, path, status,
                                      follows ? 0 : AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(status->st_mode))
        return false;
    if (zio__nvm_storage())
        return true;
    if (zio__has_other_name(directory, path, follows, status->st_dev, status->st_ino) ||
        !canonical(directory, path, follows, name) || !zio__patterns_match(name))
        return false;
    *refusal = zio__nvm_open();
    return true;
}

static struct zio_storage_file *find(const struct stat *status) {
    struct zio_storage_file *file = NULL;
    const struct zio_storage *storage = zio__nvm_storage();
    if (!storage || storage->find(zio__nvm_pool(), status->st_dev, status->st_ino, &file) != 0)
        return NULL;
    return file;
}

/* Within a visit, which goes on until the change ends. A file that was left meanwhile is the
 * kernel's. */
static void begin(struct zio__change *change, struct zio_storage_file *file) {
    int code = zio__nvm_storage()->begin_change(file);
    if (code == 0) {
        change->file = file;
        return;
    }
    zio__nvm_storage()->detach(file);
    if (code != ZIO_ENOTSUP)
        change->refusal = code;
}

void zio__change_path(struct zio__change *change, int directory, const char *path, bool follows) {
    struct stat status;
    int saved = errno;
    change->file = NULL;
    change->refusal = 0;
    if (zio__follows() && zio__visit_begin(&change->visit)) {
        if (look(directory, path, follows, &status, &change->refusal) && change->refusal == 0) {
            struct zio_storage_file *file = find(&status);
            if (file)
                begin(change, file);
        }
        if (!change->file)
            zio__visit_end(&change->visit);
    }
    errno = saved;
}

void zio__change_descriptor(struct zio__change *change, int fd) {
    int saved = errno;
    change->file = NULL;
    change->refusal = 0;
    if (zio__follows() && !zio__is_plain(fd) && zio__visit_begin(&change->visit)) {
        struct zio__logged *logged = zio__logged_get(fd);
        if (logged) {
            struct stat status = {.st_dev = logged->device, .st_ino = logged->inode};
            struct zio_storage_file *file = find(&status);
            if (file)
                begin(change, file);
            zio__logged_drop(logged);
        }
        if (!change->file)
            zio__visit_end(&change->visit);
    }
    errno = saved;
}

/* Data that the kernel has changed is not in the log, which is all that a later sync writes. */
void zio__change_end(struct zio__change *change, const char *path, int written) {
    const struct zio_storage *storage = zio__nvm_storage();
    int saved = errno;
    if (!change->file)
        return;
    if (written >= 0 &&
        (storage->pool_capabilities(zio__nvm_pool()) & ZIO_STORAGE_SURVIVES_POWER))
        zio_syscall(SYS_fdatasync, written);
    storage->end_change(change->file, path);
    storage->detach(change->file);
    zio__visit_end(&change->visit);
    errno = saved;
}

bool zio__path_is_ours(int directory, const char *path, bool follows) {
    struct zio__visit visit;
    struct stat status;
    char name[ZIO__FILE_PATH_BYTES];
    int saved = errno, refusal;
    bool ours = false;
    if (zio__visit_begin(&visit)) {
        ours = look(directory, path, follows, &status, &refusal) && refusal == 0 &&
               canonical(directory, path, follows, name) && zio__patterns_match(name);
        zio__visit_end(&visit);
    }
    errno = saved;
    return ours;
}

void zio__path_leave(int directory, const char *path) {
    struct zio__visit visit;
    struct stat status;
    int saved = errno, refusal;
    if (zio__visit_begin(&visit)) {
        struct zio_storage_file *file = NULL;
        if (look(directory, path, true, &status, &refusal) && refusal == 0)
            file = find(&status);
        if (file) {
            zio__nvm_storage()->leave(file);
            zio__nvm_storage()->detach(file);
        }
        zio__visit_end(&visit);
    }
    errno = saved;
}
