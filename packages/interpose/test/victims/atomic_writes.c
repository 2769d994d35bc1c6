/* Case 11 and trap 20: what one write call promises as a whole. O_APPEND records of several
 * processes, PIPE_BUF records of several writers, and O_DIRECT's alignment rules. */
#include "channels.h"

enum { WRITERS = 4, RECORDS = 24 };

static byte *striped(size_t count, unsigned stream) {
    byte *at = viewed(count, stream);
    for (size_t page = 0; page < count / PAGE; page += 2) {
        volatile byte *touched = at + page * PAGE;
        *touched = *touched;
    }
    return at;
}

struct record {
    uint32_t magic, writer, number, length;
};
#define MAGIC 0x7a696f21u

static size_t record_length(unsigned writer, unsigned number) {
    return sizeof(struct record) + 17000 + (writer * 7919 + number * 104729) % 70000;
}

/* Each record is one write or one writev of more than a thousand pieces. */
static void append_records(int fd, unsigned writer, int vector) {
    static struct iovec parts[1024];
    for (unsigned number = 0; number < RECORDS; number++) {
        size_t length = record_length(writer, number);
        byte *at = striped(length, writer + 10);
        *(struct record *)at = (struct record){MAGIC, writer, number, (uint32_t)length};
        size_t each = length / 1023;
        for (size_t i = 0; i < 1023; i++)
            parts[i] = (struct iovec){at + i * each, each};
        parts[1023] = (struct iovec){at + 1023 * each, length - 1023 * each};
        ssize_t n = vector ? writev(fd, parts, 1024) : write(fd, at, length);
        if (n != (ssize_t)length)
            EXPECT(n, length);
        munmap(at, (length + PAGE - 1) / PAGE * PAGE + PAGE);
    }
}

static void check_records(int fd) {
    unsigned next[WRITERS] = {0};
    off_t at = 0;
    byte *body = region(128 * KIB);
    for (;;) {
        struct record r;
        ssize_t n = pread(fd, &r, sizeof r, at);
        if (n == 0)
            break;
        if (n != sizeof r || r.magic != MAGIC || r.writer >= WRITERS ||
            r.number != next[r.writer] || r.length != record_length(r.writer, r.number)) {
            failures++;
            say("no record begins where one should\n");
            return;
        }
        next[r.writer]++;
        EXPECT(pread(fd, body, r.length, at), r.length);
        EXPECT_BYTES(body + sizeof r, r.length - sizeof r, r.writer + 10, sizeof r);
        at += r.length;
    }
    for (int i = 0; i < WRITERS; i++)
        EXPECT(next[i], RECORDS);
}

static void append_from_processes(int vector, int own_descriptor) {
    int fd = temporary_file(O_APPEND);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    pid_t writers[WRITERS];
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = fork();
        if (writers[i] == 0) {
            int mine = own_descriptor ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : fd;
            append_records(mine, i, vector);
            _exit(failures ? 1 : 0);
        }
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        int status;
        EXPECT(waitpid(writers[i], &status, 0), writers[i]);
        EXPECT(status, 0);
    }
    check_records(fd);
}
static void append(void) {
    append_from_processes(0, 1);
}
static void append_shared(void) {
    append_from_processes(0, 0);
}
static void append_vectors(void) {
    append_from_processes(1, 1);
}

/* PIPE_BUF: small records that lie across viewed, plain and fringe memory. */
enum { SMALL = 1500 };
struct small {
    uint32_t magic, writer, number, length;
};
static size_t small_length(unsigned writer, unsigned number) {
    return sizeof(struct small) +
           (writer * 131 + number * 37) % (PIPE_BUF - sizeof(struct small) + 1);
}
static int pipe_out;
static void *write_small(void *argument) {
    unsigned writer = (unsigned)(uintptr_t)argument;
    byte *at = NULL;
    for (unsigned number = 0; number < SMALL; number++) {
        if (number % 100 == 0) { /* untouched pages again */
            if (at)
                munmap(at, 65 * PAGE);
            at = striped(64 * PAGE, writer + 20);
        }
        size_t length = small_length(writer, number),
               skew = (number % 30 * 2 + 1) * PAGE - number * 61 % PAGE;
        struct small head = {MAGIC, writer, number, (uint32_t)length};
        struct iovec parts[3] = {{&head, sizeof head},
                                 {at + skew, (length - sizeof head) / 2},
                                 {at + skew + (length - sizeof head) / 2,
                                  length - sizeof head - (length - sizeof head) / 2}};
        ssize_t n = writev(pipe_out, parts, 3);
        if (n != (ssize_t)length)
            EXPECT(n, length);
    }
    return NULL;
}
static void *read_small(void *argument) {
    int fd = *(int *)argument;
    unsigned next[WRITERS] = {0};
    byte body[PIPE_BUF];
    for (unsigned i = 0; i < WRITERS * SMALL; i++) {
        struct small r;
        read_all(fd, &r, sizeof r);
        if (r.magic != MAGIC || r.writer >= WRITERS || r.number != next[r.writer] ||
            r.length != small_length(r.writer, r.number)) {
            EXPECT(r.number, -1);
            _exit(1);
        }
        read_all(fd, body, r.length - sizeof r);
        size_t skew = (r.number % 30 * 2 + 1) * PAGE - r.number * 61 % PAGE;
        EXPECT_BYTES(body, r.length - sizeof r, r.writer + 20, skew);
        next[r.writer]++;
    }
    return NULL;
}
static void pipe_records(void) {
    struct channel c = wide_pipe();
    pipe_out = c.out;
    pthread_t reader = start(read_small, &c.in), threads[WRITERS];
    for (uintptr_t i = 0; i < WRITERS; i++)
        threads[i] = start(write_small, (void *)i);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(reader, NULL);
}

