/* What hooks tell of descriptors: each a visit of its own, with errno as it was. */
#include "logged_files.h"
#include "logged_table.h"

#include <errno.h>
#include <sys/stat.h>
#include <zio/syscall.h>

#include "nvm_pool.h"

int zio__descriptor_opened(int fd) {
    struct zio__visit visit;
    int saved = errno, result = 0;
    if (fd >= 0 && fd < ZIO__DESCRIPTORS && zio__visit_begin(&visit)) {
        zio__table_forget(fd);
        result = zio__table_classify(fd);
        if (result == 0 && fd <= ZIO__LAST_STREAM)
            zio__logged_leave(fd, false);
        zio__visit_end(&visit);
    }
    errno = saved;
    return result;
}

void zio__descriptors_forget(unsigned first, unsigned last) {
    struct zio__visit visit;
    int saved = errno, end = zio__table_end();
    if (end >= 0 && first <= (unsigned)end && zio__visit_begin(&visit)) {
        for (unsigned fd = first; fd <= last && fd <= (unsigned)end; fd++)
            if (zio__table_knows((int)fd))
                zio__table_forget((int)fd);
        zio__visit_end(&visit);
    }
    errno = saved;
}

void zio__descriptor_forget(int fd) {
    if (zio__table_knows(fd))
        zio__descriptors_forget((unsigned)fd, (unsigned)fd);
}

void zio__descriptor_arrived(int fd) {
    zio__descriptor_forget(fd);
    if (fd >= 0 && fd <= ZIO__LAST_STREAM)
        zio__descriptor_leave(fd, false);
}

void zio__descriptor_leave(int fd, bool for_good) {
    struct zio__visit visit;
    int saved = errno;
    if (fd >= 0 && zio__visit_begin(&visit)) {
        zio__logged_leave(fd, for_good);
        zio__visit_end(&visit);
    }
    errno = saved;
}

void zio__descriptor_settle(int fd) {
    struct zio__visit visit;
    int saved = errno;
    if (fd >= 0 && zio__visit_begin(&visit)) {
        struct zio__logged *logged = zio__logged_get(fd);
        if (logged) {
            zio__nvm_storage()->settle(atomic_load(&logged->file));
            zio__logged_drop(logged);
        }
        zio__visit_end(&visit);
    }
    errno = saved;
}

void zio__files_settle(void) {
    struct zio__visit visit;
    int saved = errno;
    if (zio__follows() && zio__visit_begin(&visit)) {
        if (zio__nvm_pool())
            zio__nvm_storage()->settle_all(zio__nvm_pool());
        zio__visit_end(&visit);
    }
    errno = saved;
}

void zio__files_quiesce(void) {
    struct zio__visit visit;
    int saved = errno;
    if (zio__follows() && zio__nvm_pool() && zio__visit_begin(&visit)) {
        if (zio__nvm_pool())
            zio__nvm_storage()->quiesce(zio__nvm_pool());
        zio__visit_end(&visit);
    }
    errno = saved;
}

void zio__descriptors_look_again(uint64_t device, uint64_t inode) {
    struct zio__visit visit;
    struct stat status;
    int saved = errno;
    if (!zio__visit_begin(&visit))
        return;
    for (int fd = 0; fd <= zio__table_end(); fd++)
        if (zio__table_is_file(fd) && zio_syscall(SYS_fstat, fd, &status) == 0 &&
            status.st_dev == device && status.st_ino == inode)
            zio__table_forget(fd);
    zio__visit_end(&visit);
    errno = saved;
}
