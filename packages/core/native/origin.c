/* Origins and their pool. An origin of 1 MiB and more has a mapping of its own; smaller ones are
 * carved four at a time out of one mapping. A free origin is *warm* (its pages are kept, it counts
 * in free_bytes and capacity_bytes, the last one freed is handed out first) or *cold* (its pages
 * went back to the kernel, only its addresses are kept, it counts nowhere). A large one does not
 * become cold but is unmapped.
 *
 * Lists are whole at every moment, so that a child of fork finds them usable. A lock of a class
 * guards its lists and is never held during a system call. */
#include <zio/error.h>
#include <zio/origin.h>
#include <zio/signals.h>
#include <zio/syscall.h>

#include "arena_internal.h"
#include "bytes.h"

#include <linux/mman.h>

enum { ORIGIN_BYTES_MIN = 16 << 10, OWN_MAPPING_BYTES = 1 << 20, ORIGINS_A_CHUNK = 4 };

#define WARM_BYTES_MAX (UINT64_C(256) << 20)

/* Class 4e + m holds (4 + m) / 4 of 16 KiB << e. */
static size_t class_bytes(uint32_t size_class) {
    size_t bytes = ((size_t)ORIGIN_BYTES_MIN / 4 * (4 + size_class % 4)) << (size_class / 4);
    return zio__round_up(bytes, ZIO__PAGE_BYTES);
}

/* The smallest class that holds so many bytes; ZIO_ORIGIN_CLASSES: none does. */
static uint32_t class_of(size_t bytes) {
    if (bytes <= ORIGIN_BYTES_MIN)
        return 0;
    uint32_t doublings = 63 - (uint32_t)__builtin_clzll((bytes - 1) / ORIGIN_BYTES_MIN);
    uint64_t quarter = ((uint64_t)ORIGIN_BYTES_MIN << doublings) / 4;
    uint64_t size_class = doublings * 4 + (bytes - 1) / quarter - 3;
    return size_class < ZIO_ORIGIN_CLASSES ? (uint32_t)size_class : ZIO_ORIGIN_CLASSES;
}

static void *allocate_pages(void *context, size_t bytes, uint64_t *token) {
    (void)context;
    (void)token;
    return zio_pages_alloc(bytes);
}

static void release_pages(void *context, void *data, size_t bytes, uint64_t token) {
    (void)context;
    (void)token;
    zio_pages_free(data, bytes);
}

int zio_origin_pool_init(struct zio_origin_pool *pool, size_t limit_bytes) {
    zio__zero_bytes(pool, sizeof *pool);
    pool->limit_bytes = limit_bytes;
    pool->memory = (struct zio_origin_memory){.allocate = allocate_pages, .release = release_pages};
    return zio_slab_init(&pool->headers, sizeof(struct zio_origin), 0);
}

void zio_origin_pool_use_memory(struct zio_origin_pool *pool,
                                const struct zio_origin_memory *memory) {
    pool->memory = *memory;
}

/* The mapping that starts at an origin. */
static void release_mapping(struct zio_origin_pool *pool, struct zio_origin *origin) {
    if (origin->mapping_bytes)
        pool->memory.release(pool->memory.context, origin->data, origin->mapping_bytes,
                             origin->token);
}

void zio_origin_pool_destroy(struct zio_origin_pool *pool) {
    for (uint32_t i = 0; i < ZIO_ORIGIN_CLASSES; i++) {
        for (struct zio_origin *origin = pool->free[i]; origin; origin = origin->next)
            release_mapping(pool, origin);
        for (struct zio_origin *origin = pool->cold[i]; origin; origin = origin->next)
            release_mapping(pool, origin);
        pool->free[i] = pool->oldest[i] = pool->cold[i] = NULL;
    }
    zio_slab_destroy(&pool->headers);
    atomic_store(&pool->capacity_bytes, 0);
    atomic_store(&pool->free_bytes, 0);
}

/* What is shared stays the parent's: origins in use are let go of when they are given back. */
static void forget_free(struct zio_origin_pool *pool) {
    pool->epoch++;
    for (uint32_t i = 0; i < ZIO_ORIGIN_CLASSES; i++)
        pool->free[i] = pool->cold[i] = NULL;
    atomic_store(&pool->capacity_bytes, 0);
    atomic_store(&pool->live_count, 0);
}

void zio_origin_pool_after_fork(struct zio_origin_pool *pool) {
    size_t free_bytes = 0;
    zio__slab_after_fork(&pool->headers);
    if (pool->memory.shared)
        forget_free(pool);
    for (uint32_t i = 0; i < ZIO_ORIGIN_CLASSES; i++) {
        struct zio_origin *previous = NULL;
        pool->lock[i] = (struct zio_lock){0};
        for (struct zio_origin *origin = pool->free[i]; origin; origin = origin->next) {
            origin->previous = previous;
            previous = origin;
            free_bytes += origin->capacity;
        }
        pool->oldest[i] = previous;
    }
    atomic_store(&pool->free_bytes, free_bytes);
}

