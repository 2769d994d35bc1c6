/* Case 11: vectors of every length, and views that multiply the pieces of one call beyond
 * IOV_MAX. One call stays one call: one message, one append, one count. */
#include "channels.h"

enum { STREAM = 1, OTHER = 2, OLD = 3 };
#define SIZE (320 * KIB)
#define MANY 1024

/* Views and plain pages in turn, all of one stream. */
static byte *striped(size_t count) {
    byte *at = viewed(count, STREAM);
    for (size_t page = 0; page < count / PAGE; page += 2) {
        volatile byte *touched = at + page * PAGE;
        *touched = *touched;
    }
    return at;
}

/* 1024 pieces of `each` bytes one after the other: translated, more than 1024 of them. */
static void cut(struct iovec *parts, byte *at, size_t each) {
    for (size_t i = 0; i < MANY; i++)
        parts[i] = (struct iovec){at + i * each, each};
}

static void counts(void) {
    static struct iovec parts[1100];
    byte *at = viewed(SIZE, STREAM);
    struct channel c = unix_pair(SOCK_STREAM);
    int file = temporary_file(0);
    cut(parts, at, 200);
    for (int i = MANY; i < 1100; i++)
        parts[i] = (struct iovec){at, 1};
    struct msghdr message = {.msg_iov = parts};
    EXPECT_QUIET(0, writev(c.out, parts, 0));
    EXPECT_QUIET(0, writev(file, NULL, 0));
    EXPECT_QUIET(0, readv(file, parts, 0));
    EXPECT_QUIET(0, preadv(file, parts, 0, 0));
    EXPECT_QUIET(0, pwritev2(file, parts, 0, 0, 0));
    EXPECT_QUIET(0, sendmsg(c.out, &message, 0));
    EXPECT_ERROR(EAGAIN, recvmsg(c.in, &message, MSG_DONTWAIT));
    static const int refused[] = {1025, 1100, -1, INT_MIN, INT_MAX};
    for (int i = 0; i < 5; i++) {
        EXPECT_ERROR(EINVAL, writev(c.out, parts, refused[i]));
        EXPECT_ERROR(EINVAL, readv(c.in, parts, refused[i]));
        EXPECT_ERROR(EINVAL, pwritev(file, parts, refused[i], 0));
        EXPECT_ERROR(EINVAL, preadv(file, parts, refused[i], 0));
        EXPECT_ERROR(EINVAL, pwritev2(file, parts, refused[i], -1, 0));
        EXPECT_ERROR(EINVAL, preadv2(file, parts, refused[i], -1, 0));
        message.msg_iovlen = (size_t)refused[i];
        EXPECT_ERROR(EMSGSIZE, sendmsg(c.out, &message, 0));
        EXPECT_ERROR(EMSGSIZE, recvmsg(c.in, &message, MSG_DONTWAIT));
    }
    for (int count = 1; count <= MANY; count += 341) {
        EXPECT_QUIET(count * 200, writev(c.out, parts, count));
        EXPECT_QUIET(count * 200, pwritev(file, parts, count, 0));
        lseek(file, 0, SEEK_SET);
        EXPECT_STREAM(c.in, (size_t)count * 200, STREAM, 0);
        EXPECT_STREAM(file, (size_t)count * 200, STREAM, 0);
    }
    EXPECT_DRAINED(c.in);
    EXPECT_ERROR(EINVAL, writev(c.out, (struct iovec[]){{at, 20000}, {at, (size_t)-1}}, 2));
    EXPECT_ERROR(EINVAL, readv(file, (struct iovec[]){{at, 20000}, {at, (size_t)-1}}, 2));
    EXPECT_BYTES(at, SIZE, STREAM, 0);
}

