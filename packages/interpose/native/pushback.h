/* Input that was taken from a descriptor and could not be delivered, because the program unmapped
 * or protected its buffer while the call waited. The kernel would have kept it; so the next input
 * from the same file gets it first (TRAPS 19). Readiness does not know of it: a poll may wait for
 * further data. Thread-safe. */
#ifndef ZIO_PUSHBACK_H
#define ZIO_PUSHBACK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <zio/io_stack.h>
#include <zio/origin.h>

extern _Atomic uint32_t zio__pushback_count;

/* Keeps [offset, +length) of the origin, which gets a hold, for the file behind fd; the position of
 * a regular file is set back instead. False: there is no room, or they are a message's, and the bytes
 * are lost. */
bool zio__pushback_put(int fd, struct zio_origin *origin, size_t offset, size_t length);

/* Whether each input from fd takes a whole message away, so that one which cannot be delivered is lost
 * and the input an error. */
bool zio__gives_messages(int fd);

/* Delivers what is kept for the file, as a short input, if anything is. With MSG_PEEK it stays, and all
 * of it where the memory is not there: *result is -EFAULT then. */
bool zio__pushback_take(int fd, const struct zio_io_request *request, ssize_t *result);

/* In the child: another thread may have held the lock. */
void zio__pushback_after_fork(void);

static inline bool zio__pushback_any(void) {
    return __builtin_expect(atomic_load_explicit(&zio__pushback_count, memory_order_acquire) != 0,
                            0);
}

#endif