static void push_warm(struct zio_origin_pool *pool, struct zio_origin *origin) {
    uint32_t size_class = origin->size_class;
    zio_lock_exclusive(&pool->lock[size_class]);
    origin->freed_at = atomic_fetch_add_explicit(&pool->frees, 1, memory_order_relaxed);
    origin->previous = NULL;
    origin->next = pool->free[size_class];
    if (origin->next)
        origin->next->previous = origin;
    else
        pool->oldest[size_class] = origin;
    atomic_signal_fence(memory_order_release);
    pool->free[size_class] = origin;
    atomic_fetch_add_explicit(&pool->free_bytes, origin->capacity, memory_order_relaxed);
    zio_unlock_exclusive(&pool->lock[size_class]);
}

static struct zio_origin *pop_warm(struct zio_origin_pool *pool, uint32_t size_class) {
    zio_lock_exclusive(&pool->lock[size_class]);
    struct zio_origin *origin = pool->free[size_class];
    if (origin) {
        pool->free[size_class] = origin->next;
        if (origin->next)
            origin->next->previous = NULL;
        else
            pool->oldest[size_class] = NULL;
        atomic_fetch_sub_explicit(&pool->free_bytes, origin->capacity, memory_order_relaxed);
    }
    zio_unlock_exclusive(&pool->lock[size_class]);
    return origin;
}

/* Takes the warm origin that was freed longest ago; NULL: there is none. */
static struct zio_origin *pop_oldest(struct zio_origin_pool *pool) {
    uint64_t oldest = UINT64_MAX;
    uint32_t size_class = 0;
    for (uint32_t i = 0; i < ZIO_ORIGIN_CLASSES; i++) {
        zio_lock_exclusive(&pool->lock[i]);
        if (pool->oldest[i] && pool->oldest[i]->freed_at < oldest) {
            oldest = pool->oldest[i]->freed_at;
            size_class = i;
        }
        zio_unlock_exclusive(&pool->lock[i]);
    }
    if (oldest == UINT64_MAX)
        return NULL;
    zio_lock_exclusive(&pool->lock[size_class]);
    struct zio_origin *origin = pool->oldest[size_class];
    if (origin) {
        pool->oldest[size_class] = origin->previous;
        if (origin->previous)
            origin->previous->next = NULL;
        else
            pool->free[size_class] = NULL;
        atomic_fetch_sub_explicit(&pool->free_bytes, origin->capacity, memory_order_relaxed);
    }
    zio_unlock_exclusive(&pool->lock[size_class]);
    return origin;
}

static void push_cold(struct zio_origin_pool *pool, struct zio_origin *origin) {
    zio_lock_exclusive(&pool->lock[origin->size_class]);
    origin->next = pool->cold[origin->size_class];
    atomic_signal_fence(memory_order_release);
    pool->cold[origin->size_class] = origin;
    zio_unlock_exclusive(&pool->lock[origin->size_class]);
}

static struct zio_origin *pop_cold(struct zio_origin_pool *pool, uint32_t size_class) {
    zio_lock_exclusive(&pool->lock[size_class]);
    struct zio_origin *origin = pool->cold[size_class];
    if (origin)
        pool->cold[size_class] = origin->next;
    zio_unlock_exclusive(&pool->lock[size_class]);
    return origin;
}

/* Gives the pages of an origin that is in no list back to the kernel. */
static void give_back(struct zio_origin_pool *pool, struct zio_origin *origin) {
    size_t capacity = origin->capacity;
    if (capacity >= OWN_MAPPING_BYTES || pool->memory.shared) {
        release_mapping(pool, origin);
        zio_slab_free(&pool->headers, origin);
    } else {
        zio_syscall(SYS_madvise, origin->data, capacity, MADV_DONTNEED);
        push_cold(pool, origin);
    }
    atomic_fetch_sub_explicit(&pool->capacity_bytes, capacity, memory_order_relaxed);
}

/* Maps one large origin, or a chunk of small ones of which all but the first become cold. */
static struct zio_origin *map_origins(struct zio_origin_pool *pool, uint32_t size_class) {
    size_t capacity = class_bytes(size_class);
    size_t wanted = capacity >= OWN_MAPPING_BYTES || pool->memory.shared ? 1 : ORIGINS_A_CHUNK;
    struct zio_origin *origins[ORIGINS_A_CHUNK];
    size_t count = 0;
    uint64_t token = 0;
    while (count < wanted && (origins[count] = zio_slab_alloc(&pool->headers)))
        count++;
    unsigned char *data = NULL;
    for (; count > 0; zio_slab_free(&pool->headers, origins[--count]))
        if ((data = pool->memory.allocate(pool->memory.context, count * capacity, &token)))
            break;
    for (size_t i = 0; i < count; i++) {
        *origins[i] = (struct zio_origin){.data = data + i * capacity,
                                          .capacity = capacity,
                                          .size_class = size_class,
                                          .pool = pool,
                                          .token = token,
                                          .epoch = pool->epoch,
                                          .mapping_bytes = i == 0 ? count * capacity : 0};
        if (i > 0)
            push_cold(pool, origins[i]);
    }
    return count > 0 ? origins[0] : NULL;
}

