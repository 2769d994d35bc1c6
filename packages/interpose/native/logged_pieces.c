/* Translates what the program writes into pieces, holding the origins behind them. */
#include "logged_pieces.h"

#include <limits.h>
#include <zio/arena.h>

#include "instance.h"
#include "logged_reach.h"
#include "nvm_origins.h"
#include "policy.h"
#include "presence.h"

enum { LEAST_BYTES = 4096 };

#define PIECE_BYTES                                                                                \
    (sizeof(struct zio_storage_piece) + sizeof(struct iovec) + sizeof(struct zio_origin *))

static bool may_show_views(const struct iovec *piece, size_t length) {
    return length >= LEAST_BYTES && zio_tracker_may_hold(&zio__tracker, piece->iov_base, length);
}

static void use_few(struct zio__pieces *taken) {
    taken->pieces = taken->few_pieces;
    taken->shown = taken->few_shown;
    taken->origins = taken->few_origins;
    taken->room = ZIO__FEW_PIECES;
    taken->memory = NULL;
}

static bool use_many(struct zio__pieces *taken) {
    taken->room = 2 * ZIO__VECTOR_MAX;
    taken->memory_bytes = (size_t)taken->room * PIECE_BYTES;
    taken->memory = zio_pages_alloc(taken->memory_bytes);
    if (!taken->memory)
        return false;
    taken->pieces = taken->memory;
    taken->shown = (struct iovec *)(taken->pieces + taken->room);
    taken->origins = (struct zio_origin **)(taken->shown + taken->room);
    return true;
}

static void release(struct zio__pieces *taken) {
    zio_tracker_release(&zio__tracker, taken->origins, taken->shown_count, &taken->holds);
    taken->shown_count = 0;
}

/* The program's bytes with views replaced by what they show, where there is room for `spare` more
 * pieces; false: there is not enough. */
static bool translate(struct zio__pieces *taken, const struct iovec *vector, size_t count,
                      size_t length) {
    taken->shown_count = 0;
    for (size_t i = 0; i < count && length > 0; i++) {
        size_t wanted = vector[i].iov_len < length ? vector[i].iov_len : length;
        int at = taken->shown_count, pieces = 0;
        length -= wanted;
        if (wanted == 0)
            continue;
        if (taken->tracked && may_show_views(&vector[i], wanted))
            pieces = zio_tracker_translate(&zio__tracker, vector[i].iov_base, wanted,
                                           taken->shown + at, taken->origins + at,
                                           taken->room - at, &taken->holds);
        if (pieces == ZIO_EINVAL && !taken->memory)
            return false;
        if (pieces <= 0) {
            if (at == taken->room)
                return false;
            taken->shown[at] = (struct iovec){vector[i].iov_base, wanted};
            taken->origins[at] = NULL;
            pieces = 1;
        }
        taken->shown_count += pieces;
    }
    return true;
}

/* Zeros that are shown lie in the tracker's own memory. */
static bool is_programs(const struct zio__pieces *taken, int index) {
    const unsigned char *at = taken->shown[index].iov_base;
    return !taken->origins[index] &&
           (!taken->tracked || at < zio__tracker.zeros ||
            at >= zio__tracker.zeros + ZIO_TRACKER_ZEROS_BYTES);
}

/* As much as can be read, with the tokens of what lies in the pool. */
static void describe(struct zio__pieces *taken) {
    taken->count = 0;
    for (int i = 0; i < taken->shown_count; i++) {
        const struct iovec *piece = &taken->shown[i];
        size_t good = piece->iov_len;
        if (is_programs(taken, i))
            good = zio__reach(piece, 1, piece->iov_len, ZIO__READS);
        if (good > 0)
            taken->pieces[taken->count++] = (struct zio_storage_piece){
                piece->iov_base, good,
                taken->origins[i] ? zio__origin_token(taken->origins[i]) : 0};
        if (good < piece->iov_len)
            return;
    }
}

static void give_back(struct zio__pieces *taken) {
    release(taken);
    if (taken->memory)
        zio_pages_free(taken->memory, taken->memory_bytes);
    if (taken->tracked)
        zio__leave();
}

bool zio__pieces_take(struct zio__pieces *taken, const struct iovec *vector, size_t count,
                      size_t length) {
    taken->holds = (struct zio_tracker_holds){0};
    taken->shown_count = taken->count = 0;
    taken->tracked = zio__enter();
    use_few(taken);
    bool fits = count <= ZIO__FEW_PIECES && translate(taken, vector, count, length);
    if (!fits) {
        release(taken);
        if (!use_many(taken) || !translate(taken, vector, count, length)) {
            give_back(taken);
            taken->count = -1;
            return false;
        }
    }
    describe(taken);
    if (taken->count > 0)
        return true;
    give_back(taken);
    return false;
}

void zio__pieces_give_back(struct zio__pieces *taken, ssize_t logged, uint64_t sequence) {
    size_t left = logged > 0 ? (size_t)logged : 0, referenced = 0;
    for (int i = 0; i < taken->count && left > 0; i++) {
        size_t length = taken->pieces[i].length < left ? taken->pieces[i].length : left;
        left -= length;
        if (taken->pieces[i].token == 0)
            continue;
        referenced += length;
        zio__policy_logged(atomic_load(&taken->origins[i]->site), length);
        zio__origin_was_logged(taken->origins[i], sequence);
    }
    if (zio__tracker.counters && logged > 0) {
        zio_tracker_count(&zio__tracker, ZIO_COUNT_logged_bytes, (uint64_t)logged);
        zio_tracker_count(&zio__tracker, ZIO_COUNT_logged_by_reference_bytes, referenced);
    }
    give_back(taken);
}
