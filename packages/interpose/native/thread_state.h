/* What each thread keeps: the origin it is filling, and those in use by a call that has not
 * returned (reclaimed when the thread ends inside it, by cancellation or longjmp).
 * Thread-local, initial-exec, so that reaching it allocates nothing. */
#ifndef ZIO_THREAD_STATE_H
#define ZIO_THREAD_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zio/origin.h>

/* Part of an origin, for one input. */
struct zio__slice {
    struct zio_origin *origin;
    size_t offset; /* congruent to the program's address modulo the page size */
    unsigned slot;
};

/* Room for `bytes` at an offset congruent to `address` modulo the page. Successive inputs
 * continue in the same origin, so that a message received in parts is one view. 0, or
 * ZIO_ENOMEM (memory limit), or ZIO_EAGAIN (too many calls left unfinished). */
int zio__slice_take(struct zio__slice *slice, uintptr_t address, size_t bytes);
/* Drops the slice; the origin's `filled` says where the next one may begin. */
void zio__slice_give_back(struct zio__slice *slice);

/* What this thread last received to, as long as all of it still is views: the next message into
 * the same buffer needs no look at the map before it is received. `cuts`: zio_tracker_cuts,
 * read before the views were made. */
void zio__remember_viewed(uintptr_t start, size_t length, uint64_t cuts);
bool zio__is_known_viewed(uintptr_t start, size_t length);

void zio__thread_set_up(void);

#endif
