/* Only what happens once a try asks for the time; an input costs an addition. */
#include "policy_rest.h"

#include <time.h>
#include <zio/syscall.h>

enum {
    /* What was measured may have been something else: a program that starts up. It counts up to this. */
    MOST_MEASURED = 16000000,
    LEAST_MORE = 16,
    MOST_MORE = 1 << 16,
};

static uint64_t cpu_time(void) {
    struct timespec time = {0};
    zio_syscall(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

static uint64_t get(const _Atomic uint64_t *value) {
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void set(_Atomic uint64_t *value, uint64_t to) {
    atomic_store_explicit(value, to, memory_order_relaxed);
}

void zio__rest_input(struct zio__rest *rest) {
    if (atomic_fetch_add_explicit(&rest->inputs, 1, memory_order_relaxed) == 0)
        set(&rest->tried, cpu_time());
}

/* Read first: threads that share a site in credit would pass its line to and fro. */
void zio__rest_forget(struct zio__rest *rest) {
    if (get(&rest->tried) != 0)
        set(&rest->tried, 0);
}

void zio__rest_end(struct zio__rest *rest) {
    set(&rest->tried, 0);
    atomic_store_explicit(&rest->inputs, 0, memory_order_relaxed);
}

void zio__rest_left_alone(struct zio__rest *rest, uint64_t loss) {
    set(&rest->loss, loss);
    set(&rest->began, 0);
}

void zio__rest_loses(struct zio__rest *rest, uint64_t loss) {
    atomic_fetch_add_explicit(&rest->loss, loss, memory_order_relaxed);
}

void zio__rest_begin(struct zio__rest *rest, uint32_t inputs) {
    if (get(&rest->began) != 0)
        return;
    atomic_store_explicit(&rest->rested, inputs, memory_order_relaxed);
    set(&rest->began, cpu_time());
}

/* The CPU time of the try beyond that of as many inputs at rest. */
static uint64_t excess(const struct zio__rest *rest, uint64_t each) {
    uint64_t tried = get(&rest->tried), began = get(&rest->began);
    uint64_t inputs = atomic_load_explicit(&rest->inputs, memory_order_relaxed);
    uint64_t usual = (inputs + ZIO__REST_SETTLING) * each;
    return tried != 0 && began > tried + usual ? began - tried - usual : 0;
}

/* In a forked child the clock has begun anew, and what went by since seems endless: the rest ends. */
uint32_t zio__rest_more(struct zio__rest *rest) {
    uint32_t rested = atomic_load_explicit(&rest->rested, memory_order_relaxed);
    uint64_t began = get(&rest->began), took = cpu_time() - began, loss = get(&rest->loss);
    if (began != 0 && rested > 0) {
        uint64_t each = took / rested + 1, measured = excess(rest, each);
        measured = measured < MOST_MEASURED ? measured : MOST_MEASURED;
        uint64_t cost = measured < loss ? loss : measured;
        uint64_t enough = ZIO__REST_FACTOR * cost;
        if (took < enough) {
            uint64_t more = (enough - took) / each;
            more = more < LEAST_MORE ? LEAST_MORE : more < MOST_MORE ? more : MOST_MORE;
            atomic_store_explicit(&rest->rested, rested + (uint32_t)more, memory_order_relaxed);
            return (uint32_t)more;
        }
    }
    zio__rest_end(rest);
    return 0;
}
