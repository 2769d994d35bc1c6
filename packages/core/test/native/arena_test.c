/* Pages and slabs. */
#include <zio/arena.h>
#include <zio/error.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"

enum { OBJECTS = 5000, OBJECT_BYTES = 200 };

static void test_pages(void) {
    unsigned char *pages = zio_pages_alloc(100000);
    ASSERT(pages);
    ASSERT_EQUAL((uintptr_t)pages % 4096, 0);
    for (int i = 0; i < 100000; i++)
        ASSERT_EQUAL(pages[i], 0);
    memset(pages, 1, 100000);
    zio_pages_free(pages, 100000);
    ASSERT_EQUAL(msync(pages, 4096, MS_ASYNC), -1);
    zio_pages_free(NULL, 4096);

    errno = 77;
    ASSERT(!zio_pages_alloc(0));
    ASSERT(!zio_pages_alloc(SIZE_MAX));
    ASSERT(!zio_pages_alloc(SIZE_MAX / 2));
    ASSERT_EQUAL(errno, 77);
}

static void test_objects(void) {
    static unsigned char *objects[OBJECTS];
    struct zio_slab slab;
    ASSERT_EQUAL(zio_slab_init(&slab, 8, 0), ZIO_EINVAL);
    ASSERT_EQUAL(zio_slab_init(&slab, OBJECT_BYTES, 10), 0);
    ASSERT_EQUAL(slab.object_bytes, 256);
    ASSERT_COMPARE(slab.free_count, >=, 10);
    for (int i = 0; i < OBJECTS; i++) {
        objects[i] = zio_slab_alloc(&slab);
        ASSERT(objects[i]);
        ASSERT_EQUAL((uintptr_t)objects[i] % 64, 0);
        memset(objects[i], i & 255, OBJECT_BYTES);
    }
    for (int i = 0; i < OBJECTS; i++)
        for (int byte = 0; byte < OBJECT_BYTES; byte++)
            ASSERT_EQUAL(objects[i][byte], i & 255);
    size_t total = slab.total_count;
    for (int i = 0; i < OBJECTS; i++)
        zio_slab_free(&slab, objects[i]);
    ASSERT_EQUAL(slab.free_count, total);
    ASSERT_EQUAL(zio_slab_alloc(&slab), objects[OBJECTS - 1]);
    for (int i = 1; i < OBJECTS; i++)
        ASSERT(zio_slab_alloc(&slab));
    ASSERT_EQUAL(slab.total_count, total);
    zio_slab_destroy(&slab);
    ASSERT(zio_slab_alloc(&slab)); /* as good as new */
    zio_slab_destroy(&slab);
}

static void test_reserve(void) {
    struct zio_slab slab;
    ASSERT_EQUAL(zio_slab_init(&slab, 1024, 5), 0);
    slab.total_max = 1;
    void *last = NULL;
    for (void *object; (object = zio_slab_alloc(&slab));)
        last = object;
    ASSERT_EQUAL(slab.free_count, 5);
    for (int i = 0; i < 5; i++)
        ASSERT(zio_slab_alloc_reserved(&slab));
    ASSERT(!zio_slab_alloc_reserved(&slab));
    zio_slab_free(&slab, last);
    ASSERT(!zio_slab_alloc(&slab));
    ASSERT_EQUAL(zio_slab_alloc_reserved(&slab), last);
    /* Given memory again, it fills the reserve before it serves ordinary requests. */
    slab.total_max = 0;
    ASSERT(zio_slab_alloc(&slab));
    ASSERT_COMPARE(slab.free_count, >=, 5);
    zio_slab_destroy(&slab);
}

static void test_messages(void) {
    ASSERT_EQUAL(strcmp(zio_error_message(0), "success"), 0);
    ASSERT_EQUAL(strncmp(zio_error_message(ZIO_ENOMEM), "out of memory", 13), 0);
    ASSERT(zio_error_message(-100000));
}

int main(void) {
    test_pages();
    test_objects();
    test_reserve();
    test_messages();
    return 0;
}
