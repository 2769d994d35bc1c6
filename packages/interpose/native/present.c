/* Output from origins: the program's pieces with viewed memory replaced by the origins' bytes,
 * each held while the call runs. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>

#include <zio/signals.h>

#include "instance.h"
#include "kernel_stack.h"
#include "ledger.h"
#include "presence.h"
#include "redirect.h"

enum { PIECES = 64, LEAST_BYTES = 4096 };
#ifndef IOV_MAX
#define IOV_MAX 1024
#endif

struct presentation {
    struct iovec *pieces;
    struct zio_origin **origins;
    int count, room;
    bool lacks_room;
    struct zio_origin *memory; /* that pieces and origins lie in, or NULL */
    struct zio_tracker_holds holds;
};

static bool may_show_views(const struct iovec *piece) {
    return piece->iov_len >= LEAST_BYTES &&
           zio_tracker_may_hold(&zio__tracker, piece->iov_base, piece->iov_len);
}

static bool any_may_show_views(const struct zio_io_request *request) {
    size_t total = 0;
    for (size_t i = 0; i < request->piece_count; i++) {
        if (request->pieces[i].iov_len > SSIZE_MAX - total)
            return false; /* EINVAL from the kernel */
        total += request->pieces[i].iov_len;
    }
    for (size_t i = 0; i < request->piece_count; i++)
        if (may_show_views(&request->pieces[i]))
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

/* Returns the number of pieces that come from origins, or -1 when there is no room. Of a range that
 * no vector has room for the memory itself is presented, which is always right. */
static int translate(struct presentation *shown, const struct zio_io_request *request) {
    int translated = 0;
    for (size_t i = 0; i < request->piece_count; i++) {
        const struct iovec *piece = &request->pieces[i];
        int pieces = 0;
        if (may_show_views(piece))
            pieces = zio_tracker_translate(
                &zio__tracker, piece->iov_base, piece->iov_len, shown->pieces + shown->count,
                shown->origins + shown->count, shown->room - shown->count, &shown->holds);
        if (pieces == ZIO_EINVAL && shown->room < IOV_MAX) {
            shown->lacks_room = true;
            return -1;
        }
        if (pieces == ZIO_EINVAL)
            zio_tracker_count(&zio__tracker, ZIO_COUNT_too_many_pieces, 1);
        if (pieces > 0) {
            shown->count += pieces;
            translated += pieces;
        } else if (!add_program_piece(shown, piece)) {
            return -1;
        }
    }
    return translated;
}

static void release(void *argument) {
    struct presentation *shown = argument;
    zio_tracker_release(&zio__tracker, shown->origins, shown->count, &shown->holds);
    if (shown->memory)
        zio_origin_release(shown->memory);
}

static bool present_with(struct presentation *shown, int fd, const struct zio_io_request *request,
                         ssize_t *result) {
    bool done = false;
    if (translate(shown, request) > 0) {
        struct zio_io_request presented = *request;
        presented.pieces = shown->pieces;
        presented.piece_count = (size_t)shown->count;
        /* Sending is a cancellation point; a thread that ends there must not keep the origins. */
        pthread_cleanup_push(release, shown);
        zio__begin_wait();
        *result = zio__kernel_stack.transmit(zio__kernel_channel(fd), &presented, NULL);
        zio__end_wait();
        pthread_cleanup_pop(0);
        /* Pieces can be refused where one buffer would not be; nothing was sent then. */
        done = *result != -EINVAL;
    }
    release(shown);
    return done;
}

/* Long vectors are put together in an origin's memory: the stack may be a coroutine's. */
static bool present_many(int fd, const struct zio_io_request *request, ssize_t *result) {
    size_t bytes = IOV_MAX * (sizeof(struct iovec) + sizeof(struct zio_origin *));
    struct presentation shown = {.room = IOV_MAX};
    uint64_t signals = zio_signals_block();
    shown.memory = zio_origin_acquire(&zio__tracker.pool, bytes);
    if (shown.memory)
        zio__ledger.note(zio__ledger.context, &shown.holds, &shown.memory, 1);
    zio_signals_restore(signals);
    if (!shown.memory)
        return false;
    shown.pieces = (struct iovec *)shown.memory->data;
    shown.origins = (struct zio_origin **)(shown.memory->data + IOV_MAX * sizeof(struct iovec));
    return present_with(&shown, fd, request, result);
}

static bool present(int fd, enum zio__descriptor known, const struct zio_io_request *request,
                    ssize_t *result) {
    if (request->piece_count == 0 || request->piece_count > IOV_MAX ||
        !any_may_show_views(request) || !zio__has_stack() ||
        (known != ZIO__SOCKET_DESCRIPTOR && !zio__kind_takes_pieces(fd, ZIO__OUTPUT)))
        return false;
    zio__ledger_tidy();
    if (request->piece_count > PIECES / 2)
        return present_many(fd, request, result);
    struct iovec pieces[PIECES];
    struct zio_origin *origins[PIECES];
    struct presentation shown = {.pieces = pieces, .origins = origins, .room = PIECES};
    if (present_with(&shown, fd, request, result))
        return true;
    return shown.lacks_room && present_many(fd, request, result);
}

bool zio__present(int fd, enum zio__descriptor known, const struct zio_io_request *request,
                  ssize_t *result) {
    if (!zio__enter())
        return false;
    bool done = present(fd, known, request, result);
    zio__leave();
    return done;
}
