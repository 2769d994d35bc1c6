/* A handful of remainders, found by the identity of the file: descriptors may be closed, duplicated
 * and reused without our knowing. */
#include "pushback.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zio/lock.h>
#include <zio/signals.h>

#include "hooks/hook_table.h"

enum { ENTRIES = 16 };

struct remainder {
    struct zio_origin *origin; /* NULL: free */
    size_t offset, length;
    dev_t device;
    ino_t inode;
};

_Atomic uint32_t zio__pushback_count;
static struct remainder remainders[ENTRIES];
static struct zio_lock lock;

static bool identify(int fd, struct stat *status) {
    return zio_syscall(SYS_fstat, fd, status) == 0;
}

/* With `device` and `inode` of a file its oldest remainder, otherwise a free entry, or NULL. */
static struct remainder *find(const struct stat *status) {
    for (int i = 0; i < ENTRIES; i++) {
        struct remainder *entry = &remainders[i];
        if (status
                ? entry->origin && entry->device == status->st_dev && entry->inode == status->st_ino
                : !entry->origin)
            return entry;
    }
    return NULL;
}

bool zio__gives_messages(int fd) {
    int type = SOCK_STREAM;
    socklen_t length = sizeof type;
    return zio_syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
           type != SOCK_STREAM;
}

bool zio__pushback_put(int fd, struct zio_origin *origin, size_t offset, size_t length) {
    struct stat status;
    if (!identify(fd, &status) || (S_ISSOCK(status.st_mode) && zio__gives_messages(fd)))
        return false;
    if (S_ISREG(status.st_mode))
        return zio_syscall(SYS_lseek, fd, -(long)length, SEEK_CUR) >= 0;
    uint64_t signals = zio_signals_block();
    zio_lock_exclusive(&lock);
    struct remainder *entry = find(NULL);
    if (entry) {
        zio_origin_hold(origin);
        *entry = (struct remainder){origin, offset, length, status.st_dev, status.st_ino};
        atomic_fetch_add(&zio__pushback_count, 1);
    }
    zio_unlock_exclusive(&lock);
    zio_signals_restore(signals);
    return entry != NULL;
}

/* Takes the remainder out: whoever delivers it owns its hold. */
static bool take_out(const struct stat *status, struct remainder *taken) {
    uint64_t signals = zio_signals_block();
    zio_lock_exclusive(&lock);
    struct remainder *entry = find(status);
    if (entry) {
        *taken = *entry;
        entry->origin = NULL;
        atomic_fetch_sub(&zio__pushback_count, 1);
    }
    zio_unlock_exclusive(&lock);
    zio_signals_restore(signals);
    return entry != NULL;
}

void zio__pushback_after_fork(void) {
    lock = (struct zio_lock){0};
}

/* By the kernel, which stops where the program's memory does, as it would have in the input itself.
 * Returns the bytes stored, or -EFAULT. */
static ssize_t deliver(const struct zio_io_request *request, const struct remainder *from) {
    struct iovec source = {from->origin->data + from->offset, from->length};
    long self = zio_syscall(SYS_getpid);
    ssize_t done = zio_syscall(SYS_process_vm_readv, self, request->pieces, request->piece_count,
                               &source, 1, 0);
    if (done >= 0 || done == -EFAULT)
        return done;
    size_t stored = 0; /* a kernel without the call */
    for (size_t i = 0; i < request->piece_count && stored < from->length; i++) {
        size_t room = request->pieces[i].iov_len, left = from->length - stored;
        size_t length = left < room ? left : room;
        ZIO_REAL(memcpy)
        (request->pieces[i].iov_base, from->origin->data + from->offset + stored, length);
        stored += length;
    }
    return (ssize_t)stored;
}

bool zio__pushback_take(int fd, const struct zio_io_request *request, ssize_t *result) {
    struct stat status;
    struct remainder taken;
    if (!identify(fd, &status) || !take_out(&status, &taken))
        return false;
    *result = deliver(request, &taken);
    bool stays = *result < 0 || (request->message && (request->flags & MSG_PEEK));
    size_t used = stays ? 0 : (size_t)*result;
    if (used < taken.length)
        zio__pushback_put(fd, taken.origin, taken.offset + used, taken.length - used);
    zio_origin_release(taken.origin);
    return true;
}
