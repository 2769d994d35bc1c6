/* Trap 18: memory that shows what was received meets functions that no hook sees: those of a library
 * loaded with RTLD_DEEPBIND, those of another libc (dlmopen), and an allocator's extended interface. */
#include "channels.h"
#include <dlfcn.h>

enum { OLD = 1, NEW = 2 };
#define SIZE (320 * KIB)

static void (*other_copy)(void *, const void *, size_t), (*other_set)(void *, int, size_t), (*other_free)(void *);
static long (*other_read)(int, void *, size_t), (*other_write)(int, const void *, size_t);
static void *(*other_malloc)(size_t), *(*other_realloc)(void *, size_t);
static int (*other_unmap)(void *, size_t);

static void find(void *library) {
    if (!library)
        die(dlerror());
    *(void **)&other_copy = dlsym(library, "visiting_copy");
    *(void **)&other_set = dlsym(library, "visiting_set");
    *(void **)&other_free = dlsym(library, "visiting_free");
    *(void **)&other_read = dlsym(library, "visiting_read");
    *(void **)&other_write = dlsym(library, "visiting_write");
    *(void **)&other_malloc = dlsym(library, "visiting_malloc");
    *(void **)&other_realloc = dlsym(library, "visiting_realloc");
    *(void **)&other_unmap = dlsym(library, "visiting_unmap");
}

/* A block of the heap that shows the stream. */
static byte *heap_view(void *(*allocate)(size_t), unsigned stream) {
    byte *landed = region(SIZE), *at = allocate(SIZE);
    if (!at)
        die("malloc");
    feed(landed, SIZE, stream, 0);
    copy(at, landed, SIZE);
    munmap(landed, SIZE + PAGE);
    return at;
}

/* `same_heap`: what one side allocates the other may free. */
static void visit(int same_heap) {
    struct channel c = wide_pipe();
    byte *a = viewed(SIZE, OLD), *b = viewed(SIZE, NEW);
    other_copy(b + 7, a, SIZE - 7);
    EXPECT_BYTES(b + 7, SIZE - 7, OLD, 0);
    other_copy(a, a + 5 * PAGE, SIZE - 5 * PAGE);
    EXPECT_BYTES(a, SIZE - 5 * PAGE, OLD, 5 * PAGE);
    feed(a, SIZE, NEW, 0);
    EXPECT(other_write(c.out, a, SIZE), SIZE);
    feed(b, SIZE, OLD, 0);
    EXPECT(other_read(c.in, b, SIZE), SIZE);
    EXPECT_BYTES(b, SIZE, NEW, 0);
    other_set(a + 100, 0x33, SIZE - 200);
    EXPECT(a[100] + a[SIZE - 101], 0x66);
    EXPECT_BYTES(a, 100, NEW, 0);
    byte *gone = viewed(SIZE, OLD), *again;
    EXPECT(other_unmap(gone, SIZE), 0);
    again = mmap(gone, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    EXPECT(again == gone, 1);
    EXPECT(again[9] + again[SIZE - 1], 0);
    for (int i = 0; i < 12; i++) {
        byte *mine = heap_view(malloc, i % 2 ? OLD : NEW), *theirs = heap_view(other_malloc, OLD);
        copy(theirs, mine, SIZE);
        if (same_heap) {
            byte *swapped = mine;
            mine = theirs, theirs = swapped;
        }
        theirs = other_realloc(theirs, i % 3 ? 2 * SIZE : SIZE / 2);
        EXPECT_BYTES(theirs, SIZE / 2, i % 2 ? OLD : NEW, 0);
        EXPECT_BYTES(mine, SIZE, i % 2 ? OLD : NEW, 0);
        other_free(theirs);
        free(mine);
        byte *zero = calloc(1, SIZE);
        for (size_t at = 0; at < SIZE; at += 512)
            EXPECT(zero[at], 0);
        free(zero);
    }
}

static const char *library(void) {
    const char *path = getenv("VISITING_LIBRARY");
    if (!path)
        die("VISITING_LIBRARY");
    return path;
}

static void deep_bound(void) {
    find(dlopen(library(), RTLD_NOW | RTLD_DEEPBIND));
    visit(1);
}
static void other_namespace(void) {
    find(dlmopen(LM_ID_NEWLM, library(), RTLD_NOW));
    visit(0);
}

/* jemalloc's extended interface, where the allocator has it. */
static void extended(void) {
    void *(*mallocx)(size_t, int) = NULL, *(*rallocx)(void *, size_t, int) = NULL;
    void (*sdallocx)(void *, size_t, int) = NULL;
    *(void **)&mallocx = dlsym(RTLD_DEFAULT, "mallocx");
    *(void **)&rallocx = dlsym(RTLD_DEFAULT, "rallocx");
    *(void **)&sdallocx = dlsym(RTLD_DEFAULT, "sdallocx");
    if (!mallocx || !rallocx || !sdallocx)
        die("the allocator has no extended interface");
    enum { ZERO = 0x40 };
    for (int i = 0; i < 40; i++) {
        byte *at = heap_view(malloc, OLD), *given = mallocx(SIZE, i % 2 ? ZERO : 0);
        for (size_t each = 0; i % 2 && each < SIZE; each += 512)
            EXPECT(given[each], 0);
        copy(given, at, SIZE);
        given = rallocx(given, i % 3 ? 2 * SIZE : SIZE / 2, ZERO);
        EXPECT_BYTES(given, SIZE / 2, OLD, 0);
        for (size_t each = SIZE; i % 3 && each < 2 * SIZE; each += 512)
            EXPECT(given[each], 0);
        EXPECT_BYTES(at, SIZE, OLD, 0);
        sdallocx(given, i % 3 ? 2 * SIZE : SIZE / 2, 0);
        sdallocx(at, SIZE, 0);
    }
}

/* Blocks by malloc and by realloc in turn, of a heap that grows: it has one owner, whoever that is. */
static void by_turns(void) {
    byte *kept[400];
    for (size_t i = 0; i < 400; i += 2) {
        kept[i] = malloc(5 + i * 40);
        kept[i + 1] = realloc(NULL, 1600);
        memset(kept[i + 1], (int)i, 1600);
        kept[i + 1] = realloc(kept[i + 1], 1600 + i * 30);
        EXPECT_ALL(kept[i + 1], 1600, (byte)i);
    }
    for (size_t i = 0; i < 400; i++)
        free(kept[i]);
    byte *at = malloc(SIZE), *copied = malloc(SIZE);
    feed(at, SIZE, 1, 0);
    copy(copied, at, SIZE);
    at = realloc(at, 3 * SIZE);
    EXPECT_BYTES(at, SIZE, 1, 0);
    free(at);
    EXPECT_BYTES(copied, SIZE, 1, 0);
    free(copied);
}

SUBCASES({"by-turns", by_turns}, {"deep-bound", deep_bound}, {"other-namespace", other_namespace}, {"extended", extended})
