/* Calls on descriptors of logged files, as the kernel would answer them. */
#include "logged_io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <zio/syscall.h>

#include "hooks/readable.h"
#include "instance.h"
#include "logged_files.h"
#include "logged_pieces.h"
#include "logged_reach.h"
#include "nvm_pool.h"
#include "presence.h"

/* What one call moves at most, and from where on files end somewhere: the kernel finds out. */
#define CALL_BYTES_MAX ((size_t)0x7ffff000)
#define FILE_BYTES_MAX (INT64_C(1) << 43)

enum { /* of preadv2 and pwritev2 */
    FLAG_HIPRI = 1,
    FLAG_DSYNC = 2,
    FLAG_SYNC = 4,
    FLAG_APPEND = 16,
    FLAG_NOAPPEND = 32,
    WRITE_FLAGS = FLAG_HIPRI | FLAG_DSYNC | FLAG_SYNC | FLAG_APPEND | FLAG_NOAPPEND,
};

struct call {
    struct zio__visit visit;
    struct zio__logged *logged;
    struct zio_storage_file *file;
    const struct zio_storage *storage;
    int fd;
};

static bool begin(struct call *call, int fd) {
    if (zio__is_plain(fd) || !zio__visit_begin(&call->visit))
        return false;
    call->fd = fd;
    call->logged = zio__logged_get(fd);
    if (!call->logged) {
        zio__visit_end(&call->visit);
        return false;
    }
    call->file = atomic_load(&call->logged->file);
    call->storage = zio__nvm_storage();
    return true;
}

static void end(struct call *call) {
    zio__logged_drop(call->logged);
    zio__visit_end(&call->visit);
}

/* The flags of the open file; -1: it cannot be followed, and was left to the kernel. */
static long flags_of(struct call *call) {
    long flags = zio_syscall(SYS_fcntl, call->fd, F_GETFL);
    if (flags < 0 || !(flags & O_DIRECT))
        return flags;
    zio__logged_leave(call->fd, false);
    return -1;
}

static bool allows(long flags, int mode) {
    return flags >= 0 && ((flags & O_ACCMODE) == mode || (flags & O_ACCMODE) == O_RDWR);
}

/* The bytes of a vector that the kernel would take, at most what a call moves; 0: it is for the
 * kernel to say what is wrong with it, or there is nothing to do. */
static size_t length_of(const struct iovec *pieces, int count) {
    size_t all = 0;
    if (count <= 0 || count > ZIO__VECTOR_MAX)
        return 0;
    for (int i = 0; i < count; i++) {
        if (pieces[i].iov_len > SSIZE_MAX)
            return 0;
        all += pieces[i].iov_len;
        if (all > CALL_BYTES_MAX)
            all = CALL_BYTES_MAX;
    }
    return all;
}

static int64_t position_of(const struct call *call) {
    return zio_syscall(SYS_lseek, call->fd, 0, SEEK_CUR);
}

/* RLIMIT_FSIZE + 1, or 0: not known. Hooks see this process set it; another one's prlimit(2) is
 * noticed when the provider next reserves space, which it refuses then. */
static _Atomic uint64_t file_limit;

void zio__file_limit_changed(void) {
    atomic_store_explicit(&file_limit, 0, memory_order_relaxed);
}

static uint64_t limit_now(void) {
    uint64_t known = atomic_load_explicit(&file_limit, memory_order_relaxed);
    if (known != 0)
        return known - 1;
    struct rlimit64 limit = {RLIM64_INFINITY, RLIM64_INFINITY};
    zio_syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, &limit);
    if (limit.rlim_cur == RLIM64_INFINITY) /* as nearly as makes no difference */
        limit.rlim_cur--;
    atomic_store_explicit(&file_limit, limit.rlim_cur + 1, memory_order_relaxed);
    return limit.rlim_cur;
}

/* Whether a limit that only the kernel knows how to apply may be met. */
static bool meets_limit(const struct call *call, int64_t offset, bool appends, size_t length) {
    struct zio_storage_status status;
    uint64_t limit = limit_now();
    if (appends)
        offset = call->storage->status(call->file, &status) == 0 ? (int64_t)status.bytes : 0;
    else if (offset == ZIO__AT_POSITION)
        offset = position_of(call);
    return offset > FILE_BYTES_MAX || (uint64_t)offset + length > limit;
}

