/* Origins: sizes, order of reuse, references, the limit, what stays in memory, fork. */
#include <zio/error.h>
#include <zio/origin.h>

#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static struct zio_origin_pool pool;

static void start_pool(size_t limit_bytes) {
    ASSERT_EQUAL(zio_origin_pool_init(&pool, limit_bytes), 0);
}

static void end_pool(void) {
    ASSERT_EQUAL(atomic_load(&pool.live_count), 0);
    ASSERT_EQUAL(atomic_load(&pool.free_bytes), atomic_load(&pool.capacity_bytes));
    zio_origin_pool_destroy(&pool);
}

static size_t resident_pages(const struct zio_origin *origin) {
    unsigned char pages[1024];
    size_t count = 0;
    ASSERT_COMPARE(origin->capacity / 4096, <=, sizeof pages);
    ASSERT_EQUAL(mincore(origin->data, origin->capacity, pages), 0);
    for (size_t i = 0; i < origin->capacity / 4096; i++)
        count += pages[i] & 1;
    return count;
}

static void test_sizes(void) {
    start_pool(4 * GIB);
    for (size_t bytes = 1; bytes <= GIB; bytes += 1 + bytes / 9) {
        for (size_t wanted = bytes > 2 ? bytes - 1 : bytes; wanted <= bytes; wanted++) {
            struct zio_origin *origin = zio_origin_acquire(&pool, wanted);
            ASSERT(origin);
            ASSERT_COMPARE(origin->capacity, >=, wanted);
            ASSERT(wanted <= 16 * KIB || origin->capacity < wanted + wanted / 4 + 4096);
            ASSERT_EQUAL(origin->capacity % 4096, 0);
            ASSERT_EQUAL((uintptr_t)origin->data % 4096, 0);
            ASSERT_EQUAL(atomic_load(&origin->references), UINT64_C(1) << 32);
            origin->data[0] = origin->data[origin->capacity - 1] = 1;
            zio_origin_release(origin);
        }
    }
    ASSERT_EQUAL(zio_origin_acquire(&pool, GIB)->capacity, GIB);
    ASSERT(!zio_origin_acquire(&pool, GIB + 1));
    atomic_store(&pool.live_count, 0); /* the 1 GiB origin stays behind, mapped */
    zio_origin_pool_destroy(&pool);
}

static void test_last_freed_is_first_reused(void) {
    start_pool(GIB);
    struct zio_origin *a = zio_origin_acquire(&pool, 512 * KIB);
    struct zio_origin *b = zio_origin_acquire(&pool, 512 * KIB);
    struct zio_origin *c = zio_origin_acquire(&pool, 512 * KIB);
    ASSERT(a->data + a->capacity <= b->data || b->data + b->capacity <= a->data);
    zio_origin_release(b);
    zio_origin_release(a);
    zio_origin_release(c);
    ASSERT_EQUAL(zio_origin_acquire(&pool, 512 * KIB), c);
    ASSERT_EQUAL(zio_origin_acquire(&pool, 512 * KIB), a);
    ASSERT_EQUAL(zio_origin_acquire(&pool, 512 * KIB), b);
    zio_origin_release(a);
    zio_origin_release(b);
    zio_origin_release(c);
    end_pool();
}

static void test_references(void) {
    start_pool(GIB);
    struct zio_origin *origin = zio_origin_acquire(&pool, MIB);
    atomic_store(&origin->filled, MIB);
    ASSERT(!zio_origin_is_movable(origin)); /* its filler holds it */
    zio_origin_add_view(origin);
    zio_origin_add_view(origin);
    zio_origin_release(origin);
    ASSERT(zio_origin_is_movable(origin));
    zio_origin_hold(origin);
    ASSERT(!zio_origin_is_movable(origin));
    zio_origin_remove_view(origin);
    zio_origin_remove_view(origin);
    ASSERT_EQUAL(atomic_load(&pool.live_count), 1);
    zio_origin_release(origin); /* the hold was last */
    ASSERT_EQUAL(atomic_load(&pool.live_count), 0);

    ASSERT_EQUAL(zio_origin_acquire(&pool, MIB), origin);
    ASSERT_EQUAL(atomic_load(&origin->filled), 0);
    atomic_store(&origin->shared, 1);
    zio_origin_add_view(origin);
    zio_origin_add_view(origin);
    zio_origin_release(origin);
    ASSERT(!zio_origin_is_movable(origin)); /* both may show the same bytes */
    zio_origin_remove_view(origin);
    ASSERT(zio_origin_is_movable(origin));
    zio_origin_hold(origin);
    ASSERT(!zio_origin_is_movable(origin));
    zio_origin_release(origin);
    ASSERT_EQUAL(atomic_load(&pool.live_count), 1);
    zio_origin_remove_view(origin); /* the view was last */
    ASSERT_EQUAL(atomic_load(&pool.live_count), 0);
    ASSERT_EQUAL(zio_origin_acquire(&pool, MIB), origin);
    ASSERT_EQUAL(atomic_load(&origin->shared), 0);
    zio_origin_release(origin);
    end_pool();
}

static void test_limit(void) {
    struct zio_origin *origins[8];
    start_pool(8 * MIB);
    for (int i = 0; i < 8; i++)
        ASSERT((origins[i] = zio_origin_acquire(&pool, MIB)));
    ASSERT(!zio_origin_acquire(&pool, 16 * KIB));
    ASSERT_EQUAL(atomic_load(&pool.capacity_bytes), 8 * MIB);
    zio_origin_release(origins[0]);
    zio_origin_release(origins[1]);
    /* 2 MiB are free, but in another class: they make room. */
    struct zio_origin *other = zio_origin_acquire(&pool, MIB + MIB / 2);
    ASSERT(other);
    ASSERT_COMPARE(atomic_load(&pool.capacity_bytes), <=, 8 * MIB);
    ASSERT(!zio_origin_acquire(&pool, MIB));
    zio_origin_release(other);
    for (int i = 2; i < 8; i++)
        zio_origin_release(origins[i]);
    ASSERT(!zio_origin_acquire(&pool, 9 * MIB)); /* and evicts nothing for what can never fit */
    ASSERT_EQUAL(atomic_load(&pool.free_bytes), 2 * MIB);
    end_pool();
}

