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

/* The calling thread begins another origin with its next input. */
void zio__thread_stop_filling(void);

/* The process ends in the calling thread: no call of it that has not returned ever will. */
void zio__thread_gives_up(void);

/* Notes an origin that the calling function holds and overwrites, so that a call that never comes
 * back gives it up. Returns the slot for zio__unnote_overwriting, or -1: no room. */
int zio__note_overwriting(struct zio_origin *origin);
void zio__unnote_overwriting(int slot);

/* Where this thread last received to, and what is shown there since: [start, end) shows the origin
 * from `offset` on. The pointer is no reference. As of `changes` nothing else has been made or
 * ended; as of `cuts` at least every byte of it still is some view. */
struct zio__viewed {
    uintptr_t start, end;
    struct zio_origin *origin;
    uint64_t offset, changes, cuts;
};
/* Adds a piece just published. changes and cuts: read before that. */
void zio__remember_viewed(const struct zio__viewed *piece);
/* A copy of what is remembered, if [start, +length) lies in it. */
bool zio__recall_viewed(uintptr_t start, size_t length, struct zio__viewed *viewed);

void zio__thread_set_up(void);

#endif
