/* Cases 3, 10 and 11: each way to put out memory that is partly viewed, at odd alignments
 * and sizes, to pipes, sockets and files. What was put out is what the memory held at the
 * call, whatever is done to the memory afterwards. */
#include "vectors.h"

enum { PLAIN = 1, VIEW = 2 };
#define SIZE (176 * KIB)

typedef ssize_t putter(int fd, byte *at, size_t count, off_t position);

static ssize_t put_write(int fd, byte *at, size_t count, off_t position) {
    (void)position;
    return write(fd, at, count);
}
static ssize_t put_send(int fd, byte *at, size_t count, off_t position) {
    (void)position;
    return send(fd, at, count, MSG_NOSIGNAL);
}
static ssize_t put_sendto(int fd, byte *at, size_t count, off_t position) {
    (void)position;
    return sendto(fd, at, count, 0, NULL, 0);
}
static ssize_t put_writev(int fd, byte *at, size_t count, off_t position) {
    struct iovec parts[4];
    (void)position;
    return writev(fd, parts, pieces(parts, at, count));
}
static ssize_t put_sendmsg(int fd, byte *at, size_t count, off_t position) {
    struct iovec parts[4], before[4];
    (void)position;
    struct msghdr message = {
        .msg_iov = parts, .msg_iovlen = (size_t)pieces(parts, at, count), .msg_flags = 77};
    copy(before, parts, sizeof parts);
    ssize_t n = sendmsg(fd, &message, 0);
    EXPECT(message.msg_iov == parts && message.msg_iovlen == 4 && message.msg_flags == 77, 1);
    expect_same_pieces(parts, before);
    return n;
}
static ssize_t put_sendmmsg(int fd, byte *at, size_t count, off_t position) {
    struct iovec parts[4];
    (void)position;
    struct mmsghdr messages[2] = {
        {.msg_hdr = {.msg_iov = parts, .msg_iovlen = 2}},
        {.msg_hdr = {.msg_iov = parts + 2, .msg_iovlen = 2}},
    };
    pieces(parts, at, count);
    EXPECT(sendmmsg(fd, messages, 2, 0), 2);
    return (ssize_t)messages[0].msg_len + (ssize_t)messages[1].msg_len;
}
static ssize_t put_pwrite(int fd, byte *at, size_t count, off_t position) {
    return pwrite(fd, at, count, position);
}
static ssize_t put_pwrite64(int fd, byte *at, size_t count, off_t position) {
    return pwrite64(fd, at, count, position);
}
static ssize_t put_pwritev(int fd, byte *at, size_t count, off_t position) {
    struct iovec parts[4];
    return pwritev(fd, parts, pieces(parts, at, count), position);
}
static ssize_t put_pwritev64(int fd, byte *at, size_t count, off_t position) {
    struct iovec parts[4];
    return pwritev64(fd, parts, pieces(parts, at, count), position);
}
static ssize_t put_pwritev2(int fd, byte *at, size_t count, off_t position) {
    struct iovec parts[4];
    return pwritev2(fd, parts, pieces(parts, at, count), position, 0);
}
static ssize_t put_pwritev2_here(int fd, byte *at, size_t count, off_t position) {
    struct iovec parts[4];
    (void)position;
    return pwritev2(fd, parts, pieces(parts, at, count), -1, 0);
}

/* Memory whose byte i is that of VIEW, except for the marks: bytes of PLAIN written over
 * it one by one, here and there, and a copied-over middle. */
static int marked(size_t i) {
    return (i < 90000 && i % 40000 == 1234) || (i >= 50000 && i < 50100) ||
           (i >= 90000 && i < 120000);
}
static byte *mixture(int state) {
    byte *at = state % 2 ? region(SIZE) : viewed(SIZE, VIEW);
    if (state % 2)
        feed(at, SIZE, VIEW, 0);
    byte *over = stream_bytes(30000, PLAIN, 90000);
    copy(at + 90000, over, 30000);
    munmap(over, 30000 / PAGE * PAGE + 2 * PAGE);
    for (size_t i = 0; i < 90000; i++)
        if (marked(i))
            ((volatile byte *)at)[i] = byte_of(PLAIN, i);
    return at;
}

static void expect_mixture(const byte *got, size_t count, size_t from) {
    for (size_t i = 0; i < count; i++)
        if (got[i] != byte_of(marked(from + i) ? PLAIN : VIEW, from + i)) {
            failures++;
            say("byte %zu of %zu from %zu on is wrong\n", i, count, from);
            return;
        }
}

