/* Reading log and file merged, and the gate by which what readers look at is kept until they are
 * through. */
#include "nvm_internal.h"

#include <time.h>

#include <zio/signals.h>

#include "bytes.h"

enum { READ_VIEWS = 16 };

uint32_t nvm__enter(struct zio_nvm_pool *pool) {
    struct nvm_gate *gate = &pool->gate;
    for (;;) {
        uint32_t phase = atomic_load(&gate->phase);
        atomic_fetch_add(&gate->readers[phase & 1], 1);
        if (atomic_load(&gate->phase) == phase)
            return phase;
        atomic_fetch_sub(&gate->readers[phase & 1], 1);
    }
}

void nvm__leave(struct zio_nvm_pool *pool, uint32_t phase) {
    atomic_fetch_sub(&pool->gate.readers[phase & 1], 1);
}

/* Who enters from now on no longer sees what is being given back. One caller at a time. */
void nvm__wait_for_readers(struct zio_nvm_pool *pool) {
    struct nvm_gate *gate = &pool->gate;
    uint32_t phase = atomic_fetch_add(&gate->phase, 1);
    const struct timespec pause = {.tv_sec = 0, .tv_nsec = 20000};
    while (atomic_load(&gate->readers[phase & 1]) != 0)
        zio_syscall(SYS_nanosleep, &pause, NULL);
}

/* Where in the caller's memory the next bytes go. */
struct sink {
    const struct iovec *pieces;
    size_t count, at, done;
};

static unsigned char *sink_room(struct sink *sink, uint64_t *room) {
    while (sink->at < sink->count && sink->done == sink->pieces[sink->at].iov_len) {
        sink->at++;
        sink->done = 0;
    }
    if (sink->at == sink->count)
        return NULL;
    *room = sink->pieces[sink->at].iov_len - sink->done;
    return (unsigned char *)sink->pieces[sink->at].iov_base + sink->done;
}

static void put_bytes(struct sink *sink, const unsigned char *from, uint64_t length) {
    uint64_t room;
    for (unsigned char *to; length > 0 && (to = sink_room(sink, &room));) {
        uint64_t bytes = length < room ? length : room;
        if (from) {
            zio__copy_bytes(to, from, bytes);
            from += bytes;
        } else {
            zio__zero_bytes(to, bytes);
        }
        sink->done += bytes;
        length -= bytes;
    }
}

/* What the log says nothing about: the file, and zeros beyond its end. */
static int put_file(struct sink *sink, int descriptor, uint64_t offset, uint64_t length) {
    uint64_t room;
    for (unsigned char *to; length > 0 && (to = sink_room(sink, &room));) {
        uint64_t bytes = length < room ? length : room;
        long got = zio_syscall(SYS_pread64, descriptor, to, bytes, offset);
        if (got == -EINTR)
            continue;
        if (got < 0)
            return (int)got;
        if (got == 0) {
            put_bytes(sink, NULL, length);
            return 0;
        }
        sink->done += (size_t)got;
        offset += (uint64_t)got;
        length -= (uint64_t)got;
    }
    return 0;
}

static int put_range(struct zio_nvm_file *file, struct sink *sink, uint64_t offset, uint64_t end) {
    int result = 0;
    while (offset < end && result == 0) {
        struct zio_view views[READ_VIEWS];
        uint64_t covered;
        zio_lock_shared(&file->tree_lock);
        size_t count =
            zio_view_tree_translate(&file->tree, offset, end - offset, views, READ_VIEWS, &covered);
        zio_unlock_shared(&file->tree_lock);
        uint64_t stop = offset + covered;
        for (size_t i = 0; i < count && result == 0; i++) {
            if (views[i].start > offset)
                result = put_file(sink, file->descriptor, offset, views[i].start - offset);
            if (result == 0)
                put_bytes(sink, nvm__at(file->pool, views[i].offset), views[i].length);
            offset = views[i].start + views[i].length;
        }
        if (result == 0 && offset < stop)
            result = put_file(sink, file->descriptor, offset, stop - offset);
        offset = stop;
    }
    return result;
}

ssize_t zio_nvm_read(struct zio_nvm_file *file, int64_t offset, const struct iovec *pieces,
                     size_t count) {
    struct zio_nvm_pool *pool = file->pool;
    int usable = nvm__usable(pool);
    /* What was written can be read, also once nothing can be made durable any more. */
    if (usable == ZIO_ENOTSUP)
        return usable;
    if (offset < 0)
        return ZIO_EINVAL;
    uint64_t wanted = 0, bytes = atomic_load(&file->bytes);
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].iov_len > (uint64_t)INT64_MAX - wanted)
            return ZIO_EINVAL;
        wanted += pieces[i].iov_len;
    }
    if ((uint64_t)offset >= bytes)
        return 0;
    if (wanted > bytes - (uint64_t)offset)
        wanted = bytes - (uint64_t)offset;
    struct sink sink = {.pieces = pieces, .count = count, .at = 0, .done = 0};
    /* A handler that came now and wrote could wait for a digest, and that for this reader. */
    uint64_t mask = zio_signals_block();
    uint32_t phase = nvm__enter(pool);
    int result = put_range(file, &sink, (uint64_t)offset, (uint64_t)offset + wanted);
    nvm__leave(pool, phase);
    zio_signals_restore(mask);
    return result < 0 ? result : (ssize_t)wanted;
}

uint64_t zio_nvm_file_bytes(struct zio_nvm_file *file) {
    return atomic_load(&file->bytes);
}