/* A record of PIPE_BUF bytes goes into a pipe whole or, nonblocking, not at all. */
static void pipe_all_or_nothing(void) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
        die("pipe2");
    fcntl(ends[1], F_SETPIPE_SZ, 65536);
    byte *at = striped(64 * PAGE, 7), *plain = stream_bytes(PAGE, 7, 0);
    for (int i = 0; i < 15; i++)
        EXPECT_QUIET(4096, write(ends[1], plain, 4096));
    EXPECT_QUIET(4000, write(ends[1], plain, 4000));
    EXPECT_ERROR(EAGAIN, write(ends[1], at + 2000, 4096));
    EXPECT_ERROR(EAGAIN,
                 writev(ends[1], (struct iovec[]){{at + 3000, 2000}, {at + 5000, 2096}}, 2));
    EXPECT_QUIET(96, write(ends[1], at + PAGE - 48, 96));
    EXPECT_ERROR(EAGAIN, write(ends[1], at, 1));
    for (int i = 0; i < 15; i++)
        EXPECT_STREAM(ends[0], 4096, 7, 0);
    EXPECT_STREAM(ends[0], 4000, 7, 0);
    EXPECT_STREAM(ends[0], 96, 7, PAGE - 48);
    EXPECT_DRAINED(ends[0]);
}

static int direct_file(void) {
    char path[] = "direct-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC | O_DIRECT);
    if (fd < 0)
        skip("the file system of the working directory has no O_DIRECT");
    unlink(path);
    return fd;
}

/* Received, copied at another alignment, in stripes: O_DIRECT takes what it takes plain. */
static void direct(void) {
    size_t size = 256 * KIB;
    int fd = direct_file(), again = direct_file();
    for (int round = 0; round < 5; round++) {
        static const size_t skews[] = {0, 1, 512, 4095, 100};
        byte *landed = region(size + PAGE), *at = region(size), *back = region(size),
             *moved = region(size);
        feed(landed + skews[round], size, 1, 0);
        copy(at, landed + skews[round], size);
        if (round == 3)
            for (size_t page = 0; page < 64; page += 2)
                ((volatile byte *)at)[page * PAGE] = at[page * PAGE];
        EXPECT_QUIET(size, pwrite(fd, at, size, 0));
        struct iovec parts[3] = {{at, 4096}, {at + 4096, 65536}, {at + 69632, size - 69632}};
        EXPECT_QUIET(size, pwritev(fd, parts, 3, (off_t)size));
        errno = 0;
        say_result("memory at 100", pwrite(fd, at + 100, 131072, 0));
        say_result("memory at 512", pwrite(fd, at + 512, 131072, 512));
        say_result("length 5000", pwrite(fd, at, 5000, 0));
        say_result("offset 10", pwrite(fd, at, 65536, 10));
        say_result("small pieces",
                   pwritev(fd, (struct iovec[]){{at, 100}, {at + 100, 65436}}, 2, 0));
        EXPECT_QUIET(size, pread(fd, back, size, (off_t)size));
        copy(moved, back, size);
        EXPECT_BYTES(moved, size, 1, 0);
        EXPECT_QUIET(size, pwrite(again, moved, size, 0));
        say_result("input to memory at 100", pread(fd, back + 100, 65536, 0));
        say_result("input to memory at 512", pread(fd, back + 512, 65536, 0));
        say_result("input of 5000", pread(fd, back, 5000, 0));
        say_result("input at 10", pread(fd, back, 65536, 10));
        EXPECT_QUIET(size, pread(again, back, size, 0));
        EXPECT_BYTES(back, size, 1, 0);
        munmap(landed, size + 2 * PAGE), munmap(at, size + PAGE), munmap(back, size + PAGE),
            munmap(moved, size + PAGE);
    }
}

/* O_DIRECT switched on and off on an open file. */
static void direct_switched(void) {
    int fd = temporary_file(0);
    byte *at = region(256 * KIB + PAGE), *back = region(256 * KIB);
    if (fcntl(fd, F_SETFL, O_DIRECT))
        skip("the file system of TMPDIR has no O_DIRECT");
    for (int round = 0; round < 4; round++) {
        feed(at + 10, 256 * KIB, 5, 0);
        fcntl(fd, F_SETFL, round % 2 ? O_DIRECT : 0);
        errno = 0;
        say_result("odd memory", pwrite(fd, at + 10, 256 * KIB, 0));
        fcntl(fd, F_SETFL, round % 2 ? 0 : O_DIRECT);
        copy(back, at + 10, 256 * KIB);
        EXPECT_QUIET(256 * KIB, pwrite(fd, back, 256 * KIB, 0));
        EXPECT_QUIET(256 * KIB, pread(fd, back, 256 * KIB, 0));
        EXPECT_BYTES(back, 256 * KIB, 5, 0);
    }
}

SUBCASES({"append", append}, {"append-shared", append_shared}, {"append-vectors", append_vectors},
         {"pipe-records", pipe_records}, {"pipe-all-or-nothing", pipe_all_or_nothing},
         {"direct", direct}, {"direct-switched", direct_switched})