static void multiplied(void) {
    static struct iovec parts[MANY];
    struct channel socket = unix_pair(SOCK_STREAM), tcp = inet_pair(SOCK_STREAM),
                   pipe = wide_pipe();
    int file = temporary_file(0), appended = temporary_file(O_APPEND);
    byte *at = striped(SIZE);
    cut(parts, at, 300);
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = MANY};
    int outs[] = {socket.out, tcp.out, pipe.out, file, appended},
        ins[] = {socket.in, tcp.in, pipe.in, file, appended};
    for (int i = 0; i < 5; i++) {
        EXPECT_QUIET(MANY * 300, writev(outs[i], parts, MANY));
        if (i > 2)
            lseek(ins[i], 0, SEEK_SET);
        EXPECT_STREAM(ins[i], MANY * 300, STREAM, 0);
        if (i < 2)
            EXPECT_QUIET(MANY * 300, sendmsg(outs[i], &message, 0));
        if (i < 2)
            EXPECT_STREAM(ins[i], MANY * 300, STREAM, 0);
        if (i < 3)
            EXPECT_DRAINED(ins[i]);
    }
    EXPECT_QUIET(MANY * 300, pwritev(file, parts, MANY, 4097));
    lseek(file, 4097, SEEK_SET);
    EXPECT_STREAM(file, MANY * 300, STREAM, 0);
    /* One plain piece, more than 1024 stripes. */
    size_t large = 2200 * PAGE;
    byte *wide = striped(large);
    EXPECT_QUIET(large, pwrite(file, wide, large, 0));
    lseek(file, 0, SEEK_SET);
    EXPECT_STREAM(file, large, STREAM, 0);
}

/* Each is one message whatever it is made of. 1024 pieces of 180 bytes over 45 pages. */
static void one_message(void) {
    static struct iovec parts[MANY];
    int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};
    for (int i = 0; i < 2; i++) {
        struct channel c = unix_pair(types[i]);
        byte *at = striped(SIZE), *got = region(SIZE);
        cut(parts, at, 180);
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = MANY};
        struct mmsghdr messages[2] = {{.msg_hdr = message}, {.msg_hdr = message}};
        EXPECT_QUIET(MANY * 180, sendmsg(c.out, &message, MSG_DONTWAIT));
        EXPECT_QUIET(MANY * 180, recv(c.in, got, SIZE, MSG_DONTWAIT));
        EXPECT_BYTES(got, MANY * 180, STREAM, 0);
        EXPECT_QUIET(MANY * 180, writev(c.out, parts, MANY));
        EXPECT_QUIET(MANY * 180, recv(c.in, got, SIZE, MSG_DONTWAIT));
        messages[0].msg_hdr.msg_iovlen = 3;
        EXPECT_QUIET(2, sendmmsg(c.out, messages, 2, MSG_DONTWAIT));
        EXPECT(messages[0].msg_len, 540);
        EXPECT(messages[1].msg_len, MANY * 180);
        EXPECT_QUIET(540, recv(c.in, got, SIZE, MSG_DONTWAIT));
        EXPECT_QUIET(MANY * 180, recv(c.in, got, SIZE, MSG_DONTWAIT));
        EXPECT_BYTES(got, MANY * 180, STREAM, 0);
        EXPECT_ERROR(EAGAIN, recv(c.in, got, SIZE, MSG_DONTWAIT));
        close_channel(c);
    }
    /* A UDP datagram of sixteen stripes and a thousand crumbs. */
    struct channel udp = inet_pair(SOCK_DGRAM);
    byte *at = striped(SIZE), *got = region(SIZE);
    cut(parts, at + 33, 60);
    EXPECT_QUIET(MANY * 60, writev(udp.out, parts, MANY));
    EXPECT_QUIET(MANY * 60, recv(udp.in, got, SIZE, 0));
    EXPECT_BYTES(got, MANY * 60, STREAM, 33);
    EXPECT_ERROR(EAGAIN, recv(udp.in, got, SIZE, MSG_DONTWAIT));
}

