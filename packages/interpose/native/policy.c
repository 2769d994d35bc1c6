/* `always` says yes to everything at or above the threshold; `paper` is another file.
 * `learn` keeps an account for each site, in nanoseconds: copies that were elided are credit; the
 * book-keeping of a redirected input, and faults, are debit, each by its measured cost (costs.h). A
 * site in debt is left alone for a number of calls that grows each time, then tried again: so
 * inputs that nobody copies, and those that everybody touches, run plain but for rare probes.
 *
 * A write to a logged file by reference is credit as well: the log would copy the bytes into blocks of
 * the pool. What plain saves or loses by its page cache is none of it: the digest copies in both
 * cases.
 *
 * A site whose input nobody has copied yet gets little time to be proved useful, because it can be
 * called back: views that it has brought outlast its probe, and a copy of one is the proof.
 *
 * Threads share an account, and each has buffers of its own: what a site may cost before it has
 * earned anything grows with the threads that receive there. */
#include "policy.h"

#include <time.h>

#include "heap.h"
#include "instance.h"
#include "policy_copies.h"
#include "policy_pages.h"
#include "policy_paper.h"
#include "policy_rest.h"

enum {
    PAGE = 4096,
    SITES = ZIO__POLICY_SITES,
    PROBES = 8,
    LEARN_MIN_BYTES = 64 << 10, /* below, a hot copy costs no more than the book-keeping */
    FIRST_DEBT_LIMIT = 1000000, /* before a site is left alone for the first time, */
    DEBT_LIMIT = 50000,         /* and after each probe; */
    FIRST_UNCOPIED_LIMIT = 60000, /* while nobody has copied anything: some ten inputs, */
    UNCOPIED_LIMIT = 15000,       /* and three */
    CREDIT_LIMIT = 1000000,
    FREE_BUFFERS = 16, /* for each thread */
    FIRST_PAUSE = 256,
    UNCOPIED_GROWTH = 4, /* of the pause, where otherwise it doubles */
    LAST_PAUSE = 1 << 16,
    PASSES = 16,
    SETTLED_AT_ONCE = 256 << 10,
};

struct site {
    _Atomic uintptr_t key;
    _Atomic int64_t account;  /* ns */
    _Atomic uint32_t pause;   /* calls to let pass */
    _Atomic uint32_t penalty; /* the last pause; 0: none yet */
    _Atomic bool copied;      /* a copy was elided since the last pause */
    _Atomic bool is_uncopied; /* left alone because none was */
    _Atomic bool has_failed;  /* left alone although some were, since it last was worth it */
    _Atomic uint64_t evicted; /* bytes, since the last pause */
    _Atomic uint64_t largest; /* bytes that were evicted at once */
    _Atomic int32_t receivers; /* threads whose last redirected input was here */
    _Atomic uint32_t settled_stripe; /* how far the views of the last try have become memory */
    _Atomic uint64_t settled_address;
    struct zio__rest rest;
    struct zio__copies copies;
};

static struct site sites[SITES];
static _Atomic uint16_t last_site; /* of the last redirected input */
static __thread _Atomic uint16_t own_site; /* the same of this thread; 0: none yet */
static __thread struct { uint16_t site, left; } passes; /* calls to let pass, taken from a pause */

static bool is_paused(const struct site *site) {
    return atomic_load_explicit(&site->pause, memory_order_relaxed) != 0;
}

static void leave_alone(struct site *site, int64_t debt) {
    uint32_t penalty = atomic_load_explicit(&site->penalty, memory_order_relaxed);
    bool copied = atomic_exchange_explicit(&site->copied, false, memory_order_relaxed);
    penalty = penalty == 0 ? FIRST_PAUSE : penalty * (copied ? 2 : UNCOPIED_GROWTH);
    penalty = penalty < LAST_PAUSE ? penalty : LAST_PAUSE;
    zio__rest_left_alone(&site->rest, (uint64_t)debt);
    atomic_store_explicit(&site->settled_stripe, 0, memory_order_relaxed);
    atomic_store_explicit(&site->settled_address, 0, memory_order_relaxed);
    atomic_store_explicit(&site->penalty, penalty, memory_order_relaxed);
    atomic_store_explicit(&site->is_uncopied, !copied, memory_order_relaxed);
    if (copied)
        atomic_store_explicit(&site->has_failed, true, memory_order_relaxed);
    atomic_store_explicit(&site->account, 0, memory_order_relaxed);
    atomic_store_explicit(&site->evicted, 0, memory_order_relaxed);
    atomic_store_explicit(&site->pause, penalty, memory_order_relaxed);
}

