/* Starts a program again and again and times it from posix_spawn to its end:
 *   zio-spawn-timer RUNS WARM-UP CPU [NAME=VALUE...] -- PROGRAM [ARGUMENT...]
 * The variables are for the program alone. Prints one line of JSON; exit status 1 when a run of
 * the program ended in another way than with status 0. */
#include "../demo/usage_clock.h"

#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

static void fail(const char *what) {
    fprintf(stderr, "zio-spawn-timer: %s\n", what);
    exit(1);
}

static uint64_t run_once(char **command) {
    uint64_t from = now_ns();
    pid_t pid;
    int status;
    errno = posix_spawnp(&pid, command[0], NULL, NULL, command, environ);
    if (errno)
        fail(strerror(errno));
    if (waitpid(pid, &status, 0) != pid || status != 0)
        fail("the program failed");
    return now_ns() - from;
}

static uint64_t children_cpu_ns(void) {
    struct rusage all;
    getrusage(RUSAGE_CHILDREN, &all);
    return (uint64_t)(all.ru_utime.tv_sec + all.ru_stime.tv_sec) * 1000000000u +
           (uint64_t)(all.ru_utime.tv_usec + all.ru_stime.tv_usec) * 1000u;
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    if (argc < 6)
        fail("usage: RUNS WARM-UP CPU [NAME=VALUE...] -- PROGRAM [ARGUMENT...]");
    long runs = atol(argv[1]), warmup = atol(argv[2]), cpu = atol(argv[3]);
    char **at = argv + 4;
    for (; *at && strcmp(*at, "--") != 0; at++)
        putenv(*at);
    uint64_t *times = runs > 0 ? calloc((size_t)runs, sizeof *times) : NULL;
    if (!times || !*at || !at[1])
        fail("how many runs of which program?");
    if (cpu >= 0)
        pin_to_cpu(argv[0], cpu);
    for (long i = 0; i < warmup; i++)
        run_once(at + 1);
    uint64_t cpu_from = children_cpu_ns(), wall_from = now_ns();
    for (long i = 0; i < runs; i++)
        times[i] = run_once(at + 1);
    uint64_t wall_ns = now_ns() - wall_from, cpu_ns = children_cpu_ns() - cpu_from;
    qsort(times, (size_t)runs, sizeof *times, compare);
    printf("{\"version\":1,\"runs\":%ld,\"wallNs\":%lu,\"cpuNs\":%lu,\"medianNs\":%lu,"
           "\"p90Ns\":%lu}\n",
           runs, wall_ns, cpu_ns, times[runs / 2], times[(runs - 1) * 9 / 10]);
    return 0;
}
