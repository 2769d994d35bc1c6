/* The view map and the origin pool as the tracker uses them, from many threads: whoever finds a
 * view under a stripe lock holds its origin and reads it after unlocking; the bytes must be those
 * of that origin, although the view may be overwritten and other origins recycled meanwhile.
 * Meant to run under ThreadSanitizer as well.
 *
 * usage: threads_test SEED ROUNDS */
#include <zio/origin.h>
#include <zio/view_map.h>

#include <pthread.h>

#include "check.h"

enum { THREADS = 6, SLOTS = 512, SLOT_BYTES = 96 << 10, STAMPS = 4 };

static const uint64_t base = UINT64_C(0x7f0000000000);
static struct zio_view_map map;
static struct zio_origin_pool pool;

static void told_added(void *context, zio_handle handle) {
    (void)context;
    zio_origin_add_view((struct zio_origin *)(uintptr_t)handle);
}

static void told_removed(void *context, zio_handle handle) {
    (void)context;
    zio_origin_remove_view((struct zio_origin *)(uintptr_t)handle);
}

static const struct zio_view_tree_hooks hooks = {told_added, told_removed, NULL};

struct worker {
    pthread_t thread;
    uint64_t state, rounds, read, refused;
};

/* A few words that say whose bytes these are; plain stores, so that TSan sees a write too late. */
static void stamp(struct zio_origin *origin, uint64_t value) {
    for (int i = 0; i < STAMPS; i++)
        ((uint64_t *)origin->data)[i] = value;
    atomic_store_explicit(&origin->filled, origin->capacity, memory_order_release);
}

static void check_stamp(const struct zio_origin *origin) {
    const uint64_t *words = (const uint64_t *)origin->data;
    for (int i = 1; i < STAMPS; i++)
        ASSERT_EQUAL(words[i], words[0]);
}

/* Receives into a fresh origin and shows it at the slot. */
static void receive(struct worker *worker, uint64_t start, uint64_t length) {
    struct zio_origin *origin = zio_origin_acquire(&pool, length);
    if (!origin) {
        worker->refused++;
        return;
    }
    stamp(origin, random_next(&worker->state));
    zio_stripes stripes = zio_view_map_stripes(start, length);
    zio_view_map_lock(&map, 0, stripes);
    ASSERT_EQUAL(zio_view_map_insert(&map, start, length, (uintptr_t)origin, 0, 0), 0);
    ASSERT(zio_view_map_may_hold(&map, start, length));
    zio_view_map_unlock(&map, 0, stripes);
    zio_origin_release(origin);
}

/* Copies the views of one slot to another. */
static void copy(uint64_t from, uint64_t to, uint64_t length) {
    struct zio_view views[16];
    uint64_t covered;
    zio_stripes source = zio_view_map_stripes(from, length);
    zio_stripes target = zio_view_map_stripes(to, length);
    zio_view_map_lock(&map, source, target);
    size_t count = zio_view_map_translate(&map, from, length, views, 16, &covered);
    for (size_t i = 0; i < count; i++)
        zio_origin_hold((struct zio_origin *)(uintptr_t)views[i].handle);
    zio_view_map_carve(&map, to, length);
    for (size_t i = 0; i < count; i++)
        ASSERT_EQUAL(zio_view_map_insert(&map, to + (views[i].start - from), views[i].length,
                                         views[i].handle, views[i].offset, 0),
                     0);
    zio_view_map_unlock(&map, source, target);
    for (size_t i = 0; i < count; i++)
        zio_origin_release((struct zio_origin *)(uintptr_t)views[i].handle);
}

/* Sends the views of a slot: holds, unlocks, reads. */
static void transmit(struct worker *worker, uint64_t start, uint64_t length) {
    struct zio_view views[16];
    uint64_t covered;
    if (!zio_view_map_may_hold(&map, start, length))
        return;
    zio_stripes stripes = zio_view_map_stripes(start, length);
    zio_view_map_lock(&map, stripes, 0);
    size_t count = zio_view_map_translate(&map, start, length, views, 16, &covered);
    for (size_t i = 0; i < count; i++)
        zio_origin_hold((struct zio_origin *)(uintptr_t)views[i].handle);
    zio_view_map_unlock(&map, stripes, 0);
    for (size_t i = 0; i < count; i++) {
        struct zio_origin *origin = (struct zio_origin *)(uintptr_t)views[i].handle;
        check_stamp(origin);
        zio_origin_release(origin);
        worker->read++;
    }
}

static void *work(void *argument) {
    struct worker *worker = argument;
    for (uint64_t i = 0; i < worker->rounds; i++) {
        uint64_t start = base + random_below(&worker->state, SLOTS) * SLOT_BYTES +
                         random_below(&worker->state, 3) * 4096;
        uint64_t length = (1 + random_below(&worker->state, 24)) * 4096;
        switch (random_below(&worker->state, 8)) {
        case 0:
        case 1:
            receive(worker, start, length);
            break;
        case 2:
        case 3:
            copy(start, base + random_below(&worker->state, SLOTS) * SLOT_BYTES, length);
            break;
        case 4: {
            zio_stripes stripes = zio_view_map_stripes(start, length);
            if (zio_view_map_lock_timed(&map, stripes, 100000)) {
                ASSERT_EQUAL(zio_view_map_carve(&map, start, length), 0);
                zio_view_map_unlock(&map, 0, stripes);
            }
            break;
        }
        default:
            transmit(worker, start, length);
        }
    }
    return NULL;
}

int main(int argc, char **argv) {
    ASSERT_EQUAL(argc, 3);
    uint64_t seed = strtoull(argv[1], NULL, 10), rounds = strtoull(argv[2], NULL, 10);
    struct worker workers[THREADS];
    uint64_t read = 0, refused = 0;
    ASSERT_EQUAL(zio_view_map_init(&map, &hooks), 0);
    ASSERT_EQUAL(zio_origin_pool_init(&pool, 24 << 20), 0);
    for (uint64_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.state = seed * THREADS + i, .rounds = rounds};
        ASSERT_EQUAL(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        read += workers[i].read;
        refused += workers[i].refused;
    }
    ASSERT_EQUAL(zio_view_map_check(&map), 0);
    ASSERT_COMPARE(read, >, 0);
    printf("%" PRIu64 " views read, %" PRIu64 " inputs refused at the limit, %" PRIu64
           " views left\n",
           read, refused, atomic_load(&map.count));
    zio_view_map_destroy(&map);
    ASSERT_EQUAL(atomic_load(&pool.live_count), 0);
    ASSERT_EQUAL(atomic_load(&pool.free_bytes), atomic_load(&pool.capacity_bytes));
    zio_origin_pool_destroy(&pool);
    return 0;
}
