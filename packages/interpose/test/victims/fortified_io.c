/* flags: -O2 -D_FORTIFY_SOURCE=2 */
/* Case 9: the checked forms that the compiler puts in place of read, pread, recv, recvfrom and
 * the copies when it knows the size of a buffer but not the count. */
#include "channels.h"

enum { OLD = 1, NEW = 2, LENGTH = 160 * 1024 };
static byte one[LENGTH] __attribute__((aligned(4096))), two[LENGTH + 100], three[LENGTH];
static volatile size_t counts[] = {100, 4096, 16384, 50000, 100001, LENGTH};

/* The old bytes, received, so that they are views of static memory. */
static void reset(void) {
    feed(one, LENGTH, OLD, 0);
    copy(two, one, LENGTH);
}

static void check(size_t count) {
    size_t rest = LENGTH - count;
    memcpy(three, one, count ? (size_t) * (volatile size_t *)&count : 0);
    EXPECT_BYTES(three, count, NEW, 0);
    EXPECT_BYTES(one, count, NEW, 0);
    EXPECT_BYTES(one + count, rest, OLD, count);
    EXPECT_BYTES(two, LENGTH, OLD, 0);
}

static void inputs(void) {
    struct channel socket = unix_pair(SOCK_STREAM), pipe = wide_pipe();
    int file = temporary_file(0);
    byte *from = stream_bytes(LENGTH, NEW, 0);
    write_all(file, from, LENGTH);
    for (size_t i = 0; i < 6; i++) {
        size_t count = counts[i];
        reset();
        write_all(pipe.out, from, count);
        EXPECT_QUIET(count, read(pipe.in, one, counts[i]));
        check(count);
        reset();
        EXPECT_QUIET(count, pread(file, one, counts[i], 0));
        check(count);
        reset();
        EXPECT_QUIET(count, pread64(file, one, counts[i], 0));
        check(count);
        reset();
        write_all(socket.out, from, count);
        EXPECT_QUIET(count, recv(socket.in, one, counts[i], MSG_WAITALL));
        check(count);
        reset();
        write_all(socket.out, from, count);
        EXPECT_QUIET(count, recvfrom(socket.in, one, counts[i], MSG_WAITALL, NULL, NULL));
        check(count);
        reset();
        FILE *stream = fdopen(dup(file), "r");
        EXPECT(fseek(stream, 0, SEEK_SET), 0);
        EXPECT(fread(one, 1, counts[i], stream), count);
        fclose(stream);
        check(count);
    }
    EXPECT_ERROR(EAGAIN, recv(socket.in, one, counts[5], MSG_DONTWAIT));
    EXPECT_ERROR(EBADF, read(-1, one, counts[5]));
}

static void copies(void) {
    for (size_t i = 0; i < 6; i++) {
        size_t count = counts[i];
        reset();
        memcpy(two, one, counts[i]);
        memmove(two + 50, two, counts[i]);
        EXPECT_BYTES(two + 50, count, OLD, 0);
        EXPECT(mempcpy(three, one, counts[i]) == three + count, 1);
        memset(one, 7, counts[i]);
        EXPECT_ALL(one, count, 7);
        EXPECT_BYTES(one + count, LENGTH - count, OLD, count);
        EXPECT_BYTES(three, count, OLD, 0);
    }
}

/* One byte too many: glibc's message on standard error, and SIGABRT. */
static void overflow(void) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    reset();
    for (int which = 0; which < 6; which++) {
        pid_t child = fork();
        if (child == 0) {
            struct channel c = unix_pair(SOCK_STREAM);
            size_t count = counts[5] + 1;
            ssize_t n = 0;
            write_all(c.out, two, 100);
            if (which == 0)
                n = read(c.in, one, count);
            if (which == 1)
                n = pread(temporary_file(0), one, count, 0);
            if (which == 2)
                n = recv(c.in, one, count, 0);
            if (which == 3)
                n = recvfrom(c.in, one, count, 0, NULL, NULL);
            if (which == 4)
                memcpy(one, two, count);
            if (which == 5)
                memset(one, 0, count);
            _exit(n >= 0);
        }
        int status = -1;
        waitpid(child, &status, 0);
        EXPECT(status, SIGABRT);
    }
}

SUBCASES({"inputs", inputs}, {"copies", copies}, {"overflow", overflow})