static const struct {
    size_t skew, count;
} ranges[] = {{0, 0},         {5, 1},     {0, PAGE},           {4095, PAGE},
              {100, 16384},   {1, 16383}, {2048, 65536},       {40000, 60000},
              {95000, 20000}, {0, SIZE},  {4097, SIZE - 4097}, {0, SIZE - 1}};
#define RANGES (sizeof ranges / sizeof ranges[0])

/* Overwritten at once in one of three ways. */
static void spoil(byte *at, unsigned round) {
    if (round % 3 == 0)
        memset(at, 0xee, SIZE);
    if (round % 3 == 1)
        feed(at, SIZE, PLAIN, 7);
    if (round % 3 == 2)
        munmap(at, SIZE);
}

static void to_stream(putter *put, struct channel c) {
    byte *got = region(SIZE);
    for (unsigned round = 0; round < RANGES; round++) {
        size_t skew = ranges[round].skew, count = ranges[round].count;
        byte *at = mixture((int)round);
        EXPECT_QUIET(count, put(c.out, at + skew, count, 0));
        spoil(at, round);
        for (size_t done = 0; done < count;) {
            ssize_t n = read(c.in, got + done, count - done < 7000 ? count - done : 7000);
            if (n <= 0)
                die("read back");
            done += (size_t)n;
        }
        expect_mixture(got, count, skew);
    }
    EXPECT_DRAINED(c.in);
    close_channel(c);
}

static void to_file(putter *put, int moves, int flags) {
    byte *got = region(SIZE);
    for (unsigned round = 0; round < RANGES; round++) {
        size_t skew = ranges[round].skew, count = ranges[round].count;
        off_t position = flags & O_APPEND ? 0 : round * 1001;
        int fd = temporary_file(flags);
        byte *at = mixture((int)round);
        lseek(fd, moves ? position : 33, SEEK_SET);
        EXPECT_QUIET(count, put(fd, at + skew, count, position));
        if (!(flags & O_APPEND))
            EXPECT(lseek(fd, 0, SEEK_CUR), moves ? position + (off_t)count : 33);
        spoil(at, round);
        struct stat status;
        fstat(fd, &status);
        EXPECT(status.st_size, count ? position + (off_t)count : 0);
        for (size_t done = 0; done < count; done += 7000)
            EXPECT(pread(fd, got + done, count - done < 7000 ? count - done : 7000,
                         position + (off_t)done),
                   count - done < 7000 ? count - done : 7000);
        expect_mixture(got, count, skew);
        close(fd);
    }
}

