/* The published rule; see policy_paper.h. */
#include "policy_paper.h"

#include "instance.h"
#include "policy.h"

enum {
    PAGE = 4096,
    FAULT_PERCENT = 6,
    JUDGED_BYTES = 1 << 20, /* touched or elided, before a site is judged */
};

struct account {
    _Atomic uint64_t touched, elided; /* bytes */
    _Atomic bool off;
};

static struct account accounts[ZIO__POLICY_SITES];

static void elided(void *context, uint16_t site, uint64_t bytes) {
    (void)context;
    struct account *account = &accounts[site % ZIO__POLICY_SITES];
    atomic_fetch_add_explicit(&account->elided, bytes, memory_order_relaxed);
}

/* A fault is a page, however many pages ours filled at once. */
static void touched(void *context, uint16_t site, uint64_t start, uint64_t bytes) {
    (void)context;
    (void)start;
    (void)bytes;
    struct account *account = &accounts[site % ZIO__POLICY_SITES];
    uint64_t faulted =
        atomic_fetch_add_explicit(&account->touched, PAGE, memory_order_relaxed) + PAGE;
    uint64_t saved = atomic_load_explicit(&account->elided, memory_order_relaxed);
    if (faulted + saved >= JUDGED_BYTES && faulted > saved / 100 * FAULT_PERCENT)
        atomic_store_explicit(&account->off, true, memory_order_relaxed);
}

void zio__policy_paper_set_up(void) {
    zio__tracker.listener = (struct zio_tracker_listener){.elided = elided, .touched = touched};
}

bool zio__policy_paper_redirects(uint16_t site) {
    if (!atomic_load_explicit(&accounts[site % ZIO__POLICY_SITES].off, memory_order_relaxed))
        return true;
    zio_tracker_count(&zio__tracker, ZIO_COUNT_backed_off, 1);
    return false;
}