static int64_t debt_limit(const struct site *site) {
    bool first = atomic_load_explicit(&site->penalty, memory_order_relaxed) == 0;
    if (atomic_load_explicit(&site->copied, memory_order_relaxed))
        return first ? FIRST_DEBT_LIMIT : DEBT_LIMIT;
    return first ? FIRST_UNCOPIED_LIMIT : UNCOPIED_LIMIT;
}

/* What the views of a site that is left alone still cost makes its rest longer. */
static void debit(uint16_t tag, int64_t nanoseconds) {
    struct site *site = &sites[tag % SITES];
    if (is_paused(site)) {
        zio__rest_loses(&site->rest, (uint64_t)nanoseconds);
        return;
    }
    int64_t account =
        atomic_fetch_sub_explicit(&site->account, nanoseconds, memory_order_relaxed) - nanoseconds;
    if (account < -debt_limit(site))
        leave_alone(site, -account);
}

/* Memory that shows no input is there because of the last. */
static uint16_t site_of(uint16_t tag) {
    return tag ? tag : atomic_load_explicit(&last_site, memory_order_relaxed);
}

/* What a site that is left alone has brought becomes memory in large pieces: whoever touches all of
 * it in no order would pay for a fault for every page. */
static bool is_given_up(void *context, uint16_t tag) {
    (void)context;
    return is_paused(&sites[site_of(tag) % SITES]);
}

static void touched(void *context, uint16_t tag, uint64_t start, uint64_t bytes) {
    (void)context;
    const struct zio__costs *costs = &zio__settings.costs;
    if (tag != 0 && costs->fault + costs->page > zio__copies_usual_cost(PAGE))
        zio__pages_touched(start, is_paused(&sites[tag % SITES]) && bytes > PAGE ? PAGE : bytes);
    tag = site_of(tag);
    debit(tag, costs->fault + (int64_t)(costs->page * bytes / PAGE));
}

static void credit(uint16_t tag, int64_t nanoseconds) {
    struct site *site = &sites[tag % SITES];
    int64_t account =
        atomic_fetch_add_explicit(&site->account, nanoseconds, memory_order_relaxed) + nanoseconds;
    if (account <= CREDIT_LIMIT)
        return;
    atomic_store_explicit(&site->account, CREDIT_LIMIT, memory_order_relaxed);
    atomic_store_explicit(&site->penalty, 0, memory_order_relaxed);
    atomic_store_explicit(&site->has_failed, false, memory_order_relaxed);
    zio__rest_forget(&site->rest);
}

static uint64_t receivers_of(const struct site *site) {
    int32_t receivers = atomic_load_explicit(&site->receivers, memory_order_relaxed);
    return receivers > 1 ? (uint64_t)receivers : 1;
}

static void elided(void *context, uint16_t tag, uint64_t bytes) {
    (void)context;
    if (bytes > 0)
        atomic_store_explicit(&sites[tag % SITES].copied, true, memory_order_relaxed);
    credit(tag, zio__copies_saves(&sites[tag % SITES].copies, bytes));
}

/* The views had to be made for it; that was charged with their copies. */
void zio__policy_logged(uint16_t tag, size_t bytes) {
    if (zio__settings.policy == ZIO_POLICY_LEARN && tag != 0)
        credit(tag, zio__copies_cost(&sites[tag % SITES].copies, bytes));
}

/* Memory that is there was made and filled by somebody, page by page. Taken away for views it stays
 * away in a program that shows views there each time, and is made again in one that does not. The
 * first is an investment: a chain of buffers may be taken from each thread without charge, once a
 * pause. */
