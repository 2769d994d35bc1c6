/* Trap 9: a thread of the lowest priority raises events, and others have to wait until it has run again.
 * Trap 4: what a child reads of received memory is shared with its parent. */
#include "channels.h"
#include "direct_call.h"
#include <sched.h>

enum { OLD = 1, NEW = 2 };
#define SIZE (256 * KIB)

static atomic_int stop;

/* Advises and unmaps received memory, by calls that no hook sees, whenever nobody else wants the core. */
static void *advise(void *argument) {
    struct sched_param none = {0};
    (void)argument;
    EXPECT(sched_setscheduler(0, SCHED_IDLE, &none), 0);
    while (!stop) {
        byte *at = viewed(SIZE, NEW);
        DIRECT(SYS_madvise, at + 4 * PAGE, 8 * PAGE, MADV_DONTNEED);
        EXPECT(at[4 * PAGE] + at[12 * PAGE - 1], 0);
        EXPECT_BYTES(at, 4 * PAGE, NEW, 0);
        DIRECT(SYS_munmap, at, SIZE + PAGE);
    }
    return NULL;
}

static void *keep_busy(void *argument) {
    (void)argument;
    for (volatile unsigned i = 0; !stop; i++) {
    }
    return NULL;
}

static void idle_adviser(void) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    EXPECT(sched_setaffinity(0, sizeof one, &one), 0);
    pthread_t threads[] = {start(advise, NULL), start(keep_busy, NULL)};
    byte *a = region(SIZE), *b = region(SIZE);
    for (int i = 0; i < 60; i++) {
        unsigned stream = i % 2 ? OLD : NEW;
        feed(a, SIZE, stream, 0);
        copy(b, a, SIZE);
        a[i * 1000] ^= 1;
        EXPECT_BYTES(b, SIZE, stream, 0);
        sched_yield();
    }
    stop = 1;
    pthread_join(threads[0], NULL), pthread_join(threads[1], NULL);
}

static long private_kib(void) {
    static char text[4096];
    long sum = 0, value;
    int fd = open("/proc/self/smaps_rollup", O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    for (char *at = text; (at = strstr(at, "Private_")); at++)
        if (sscanf(at, "Private_%*[^:]: %ld", &value) == 1)
            sum += value;
    return sum;
}

/* A child reads 160 MiB of messages that its parent keeps, and has no copy of them. The parent has none
 * either, but for the origin that it was filling at last, of 64 MiB at most. */
static void snapshot(void) {
    enum { COUNT = 640, KIB_LEAST = COUNT * 256, KIB_MOST = KIB_LEAST + 80 * 1024 };
    static byte *kept[COUNT];
    for (int i = 0; i < COUNT; i++)
        kept[i] = viewed(SIZE, i % 2 ? OLD : NEW);
    pid_t child = fork();
    if (child == 0) {
        long before = private_kib();
        for (int i = 0; i < COUNT; i++)
            EXPECT_BYTES(kept[i], SIZE, i % 2 ? OLD : NEW, 0);
        long grown = private_kib() - before;
        say("the child's own memory grew by %s\n", grown < 8192 ? "next to nothing" : "much");
        _exit(failures != 0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT(status, 0);
    for (int i = 0; i < COUNT; i++)
        EXPECT_BYTES(kept[i], SIZE, i % 2 ? OLD : NEW, 0);
    long held = private_kib();
    say("the parent has %s\n", held < KIB_LEAST  ? "less than all of them"
                               : held < KIB_MOST ? "one copy of them"
                                                 : "more than one copy");
}

SUBCASES({"idle-adviser", idle_adviser}, {"snapshot", snapshot})