/* Counts `bytes` of new capacity, giving warm origins back where the limit asks for it. */
static bool charge(struct zio_origin_pool *pool, size_t bytes) {
    for (;;) {
        size_t before =
            atomic_fetch_add_explicit(&pool->capacity_bytes, bytes, memory_order_relaxed);
        if (before <= pool->limit_bytes && bytes <= pool->limit_bytes - before)
            return true;
        atomic_fetch_sub_explicit(&pool->capacity_bytes, bytes, memory_order_relaxed);
        struct zio_origin *oldest = bytes <= pool->limit_bytes ? pop_oldest(pool) : NULL;
        if (!oldest)
            return false;
        give_back(pool, oldest);
    }
}

static struct zio_origin *acquire(struct zio_origin_pool *pool, size_t bytes) {
    uint32_t size_class = class_of(bytes);
    if (size_class == ZIO_ORIGIN_CLASSES)
        return NULL;
    struct zio_origin *origin = pop_warm(pool, size_class);
    if (!origin) {
        size_t capacity = class_bytes(size_class);
        if (!charge(pool, capacity))
            return NULL;
        origin = pop_cold(pool, size_class);
        if (!origin)
            origin = map_origins(pool, size_class);
        if (!origin) {
            atomic_fetch_sub_explicit(&pool->capacity_bytes, capacity, memory_order_relaxed);
            return NULL;
        }
    }
    origin->next = origin->previous = NULL;
    atomic_store_explicit(&origin->filled, 0, memory_order_relaxed);
    atomic_store_explicit(&origin->shared, 0, memory_order_relaxed);
    atomic_store_explicit(&origin->filling, 0, memory_order_relaxed);
    atomic_store_explicit(&origin->overwriting, 0, memory_order_relaxed);
    atomic_store_explicit(&origin->references, UINT64_C(1) << 32, memory_order_relaxed);
    atomic_fetch_add_explicit(&pool->live_count, 1, memory_order_relaxed);
    return origin;
}

struct zio_origin *zio_origin_acquire(struct zio_origin_pool *pool, size_t bytes) {
    struct zio_signals_held signals = zio_signals_hold(&pool->keeper);
    struct zio_origin *origin = acquire(pool, bytes);
    zio_signals_let_go(&pool->keeper, &signals);
    return origin;
}

/* Back to the pool, which keeps at most a quarter of its limit warm. */
static void recycle(struct zio_origin *origin) {
    struct zio_origin_pool *pool = origin->pool;
    if (origin->epoch != pool->epoch) {
        zio_slab_free(&pool->headers, origin);
        return;
    }
    size_t warm_max =
        pool->limit_bytes / 4 < WARM_BYTES_MAX ? pool->limit_bytes / 4 : WARM_BYTES_MAX;
    atomic_fetch_sub_explicit(&pool->live_count, 1, memory_order_relaxed);
    if (origin->capacity > warm_max) {
        give_back(pool, origin);
        return;
    }
    push_warm(pool, origin);
    while (atomic_load_explicit(&pool->free_bytes, memory_order_relaxed) > warm_max) {
        struct zio_origin *oldest = pop_oldest(pool);
        if (!oldest)
            return;
        give_back(pool, oldest);
    }
}

/* Whoever drops the last reference of either kind sees the count become zero, and nobody else. */
static bool was_last(struct zio_origin *origin, uint64_t reference) {
    return atomic_fetch_sub_explicit(&origin->references, reference, memory_order_acq_rel) ==
           reference;
}

bool zio_origin_hold_viewed(struct zio_origin *origin) {
    uint64_t references = atomic_load(&origin->references);
    while ((uint32_t)references != 0)
        if (atomic_compare_exchange_weak(&origin->references, &references,
                                         references + (UINT64_C(1) << 32)))
            return true;
    return false;
}

void zio_origin_release(struct zio_origin *origin) {
    if (!was_last(origin, UINT64_C(1) << 32))
        return;
    const struct zio_signal_keeper *keeper = &origin->pool->keeper;
    struct zio_signals_held signals = zio_signals_hold(keeper);
    recycle(origin);
    zio_signals_let_go(keeper, &signals);
}

void zio_origin_remove_view(struct zio_origin *origin) {
    if (was_last(origin, 1))
        recycle(origin);
}

bool zio_origin_is_movable(const struct zio_origin *origin) {
    uint64_t references = atomic_load_explicit(&origin->references, memory_order_acquire);
    return !origin->pool->memory.shared &&
           references >> 32 <= atomic_load_explicit(&origin->filling, memory_order_acquire) &&
           ((uint32_t)references == 1 ||
            atomic_load_explicit(&origin->shared, memory_order_acquire) == 0);
}
