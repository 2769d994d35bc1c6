/* What a write consists of, for the provider: bytes of origins that lie in its pool by reference,
 * all else as plain memory. */
#ifndef ZIO_LOGGED_PIECES_H
#define ZIO_LOGGED_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <zio/storage.h>
#include <zio/tracker.h>

enum { ZIO__FEW_PIECES = 32, ZIO__VECTOR_MAX = 1024 };

struct zio__pieces {
    struct zio_storage_piece *pieces;
    int count;
    /* internal */
    struct iovec *shown;
    struct zio_origin **origins;
    int shown_count, room;
    bool tracked;
    void *memory; /* that they lie in, or NULL */
    size_t memory_bytes;
    struct zio_tracker_holds holds;
    struct zio_storage_piece few_pieces[ZIO__FEW_PIECES];
    struct iovec few_shown[ZIO__FEW_PIECES];
    struct zio_origin *few_origins[ZIO__FEW_PIECES];
};

/* Takes the pieces of the program's first `length` bytes, as far as they can be read. False, and
 * nothing is to be given back: none can be (count is 0), or there is no memory (-1). */
bool zio__pieces_take(struct zio__pieces *taken, const struct iovec *vector, size_t count,
                      size_t length);
/* After they were logged with that result: origins stay as they are until the log is done with
 * them. */
void zio__pieces_give_back(struct zio__pieces *taken, ssize_t logged, uint64_t sequence);

#endif
