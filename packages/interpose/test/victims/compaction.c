/* Programs that keep a page of each message: what is kept of an origin must not keep the rest. */
#include "channels.h"

enum { MESSAGES = 400 };
#define MESSAGE (512 * KIB)
#define KEPT    (64 * PAGE)

/* Each message lands in memory of its own and is overwritten but for one page. */
static void sparse(size_t count) {
    static byte *kept[MESSAGES];
    for (size_t i = 0; i < count; i++) {
        kept[i] = region(MESSAGE);
        feed(kept[i], MESSAGE, (unsigned)i, 0);
        memset(kept[i], 'x', KEPT);
        memset(kept[i] + KEPT + PAGE, 'y', MESSAGE - KEPT - PAGE);
    }
    for (size_t i = 0; i < count; i++) {
        EXPECT_ALL(kept[i], KEPT, 'x');
        EXPECT_BYTES(kept[i] + KEPT, PAGE, (unsigned)i, KEPT);
        EXPECT_ALL(kept[i] + KEPT + PAGE, MESSAGE - KEPT - PAGE, 'y');
    }
}

static void sixty(void) {
    sparse(60);
}
static void many(void) {
    sparse(MESSAGES);
}

static void *look_and_copy(void *argument) {
    byte *const *message = argument, *copied = region(MESSAGE);
    for (int round = 0; round < 20; round++) {
        copy(copied, *message, MESSAGE);
        EXPECT_BYTES(copied, MESSAGE, 7, 0);
    }
    return NULL;
}

/* Other threads copy and look while origins are emptied; some messages are kept whole. */
static void in_threads(void) {
    static byte *whole;
    whole = region(MESSAGE);
    feed(whole, MESSAGE, 7, 0);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = start(look_and_copy, &whole);
    sparse(60);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    EXPECT_BYTES(whole, MESSAGE, 7, 0);
}

SUBCASES({"sixty", sixty}, {"many", many}, {"in-threads", in_threads})
