/* A handful of remainders, found by the identity of the file: descriptors may be closed, duplicated
 * and reused without our knowing. */
#include "pushback.h"

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

bool zio__pushback_put(int fd, struct zio_origin *origin, size_t offset, size_t length) {
    struct stat status;
    if (!identify(fd, &status))
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

bool zio__pushback_take(int fd, const struct zio_io_request *request, ssize_t *result) {
    struct stat status;
    struct remainder taken;
    if (!identify(fd, &status) || !take_out(&status, &taken))
        return false;
    size_t done = 0;
    for (size_t i = 0; i < request->piece_count && done < taken.length; i++) {
        size_t room = request->pieces[i].iov_len, left = taken.length - done;
        size_t length = left < room ? left : room;
        ZIO_REAL(memcpy)
        (request->pieces[i].iov_base, taken.origin->data + taken.offset + done, length);
        done += length;
    }
    size_t used = request->message && (request->flags & MSG_PEEK) ? 0 : done;
    if (used < taken.length)
        zio__pushback_put(fd, taken.origin, taken.offset + used, taken.length - used);
    zio_origin_release(taken.origin);
    *result = (ssize_t)done;
    return true;
}
