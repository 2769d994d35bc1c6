/* The cheapest of the timed copies counts: what else the machine does only adds. It may be a thing of
 * the past, so it rises a little with each that is dearer. */
#include "policy_copies.h"

#include "instance.h"

enum {
    LARGE_COPY = 256 << 10, /* from here on a copy finds little in the caches */
    CLOSE = 4, /* copying costs at most so many times what views do */
    OFTEN = 255,            /* one copy in so many is timed, */
    AT_FIRST = 1024,        /* of so many; */
    SELDOM = 8191,          /* and of the others. Odd: chains of copies begin anywhere */
    WHICH = 64,
    RISE = 8,
};

int64_t zio__copies_usual_cost(uint64_t bytes) {
    const struct zio__costs *costs = &zio__settings.costs;
    uint64_t each = bytes < LARGE_COPY ? costs->copy : costs->copy_large;
    return (int64_t)(bytes * each >> 16);
}

bool zio__copies_asks(struct zio__copies *copies, uint64_t bytes) {
    const struct zio__costs *costs = &zio__settings.costs;
    if (bytes >= LARGE_COPY ||
        (int64_t)costs->elide * CLOSE + costs->input <= zio__copies_usual_cost(bytes))
        return false;
    uint32_t seen = atomic_fetch_add_explicit(&copies->seen, 1, memory_order_relaxed);
    return seen % (seen < AT_FIRST ? OFTEN : SELDOM) == WHICH;
}

void zio__copies_took(struct zio__copies *copies, uint64_t bytes, uint64_t nanoseconds) {
    uint64_t took = (nanoseconds << 16) / bytes + 1;
    uint32_t each = atomic_load_explicit(&copies->each, memory_order_relaxed);
    uint64_t most = each ? each + each / RISE + 1 : UINT32_MAX;
    atomic_store_explicit(&copies->each, (uint32_t)(took < most ? took : most),
                          memory_order_relaxed);
}

int64_t zio__copies_cost(const struct zio__copies *copies, uint64_t bytes) {
    uint32_t each = atomic_load_explicit(&copies->each, memory_order_relaxed);
    return bytes < LARGE_COPY && each ? (int64_t)(bytes * each >> 16)
                                      : zio__copies_usual_cost(bytes);
}
