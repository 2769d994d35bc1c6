/* A pool of origins on the provider's extents, and the list of those that the log refers to, in the
 * order in which they were logged last. */
#include "nvm_origins.h"

#include <zio/lock.h>
#include <zio/signals.h>

#include "instance.h"
#include "nvm_pool.h"

#define ONE_HOLD (UINT64_C(1) << 32) /* of an origin's references, and no view */

static struct zio_origin_pool origins;
static _Atomic bool wanted;
static _Atomic bool is_full; /* an origin was refused, and none has come free since */

static struct zio_lock logging; /* the list */
static struct zio_origin *first, *last;
static _Atomic size_t held_bytes; /* of those in it */

static void *allocate(void *context, size_t bytes, uint64_t *token) {
    const struct zio_storage *storage = zio__nvm_storage();
    struct zio_storage_extent extent;
    (void)context;
    if (!storage || storage->allocate(zio__nvm_pool(), bytes, &extent) != 0)
        return NULL;
    *token = extent.token;
    return extent.data;
}

static void release(void *context, void *data, size_t bytes, uint64_t token) {
    const struct zio_storage *storage = zio__nvm_storage();
    (void)context, (void)data, (void)bytes;
    if (storage)
        storage->release(zio__nvm_pool(), token);
}

static const struct zio_origin_memory memory = {
    .allocate = allocate, .release = release, .shared = true};

static bool is_set_up(void) {
    return origins.headers.object_bytes != 0;
}

/* Half of the pool at most, so that plain writes and what is being applied find room. */
static void set_up(void) {
    struct zio_storage_usage usage = {0};
    zio__nvm_storage()->usage(zio__nvm_pool(), &usage);
    size_t limit = usage.bytes / 2;
    if (limit > zio__settings.memory_limit)
        limit = zio__settings.memory_limit;
    if (!is_set_up() && zio_origin_pool_init(&origins, limit) != 0)
        return;
    zio_origin_pool_use_memory(&origins, &memory);
    origins.limit_bytes = limit;
    zio__tracker.other_pool = &origins;
    atomic_store_explicit(&wanted, true, memory_order_release);
}

static bool is_wanted(void) {
    return atomic_load_explicit(&wanted, memory_order_acquire);
}

static bool takes_input(void) {
    return zio__nvm_storage()->pool_capabilities(zio__nvm_pool()) & ZIO_STORAGE_TAKES_INPUT;
}

void zio__nvm_origins_start(void) {
    if (is_wanted() || !takes_input())
        return;
    zio_lock_exclusive(&logging);
    if (!is_wanted())
        set_up();
    zio_unlock_exclusive(&logging);
}

static void let_go(uint64_t retired) {
    while (first && first->logged_until <= retired) {
        struct zio_origin *origin = first;
        first = origin->next_logged;
        if (!first)
            last = NULL;
        origin->in_log = false;
        atomic_fetch_sub(&held_bytes, origin->capacity);
        atomic_store_explicit(&is_full, false, memory_order_relaxed);
        zio_origin_release(origin);
    }
}

/* Lets go of what the log is done with. */
static void reap_locked(void) {
    const struct zio_storage *storage = zio__nvm_storage();
    if (storage && first)
        let_go(storage->retired(zio__nvm_pool()));
}

static void reap(void) {
    zio_lock_exclusive(&logging);
    reap_locked();
    zio_unlock_exclusive(&logging);
}

struct zio_origin *zio__nvm_origin_acquire(size_t bytes) {
    if (!is_wanted())
        return NULL;
    uint64_t signals = zio_signals_block();
    reap();
    zio_signals_restore(signals);
    struct zio_origin *origin = zio_origin_acquire(&origins, bytes);
    if (!origin && zio_tracker_relieve(&zio__tracker))
        origin = zio_origin_acquire(&origins, bytes);
    if (!origin) {
        atomic_store_explicit(&is_full, true, memory_order_relaxed);
        zio_tracker_count(&zio__tracker, ZIO_COUNT_nvm_pool_full, 1);
    }
    return origin;
}

bool zio__nvm_origin_suits(const struct zio_origin *origin) {
    return origin->pool == &origins ? origin->epoch == origins.epoch
                                    : !is_wanted() || atomic_load(&is_full);
}

uint64_t zio__origin_token(const struct zio_origin *origin) {
    if (origin->pool != &origins || origin->epoch != origins.epoch ||
        atomic_load(&origin->overwriting) != 0)
        return 0;
    return origin->token;
}

static void append(struct zio_origin *origin) {
    origin->next_logged = NULL;
    atomic_fetch_add(&held_bytes, origin->capacity);
    if (last)
        last->next_logged = origin;
    else
        first = origin;
    last = origin;
}

/* One that is in the list already stays at its place: what was logged before it waits for it, which
 * is seldom long. */
void zio__origin_was_logged(struct zio_origin *origin, uint64_t sequence) {
    zio_lock_exclusive(&logging);
    if (!origin->in_log) {
        zio_origin_hold(origin);
        origin->in_log = true;
        origin->logged_until = 0;
        append(origin);
    }
    if (sequence > origin->logged_until)
        origin->logged_until = sequence;
    reap_locked();
    zio_unlock_exclusive(&logging);
}

size_t zio__nvm_origins_held_bytes(void) {
    return atomic_load(&held_bytes);
}

size_t zio__nvm_origins_in_use(void) {
    size_t held = 0;
    zio_lock_exclusive(&logging);
    for (const struct zio_origin *origin = first; origin; origin = origin->next_logged)
        held += atomic_load(&origin->references) == ONE_HOLD;
    size_t live = atomic_load(&origins.live_count);
    zio_unlock_exclusive(&logging);
    return live > held ? live - held : 0;
}

void zio__nvm_origins_stop(void) {
    atomic_store(&wanted, false);
}

void zio__nvm_origins_end(void) {
    zio_lock_exclusive(&logging);
    let_go(UINT64_MAX);
    zio_unlock_exclusive(&logging);
    zio__tracker.other_pool = NULL;
    if (is_set_up())
        zio_origin_pool_after_fork(&origins);
}

void zio__nvm_origins_before_fork(void) {
    zio_lock_exclusive(&logging);
}

void zio__nvm_origins_after_fork(bool child) {
    if (!child) {
        zio_unlock_exclusive(&logging);
        return;
    }
    logging = (struct zio_lock){0};
    if (is_wanted())
        zio_origin_pool_after_fork(&origins);
    struct zio_origin *origin = first;
    first = last = NULL;
    atomic_store(&held_bytes, 0);
    while (origin) {
        struct zio_origin *next = origin->next_logged;
        zio_origin_release(origin);
        origin = next;
    }
}