static void test_free_memory_is_bounded(void) {
    struct zio_origin *origins[16];
    start_pool(16 * MIB);
    for (int i = 0; i < 16; i++) {
        origins[i] = zio_origin_acquire(&pool, 512 * KIB);
        memset(origins[i]->data, i, origins[i]->capacity);
    }
    for (int i = 0; i < 16; i++)
        zio_origin_release(origins[i]);
    ASSERT_EQUAL(atomic_load(&pool.free_bytes), 4 * MIB);
    for (int i = 0; i < 16; i++) /* those freed last are warm */
        ASSERT_EQUAL(resident_pages(origins[i]), i < 8 ? 0 : 128);
    for (int i = 15; i >= 8; i--)
        ASSERT_EQUAL(zio_origin_acquire(&pool, 512 * KIB), origins[i]);
    /* Further ones come from the addresses that were kept. */
    struct zio_origin *reused = zio_origin_acquire(&pool, 512 * KIB);
    int known = 0;
    for (int i = 0; i < 8; i++)
        known += reused == origins[i];
    ASSERT_EQUAL(known, 1);
    zio_origin_release(reused);
    for (int i = 8; i < 16; i++)
        zio_origin_release(origins[i]);

    /* A large one that alone exceeds the bound does not push the others out. */
    struct zio_origin *large = zio_origin_acquire(&pool, 8 * MIB);
    unsigned char *data = large->data;
    size_t kept = atomic_load(&pool.free_bytes);
    zio_origin_release(large);
    ASSERT_EQUAL(atomic_load(&pool.free_bytes), kept);
    ASSERT_EQUAL(msync(data, 4096, MS_ASYNC), -1);
    end_pool();
}

static void test_fork(void) {
    start_pool(GIB);
    struct zio_origin *used = zio_origin_acquire(&pool, 64 * KIB);
    struct zio_origin *idle = zio_origin_acquire(&pool, 64 * KIB);
    memset(used->data, 7, used->capacity);
    zio_origin_release(idle);
    zio_lock_exclusive(&pool.lock[idle->size_class]); /* as if another thread were in it */
    pid_t child = fork();
    if (child == 0) {
        zio_origin_pool_after_fork(&pool);
        ASSERT_EQUAL(zio_origin_acquire(&pool, 64 * KIB), idle);
        ASSERT_EQUAL(used->data[used->capacity - 1], 7);
        zio_origin_release(used);
        zio_origin_release(idle);
        end_pool();
        _exit(0);
    }
    zio_unlock_exclusive(&pool.lock[idle->size_class]);
    int status;
    ASSERT_EQUAL(waitpid(child, &status, 0), child);
    ASSERT_EQUAL(status, 0);
    zio_origin_release(used);
    end_pool();
}

/* Memory that a child has in common with its parent: handed out one by one, each with a token. */
static size_t shared_bytes;

static void *allocate_shared(void *context, size_t bytes, uint64_t *token) {
    (void)context;
    void *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared_bytes += bytes;
    *token = (uint64_t)(uintptr_t)data + 1;
    return data;
}

static void release_shared(void *context, void *data, size_t bytes, uint64_t token) {
    (void)context;
    ASSERT_EQUAL(token, (uint64_t)(uintptr_t)data + 1);
    shared_bytes -= bytes;
    munmap(data, bytes);
}

static void test_shared_memory(void) {
    const struct zio_origin_memory memory = {
        .allocate = allocate_shared, .release = release_shared, .shared = true};
    start_pool(MIB);
    zio_origin_pool_use_memory(&pool, &memory);
    struct zio_origin *used = zio_origin_acquire(&pool, 64 * KIB);
    struct zio_origin *idle = zio_origin_acquire(&pool, 64 * KIB);
    ASSERT_EQUAL(shared_bytes, 128 * KIB); /* none but those that were asked for */
    zio_origin_add_view(used);
    zio_origin_release(used);
    atomic_store(&used->filled, 64 * KIB);
    ASSERT(!zio_origin_is_movable(used));
    used->data[0] = 1;
    zio_origin_release(idle);
    pid_t child = fork();
    if (child == 0) {
        zio_origin_pool_after_fork(&pool);
        struct zio_origin *own = zio_origin_acquire(&pool, 64 * KIB);
        ASSERT(own->data != idle->data); /* which is the parent's to hand out */
        own->data[0] = 2;
        zio_origin_remove_view(used); /* nothing of it is given back here */
        ASSERT_EQUAL(shared_bytes, 192 * KIB);
        zio_origin_release(own);
        _exit(0);
    }
    int status;
    ASSERT_EQUAL(waitpid(child, &status, 0), child);
    ASSERT_EQUAL(status, 0);
    ASSERT_EQUAL(used->data[0], 1);
    ASSERT_EQUAL(zio_origin_acquire(&pool, 64 * KIB), idle);
    zio_origin_release(idle);
    zio_origin_remove_view(used);
    end_pool();
    ASSERT_EQUAL(shared_bytes, 0);
}

int main(void) {
    test_sizes();
    test_last_freed_is_first_reused();
    test_references();
    test_limit();
    test_free_memory_is_bounded();
    test_fork();
    test_shared_memory();
    return 0;
}
