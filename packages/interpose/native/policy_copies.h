/* What a copy costs a site where copying is hardly dearer than making views. ZIO_COSTS has the price
 * of a copy whose bytes lie in no cache of the core's; a server that copies a small message five
 * times in a row finds them in the nearest one. So where it matters some of the site's copies are
 * made for real, and timed.
 * No lock; thread-safe, async-signal-safe. All zero: nothing is known. */
#ifndef ZIO_POLICY_COPIES_H
#define ZIO_POLICY_COPIES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct zio__copies {
    _Atomic uint32_t seen;
    _Atomic uint32_t each; /* ns for 64 KiB; 0: none was timed */
};

/* Is this copy of `bytes` one to be made and timed? Counts it. */
bool zio__copies_asks(struct zio__copies *copies, uint64_t bytes);
/* One was: it took so long. */
void zio__copies_took(struct zio__copies *copies, uint64_t bytes, uint64_t nanoseconds);
/* What a copy costs, in ns. */
int64_t zio__copies_cost(const struct zio__copies *copies, uint64_t bytes);
/* The same where no site is concerned: by ZIO_COSTS. */
int64_t zio__copies_usual_cost(uint64_t bytes);

#endif
