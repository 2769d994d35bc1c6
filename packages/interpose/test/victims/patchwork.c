/* Without UFFDIO_MOVE pages are taken away by madvise, which raises an event and waits until it has been
 * read, and that with the granule's lock held. Here a copy takes pages of sixteen mappings in one section,
 * while a crowd of threads raises events in the same granule, which nobody can apply before that section
 * ends: more than the queue of events has room for. They must be read nevertheless. */
#include "channels.h"
#include "direct_call.h"

#define GRANULE (2 * MIB)

enum { OLD = 1, PIECES = 16, CROWD = 90, ROUNDS = 3 };
#define SIZE (PIECES * PAGE)

/* One mapping, and new in each round: it raises no events before the copy registers it, which it does
 * because its destination begins in it. */
static byte *crowded;
static atomic_int copied;
static pthread_barrier_t before, after;

/* Ends the contents of a page of its own, again and again, by a call that no hook sees. */
static void *advise(void *argument) {
    for (int round = 1; round <= ROUNDS; round++) {
        pthread_barrier_wait(&before);
        while (copied < round)
            if (DIRECT(SYS_madvise, crowded + PAGE * (uintptr_t)argument, PAGE, MADV_DONTNEED))
                die("madvise");
        pthread_barrier_wait(&after);
    }
    return NULL;
}

static void crowd_of_advisers(void) {
    byte *landed = region(SIZE);
    feed(landed, SIZE, OLD, 0);
    pthread_barrier_init(&before, NULL, CROWD + 1);
    pthread_barrier_init(&after, NULL, CROWD + 1);
    pthread_t threads[CROWD];
    for (int i = 0; i < CROWD; i++)
        threads[i] = start(advise, (void *)(uintptr_t)i);
    for (int round = 1; round <= ROUNDS; round++) {
        byte *both = region(2 * GRANULE);
        crowded = (byte *)(((uintptr_t)both + GRANULE - 1) & ~(uintptr_t)(GRANULE - 1));
        byte *target = crowded + CROWD * PAGE;
        for (size_t i = 1; i < PIECES; i += 2) /* neighbours differ, or the kernel would join them */
            if (madvise(target + i * PAGE, PAGE, MADV_DONTDUMP))
                die("madvise");
        memset(target, 1, SIZE);
        pthread_barrier_wait(&before);
        copy(target, landed, SIZE);
        copied = round;
        pthread_barrier_wait(&after);
        EXPECT_BYTES(target, SIZE, OLD, 0);
    }
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
}

SUBCASES({"crowd-of-advisers", crowd_of_advisers})