static void evicted(void *context, uint16_t tag, uint64_t bytes) {
    (void)context;
    struct site *site = &sites[tag % SITES];
    if (bytes > atomic_load_explicit(&site->largest, memory_order_relaxed))
        atomic_store_explicit(&site->largest, bytes, memory_order_relaxed);
    uint64_t all = atomic_fetch_add_explicit(&site->evicted, bytes, memory_order_relaxed) + bytes;
    uint64_t largest = atomic_load_explicit(&site->largest, memory_order_relaxed);
    if (all > FREE_BUFFERS * largest * receivers_of(site))
        debit(tag, (int64_t)(zio__settings.costs.page * bytes / PAGE));
}

/* Of whose copy the thread is to say how long it takes, made or elided; 0: nobody's. */
static __thread uint16_t timed_copy, timed_elision;

/* Views outlast the reasons to make them: of a site that is left alone, bytes are copied. Unless it
 * is left alone because nobody copied them. */
static bool elides(void *context, uint16_t tag, uint64_t bytes) {
    (void)context;
    struct site *site = &sites[tag % SITES];
    if (!is_paused(site)) {
        enum zio__asked asked = zio__copies_asks(&site->copies, bytes);
        if (asked == ZIO__ASKS_FOR_COPY)
            timed_copy = tag;
        if (asked == ZIO__ASKS_FOR_NEXT)
            timed_elision = tag;
        return asked != ZIO__ASKS_FOR_COPY;
    }
    if (!atomic_exchange_explicit(&site->is_uncopied, false, memory_order_relaxed))
        return false;
    if (!atomic_load_explicit(&site->has_failed, memory_order_relaxed))
        atomic_store_explicit(&site->penalty, 0, memory_order_relaxed);
    zio__rest_end(&site->rest);
    atomic_store_explicit(&site->account, 0, memory_order_relaxed);
    atomic_store_explicit(&site->pause, 0, memory_order_relaxed);
    return true;
}

/* Ordinary bytes replace views, so the pages had to be given back in bulk. Where that is usual the
 * bytes of the next view are better copied to them. */
static void overwritten(void *context, uint64_t start, uint64_t bytes) {
    (void)context;
    const struct zio__costs *costs = &zio__settings.costs;
    if (costs->page > zio__copies_usual_cost(PAGE))
        zio__pages_touched(start, bytes);
    debit(site_of(0), (int64_t)(costs->page * bytes / PAGE));
}

static uint64_t keep(void *context, uint64_t start, uint64_t end, bool *kept) {
    (void)context;
    return zio__pages_keep(start, end, kept);
}

