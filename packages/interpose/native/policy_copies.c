/* The cheapest that was timed counts: what else the machine does only adds. It may be a thing of the
 * past, so it rises a little with each that is dearer. */
#include "policy_copies.h"

#include "instance.h"

enum {
    LARGE_COPY = 256 << 10, /* from here on a copy finds little in the caches */
    CLOSE = 4, /* copying costs at most so many times what views do */
    OFTEN = 255,     /* one copy in so many is timed, */
    AT_FIRST = 1024, /* of so many; */
    SELDOM = 8191,   /* and of the others. Odd: chains of copies begin anywhere */
    MADE = 64,       /* which of them is made, */
    ELIDED = 48,     /* and before which is elided */
    RISE = 8,
};

int64_t zio__copies_usual_cost(uint64_t bytes) {
    const struct zio__costs *costs = &zio__settings.costs;
    uint64_t each = bytes < LARGE_COPY ? costs->copy : costs->copy_large;
    return (int64_t)(bytes * each >> 16);
}

static bool is_close(uint64_t bytes) {
    const struct zio__costs *costs = &zio__settings.costs;
    return bytes < LARGE_COPY &&
           (int64_t)costs->elide * CLOSE + costs->input > zio__copies_usual_cost(bytes);
}

enum zio__asked zio__copies_asks(struct zio__copies *copies, uint64_t bytes) {
    if (!is_close(bytes))
        return ZIO__ASKS_NOTHING;
    uint32_t seen = atomic_fetch_add_explicit(&copies->seen, 1, memory_order_relaxed);
    uint32_t which = seen % (seen < AT_FIRST ? OFTEN : SELDOM);
    return which == MADE ? ZIO__ASKS_FOR_COPY : which == ELIDED ? ZIO__ASKS_FOR_NEXT : ZIO__ASKS_NOTHING;
}

static void take_in(_Atomic uint32_t *price, uint64_t took) {
    uint32_t known = atomic_load_explicit(price, memory_order_relaxed);
    uint64_t most = known ? known + known / RISE + 1 : UINT32_MAX;
    atomic_store_explicit(price, (uint32_t)(took < most ? took : most), memory_order_relaxed);
}

void zio__copies_took(struct zio__copies *copies, uint64_t bytes, uint64_t nanoseconds) {
    take_in(&copies->each, (nanoseconds << 16) / bytes + 1);
}

void zio__copies_elided(struct zio__copies *copies, uint64_t nanoseconds) {
    take_in(&copies->elided, nanoseconds + 1);
}

int64_t zio__copies_cost(const struct zio__copies *copies, uint64_t bytes) {
    uint32_t each = atomic_load_explicit(&copies->each, memory_order_relaxed);
    return is_close(bytes) && each ? (int64_t)(bytes * each >> 16) : zio__copies_usual_cost(bytes);
}

int64_t zio__copies_saves(const struct zio__copies *copies, uint64_t bytes) {
    uint32_t elided = atomic_load_explicit(&copies->elided, memory_order_relaxed);
    bool is_timed = elided && atomic_load_explicit(&copies->each, memory_order_relaxed);
    if (!is_close(bytes) || !is_timed)
        return zio__copies_usual_cost(bytes) - zio__settings.costs.elide;
    return zio__copies_cost(copies, bytes) - elided;
}
