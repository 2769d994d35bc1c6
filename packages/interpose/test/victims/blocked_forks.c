/* A fork that waits for a lock of the program's, held by a thread whose signal handler receives and
 * copies more often than each of the two could take if it waited for the fork. Found by zio-fuzz
 * with the lock of malloc. */
#include "channels.h"
#include <sys/time.h>

#define SIZE (96 * KIB)

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static volatile int armed, preparing, handled;
static struct channel ticks;
static byte *landed, *copied, *source;

static void prepare(void) {
    preparing = armed;
    if (armed)
        pthread_mutex_lock(&held);
}
static void in_parent(void) {
    if (armed)
        pthread_mutex_unlock(&held);
}

/* Before the constructors of libraries: handlers of fork run in the reverse order, so ours waits
 * after theirs have run, as malloc's does. */
static void early(int argc, char **argv, char **environment) {
    (void)argc, (void)argv, (void)environment;
    pthread_atfork(prepare, in_parent, in_parent);
}
__attribute__((section(".preinit_array"), used)) static void (*const call_early)(int, char **,
                                                                                 char **) = early;

static void on_tick(int number) {
    (void)number;
    for (size_t done = 0; done < SIZE; done += 8192)
        if (write(ticks.out, source + done, 8192) != 8192)
            failures = 1;
    if (read(ticks.in, landed, SIZE) != (ssize_t)SIZE)
        failures = 1;
    memcpy(copied, landed, SIZE);
    handled++;
}

static void *fork_here(void *unused) {
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    int status = -1;
    waitpid(child, &status, 0);
    return unused;
}

static void busy_handler(void) {
    landed = region(SIZE), copied = region(SIZE), ticks = wide_pipe();
    source = stream_bytes(SIZE, 3, 0);
    on_tick(0);
    signal(SIGALRM, on_tick);
    pthread_mutex_lock(&held);
    armed = 1;
    pthread_t forking = start(fork_here, NULL);
    while (!preparing)
        usleep(1000);
    struct itimerval often = {{0, 4000}, {0, 4000}}, never = {{0, 0}, {0, 0}};
    int before = handled;
    setitimer(ITIMER_REAL, &often, NULL);
    while (handled < before + 20)
        for (volatile int i = 0; i < 1000; i++)
            ;
    setitimer(ITIMER_REAL, &never, NULL);
    pthread_mutex_unlock(&held);
    pthread_join(forking, NULL);
    EXPECT_BYTES(copied, SIZE, 3, 0);
    EXPECT_BYTES(landed, SIZE, 3, 0);
}

SUBCASES({"busy-handler", busy_handler})