void zio__policy_set_up(void) {
    if (zio__settings.policy == ZIO_POLICY_LEARN)
        zio__tracker.listener = (struct zio_tracker_listener){.elides = elides,
                                                              .elided = elided,
                                                              .evicted = evicted,
                                                              .overwritten = overwritten,
                                                              .touched = touched,
                                                              .is_given_up = is_given_up,
                                                              .keep = keep};
    if (zio__settings.policy == ZIO_POLICY_PAPER)
        zio__policy_paper_set_up();
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

static struct zio__timed begin(uint16_t *whose) {
    struct zio__timed timed = {.site = *whose};
    *whose = 0;
    if (timed.site)
        timed.began = now();
    return timed;
}

struct zio__timed zio__policy_copy_begins(void) {
    return begin(&timed_copy);
}

void zio__policy_copy_ends(struct zio__timed timed, size_t bytes) {
    if (timed.site)
        zio__copies_took(&sites[timed.site % SITES].copies, bytes, now() - timed.began);
}

struct zio__timed zio__policy_elision_begins(void) {
    return begin(&timed_elision);
}

void zio__policy_elision_ends(struct zio__timed timed) {
    if (timed.site)
        zio__copies_elided(&sites[timed.site % SITES].copies, now() - timed.began);
}

size_t zio__policy_threshold(void) {
    if (zio__settings.policy == ZIO_POLICY_LEARN && zio__settings.threshold < LEARN_MIN_BYTES)
        return LEARN_MIN_BYTES;
    return zio__settings.threshold;
}

uint16_t zio__policy_site(uintptr_t address) {
    uintptr_t key = address + 1;
    size_t slot = (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 52);
    for (size_t probe = 0; probe < PROBES; probe++) {
        size_t at = (slot + probe) % SITES;
        uintptr_t seen = atomic_load_explicit(&sites[at].key, memory_order_relaxed);
        if (at == 0)
            continue;
        if (seen == 0 && atomic_compare_exchange_strong(&sites[at].key, &seen, key))
            return (uint16_t)at;
        if (seen == key)
            return (uint16_t)at;
    }
    return 0;
}

/* What a site that failed has brought costs on: hooks look closer while there are views, and memory
 * that was registered for them faults. A try leaves little, which becomes memory at once. Views of a
 * site that nobody copied stay: a copy of one calls it back. */
static void settle(struct site *site) {
    if (atomic_load_explicit(&site->is_uncopied, memory_order_relaxed) || !zio__has_stack())
        return;
    struct zio_tracker_place from = {
        atomic_load_explicit(&site->settled_stripe, memory_order_relaxed),
        atomic_load_explicit(&site->settled_address, memory_order_relaxed)};
    zio_tracker_settle(&zio__tracker, (uint16_t)(site - sites), SETTLED_AT_ONCE, &from);
    atomic_store_explicit(&site->settled_stripe, from.stripe, memory_order_relaxed);
    atomic_store_explicit(&site->settled_address, from.address, memory_order_relaxed);
    zio__stats_gauges();
}

/* The pause is of all threads. One that comes to the same site again and again takes several calls of
 * it at a time, so that threads do not write to the same two words at every call. */
static bool is_left_alone(uint16_t tag) {
    struct site *site = &sites[tag % SITES];
    uint32_t pause = atomic_load_explicit(&site->pause, memory_order_relaxed);
    if (pause == 0)
        return false;
    bool again = passes.site == tag;
    if (again && passes.left > 0) {
        passes.left--;
        return true;
    }
    uint32_t penalty = atomic_load_explicit(&site->penalty, memory_order_relaxed);
    bool settles = pause + ZIO__REST_SETTLING > penalty;
    if (settles)
        settle(site);
    else
        zio__rest_begin(&site->rest, pause);
    if (pause == 1)
        pause += zio__rest_more(&site->rest);
    uint32_t taken = again && !settles && pause > PASSES ? PASSES : 1;
    atomic_store_explicit(&site->pause, pause - taken, memory_order_relaxed);
    passes.site = tag;
    passes.left = (uint16_t)(taken - 1);
    zio_tracker_count(&zio__tracker, ZIO_COUNT_backed_off, taken);
    return true;
}

bool zio__policy_redirects(uint16_t tag) {
    if (zio__settings.policy == ZIO_POLICY_PAPER)
        return zio__policy_paper_redirects(tag);
    if (zio__settings.policy != ZIO_POLICY_LEARN)
        return true;
    if (tag == 0 || is_left_alone(tag))
        return false;
    zio__rest_input(&sites[tag % SITES].rest);
    return true;
}

/* Each exchange is followed by its own two counts, so a signal handler may come anywhere. */
void zio__policy_receives(uint16_t tag) {
    if (atomic_load_explicit(&own_site, memory_order_relaxed) == tag)
        return;
    uint16_t left = atomic_exchange_explicit(&own_site, tag, memory_order_relaxed);
    if (left != 0)
        atomic_fetch_sub_explicit(&sites[left].receivers, 1, memory_order_relaxed);
    if (tag != 0)
        atomic_fetch_add_explicit(&sites[tag].receivers, 1, memory_order_relaxed);
}

/* The other threads are not here. */
void zio__policy_after_fork(void) {
    uint16_t tag = atomic_load_explicit(&own_site, memory_order_relaxed);
    for (size_t i = 0; i < SITES; i++)
        atomic_store_explicit(&sites[i].receivers, i == tag && i != 0, memory_order_relaxed);
}

void zio__policy_received(uint16_t tag, size_t copied) {
    if (zio__settings.policy != ZIO_POLICY_LEARN)
        return;
    atomic_store_explicit(&last_site, tag, memory_order_relaxed);
    zio__heap_wish();
    debit(tag, zio__settings.costs.input + zio__copies_usual_cost(copied));
}

void zio__policy_overwrote(uint16_t tag) {
    if (zio__settings.policy == ZIO_POLICY_LEARN)
        debit(tag, zio__settings.costs.overwrite);
}
