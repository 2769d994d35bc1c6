/* What zIO's steps take on this machine: run once plain and once under zIO with the policy `always`,
 * it times the calls of a program that reads, copies, sends and looks. Knows nothing of zIO; `zio
 * calibrate` compares the two. Prints a line for each measurement: name, nanoseconds. About 30 ms. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    SMALL = 64 << 10,
    LARGE = 512 << 10,
    PIPE = 1 << 20,
    ROUNDS = 16,
    BEST = 1,             /* of the rounds by time: what else the machine does only adds; but the
                           * median of what is a difference */
    SIP = 8 << 10,        /* below every threshold */
    OTHER_WORK = 2 << 20, /* what a server touches between two messages */
};

enum step { READ, COPY, WRITE, COPYING, TOUCH_ONE, TOUCH_ALL, READ_AGAIN, STEPS };

static const char *const names[STEPS] = {"read",      "copy",      "write",     "copying",
                                         "touch-one", "touch-all", "read-again"};

static unsigned char *source, *a, *b, *work;
static int in[2], out[2];

static void die(const char *what) {
    fprintf(stderr, "zio-calibrate: %s: %s\n", what, strerror(errno));
    exit(1);
}

static unsigned char *memory(size_t bytes) {
    unsigned char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        die("mmap");
    memset(at, 1, bytes);
    return at;
}

/* The CPU time of all threads: whoever serves a fault works, but waking it up is not our cost. */
static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void write_all(int fd, const unsigned char *from, size_t bytes) {
    for (ssize_t done; bytes > 0; from += done, bytes -= (size_t)done)
        if ((done = write(fd, from, bytes)) <= 0)
            die("write");
}

static void read_all(int fd, unsigned char *to, size_t bytes, size_t at_most) {
    for (ssize_t done; bytes > 0; to += done, bytes -= (size_t)done)
        if ((done = read(fd, to, bytes < at_most ? bytes : at_most)) <= 0)
            die("read");
}

static void touch(size_t bytes) {
    for (size_t at = 0; at < bytes; at += PAGE)
        ((volatile unsigned char *)b)[at];
}

static void do_other_work(void) {
    for (size_t at = 0; at < OTHER_WORK; at += 64)
        work[at]++;
}

static void drain(size_t bytes) {
    for (size_t left = bytes; left > 0; left -= SIP)
        read_all(out[0], source, SIP, SIP);
}

/* A message passes; nobody looks at it, as in most rounds of a server that gains by zIO. */
static void pass(size_t bytes, uint64_t *took) {
    uint64_t times[4];
    write_all(in[1], source, bytes);
    do_other_work();
    times[0] = now();
    read_all(in[0], a, bytes, bytes);
    times[1] = now();
    memcpy(b, a, bytes);
    times[2] = now();
    write_all(out[1], b, bytes);
    times[3] = now();
    for (int i = 0; i < 3; i++)
        took[i] = times[i + 1] - times[i];
    took[COPYING] = times[3] - times[0];
    drain(bytes);
}

/* The same without the copy: what it takes less is what a copy costs, to the caches too. */
static uint64_t pass_directly(size_t bytes) {
    write_all(in[1], source, bytes);
    do_other_work();
    uint64_t start = now();
    read_all(in[0], a, bytes, bytes);
    write_all(out[1], a, bytes);
    uint64_t took = now() - start;
    drain(bytes);
    return took;
}

/* Then somebody looks at one page of it, or at all. Not at one and then all: what is filled for who
 * reads in order ends at a page that is there, and the next look at that page would count as going on. */
static uint64_t look(size_t bytes, enum step step) {
    do_other_work();
    uint64_t start = now();
    if (step == TOUCH_ONE)
        (void)*(volatile unsigned char *)(b + bytes / 2);
    else
        touch(bytes);
    return now() - start;
}

/* Nobody copies what came before: the next goes to the same place. */
static uint64_t read_again(size_t bytes) {
    write_all(in[1], source, bytes);
    do_other_work();
    uint64_t start = now();
    read_all(in[0], a, bytes, bytes);
    return now() - start;
}

static int compare(const void *one, const void *other) {
    uint64_t x = *(const uint64_t *)one, y = *(const uint64_t *)other;
    return x < y ? -1 : x > y;
}

static void measure(const char *size, size_t bytes) {
    uint64_t took[STEPS][ROUNDS];
    uint64_t steps[STEPS];
    for (int round = -2; round < ROUNDS; round++) {
        pass(bytes, steps);
        for (int step = READ; round >= 0 && step <= WRITE; step++)
            took[step][round] = steps[step];
    }
    /* In turn, so that both see the same machine. */
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t direct = pass_directly(bytes);
        pass(bytes, steps);
        took[COPYING][round] = steps[COPYING] > direct ? steps[COPYING] - direct : 0;
    }
    for (int round = 0; round < ROUNDS; round++)
        for (int step = TOUCH_ONE; step <= TOUCH_ALL; step++) {
            pass(bytes, steps);
            took[step][round] = look(bytes, step);
        }
    memset(b, 0, bytes); /* nothing shows the last input any more */
    for (int round = -2; round < ROUNDS; round++) {
        uint64_t again = read_again(bytes);
        if (round >= 0)
            took[READ_AGAIN][round] = again;
    }
    for (int step = 0; step < STEPS; step++) {
        qsort(took[step], ROUNDS, sizeof took[step][0], compare);
        int which = step == COPYING ? ROUNDS / 2 : BEST;
        printf("%s-%s %llu\n", names[step], size, (unsigned long long)took[step][which]);
    }
}

int main(void) {
    source = memory(LARGE), a = memory(LARGE), b = memory(LARGE), work = memory(OTHER_WORK);
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || fcntl(in[0], F_SETPIPE_SZ, PIPE) < 0 ||
        fcntl(out[0], F_SETPIPE_SZ, PIPE) < 0)
        die("pipe");
    measure("small", SMALL);
    measure("large", LARGE);
    return 0;
}