/* The kernel writes to the file itself, which has everything that was logged. */
static bool write_by_kernel(struct call *call, const struct iovec *pieces, int count,
                            int64_t offset, int flags, ssize_t *result) {
    int code = call->storage->begin_change(call->file);
    if (code == ZIO_ENOTSUP)
        return false;
    if (code != 0) {
        *result = code;
        return true;
    }
    if (flags)
        *result = zio_syscall(SYS_pwritev2, call->fd, pieces, count, offset, 0, flags);
    else if (offset == ZIO__AT_POSITION)
        *result = zio_syscall(SYS_writev, call->fd, pieces, count);
    else
        *result = zio_syscall(SYS_pwritev, call->fd, pieces, count, offset, 0);
    if (*result > 0)
        zio_syscall(SYS_fdatasync, call->fd);
    call->storage->end_change(call->file, NULL);
    return true;
}

/* libc's needs no system call. */
static uint64_t now_ns(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME_COARSE, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static struct zio_storage_place place_of(int fd, int64_t offset, bool appends) {
    bool moves = offset == ZIO__AT_POSITION;
    return (struct zio_storage_place){.offset = appends ? ZIO_STORAGE_AT_END
                                                : moves ? ZIO_STORAGE_AT_POSITION
                                                        : offset,
                                      .descriptor = moves ? fd : -1,
                                      .now_ns = now_ns()};
}

static ssize_t log_pieces(struct call *call, struct zio_storage_place place,
                          const struct iovec *pieces, int count, size_t length) {
    struct zio__pieces taken;
    uint64_t sequence = 0;
    if (!zio__pieces_take(&taken, pieces, (size_t)count, length))
        return taken.count < 0 ? -ENOMEM : -EFAULT;
    ssize_t result =
        call->storage->log(call->file, place, taken.pieces, (size_t)taken.count, &sequence);
    zio__pieces_give_back(&taken, result, sequence);
    zio__stats_logged();
    return result;
}

static bool write_logged(struct call *call, const struct iovec *pieces, int count, int64_t offset,
                         int flags, ssize_t *result) {
    long open_flags = flags_of(call);
    size_t length = length_of(pieces, count);
    if (!allows(open_flags, O_WRONLY) || length == 0)
        return false;
    bool appends = ((open_flags & O_APPEND) && !(flags & FLAG_NOAPPEND)) || (flags & FLAG_APPEND);
    if ((flags & ~WRITE_FLAGS) || meets_limit(call, offset, appends, length))
        return write_by_kernel(call, pieces, count, offset, flags, result);
    *result = log_pieces(call, place_of(call->fd, offset, appends), pieces, count, length);
    if (*result == ZIO_ENOTSUP) {
        zio__logged_was_left(call->logged);
        return false;
    }
    if (*result == -EFBIG) {
        zio__file_limit_changed();
        return write_by_kernel(call, pieces, count, offset, flags, result);
    }
    bool syncs = (open_flags & O_DSYNC) || (flags & (FLAG_DSYNC | FLAG_SYNC));
    if (*result > 0 && syncs) {
        bool data_only = (open_flags & O_SYNC) != O_SYNC && !(flags & FLAG_SYNC);
        int code = call->storage->sync(call->file, data_only);
        if (code < 0)
            *result = code;
    }
    return true;
}

static bool as_libc(bool done, ssize_t *result) {
    if (done && *result < 0) {
        errno = (int)-*result;
        *result = -1;
    }
    return done;
}

/* A vector that cannot be read is for the kernel to refuse. */
static bool is_vector(const struct iovec *pieces, int count) {
    return count > 0 && count <= ZIO__VECTOR_MAX &&
           zio__is_readable(pieces, (size_t)count * sizeof *pieces);
}

bool zio__logged_write(int fd, const struct iovec *pieces, int count, int64_t offset, int flags,
                       ssize_t *result) {
    struct call call;
    if (offset < ZIO__AT_POSITION || !begin(&call, fd))
        return false;
    bool done = is_vector(pieces, count) &&
                write_logged(&call, pieces, count, offset, flags, result);
    end(&call);
    return as_libc(done, result);
}

/* Copies a vector up to `length` bytes. */
static int cut(struct iovec *to, const struct iovec *pieces, size_t length) {
    int count = 0;
    for (; length > 0; count++) {
        to[count] = pieces[count];
        if (to[count].iov_len > length)
            to[count].iov_len = length;
        length -= to[count].iov_len;
    }
    return count;
}

/* Viewed memory is made present in bulk; other is looked at. Returns how much of it can be had. */
static size_t prepare(const struct iovec *pieces, int count, size_t wanted) {
    size_t left = wanted;
    for (int i = 0; i < count && left > 0; i++) {
        size_t length = pieces[i].iov_len < left ? pieces[i].iov_len : left;
        if (length > 0 && zio_tracker_may_hold(&zio__tracker, pieces[i].iov_base, length))
            zio_tracker_overwrite(&zio__tracker, pieces[i].iov_base, length);
        left -= length;
    }
    return zio__reach(pieces, (size_t)count, wanted, ZIO__WRITES);
}

static ssize_t read_pieces(struct call *call, const struct iovec *pieces, int count,
                           int64_t offset, size_t wanted) {
    struct iovec few[ZIO__FEW_PIECES], *vector = few;
    size_t bytes = (size_t)count * sizeof *pieces;
    bool entered = zio__enter();
    size_t length = prepare(pieces, count, wanted);
    if (entered)
        zio__leave();
    if (length == 0)
        return -EFAULT;
    if (count > ZIO__FEW_PIECES && !(vector = zio_pages_alloc(bytes)))
        return -ENOMEM;
    int cut_count = cut(vector, pieces, length);
    ssize_t result = call->storage->read(call->file, place_of(call->fd, offset, false), vector,
                                         (size_t)cut_count);
    if (vector != few)
        zio_pages_free(vector, bytes);
    return result;
}

static bool read_logged(struct call *call, const struct iovec *pieces, int count, int64_t offset,
                        int flags, ssize_t *result) {
    struct zio_storage_status status;
    size_t length = length_of(pieces, count);
    if (!allows(flags_of(call), O_RDONLY) || length == 0)
        return false;
    if (flags & ~FLAG_HIPRI) {
        call->storage->settle(call->file);
        return false;
    }
    int code = call->storage->status(call->file, &status);
    int64_t at = offset == ZIO__AT_POSITION ? position_of(call) : offset;
    if (code == 0 && (uint64_t)at >= status.bytes) {
        *result = 0;
        return true;
    }
    if (code == 0 && status.bytes - (uint64_t)at < length)
        length = status.bytes - (uint64_t)at;
    *result = code != 0 ? code : read_pieces(call, pieces, count, offset, length);
    if (*result == ZIO_ENOTSUP) {
        zio__logged_was_left(call->logged);
        return false;
    }
    return true;
}

bool zio__logged_read(int fd, const struct iovec *pieces, int count, int64_t offset, int flags,
                      ssize_t *result) {
    struct call call;
    if (offset < ZIO__AT_POSITION || !begin(&call, fd))
        return false;
    bool done =
        is_vector(pieces, count) && read_logged(&call, pieces, count, offset, flags, result);
    end(&call);
    return as_libc(done, result);
}

static bool seek_logged(struct call *call, int64_t offset, int whence, int64_t *result) {
    struct zio_storage_status status;
    int64_t target;
    if (whence != SEEK_END) {
        call->storage->settle(call->file); /* where data and holes are is the file's to say */
        return false;
    }
    if (call->storage->status(call->file, &status) != 0) {
        zio__logged_was_left(call->logged);
        return false;
    }
    if (__builtin_add_overflow((int64_t)status.bytes, offset, &target))
        *result = -EOVERFLOW;
    else
        *result = target < 0 ? -EINVAL : zio_syscall(SYS_lseek, call->fd, target, SEEK_SET);
    return true;
}

bool zio__logged_seek(int fd, int64_t offset, int whence, int64_t *result) {
    struct call call;
    ssize_t code = 0;
    if (whence == SEEK_SET || whence == SEEK_CUR || !begin(&call, fd))
        return false;
    bool done = seek_logged(&call, offset, whence, result);
    end(&call);
    if (!done)
        return false;
    code = *result;
    as_libc(true, &code);
    *result = code;
    return true;
}

bool zio__logged_sync(int fd, bool data_only, int *result) {
    struct call call;
    ssize_t code;
    if (!begin(&call, fd))
        return false;
    code = call.storage->sync(call.file, data_only);
    if (code == ZIO_ENOTSUP)
        zio__logged_was_left(call.logged);
    end(&call);
    if (code == ZIO_ENOTSUP)
        return false;
    as_libc(true, &code);
    *result = (int)code;
    return true;
}

static void sync_one(struct zio__logged *logged, int fd) {
    (void)fd;
    zio__nvm_storage()->sync(atomic_load(&logged->file), 0);
}

void zio__logged_sync_all(void) {
    struct zio__visit visit;
    if (!zio__visit_begin(&visit))
        return;
    zio__logged_each(sync_one);
    zio__visit_end(&visit);
}
