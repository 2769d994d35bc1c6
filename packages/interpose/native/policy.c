/* `always` says yes to everything at or above the threshold. `learn` keeps an account for
 * each site: bytes that were not copied are credit, faults are debit; a site in debt is
 * switched off for a number of calls that doubles each time, and a site whose inputs are
 * mostly small is left alone. */
#include "policy.h"

#include "instance.h"

enum {
    SITES = 4096,
    PROBES = 8,
    LEARN_MIN_BYTES = 64 << 10, /* below, a hot copy costs no more than the book-keeping */
    CREDIT_BYTES_PER_UNIT = 32, /* about 1 ns of copying */
    FAULT_UNITS = 8000,         /* a fault: 8 us, DESIGN.md section 2 */
    FILL_BYTES_PER_UNIT = 4,    /* filling a page costs about 1 us */
    DEBT_LIMIT = 100000,
    CREDIT_LIMIT = 1000000,
    FIRST_PAUSE = 64,
    LAST_PAUSE = 1 << 16,
};

struct site {
    _Atomic uintptr_t address;
    _Atomic int64_t account;  /* units of about a nanosecond */
    _Atomic uint32_t pause;   /* calls to let pass */
    _Atomic uint32_t penalty; /* the next pause */
    _Atomic uint32_t average; /* received bytes, moving average */
};

static struct site sites[SITES];

static void charge(void *context, uint16_t tag, uint64_t filled_bytes) {
    (void)context;
    struct site *site = &sites[tag % SITES];
    int64_t cost = FAULT_UNITS + (int64_t)(filled_bytes / FILL_BYTES_PER_UNIT);
    int64_t account = atomic_fetch_sub_explicit(&site->account, cost, memory_order_relaxed) - cost;
    if (account >= -DEBT_LIMIT)
        return;
    uint32_t penalty = atomic_load_explicit(&site->penalty, memory_order_relaxed);
    if (penalty < FIRST_PAUSE)
        penalty = FIRST_PAUSE;
    atomic_store_explicit(&site->pause, penalty, memory_order_relaxed);
    atomic_store_explicit(&site->penalty, penalty < LAST_PAUSE ? penalty * 2 : penalty,
                          memory_order_relaxed);
    atomic_store_explicit(&site->account, 0, memory_order_relaxed);
}

void zio__policy_set_up(void) {
    if (zio__settings.policy != ZIO_POLICY_LEARN)
        return;
    zio__tracker.fault_hook = charge;
}

size_t zio__policy_threshold(void) {
    if (zio__settings.policy == ZIO_POLICY_LEARN && zio__settings.threshold < LEARN_MIN_BYTES)
        return LEARN_MIN_BYTES;
    return zio__settings.threshold;
}

uint16_t zio__policy_site(uintptr_t address) {
    size_t slot = (address * UINT64_C(0x9e3779b97f4a7c15)) >> 52;
    for (size_t probe = 0; probe < PROBES; probe++) {
        size_t at = (slot + probe) % SITES;
        uintptr_t seen = atomic_load_explicit(&sites[at].address, memory_order_relaxed);
        if (seen == 0 && at != 0 &&
            atomic_compare_exchange_strong(&sites[at].address, &seen, address))
            return (uint16_t)at;
        if (seen == address)
            return (uint16_t)at;
    }
    return 0;
}

static bool is_paused(struct site *site) {
    uint32_t pause = atomic_load_explicit(&site->pause, memory_order_relaxed);
    if (pause == 0)
        return false;
    atomic_store_explicit(&site->pause, pause - 1, memory_order_relaxed);
    zio_tracker_count(&zio__tracker, ZIO_COUNT_backed_off, 1);
    return true;
}

bool zio__policy_redirects(uint16_t tag, size_t length) {
    struct site *site = &sites[tag];
    if (zio__settings.policy != ZIO_POLICY_LEARN)
        return true;
    uint32_t average = atomic_load_explicit(&site->average, memory_order_relaxed);
    /* Small messages in a large buffer; `received` raises the average again. */
    if (average != 0 && average < LEARN_MIN_BYTES / 2 && average < length)
        return false;
    return !is_paused(site);
}

void zio__policy_received(uint16_t tag, size_t length, size_t received) {
    struct site *site = &sites[tag];
    (void)length;
    if (received > UINT32_MAX / 2)
        received = UINT32_MAX / 2;
    uint32_t average = atomic_load_explicit(&site->average, memory_order_relaxed);
    average = average == 0 ? (uint32_t)received : average - average / 8 + (uint32_t)(received / 8);
    atomic_store_explicit(&site->average, average > 0 ? average : 1, memory_order_relaxed);
}

bool zio__policy_elides(uint16_t tag, size_t length) {
    (void)length;
    return zio__settings.policy != ZIO_POLICY_LEARN || !is_paused(&sites[tag]);
}

void zio__policy_elided(uint16_t tag, size_t bytes) {
    struct site *site = &sites[tag];
    if (zio__settings.policy != ZIO_POLICY_LEARN)
        return;
    int64_t credit = (int64_t)(bytes / CREDIT_BYTES_PER_UNIT);
    int64_t account =
        atomic_fetch_add_explicit(&site->account, credit, memory_order_relaxed) + credit;
    if (account <= CREDIT_LIMIT)
        return;
    atomic_store_explicit(&site->account, CREDIT_LIMIT, memory_order_relaxed);
    atomic_store_explicit(&site->penalty, FIRST_PAUSE, memory_order_relaxed);
}
