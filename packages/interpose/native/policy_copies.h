/* What a copy costs a site, made or elided, where the one is hardly dearer than the other. ZIO_COSTS
 * has the prices of a server that does other work between; one that copies a small message five times
 * in a row finds bytes and views in the nearest cache. So where it matters some of the site's copies
 * are made for real and timed, and as many that are elided.
 * No lock; thread-safe, async-signal-safe. All zero: nothing is known. */
#ifndef ZIO_POLICY_COPIES_H
#define ZIO_POLICY_COPIES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct zio__copies {
    _Atomic uint32_t seen;
    _Atomic uint32_t each;   /* ns for 64 KiB; 0: none was timed */
    _Atomic uint32_t elided; /* ns for a copy that was elided; 0: none was timed */
};

enum zio__asked { ZIO__ASKS_NOTHING, ZIO__ASKS_FOR_COPY, ZIO__ASKS_FOR_NEXT };

/* Of a copy of `bytes`: is it to be made and timed, or the next to be timed if it is elided? Counts it. */
enum zio__asked zio__copies_asks(struct zio__copies *copies, uint64_t bytes);
/* One took so long; one was elided and took so long. */
void zio__copies_took(struct zio__copies *copies, uint64_t bytes, uint64_t nanoseconds);
void zio__copies_elided(struct zio__copies *copies, uint64_t nanoseconds);
/* What a copy costs that is made, and how much more than its elision, in ns. */
int64_t zio__copies_cost(const struct zio__copies *copies, uint64_t bytes);
int64_t zio__copies_saves(const struct zio__copies *copies, uint64_t bytes);
/* What a copy costs by ZIO_COSTS, in ns. */
int64_t zio__copies_usual_cost(uint64_t bytes);

#endif
