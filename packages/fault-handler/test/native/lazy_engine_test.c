/* The engine behind LazyBuffer. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#include "addon/lazy_engine.h"
#include "zone.h"

static const struct zio_lazy_options options = {.max_window_bytes = 64 * 1024};

static void require_engine(void) {
    struct zio_uffd probe;
    require_userfaultfd(&probe, 0);
    zio_uffd_close(&probe);
}

/* Memory that ends exactly at a page that must not be touched. */
static unsigned char *guarded_bytes(size_t length) {
    size_t whole = (length + PAGE - 1) / PAGE * PAGE;
    unsigned char *base =
        mmap(NULL, whole + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(base != MAP_FAILED);
    CHECK_EQ(mprotect(base + whole, PAGE, PROT_NONE), 0);
    unsigned char *bytes = base + whole - length;
    for (size_t i = 0; i < length; i++)
        bytes[i] = (unsigned char)(i * 13 + (i >> 9) + 1);
    return bytes;
}

static struct zio_lazy_region *region_of(enum zio_lazy_source_kind kind, const void *bytes,
                                         size_t length) {
    struct zio_lazy_region *region = NULL;
    CHECK_EQ(zio_lazy_region_of_memory(kind, bytes, length, length, &options, &region), 0);
    return region;
}

static void never_reads_beyond_its_source(void) {
    require_engine();
    static const size_t lengths[] = {1, 100, PAGE - 1, PAGE, PAGE + 1, 10 * PAGE + 7, 300001};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t length = lengths[i];
        unsigned char *bytes = guarded_bytes(length);
        for (int kind = ZIO_LAZY_COPIED; kind <= ZIO_LAZY_BORROWED; kind++) {
            struct zio_lazy_region *region = region_of(kind, bytes, length);
            unsigned char *data = zio_lazy_region_data(region);
            CHECK_EQ(data[length - 1], bytes[length - 1]);
            CHECK_EQ(memcmp(data, bytes, length), 0);
            for (size_t at = length; at % PAGE != 0; at++)
                CHECK_EQ(data[at], 0);
            struct zio_lazy_stats stats;
            zio_lazy_region_stats(region, &stats);
            CHECK_EQ(stats.error_count, 0);
            CHECK_EQ(stats.filled_bytes, (length + PAGE - 1) / PAGE * PAGE);
            zio_lazy_region_release(region);
        }
    }
}

static void source_that_went_away_is_an_error_not_a_hang(void) {
    require_engine();
    size_t length = 8 * PAGE;
    unsigned char *bytes = guarded_bytes(length);
    struct zio_lazy_region *region = region_of(ZIO_LAZY_BORROWED, bytes, length);
    CHECK_EQ(mprotect(bytes + 4 * PAGE, PAGE, PROT_NONE), 0);
    unsigned char *data = zio_lazy_region_data(region);
    CHECK_EQ(memcmp(data, bytes, 4 * PAGE), 0);
    CHECK_EQ(data[4 * PAGE], 0);
    CHECK_EQ(memcmp(data + 5 * PAGE, bytes + 5 * PAGE, 3 * PAGE), 0);
    struct zio_lazy_stats stats;
    zio_lazy_region_stats(region, &stats);
    CHECK_EQ(stats.error_count, 1);
    CHECK_EQ(stats.errors[0].offset, 4 * PAGE);
    zio_lazy_region_release(region);
}

static unsigned char *shared_bytes;
enum { SHARED_BYTES = 50 * PAGE + 123 };

static void *make_and_drop(void *seed) {
    unsigned state = (unsigned)(uintptr_t)seed;
    for (int i = 0; i < 150; i++) {
        enum zio_lazy_source_kind kind = rand_r(&state) % 2 ? ZIO_LAZY_COPIED : ZIO_LAZY_BORROWED;
        size_t length = 1 + (size_t)rand_r(&state) % (SHARED_BYTES - 1);
        struct zio_lazy_region *region = region_of(kind, shared_bytes, length);
        unsigned char *data = zio_lazy_region_data(region);
        for (int touch = 0; touch < 10; touch++) {
            size_t at = (size_t)rand_r(&state) % length;
            if (data[at] != shared_bytes[at])
                return (void *)1;
        }
        if (rand_r(&state) % 2 && memcmp(data, shared_bytes, length) != 0)
            return (void *)1;
        if (rand_r(&state) % 4 == 0)
            zio_lazy_region_unmap(region);
        zio_lazy_region_release(region);
    }
    return NULL;
}

static void many_threads_make_touch_and_drop_regions(void) {
    require_engine();
    shared_bytes = guarded_bytes(SHARED_BYTES);
    pthread_t threads[6];
    for (uintptr_t i = 0; i < 6; i++)
        pthread_create(&threads[i], NULL, make_and_drop, (void *)(i + 1));
    for (int i = 0; i < 6; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        CHECK(!wrong);
    }
    CHECK(access("/proc/self/task", F_OK) == 0);
}

static struct zio_lazy_region *contended;

static void *touch_contended(void *unused) {
    (void)unused;
    return (void *)(intptr_t)memcmp(zio_lazy_region_data(contended), shared_bytes, SHARED_BYTES);
}

static void threads_that_touch_one_region_see_no_zeros(void) {
    require_engine();
    shared_bytes = guarded_bytes(SHARED_BYTES);
    for (int round = 0; round < 60; round++) {
        contended =
            region_of(round % 2 ? ZIO_LAZY_COPIED : ZIO_LAZY_BORROWED, shared_bytes, SHARED_BYTES);
        pthread_t threads[4];
        for (int i = 0; i < 4; i++)
            pthread_create(&threads[i], NULL, touch_contended, NULL);
        for (int i = 0; i < 4; i++) {
            void *different;
            pthread_join(threads[i], &different);
            CHECK(!different);
        }
        zio_lazy_region_release(contended);
    }
}

static void lost_descriptor_is_repaired_or_refused(void) {
    require_engine();
    unsigned char *bytes = guarded_bytes(3 * PAGE);
    struct zio_lazy_region *first = region_of(ZIO_LAZY_BORROWED, bytes, 3 * PAGE), *second = NULL;
    close_range(3, ~0u, 0);
    int code =
        zio_lazy_region_of_memory(ZIO_LAZY_BORROWED, bytes, 3 * PAGE, 3 * PAGE, &options, &second);
    CHECK_EQ(memcmp(zio_lazy_region_data(first), bytes, 3 * PAGE), 0);
    if (code == 0)
        CHECK_EQ(memcmp(zio_lazy_region_data(second), bytes, 3 * PAGE), 0);
    zio_lazy_region_release(first);
    if (code == 0)
        zio_lazy_region_release(second);
    if (code != 0)
        SKIP("pidfd_open(PIDFD_THREAD) needs Linux 6.9: %s", zio_error_message(code));
}

static const struct test tests[] = {
#define TEST(name)                                                                                 \
    { #name, name }
    TEST(never_reads_beyond_its_source),
    TEST(source_that_went_away_is_an_error_not_a_hang),
    TEST(many_threads_make_touch_and_drop_regions),
    TEST(threads_that_touch_one_region_see_no_zeros),
    TEST(lost_descriptor_is_repaired_or_refused),
};
TEST_MAIN(tests)
