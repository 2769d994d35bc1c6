/* Compaction: a view of one page keeps a whole origin alive. Origins of which little is still shown
 * are emptied: their last views become memory, and the origin goes back to the pool.
 *
 * A scan looks at every view, stripe by stripe, and adds up what each origin shows. It runs when
 * the limit is reached, and when the memory in use has doubled since the last one, so that its cost
 * is spread over the inputs between. Origins in a scan's table are compared, never used: one that is
 * given back and handed out meanwhile is at worst emptied for nothing. */
#include "tracker_internal.h"

enum {
    USAGES = 4096, /* origins that one scan can tell apart; the others wait for the next */
    PROBES = 8,
    SPARSE = 4, /* emptied when less than 1 / SPARSE of the origin is shown */
    FIRST_PAUSE = 64,
    LAST_PAUSE = 1 << 16,
};

#define USAGE_BYTES (USAGES * sizeof(struct zio__usage))
#define SLACK_BYTES ((size_t)64 << 20)

struct zio__usage {
    zio_handle origin; /* 0: free */
    uint64_t shown;
};

/* The entry of an origin; NULL: it has none, and there is no room or none is wanted. */
static struct zio__usage *usage_of(struct zio__usage *usages, zio_handle origin, bool add) {
    size_t slot = (size_t)((origin * UINT64_C(0x9e3779b97f4a7c15)) >> 52);
    for (size_t probe = 0; probe < PROBES; probe++) {
        struct zio__usage *usage = &usages[(slot + probe) % USAGES];
        if (usage->origin == 0 && add)
            usage->origin = origin;
        if (usage->origin == origin)
            return usage;
    }
    return NULL;
}

static void measure(struct zio_tracker *tracker, int stripe, struct zio__usage *usages) {
    struct zio__section section;
    struct zio_view view;
    if (!zio__begin(tracker, &section, UINT64_C(1) << stripe, 0, ZIO__HURRIED))
        return;
    const struct zio_view_tree *tree = &tracker->map.stripes[stripe].tree;
    for (uint64_t at = 0; zio_view_tree_next(tree, at, &view); at = zio__view_end(&view)) {
        struct zio__usage *usage = view.handle ? usage_of(usages, view.handle, true) : NULL;
        if (usage)
            usage->shown += view.length;
    }
    zio__end(tracker, &section);
}

/* Keeps the origins that are worth emptying. One that is held would not be given back. */
static bool choose_sparse(struct zio__usage *usages) {
    bool any = false;
    for (size_t i = 0; i < USAGES; i++) {
        struct zio__usage *usage = &usages[i];
        if (usage->origin == 0)
            continue;
        const struct zio_origin *origin = zio__origin(usage->origin);
        bool sparse = usage->shown < origin->capacity / SPARSE &&
                      atomic_load_explicit(&origin->references, memory_order_relaxed) >> 32 == 0;
        usage->shown = sparse;
        any = any || sparse;
    }
    return any;
}

/* The first view at or after `at` of an origin that was chosen. */
static bool next_chosen(struct zio_tracker *tracker, int stripe, struct zio__usage *usages,
                        uint64_t at, struct zio_view *view) {
    const struct zio_view_tree *tree = &tracker->map.stripes[stripe].tree;
    for (; zio_view_tree_next(tree, at, view); at = zio__view_end(view)) {
        const struct zio__usage *usage =
            view->handle ? usage_of(usages, view->handle, false) : NULL;
        if (usage && usage->shown)
            return true;
    }
    return false;
}

/* One section for each view: nobody waits long for the stripe. */
static void empty_chosen(struct zio_tracker *tracker, int stripe, struct zio__usage *usages) {
    struct zio__section section;
    struct zio_view view;
    for (uint64_t at = 0;; at = zio__page_up(zio__view_end(&view))) {
        if (!zio__begin(tracker, &section, 0, UINT64_C(1) << stripe, ZIO__HURRIED))
            return;
        bool found = next_chosen(tracker, stripe, usages, at, &view);
        if (found)
            zio__fill_all(tracker, zio__page_down(view.start), zio__page_up(zio__view_end(&view)));
        zio__end(tracker, &section);
        if (!found)
            return;
    }
}

static size_t pool_bytes_in_use(const struct zio_origin_pool *pool) {
    size_t all = atomic_load(&pool->capacity_bytes), free = atomic_load(&pool->free_bytes);
    return all > free ? all - free : 0;
}

static size_t bytes_in_use(const struct zio_tracker *tracker) {
    return pool_bytes_in_use(&tracker->pool) + (tracker->other_pool ? pool_bytes_in_use(tracker->other_pool) : 0);
}

/* With `compacting` held. Returns whether memory came free. */
static bool compact(struct zio_tracker *tracker) {
    size_t before = bytes_in_use(tracker);
    struct zio__usage *usages = zio_pages_alloc(USAGE_BYTES);
    if (!usages)
        return false;
    for (int stripe = 0; stripe < ZIO_VIEW_MAP_STRIPES; stripe++)
        measure(tracker, stripe, usages);
    if (choose_sparse(usages))
        for (int stripe = 0; stripe < ZIO_VIEW_MAP_STRIPES; stripe++)
            empty_chosen(tracker, stripe, usages);
    zio_pages_free(usages, USAGE_BYTES);
    size_t after = bytes_in_use(tracker);
    atomic_store(&tracker->compact_above, 2 * after + SLACK_BYTES);
    zio_tracker_count(tracker, ZIO_COUNT_compactions, 1);
    return after < before;
}

static bool compact_alone(struct zio_tracker *tracker) {
    uint64_t signals = zio_signals_block();
    bool freed = false;
    if (zio_lock_exclusive_timed(&tracker->compacting, 0)) {
        freed = compact(tracker);
        zio_unlock_exclusive(&tracker->compacting);
    }
    zio_signals_restore(signals);
    return freed;
}

bool zio_tracker_relieve(struct zio_tracker *tracker) {
    uint32_t pause = atomic_load_explicit(&tracker->relief_pause, memory_order_relaxed);
    if (pause > 0) {
        atomic_store_explicit(&tracker->relief_pause, pause - 1, memory_order_relaxed);
        return false;
    }
    bool freed = compact_alone(tracker);
    uint32_t last = atomic_load_explicit(&tracker->last_pause, memory_order_relaxed), next = 0;
    if (!freed)
        next = last == 0 ? FIRST_PAUSE : last < LAST_PAUSE ? last * 2 : last;
    atomic_store_explicit(&tracker->last_pause, next, memory_order_relaxed);
    atomic_store_explicit(&tracker->relief_pause, next, memory_order_relaxed);
    return freed;
}

void zio_tracker_compact_if_grown(struct zio_tracker *tracker) {
    size_t above = atomic_load_explicit(&tracker->compact_above, memory_order_relaxed);
    if (bytes_in_use(tracker) > (above ? above : SLACK_BYTES))
        compact_alone(tracker);
}
