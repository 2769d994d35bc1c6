/* Output from origins: the program's iovec with viewed memory replaced by the origins'
 * bytes, each held while the call runs. */
#include <errno.h>
#include <limits.h>

#include "instance.h"
#include "redirect.h"

enum { PIECES = 64, LEAST_BYTES = 4096 };
#ifndef IOV_MAX
#define IOV_MAX 1024
#endif

struct presentation {
    struct iovec *pieces;
    struct zio_origin **origins;
    int count, room;
};

static bool may_show_views(const struct iovec *iov, int count) {
    for (int i = 0; i < count; i++)
        if (iov[i].iov_len >= LEAST_BYTES &&
            zio_tracker_may_hold(&zio__tracker, iov[i].iov_base, iov[i].iov_len))
            return true;
    return false;
}

static bool add_program_piece(struct presentation *shown, const struct iovec *piece) {
    if (shown->count == shown->room)
        return false;
    shown->origins[shown->count] = NULL;
    shown->pieces[shown->count++] = *piece;
    return true;
}

/* Returns the number of pieces that come from origins, or -1 when there is no room. */
static int translate(struct presentation *shown, const struct iovec *iov, int count) {
    int translated = 0;
    for (int i = 0; i < count; i++) {
        int pieces = 0;
        if (iov[i].iov_len >= LEAST_BYTES)
            pieces = zio_tracker_translate(
                &zio__tracker, iov[i].iov_base, iov[i].iov_len, shown->pieces + shown->count,
                shown->origins + shown->count, shown->room - shown->count);
        if (pieces > 0) {
            shown->count += pieces;
            translated += pieces;
        } else if (!add_program_piece(shown, &iov[i])) {
            return -1;
        }
    }
    return translated;
}

static ssize_t present_with(struct presentation *shown, const struct iovec *iov, int count,
                            zio__issue *issue, void *call) {
    ssize_t result = -1;
    int translated = translate(shown, iov, count), saved = errno;
    if (translated > 0) {
        result = issue(call, shown->pieces, shown->count);
        saved = errno;
    }
    zio_tracker_release(shown->origins, shown->count);
    /* Pieces can be refused where one buffer would not be; nothing was sent then. */
    if (translated <= 0 || (result < 0 && saved == EINVAL))
        return issue(call, iov, count);
    errno = saved;
    return result;
}

static ssize_t present_many(const struct iovec *iov, int count, zio__issue *issue, void *call) {
    size_t bytes = IOV_MAX * (sizeof(struct iovec) + sizeof(struct zio_origin *));
    struct zio_origin *memory = zio_origin_acquire(&zio__tracker.pool, bytes);
    if (!memory)
        return issue(call, iov, count);
    struct presentation shown = {
        .pieces = (struct iovec *)memory->data,
        .origins = (struct zio_origin **)(memory->data + IOV_MAX * sizeof(struct iovec)),
        .room = IOV_MAX};
    ssize_t result = present_with(&shown, iov, count, issue, call);
    int saved = errno;
    zio_origin_release(memory);
    errno = saved;
    return result;
}

ssize_t zio__present(int fd, const struct iovec *iov, int count, zio__issue *issue, void *call) {
    if (count <= 0 || count > IOV_MAX || !may_show_views(iov, count) ||
        (fd >= 0 && !zio__kind_takes_pieces(fd)))
        return issue(call, iov, count);
    if (count > PIECES / 2)
        return present_many(iov, count, issue, call);
    struct iovec pieces[PIECES];
    struct zio_origin *origins[PIECES];
    struct presentation shown = {.pieces = pieces, .origins = origins, .room = PIECES};
    return present_with(&shown, iov, count, issue, call);
}
