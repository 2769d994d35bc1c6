/* Invariant 9: what a program does again and again costs no more maps, descriptors or memory
 * the thousandth time. Compared are the states after a tenth of the rounds and after all. */
#include "channels.h"
#include <dirent.h>
#include <sched.h>

enum { OLD = 1, NEW = 2 };
#define SIZE (128 * KIB)

struct state {
    size_t maps, descriptors, threads, resident_pages;
};

static size_t entries(const char *path) {
    size_t count = 0;
    DIR *directory = opendir(path);
    for (struct dirent *e; directory && (e = readdir(directory));)
        count += e->d_name[0] != '.';
    closedir(directory);
    return count;
}

static struct state measure(void) {
    static char text[4096];
    struct state now = {0};
    int fd = open("/proc/self/maps", O_RDONLY);
    for (ssize_t n; (n = read(fd, text, sizeof text)) > 0;)
        for (ssize_t i = 0; i < n; i++)
            now.maps += text[i] == '\n';
    close(fd);
    fd = open("/proc/self/statm", O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    sscanf(text, "%*u %zu", &now.resident_pages);
    now.descriptors = entries("/proc/self/fd");
    now.threads = entries("/proc/self/task");
    return now;
}

static void expect_steady(struct state a, struct state b) {
    if (b.maps > a.maps + 40)
        EXPECT(b.maps, a.maps);
    if (b.descriptors > a.descriptors + 1)
        EXPECT(b.descriptors, a.descriptors);
    if (b.threads > a.threads)
        EXPECT(b.threads, a.threads);
    if (b.resident_pages > a.resident_pages + 8192)
        EXPECT(b.resident_pages, a.resident_pages);
}

static void repeat(int rounds, void (*body)(int)) {
    struct state early = {0};
    for (int i = 0; i < rounds; i++) {
        body(i);
        if (i == rounds / 10)
            early = measure();
    }
    expect_steady(early, measure());
}

static void echo(int round) {
    static struct channel c;
    static byte *source;
    if (!source)
        c = wide_pipe(), source = stream_bytes(SIZE, NEW, 0);
    byte *a = region(SIZE), *b = region(SIZE), *d = malloc(SIZE);
    write_all(c.out, source, SIZE);
    read_all(c.in, a, SIZE);
    copy(b, a, SIZE);
    copy(d, b, SIZE);
    if (round % 3)
        b[round * 100 % SIZE] = 1;
    write_all(c.out, d, SIZE);
    read_all(c.in, a, SIZE);
    if (round % 50 == 0)
        EXPECT_BYTES(a, SIZE, NEW, 0);
    munmap(a, SIZE + PAGE), munmap(b, SIZE + PAGE), free(d);
}
static void echoes(void) {
    repeat(1500, echo);
}

static void connection(int round) {
    struct channel c = round % 2 ? unix_pair(SOCK_STREAM) : inet_pair(SOCK_STREAM);
    byte *at = viewed(SIZE, NEW), *into = region(SIZE);
    write_all(c.out, at, SIZE);
    EXPECT(recv(c.in, into, SIZE / 2, MSG_WAITALL), SIZE / 2);
    munmap(at, SIZE + PAGE), munmap(into, SIZE + PAGE);
    close_channel(c); /* with half of the data unread */
}
static void connections(void) {
    repeat(400, connection);
}

static void *thread_echo(void *argument) {
    echo((int)(intptr_t)argument);
    return NULL;
}
static void thread_once(int round) {
    pthread_join(start(thread_echo, (void *)(intptr_t)round), NULL);
}
static void threads(void) {
    repeat(400, thread_once);
}

static void fork_once(int round) {
    static byte *kept;
    if (!kept)
        kept = viewed(SIZE, OLD);
    pid_t child = fork();
    if (child == 0)
        _exit(kept[round * 7 % SIZE] != byte_of(OLD, (uint64_t)round * 7 % SIZE));
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT(status, 0);
    echo(round);
}
static void forks(void) {
    repeat(200, fork_once);
}

/* Views that stay: small parts of many large inputs, replaced in turn. */
static void keep_crumb(int round) {
    enum { CRUMBS = 32 };
    static byte *crumbs[CRUMBS], *landed;
    static unsigned streams[CRUMBS];
    if (!landed)
        landed = region(512 * KIB);
    int slot = round % CRUMBS;
    if (!crumbs[slot])
        crumbs[slot] = region(32 * KIB);
    else
        EXPECT_BYTES(crumbs[slot], 32 * KIB, streams[slot], 64 * KIB);
    streams[slot] = (unsigned)round;
    feed(landed, 512 * KIB, (unsigned)round, 0);
    copy(crumbs[slot], landed + 64 * KIB, 32 * KIB);
}
static void crumbs(void) {
    repeat(400, keep_crumb);
}

SUBCASES({"echoes", echoes}, {"connections", connections}, {"threads", threads}, {"forks", forks},
         {"crumbs", crumbs})
