/* Descriptors of ours in a table that belongs to the program: moved to high numbers, where programs
 * that count on the lowest free one do not miss them, and compared with what they were before each
 * use, because a program may close or replace any number.
 *
 * A process loses its record locks on a file (fcntl(2), F_SETLK) with any descriptor of that file
 * that it closes, and moving a descriptor closes one. So the target of a file that the program has
 * open already, or that somebody has locked, stays at the number it got, and is closed only when the
 * program closes the file too. */
#include "nvm_internal.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <zio/syscall.h>

enum { HIGHEST_KEPT = 4096, LAST_STREAM = 2 };

static bool identify(long fd, uint64_t *device, uint64_t *inode) {
    struct stat found;
    if (fd < 0 || zio_syscall(SYS_fstat, fd, &found) != 0)
        return false;
    *device = found.st_dev;
    *inode = found.st_ino;
    return true;
}

static long move_up(long fd) {
    struct {
        uint64_t now, most;
    } limit = {1024, 1024};
    zio_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
    uint64_t least = limit.now > HIGHEST_KEPT ? HIGHEST_KEPT : limit.now / 4 * 3;
    long moved = zio_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, least);
    if (moved < 0)
        return fd;
    zio_syscall(SYS_close, fd);
    return moved;
}

int nvm__keep(struct nvm_descriptor *kept, long fd) {
    return nvm__keep_at(kept, fd < 0 ? fd : move_up(fd));
}

int nvm__keep_at(struct nvm_descriptor *kept, long fd) {
    if (fd < 0)
        return (int)fd;
    if (fd <= LAST_STREAM)
        fd = move_up(fd); /* what is written to a closed stream must not go to a file */
    if (!identify(fd, &kept->device, &kept->inode)) {
        zio_syscall(SYS_close, fd);
        return -EBADF;
    }
    atomic_store(&kept->number, (int)fd);
    return 0;
}

bool nvm__is_kept(const struct nvm_descriptor *kept) {
    uint64_t device, inode;
    return identify(atomic_load(&kept->number), &device, &inode) && device == kept->device &&
           inode == kept->inode;
}

void nvm__drop(struct nvm_descriptor *kept) {
    if (nvm__is_kept(kept))
        zio_syscall(SYS_close, atomic_load(&kept->number));
    atomic_store(&kept->number, -1);
}

void nvm__descriptor_path(int fd, char path[32]) {
    const char *start = "/proc/self/fd/";
    char digits[12];
    int count = 0, at = 0;
    for (; start[at]; at++)
        path[at] = start[at];
    for (int rest = fd; count == 0 || rest > 0; rest /= 10)
        digits[count++] = (char)('0' + rest % 10);
    while (count > 0)
        path[at++] = digits[--count];
    path[at] = 0;
}

/* Whether a text, read piece by piece, has a word. */
static bool reads_word(long fd, const char *word) {
    char text[512];
    long length;
    int same = 0;
    while ((length = zio_syscall(SYS_read, fd, text, sizeof text)) > 0)
        for (long at = 0; at < length; at++) {
            same = text[at] == word[same] ? same + 1 : text[at] == word[0];
            if (!word[same])
                return true;
        }
    return length < 0;
}

/* The kernel's list names every lock by the file's number, behind that of the device. Another
 * file of that number, or another process's lock, does no harm. */
bool nvm__has_locks(int fd) {
    char word[24];
    int at = sizeof word - 1;
    uint64_t device, inode;
    if (!identify(fd, &device, &inode))
        return false;
    word[at] = 0;
    word[--at] = ' ';
    do
        word[--at] = (char)('0' + inode % 10);
    while (inode /= 10);
    word[--at] = ':';
    long list = zio_syscall(SYS_openat, AT_FDCWD, "/proc/locks", O_RDONLY | O_CLOEXEC, 0);
    if (list < 0)
        return true; /* nobody knows */
    bool found = reads_word(list, word + at);
    zio_syscall(SYS_close, list);
    return found;
}

long nvm__reopen(int fd) {
    char path[32];
    nvm__descriptor_path(fd, path);
    return zio_syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC | O_NONBLOCK, 0);
}
