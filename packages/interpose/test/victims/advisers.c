/* Traps 8 and 9: threads raise events about memory beside ours as fast as they can, so that the
 * kernel hardly ever has a moment to fill a page. A thread that touches, receives and copies goes
 * on all the same, and so does one that is set aside in the middle of it, and one that forks. */
#include "channels.h"
#include "direct_call.h"

enum { OLD = 1, ADVISERS = 3, ROUNDS = 8 };
#define SIZE    (64 * KIB)
#define GRANULE (2 * MIB)

static atomic_int over;
static byte *arena; /* one granule: whatever happens in it meets at the same lock */

/* Ends the contents of a page of its own, again and again, by a call that no hook sees. */
static void *advise(void *argument) {
    byte *page = arena + GRANULE - PAGE * (1 + (uintptr_t)argument);
    while (!over)
        if (DIRECT(SYS_madvise, page, PAGE, MADV_DONTNEED))
            die("madvise");
    return NULL;
}

static void *receive_and_copy(void *unused) {
    struct channel c = wide_pipe();
    byte *source = stream_bytes(SIZE, OLD, 0);
    for (int round = 0; round < ROUNDS; round++) {
        byte *at = arena + SIZE * (size_t)(round % 4), *twin = at + 8 * SIZE;
        for (size_t i = 0; i < SIZE; i += PAGE)
            at[i] = twin[i] = 1; /* present: there is something to evict */
        write_all(c.out, source, SIZE);
        EXPECT(read(c.in, at, SIZE), SIZE);
        copy(twin, at, SIZE);
        EXPECT_BYTES(twin, SIZE, OLD, 0);
        EXPECT_BYTES(at, SIZE, OLD, 0);
    }
    over = 1;
    return unused;
}

static void *fork_with_views(void *unused) {
    for (int round = 0; round < 4; round++) {
        byte *at = arena + SIZE * (size_t)(round % 4);
        feed(at, SIZE, OLD, 0);
        pid_t child = fork();
        if (child == 0) {
            EXPECT_BYTES(at, SIZE, OLD, 0);
            _exit(failures != 0);
        }
        int status = -1;
        EXPECT(waitpid(child, &status, 0), child);
        EXPECT(status, 0);
        EXPECT_BYTES(at, SIZE, OLD, 0);
    }
    over = 1;
    return unused;
}

static void beside_advisers(void *(*run)(void *)) {
    byte *both =
        mmap(NULL, 2 * GRANULE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    arena = (byte *)(((uintptr_t)both + GRANULE - 1) & ~(uintptr_t)(GRANULE - 1));
    feed(arena, SIZE, OLD, 0); /* all of it is registered now */
    pthread_t advisers[ADVISERS];
    for (uintptr_t i = 0; i < ADVISERS; i++)
        advisers[i] = start(advise, (void *)i);
    pthread_join(start(run, NULL), NULL);
    for (int i = 0; i < ADVISERS; i++)
        pthread_join(advisers[i], NULL);
}

static void goes_on(void) {
    beside_advisers(receive_and_copy);
}
static void forks(void) {
    beside_advisers(fork_with_views);
}

SUBCASES({"goes-on", goes_on}, {"forks", forks})
