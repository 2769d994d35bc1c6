/* The pages of the program that it touches message after message. A view there would only be a
 * fault; they are copied at once instead. A site learns by this which parts of its buffers it reads
 * or writes: headers, trailers, everything.
 * Constant memory, no lock: what two threads change at once may be lost, and costs a fault or a
 * copy. Thread-safe, async-signal-safe. */
#ifndef ZIO_POLICY_PAGES_H
#define ZIO_POLICY_PAGES_H

#include <stdbool.h>
#include <stdint.h>

/* [start, +bytes) of whole pages showed views and was filled because of a touch. */
void zio__pages_touched(uint64_t start, uint64_t bytes);
/* As zio_tracker_listener.keep: the length of what, from start on, all is to be copied to at once
 * (*kept), or all is not. Counts as one use of each of these pages. */
uint64_t zio__pages_keep(uint64_t start, uint64_t end, bool *kept);

#endif
