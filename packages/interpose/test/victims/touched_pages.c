/* `learn` copies at once to pages that a program touches message after message, and shows the
 * others as views. Which is which must not be seen, whatever becomes of the pages in between. */
#include "victim.h"

enum { pages = 64, rounds = 40 };
static const size_t size = pages * PAGE;

static void touch(byte *at, const size_t *touched, size_t count) {
    for (size_t i = 0; i < count; i++) {
        volatile byte *first = at + touched[i] * PAGE + 17;
        *first = (byte)(*first ^ 0x5a);
        *first = (byte)(*first ^ 0x5a);
    }
}

static const size_t header[] = {0, 1, 30, 31, 33, 63};

/* A header, a trailer and something in between, in the copy or in what was received. */
static void touched_in(bool copy) {
    byte *a = map_private(size), *b = map_private(size);
    for (int round = 0; round < rounds; round++) {
        uint64_t from = feed(a, size);
        memcpy(b, a, size);
        touch(copy ? b : a, header, LENGTH_OF(header));
        sink("b", b, size);
        if (round == rounds - 1) { /* looking at it touches it */
            expect_stream("a", a, size, from);
            expect_stream("b", b, size, from);
        }
    }
}

static void copies(void) {
    touched_in(true);
}

static void inputs(void) {
    touched_in(false);
}

/* Every fifth page: more runs than a copy keeps. */
static void many_runs(void) {
    byte *a = map_private(4 * size), *b = map_private(4 * size);
    size_t touched[4 * pages / 5];
    for (size_t i = 0; i < LENGTH_OF(touched); i++)
        touched[i] = 5 * i;
    for (int round = 0; round < rounds; round++) {
        uint64_t from = feed(a, 4 * size);
        memcpy(b, a, 4 * size);
        touch(b, touched, round < rounds / 2 ? LENGTH_OF(touched) : LENGTH_OF(touched) / 5);
        sink("b", b, 4 * size);
        if (round == rounds - 1)
            expect_stream("b", b, 4 * size, from);
    }
}

/* The copy goes on from the touched buffer, shifted, so that its source is views and memory in
 * turn. */
static void onward(void) {
    byte *a = map_private(size), *b = map_private(size), *c = heap_at(123, size);
    for (int round = 0; round < rounds; round++) {
        uint64_t from = feed(a, size);
        memcpy(b, a, size);
        touch(b, header, LENGTH_OF(header));
        memcpy(c, b, size);
        memmove(b + 3 * PAGE, b, size - 3 * PAGE);
        sink("c", c, size);
        sink("b", b, size);
        if (round % 16 == 15)
            expect_stream("c", c, size, from);
    }
}

/* What was learned of an address says nothing about the memory that lies there now. */
static void another_mapping(void) {
    byte *a = map_private(size), *b = map_private(size);
    for (int round = 0; round < rounds; round++) {
        uint64_t from = feed(a, size);
        memcpy(b, a, size);
        touch(b, header, LENGTH_OF(header));
        sink("b", b, size);
        expect_stream("b", b, size, from);
        if (round % 3 == 0)
            need(mmap(b, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                      0) == b,
                 "mmap");
        else if (round % 3 == 1)
            need(madvise(b, size, MADV_DONTNEED) == 0, "madvise");
        expect_bytes("fresh", b + size / 2, round % 3 == 2 ? 0 : size / 2, 0);
    }
}

static void protected_input(void) {
    byte *a = map_private(size), *b = map_private(size);
    for (int round = 0; round < rounds; round++) {
        feed(a, size);
        memcpy(b, a, size);
        touch(a, header, LENGTH_OF(header));
        if (round % 5 != 4)
            continue;
        size_t page = header[(size_t)round / 5 % LENGTH_OF(header)];
        need(mprotect(a + page * PAGE, PAGE, PROT_READ) == 0, "mprotect");
        ssize_t got = recv(feed_fd, a, size, MSG_WAITALL);
        say("page %zu is read-only: %zd %d", page, got, got < 0 ? errno : 0);
        if (got > 0) {
            expect_stream("what came", a, (size_t)got, feed_position);
            feed_position += (uint64_t)got;
        }
        need(mprotect(a + page * PAGE, PAGE, PROT_READ | PROT_WRITE) == 0, "mprotect");
    }
}

/* Threads that each have a message under way in buffers of their own, and forks between. */
struct own {
    int file;
    uint64_t seed;
};

static void *echo_own(void *argument) {
    const struct own *own = argument;
    byte *a = map_private(size), *b = map_private(size), *c = map_private(size);
    uint64_t wrong = 0;
    for (int round = 0; round < rounds; round++) {
        off_t offset = round * PAGE;
        need(pread(own->file, a, size, offset) == (ssize_t)size, "pread");
        memcpy(b, a, size);
        touch(b, header, LENGTH_OF(header));
        memcpy(c, b, size);
        touch(c, header, 2);
        for (size_t i = 0; i < size; i += round == rounds - 1 ? 1 : 20 * PAGE + 1)
            wrong += c[i] != stream_byte(own->seed + (uint64_t)offset + i);
    }
    return (void *)(uintptr_t)wrong;
}

static void threads(void) {
    struct own owns[5];
    pthread_t running[4];
    for (size_t i = 0; i < LENGTH_OF(owns); i++)
        owns[i] = (struct own){stream_file(size + rounds * PAGE, i * 1000), i * 1000};
    for (size_t i = 0; i < LENGTH_OF(running); i++)
        need(pthread_create(&running[i], NULL, echo_own, &owns[i]) == 0, "thread");
    for (int child = 0; child < 5; child++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(echo_own(&owns[4]) != NULL);
        int status = -1;
        need(waitpid(pid, &status, 0) == pid, "waitpid");
        say("child %d: %d", child, status);
    }
    for (size_t i = 0; i < LENGTH_OF(running); i++) {
        void *wrong = NULL;
        pthread_join(running[i], &wrong);
        say("thread %zu: %llu wrong", i, (unsigned long long)(uintptr_t)wrong);
    }
}

static const struct sub_case cases[] = {
    {"copies", copies},
    {"inputs", inputs},
    {"many-runs", many_runs},
    {"onward", onward},
    {"another-mapping", another_mapping},
    {"protected-input", protected_input},
    {"threads", threads},
};
VICTIM_MAIN(cases)