/* Input into 1024 pieces of viewed memory, in order, backwards, with holes, and unequal. */
static void scattered(void) {
    static struct iovec parts[MANY];
    for (int round = 0; round < 4; round++) {
        struct channel c = round % 2 ? unix_pair(SOCK_STREAM) : wide_pipe();
        byte *at = viewed(SIZE, OLD), *from = stream_bytes(SIZE, STREAM, 0), *copied = region(SIZE);
        static uint64_t where[MANY];
        size_t total = 0;
        for (size_t i = 0; i < MANY; i++) {
            size_t slot = round & 2 ? MANY - 1 - i : i, length = i % 5 == 0 ? 0 : 100 + i % 200;
            parts[i] = (struct iovec){at + slot * 310 + 3, length};
            where[slot] = total << 16 | length;
            total += length;
        }
        write_all(c.out, from, total);
        EXPECT_QUIET(total, readv(c.in, parts, MANY));
        copy(copied, at, SIZE);
        for (size_t slot = 0; slot < MANY; slot++) {
            byte *look = copied + slot * 310;
            size_t length = where[slot] & 0xffff;
            EXPECT_BYTES(look, 3, OLD, slot * 310);
            EXPECT_BYTES(look + 3, length, STREAM, where[slot] >> 16);
            EXPECT_BYTES(look + 3 + length, 307 - length, OLD, slot * 310 + 3 + length);
        }
        close_channel(c);
    }
    /* Large pieces with small ones between, as servers read headers and bodies. */
    byte *at = viewed(SIZE, OLD), *from = stream_bytes(SIZE, STREAM, 0);
    struct channel c = unix_pair(SOCK_STREAM);
    write_all(c.out, from, 200000);
    struct iovec mixed[] = {{at + 100, 24},       {at + 8192, 65536}, {at + 200, 1},
                            {at + 100001, 99999}, {at + 300, 50},     {at + 250000, 70000}};
    EXPECT_QUIET(200000, readv(c.in, mixed, 6));
    EXPECT_BYTES(at, 100, OLD, 0);
    EXPECT_BYTES(at + 100, 24, STREAM, 0);
    EXPECT_BYTES(at + 8192, 65536, STREAM, 24);
    EXPECT_BYTES(at + 200, 1, STREAM, 65560);
    EXPECT_BYTES(at + 100001, 99999, STREAM, 65561);
    EXPECT_BYTES(at + 300, 50, STREAM, 165560);
    EXPECT_BYTES(at + 250000, 34390, STREAM, 165610);
    EXPECT_BYTES(at + 284390, SIZE - 284390, OLD, 284390);
}

/* The same memory twice in one input: the later piece wins where they overlap. */
static void overlapping(void) {
    struct channel c = unix_pair(SOCK_STREAM);
    byte *at = viewed(SIZE, OLD), *from = stream_bytes(SIZE, STREAM, 0);
    write_all(c.out, from, 160000);
    struct iovec parts[] = {{at, 65536}, {at + 32768, 65536}, {at + 8192, 28928}};
    EXPECT_QUIET(160000, readv(c.in, parts, 3));
    EXPECT_BYTES(at, 8192, STREAM, 0);
    EXPECT_BYTES(at + 8192, 28928, STREAM, 131072);
    EXPECT_BYTES(at + 37120, 98304 - 37120, STREAM, 65536 + 4352);
    EXPECT_BYTES(at + 98304, SIZE - 98304, OLD, 98304);
    /* And twice in one output. */
    struct iovec twice[] = {{at, 40000}, {at + 20000, 40000}, {at, 40000}};
    byte *want = region(120000), *got = region(120000);
    for (size_t i = 0; i < 40000; i++)
        want[i] = want[80000 + i] = at[i], want[40000 + i] = at[20000 + i];
    EXPECT_QUIET(120000, writev(c.out, twice, 3));
    for (size_t done = 0; done < 120000;)
        done += (size_t)read(c.in, got + done, 120000 - done < 8000 ? 120000 - done : 8000);
    for (size_t i = 0; i < 120000; i++)
        if (want[i] != got[i]) {
            EXPECT(i, -1);
            break;
        }
}

SUBCASES({"counts", counts}, {"multiplied", multiplied}, {"one-message", one_message},
         {"scattered", scattered}, {"overlapping", overlapping})