#define SOCKET_CASE(name)                                                                          \
    static void run_##name(void) {                                                                 \
        to_stream(put_##name, unix_pair(SOCK_STREAM));                                             \
        to_stream(put_##name, inet_pair(SOCK_STREAM));                                             \
    }
#define PLAIN_CASE(name)                                                                           \
    static void run_##name(void) {                                                                 \
        to_stream(put_##name, unix_pair(SOCK_STREAM));                                             \
        to_stream(put_##name, wide_pipe());                                                        \
        to_file(put_##name, 1, 0);                                                                 \
        to_file(put_##name, 1, O_APPEND);                                                          \
    }
#define FILE_CASE(name)                                                                            \
    static void run_##name(void) {                                                                 \
        to_file(put_##name, 0, 0);                                                                 \
    }
PLAIN_CASE(write)
PLAIN_CASE(writev)
PLAIN_CASE(pwritev2_here)
SOCKET_CASE(send)
SOCKET_CASE(sendto)
SOCKET_CASE(sendmsg)
SOCKET_CASE(sendmmsg)
FILE_CASE(pwrite)
FILE_CASE(pwrite64)
FILE_CASE(pwritev)
FILE_CASE(pwritev64)
FILE_CASE(pwritev2)

/* stdio between: large buffer, the program's own (viewed) buffer, no buffer. */
static void run_fwrite(void) {
    for (int kind = 0; kind < 3; kind++) {
        int fd = temporary_file(0);
        FILE *file = fdopen(dup(fd), "w");
        byte *got = region(SIZE);
        size_t total = 0;
        if (kind == 1)
            setvbuf(file, (char *)viewed(256 * KIB, PLAIN), _IOFBF, 256 * KIB);
        if (kind == 2)
            setvbuf(file, NULL, _IONBF, 0);
        for (unsigned round = 0; round < RANGES; round++) {
            byte *at = mixture((int)round);
            EXPECT(fwrite(at + ranges[round].skew, 1, ranges[round].count, file),
                   ranges[round].count);
            spoil(at, round);
        }
        EXPECT(fclose(file), 0);
        for (unsigned round = 0; round < RANGES; round++) {
            for (size_t done = 0; done < ranges[round].count; done += 7000) {
                size_t part = ranges[round].count - done < 7000 ? ranges[round].count - done : 7000;
                EXPECT(pread(fd, got + done, part, (off_t)(total + done)), part);
            }
            expect_mixture(got, ranges[round].count, ranges[round].skew);
            total += ranges[round].count;
        }
        close(fd);
    }
}

/* The memory put out is still there afterwards, and can be put out, copied and looked at. */
static void run_again(void) {
    struct channel c = unix_pair(SOCK_STREAM);
    byte *at = mixture(0), *got = region(SIZE), *copied = region(SIZE);
    for (int round = 0; round < 5; round++) {
        EXPECT_QUIET(SIZE, write(c.out, at, SIZE));
        copy(copied, at, SIZE);
        EXPECT_QUIET(SIZE, write(c.out, copied, SIZE));
        if (round == 3)
            expect_mixture(at, SIZE, 0);
        for (int twice = 0; twice < 2; twice++) {
            for (size_t done = 0; done < SIZE;)
                done += (size_t)read(c.in, got + done, SIZE - done < 7000 ? SIZE - done : 7000);
            expect_mixture(got, SIZE, 0);
        }
    }
    /* The same pages many times in one call, forwards and backwards. */
    struct iovec parts[64];
    for (size_t i = 0; i < 64; i++)
        parts[i] = (struct iovec){at + (i * 37 % 40) * PAGE + i, 4000 + i};
    size_t total = 64 * 4000 + 63 * 32;
    EXPECT_QUIET(total, writev(c.out, parts, 64));
    byte *all = region(total);
    for (size_t done = 0; done < total;)
        done += (size_t)read(c.in, all + done, total - done < 7000 ? total - done : 7000);
    for (size_t i = 0, done = 0; i < 64; done += 4000 + i, i++)
        expect_mixture(all + done, 4000 + i, (i * 37 % 40) * PAGE + i);
}

/* The flags of pwritev2 and preadv2 hold: append whatever the position, no waiting. */
static void run_flags(void) {
    int fd = temporary_file(0);
    byte *at = viewed(SIZE, VIEW), *into = viewed(SIZE, PLAIN);
    struct iovec whole = {at, SIZE}, back = {into, SIZE};
    struct channel pipe = wide_pipe();
    EXPECT_QUIET(SIZE, pwritev2(fd, &whole, 1, 0, 0));
    EXPECT_QUIET(SIZE, pwritev2(fd, &whole, 1, 0, RWF_APPEND));
    EXPECT_QUIET(SIZE, pwritev2(fd, &whole, 1, 0, RWF_DSYNC));
    EXPECT(lseek(fd, 0, SEEK_END), 2 * SIZE);
    EXPECT_QUIET(SIZE, preadv2(fd, &back, 1, SIZE, 0));
    for (size_t i = 0; i < SIZE; i += PAGE)
        EXPECT(into[i], byte_of(VIEW, i));
    int appended = temporary_file(O_APPEND); /* where Linux ignores the position */
    EXPECT_QUIET(SIZE, pwrite(appended, at, SIZE, 0));
    EXPECT_QUIET(SIZE, pwritev(appended, &whole, 1, 0));
    EXPECT(lseek(appended, 0, SEEK_END), 2 * SIZE);
    EXPECT_ERROR(EAGAIN, preadv2(pipe.in, &back, 1, -1, RWF_NOWAIT));
    EXPECT_ERROR(EOPNOTSUPP, preadv2(fd, &back, 1, 0, 0x40000000));
    EXPECT_QUIET(SIZE, writev(pipe.out, &whole, 1));
    EXPECT_QUIET(SIZE, preadv2(pipe.in, &back, 1, -1, RWF_NOWAIT));
    for (size_t i = 0; i < SIZE; i += PAGE)
        EXPECT(into[i], byte_of(VIEW, i));
}

SUBCASES({"write", run_write}, {"writev", run_writev}, {"pwritev2-here", run_pwritev2_here},
         {"send", run_send}, {"sendto", run_sendto}, {"sendmsg", run_sendmsg},
         {"sendmmsg", run_sendmmsg}, {"pwrite", run_pwrite}, {"pwrite64", run_pwrite64},
         {"pwritev", run_pwritev}, {"pwritev64", run_pwritev64}, {"pwritev2", run_pwritev2},
         {"fwrite", run_fwrite}, {"again", run_again}, {"flags", run_flags})
