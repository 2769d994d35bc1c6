/* Case 21: a program with an allocator of its own, which copies by memcpy and is called before
 * anything else; and allocation from inside dlsym. */
#include "channels.h"
#include <dlfcn.h>

enum { OLD = 1, NEW = 2 };
#define SIZE (128 * KIB)

static _Atomic(size_t) used;
static byte *pool;

static void *take(size_t size) {
    static _Atomic int ready;
    int none = 0;
    if (atomic_compare_exchange_strong(&ready, &none, 1)) {
        pool = mmap(NULL, 256 * MIB, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        ready = 2;
    }
    while (ready != 2) {
    }
    size_t at = atomic_fetch_add(&used, (size + 31) / 16 * 16);
    if (at + size > 256 * MIB)
        return NULL;
    *(size_t *)(pool + at) = size;
    return pool + at + 16;
}
void *malloc(size_t size) {
    return take(size);
}
void free(void *at) {
    (void)at;
}
void *calloc(size_t count, size_t size) {
    return take(count * size);
}
void *realloc(void *old, size_t size) {
    void *at = take(size);
    if (!old || !at)
        return at;
    size_t had = *(size_t *)((byte *)old - 16);
    memcpy(at, old, had < size ? had : size);
    return at;
}

static void program(void) {
    struct channel c = wide_pipe();
    byte *source = stream_bytes(SIZE, NEW, 0);
    for (int i = 0; i < 20; i++) {
        byte *at = malloc(SIZE);
        write_all(c.out, source, SIZE);
        EXPECT(read(c.in, at, SIZE), SIZE);
        at = realloc(at, 2 * SIZE);
        byte *grown = realloc(at, 3 * SIZE);
        EXPECT_ALL(grown + SIZE, 100, 0);
        grown[5] ^= 1;
        EXPECT_BYTES(at, SIZE, NEW, 0);
        EXPECT_BYTES(grown + 6, SIZE - 6, NEW, 6);
        free(at);
    }
    EXPECT(dlsym(RTLD_DEFAULT, "memcpy") != NULL, 1);
    EXPECT(dlsym(RTLD_DEFAULT, "no_such_symbol") == NULL, 1);
    EXPECT(dlerror() != NULL, 1);
    FILE *file = fopen("/proc/self/cmdline", "r");
    char text[16];
    EXPECT(fread(text, 1, 1, file), 1);
    fclose(file);
}

SUBCASES({"program", program})
