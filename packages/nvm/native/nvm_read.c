/* Reading log and file merged. Nothing is held while bytes are copied: afterwards it is looked
 * whether the log was retired meanwhile, and then what was read may be what came in its place, and is
 * read again; at last with the digest kept away. */
#include "nvm_internal.h"


#include "bytes.h"

enum { READ_VIEWS = 16, READ_ATTEMPTS = 8 };

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

int nvm__target_number(struct zio_nvm_file *file) {
    if (nvm__is_kept(&file->target) && !atomic_load(&file->is_other))
        return atomic_load(&file->target.number);
    uint64_t mask = nvm__enter_state(file->pool);
    int result = nvm__open_target_to_read(file);
    nvm__leave_state(file->pool, mask);
    return result < 0 ? result : result > 0 ? -ESTALE : atomic_load(&file->target.number);
}

/* What the log says nothing about: the file, and zeros beyond its end. */
static int put_file(struct zio_nvm_file *file, struct sink *sink, uint64_t offset,
                    uint64_t length) {
    uint64_t room;
    int descriptor = nvm__target_number(file);
    if (descriptor < 0)
        return descriptor;
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

/* ZIO_EAGAIN: the trees are not those any more that this began with. */
static int put_range(struct zio_nvm_file *file, struct sink *sink, uint64_t offset, uint64_t end,
                     uint64_t retired) {
    struct nvm_index *index = &file->pool->index;
    int result = 0;
    while (offset < end && result == 0) {
        struct zio_view views[READ_VIEWS];
        uint64_t covered;
        uint64_t mask = nvm__block_signals(file->pool);
        zio_lock_shared(&file->pool->index_lock);
        bool same = index->valid && index->retired == retired;
        size_t count =
            zio_view_tree_translate(&file->tree, offset, end - offset, views, READ_VIEWS, &covered);
        zio_unlock_shared(&file->pool->index_lock);
        nvm__restore_signals(file->pool, mask);
        if (!same)
            return ZIO_EAGAIN;
        uint64_t stop = offset + covered;
        for (size_t i = 0; i < count && result == 0; i++) {
            if (views[i].start > offset)
                result = put_file(file, sink, offset, views[i].start - offset);
            if (result == 0)
                put_bytes(sink, nvm__at(file->pool, views[i].offset), views[i].length);
            offset = views[i].start + views[i].length;
        }
        if (result == 0 && offset < stop)
            result = put_file(file, sink, offset, stop - offset);
        offset = stop;
    }
    return result;
}

static int read_once(struct zio_nvm_file *file, const struct sink *from, uint64_t offset,
                     uint64_t wanted, bool *good) {
    struct sink sink = *from;
    uint64_t retired;
    int result = nvm__catch_up(file->pool, &retired);
    if (result == 0)
        result = put_range(file, &sink, offset, offset + wanted, retired);
    nvm__loads_done();
    *good = result != ZIO_EAGAIN && atomic_load(&file->pool->shared->retired) == retired;
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
    uint64_t wanted = 0, bytes = atomic_load(&file->shared->bytes);
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
    bool good = false;
    int result = 0;
    for (int attempt = 0; attempt < READ_ATTEMPTS && !good; attempt++)
        result = read_once(file, &sink, (uint64_t)offset, wanted, &good);
    if (!good) {
        uint64_t mask = nvm__block_signals(file->pool);
        nvm__lock(pool, &pool->shared->digest_lock);
        for (int attempt = 0; attempt < READ_ATTEMPTS && !good; attempt++)
            result = read_once(file, &sink, (uint64_t)offset, wanted, &good);
        nvm__unlock(&pool->shared->digest_lock);
        nvm__restore_signals(file->pool, mask);
    }
    if (!good) /* somebody wrote over the pool */
        result = -EIO;
    return result < 0 ? result : (ssize_t)wanted;
}

uint64_t zio_nvm_file_bytes(struct zio_nvm_file *file) {
    return atomic_load(&file->shared->bytes);
}
