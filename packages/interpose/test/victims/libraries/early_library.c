/* A library that does large input, copies and output wherever a library can: in
 * constructors and destructors. Loaded after libzio.so, its constructors run before those of
 * libzio.so. */
#include "../channels.h"
#include "../early_library.h"
#include <dlfcn.h>

#define SIZE (96 * KIB)
static byte memory[SIZE] __attribute__((aligned(4096)));

/* One echo: in, copied twice, out, checked. */
int early_echo(unsigned stream) {
    int before = failures;
    byte *a = region(SIZE), *b = region(SIZE);
    feed(a, SIZE, stream, 0);
    copy(b, a, SIZE);
    copy(memory, b, SIZE);
    struct channel c = wide_pipe();
    EXPECT(write(c.out, b, SIZE), SIZE);
    EXPECT_STREAM(c.in, SIZE, stream, 0);
    EXPECT_BYTES(memory, 100, stream, 0);
    EXPECT_BYTES(a, SIZE, stream, 0);
    byte *heap = malloc(SIZE);
    copy(heap, memory, SIZE);
    heap = realloc(heap, 4 * SIZE);
    EXPECT_BYTES(heap, SIZE, stream, 0);
    free(heap);
    munmap(a, SIZE + PAGE), munmap(b, SIZE + PAGE);
    close_channel(c);
    return failures - before;
}

int early_failures(void) {
    return failures;
}
byte *early_memory(void) {
    return memory;
}

__attribute__((constructor(101))) static void very_early(void) {
    early_echo(1);
}
__attribute__((constructor)) static void early(void) {
    early_echo(2);
}
__attribute__((destructor)) static void late(void) {
    if (getenv("EARLY_QUIET"))
        return;
    early_echo(3);
    say("library destructor: %d failures\n", failures);
}
