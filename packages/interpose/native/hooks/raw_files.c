/* syscall(3) on files: the same as the functions of libc that make the calls. */
#include "raw_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zio/syscall.h>

#include "../instance.h"
#include "../logged_files.h"
#include "hook_table.h"

/* An io_uring reads and writes by descriptor, unseen. */
static void before_ring(void) {
    struct zio__visit visit;
    int saved = errno;
    if (zio__visit_begin(&visit)) {
        zio__logged_leave_all();
        zio__visit_end(&visit);
    }
    errno = saved;
}

static bool on_names(long number, const long *a, long *result) {
    const char *second = (const char *)a[1], *first = (const char *)a[0];
    switch (number) {
#ifdef SYS_open
    case SYS_open:
        *result = open(first, (int)a[1], (mode_t)a[2]);
        return true;
    case SYS_creat:
        *result = creat(first, (mode_t)a[1]);
        return true;
    case SYS_rename:
        *result = rename(first, second);
        return true;
    case SYS_unlink:
        *result = unlink(first);
        return true;
    case SYS_link:
        *result = link(first, second);
        return true;
#endif
    case SYS_openat:
        *result = openat((int)a[0], second, (int)a[2], (mode_t)a[3]);
        return true;
#ifdef SYS_renameat
    case SYS_renameat:
        *result = renameat((int)a[0], second, (int)a[2], (const char *)a[3]);
        return true;
#endif
    case SYS_renameat2:
        *result = renameat2((int)a[0], second, (int)a[2], (const char *)a[3], (unsigned)a[4]);
        return true;
    case SYS_unlinkat:
        *result = unlinkat((int)a[0], second, (int)a[2]);
        return true;
    case SYS_linkat:
        *result = linkat((int)a[0], second, (int)a[2], (const char *)a[3], (int)a[4]);
        return true;
    case SYS_truncate:
        *result = truncate(first, a[1]);
        return true;
    default:
        return false;
    }
}

static bool on_content(long number, const long *a, long *result) {
    int fd = (int)a[0];
    void *second = (void *)a[1];
    switch (number) {
    case SYS_read:
        *result = read(fd, second, (size_t)a[2]);
        return true;
    case SYS_write:
        *result = write(fd, second, (size_t)a[2]);
        return true;
    case SYS_pread64:
        *result = pread(fd, second, (size_t)a[2], a[3]);
        return true;
    case SYS_pwrite64:
        *result = pwrite(fd, second, (size_t)a[2], a[3]);
        return true;
    case SYS_readv:
        *result = readv(fd, second, (int)a[2]);
        return true;
    case SYS_writev:
        *result = writev(fd, second, (int)a[2]);
        return true;
    case SYS_preadv:
        *result = preadv(fd, second, (int)a[2], a[3]);
        return true;
    case SYS_pwritev:
        *result = pwritev(fd, second, (int)a[2], a[3]);
        return true;
    case SYS_preadv2:
        *result = preadv2(fd, second, (int)a[2], a[3], (int)a[5]);
        return true;
    case SYS_pwritev2:
        *result = pwritev2(fd, second, (int)a[2], a[3], (int)a[5]);
        return true;
    default:
        return false;
    }
}

static bool on_files(long number, const long *a, long *result) {
    int fd = (int)a[0];
    switch (number) {
    case SYS_lseek:
        *result = lseek(fd, a[1], (int)a[2]);
        return true;
    case SYS_fsync:
        *result = fsync(fd);
        return true;
    case SYS_fdatasync:
        *result = fdatasync(fd);
        return true;
    case SYS_ftruncate:
        *result = ftruncate(fd, a[1]);
        return true;
    case SYS_fallocate:
        *result = fallocate(fd, (int)a[1], a[2], a[3]);
        return true;
    case SYS_fstat:
        *result = fstat(fd, (struct stat *)a[1]);
        return true;
    case SYS_newfstatat:
        *result = fstatat(fd, (const char *)a[1], (struct stat *)a[2], (int)a[3]);
        return true;
    case SYS_statx:
        *result = statx(fd, (const char *)a[1], (int)a[2], (unsigned)a[3], (struct statx *)a[4]);
        return true;
    case SYS_utimensat:
        *result = utimensat(fd, (const char *)a[1], (const struct timespec *)a[2], (int)a[3]);
        return true;
    case SYS_sendfile:
        *result = sendfile(fd, (int)a[1], (off_t *)a[2], (size_t)a[3]);
        return true;
    case SYS_splice:
        *result = splice(fd, (off_t *)a[1], (int)a[2], (off_t *)a[3], (size_t)a[4], (unsigned)a[5]);
        return true;
    case SYS_copy_file_range:
        *result = copy_file_range(fd, (off_t *)a[1], (int)a[2], (off_t *)a[3], (size_t)a[4],
                                  (unsigned)a[5]);
        return true;
    case SYS_close:
        *result = close(fd);
        return true;
    case SYS_dup:
        *result = dup(fd);
        return true;
    case SYS_fcntl:
        *result = fcntl(fd, (int)a[1], a[2]);
        return true;
    case SYS_mmap:
        *result = (long)mmap((void *)a[0], (size_t)a[1], (int)a[2], (int)a[3], (int)a[4], a[5]);
        return true;
    default:
        return false;
    }
}

bool zio__raw_on_files(long number, const long *a, long *result) {
    enum { PIDFD_GETFD = 438, OPENAT2 = 437 };
    if (number == SYS_io_uring_enter || number == SYS_io_uring_register || number == SYS_io_submit)
        before_ring();
    if (number == OPENAT2 || number == PIDFD_GETFD) {
        *result = ZIO_REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (*result >= 0)
            zio__descriptor_arrived((int)*result);
        return true;
    }
    return on_content(number, a, result) || on_files(number, a, result) ||
           on_names(number, a, result);
}
