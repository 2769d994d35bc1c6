/* Case 9 and trap 19: buffers that are not all there, or not writable, and arguments that
 * point nowhere. The result is the plain one, and what was not delivered is still in the
 * channel. After an error the kernel leaves open what the buffer holds: there each byte may
 * be the old or the new one, but nothing else. */
#include "channels.h"
#pragma GCC diagnostic ignored "-Wnonnull"
#pragma GCC diagnostic ignored "-Wstringop-overread"

enum { OLD = 1, NEW = 2 };
#define PAGES 32
#define SIZE  (PAGES * PAGE)

static byte *buffer(int state) {
    byte *at;
    if (state == 1)
        return viewed(SIZE, OLD);
    at = region(SIZE);
    if (state)
        feed(at, SIZE, OLD, 0);
    else
        fill(at, SIZE, OLD, 0);
    return at;
}

static void expect_old_or_new(const byte *at, size_t count) {
    const volatile byte *look = at;
    for (size_t i = 0; i < count; i++)
        if (look[i] != byte_of(OLD, i) && look[i] != byte_of(NEW, i)) {
            failures++;
            say("byte %zu of %zu is neither old nor new\n", i, count);
            return;
        }
}

/* Which pages cannot be written. */
static const struct layout {
    const char *name;
    int first, count, protection; /* -1: unmapped */
    size_t skew, length;
} layouts[] = {
    {"all read-only", 0, PAGES, PROT_READ, 0, SIZE},
    {"second half read-only", PAGES / 2, PAGES / 2, PROT_READ, 0, SIZE},
    {"second half read-only, odd", PAGES / 2, PAGES / 2, PROT_READ, 33, SIZE - 50},
    {"first half read-only", 0, PAGES / 2, PROT_READ, 0, SIZE},
    {"one page read-only", 11, 1, PROT_READ, 0, SIZE},
    {"one page without access", 13, 1, PROT_NONE, 100, SIZE - 100},
    {"one page unmapped", 17, 1, -1, 1, SIZE - 1},
    {"first page read-only", 0, 1, PROT_READ, 0, SIZE},
    {"first page read-only, odd", 0, 1, PROT_READ, 4000, SIZE - 4000},
    {"last page read-only", PAGES - 1, 1, PROT_READ, 0, SIZE},
    {"last page read-only, odd", PAGES - 1, 1, PROT_READ, 7, SIZE - 1000},
    {"end unmapped", PAGES - 4, 4, -1, 0, SIZE},
    {"all without access", 0, PAGES, PROT_NONE, 0, SIZE},
    {"all unmapped", 0, PAGES, -1, 0, SIZE},
};
#define LAYOUTS (sizeof layouts / sizeof layouts[0])

static void apply(byte *at, const struct layout *l) {
    byte *from = at + (size_t)l->first * PAGE;
    size_t length = (size_t)l->count * PAGE;
    if (l->protection < 0 ? munmap(from, length) : mprotect(from, length, l->protection))
        die("layout");
}

/* The pages back to readable, so that they can be checked; unmapped ones are skipped. */
static void check_buffer(byte *at, const struct layout *l, ssize_t delivered) {
    for (size_t page = 0; page < PAGES; page++) {
        int within = page >= (size_t)l->first && page < (size_t)(l->first + l->count);
        if (within && l->protection < 0)
            continue;
        if (within && mprotect(at + page * PAGE, PAGE, PROT_READ))
            die("mprotect");
        for (size_t i = page * PAGE; i < (page + 1) * PAGE; i++) {
            byte got = ((volatile byte *)at)[i], old = byte_of(OLD, i),
                 new = byte_of(NEW, i - l->skew);
            int in_request = i >= l->skew && i < l->skew + l->length;
            int in_result = in_request && (ssize_t)(i - l->skew) < delivered;
            if (in_result ? got == new : got == old || (in_request && !within && got == new))
                continue;
            failures++;
            say("%s: byte %zu is neither as it was nor as received (%d)\n", l->name, i, got);
            return;
        }
    }
}

static void input_into(const struct layout *l, int state, int kind) {
    struct channel c = kind == 0   ? wide_pipe()
                       : kind == 1 ? unix_pair(SOCK_STREAM)
                                   : inet_pair(SOCK_STREAM);
    int file = temporary_file(0);
    byte *at = buffer(state), *from = stream_bytes(SIZE, NEW, 0);
    apply(at, l);
    write_all(kind == 3 ? file : c.out, from, SIZE);
    lseek(file, 0, SEEK_SET);
    if (kind == 2) { /* all of it has come */
        byte *all = region(SIZE);
        while (recv(c.in, all, SIZE, MSG_PEEK) != SIZE)
            pause_ms(1);
    }
    int fd = kind == 3 ? file : c.in;
    errno = 0;
    ssize_t n = kind == 2 || kind == 1 ? recv(fd, at + l->skew, l->length, 0)
                                       : read(fd, at + l->skew, l->length);
    if (kind != 2)
        say_result(l->name, n); /* how TCP cuts its data into buffers is chance */
    check_buffer(at, l, n);
    EXPECT_STREAM(fd, SIZE - (n > 0 ? (size_t)n : 0), NEW, n > 0 ? (uint64_t)n : 0);
    close_channel(c);
    close(file);
}

static void input(int kind) {
    for (size_t i = 0; i < LAYOUTS; i++)
        for (int state = 0; state < 3; state++)
            input_into(&layouts[i], state, kind);
}
static void input_pipe(void) {
    input(0);
}
static void input_unix(void) {
    input(1);
}
static void input_tcp(void) {
    input(2);
}
static void input_file(void) {
    input(3);
}

/* Output from memory that is not all readable: what was put out is the stream's prefix. */
static void output(void) {
    for (size_t i = 0; i < LAYOUTS; i++) {
        struct layout l = layouts[i];
        if (l.protection == PROT_READ)
            l.protection = PROT_NONE;
        for (int kind = 0; kind < 3; kind++)
            for (int state = 0; state < 3; state++) {
                struct channel c = kind ? unix_pair(SOCK_STREAM) : wide_pipe();
                int file = temporary_file(0);
                byte *at = buffer(state);
                apply(at, &l);
                errno = 0;
                struct iovec parts[2] = {{at + l.skew, 10000},
                                         {at + l.skew + 10000, l.length - 10000}};
                ssize_t n = kind == 2 ? write(file, at + l.skew, l.length)
                            : state   ? write(c.out, at + l.skew, l.length)
                                      : writev(c.out, parts, 2);
                say_result(l.name, n);
                if (kind == 2)
                    lseek(file, 0, SEEK_SET);
                EXPECT_STREAM(kind == 2 ? file : c.in, n > 0 ? (size_t)n : 0, OLD, l.skew);
                if (kind == 2)
                    EXPECT(lseek(file, 0, SEEK_END), n > 0 ? n : 0);
                else
                    EXPECT_DRAINED(c.in);
                close_channel(c);
                close(file);
            }
    }
}

/* Lengths that reach far beyond the buffer are no error while the data fits. */
static void lengths(void) {
    struct channel pipe = wide_pipe(), socket = unix_pair(SOCK_STREAM),
                   tcp = inet_pair(SOCK_STREAM);
    byte *from = stream_bytes(SIZE, NEW, 0);
    for (int state = 0; state < 3; state++) {
        static const size_t counts[] = {100, 20000, 65536};
        for (int i = 0; i < 3; i++) {
            byte *at = buffer(state);
            size_t huge = (size_t)1 << (26 + 4 * i);
            write_all(pipe.out, from, counts[i]);
            EXPECT_QUIET(counts[i], read(pipe.in, at, huge));
            write_all(socket.out, from, counts[i]);
            EXPECT_QUIET(counts[i], recv(socket.in, at, huge, 0));
            write_all(socket.out, from, counts[i]);
            EXPECT_QUIET(counts[i], readv(socket.in, &(struct iovec){at, huge}, 1));
            EXPECT_BYTES(at, counts[i], NEW, 0);
            EXPECT_BYTES(at + counts[i], SIZE - counts[i], OLD, counts[i]);
            struct iovec pieces[3] = {{at, counts[i] - 50}, {at + 100000, huge}, {at, huge}};
            write_all(pipe.out, from, counts[i]);
            EXPECT_QUIET(counts[i], readv(pipe.in, pieces, 3));
            EXPECT_BYTES(at, counts[i] - 50, NEW, 0);
            EXPECT_BYTES(at + 100000, 50, NEW, counts[i] - 50);
        }
    }
    byte *at = buffer(1);
    write_all(pipe.out, from, SIZE), write_all(socket.out, from, SIZE),
        write_all(tcp.out, from, SIZE);
    static const size_t wild[] = {SIZE_MAX, SIZE_MAX - 4096, (size_t)SSIZE_MAX + 1, SSIZE_MAX,
                                  SSIZE_MAX - 4095};
    for (int i = 0; i < 5; i++) {
        errno = 0;
        say_result("read", read(pipe.in, at, wild[i]));
        say_result("pread", pread(temporary_file(0), at, wild[i], 0));
        say_result("write", write(pipe.out, at, wild[i]));
        say_result("readv", readv(pipe.in, (struct iovec[]){{at, 4096}, {at + 4096, wild[i]}}, 2));
        say_result("writev",
                   writev(pipe.out, (struct iovec[]){{at, 4096}, {at + 4096, wild[i]}}, 2));
        say_result("recvmsg", recvmsg(socket.in,
                                      &(struct msghdr){.msg_iov = &(struct iovec){at, wild[i]},
                                                       .msg_iovlen = 1},
                                      MSG_DONTWAIT));
    }
    expect_old_or_new(at, SIZE);
}

static void nothing(void) {
    struct channel pipe = wide_pipe(), socket = unix_pair(SOCK_STREAM);
    byte *from = stream_bytes(SIZE, NEW, 0), *at = buffer(1);
    int file = temporary_file(0);
    write_all(pipe.out, from, SIZE), write_all(socket.out, from, SIZE), write_all(file, from, SIZE);
    lseek(file, 0, SEEK_SET);
    EXPECT_ERROR(EFAULT, read(pipe.in, NULL, SIZE));
    EXPECT_ERROR(EFAULT, read(file, NULL, SIZE));
    EXPECT_ERROR(EFAULT, recv(socket.in, NULL, SIZE, 0));
    EXPECT_ERROR(EFAULT, recv(socket.in, (void *)64, SIZE, 0));
    EXPECT_ERROR(EFAULT, read(pipe.in, (void *)0xffff800000000000, SIZE));
    EXPECT_ERROR(EFAULT, read(pipe.in, (void *)-4096, SIZE));
    EXPECT_ERROR(EFAULT, write(pipe.out, NULL, SIZE));
    EXPECT_ERROR(EFAULT, send(socket.out, (void *)0xffff800000000000, SIZE, 0));
    EXPECT_ERROR(EFAULT, readv(pipe.in, (void *)8, 2));
    EXPECT_ERROR(EFAULT, writev(pipe.out, (void *)8, 2));
    EXPECT_ERROR(EFAULT, recvmsg(socket.in, NULL, 0));
    EXPECT_ERROR(EFAULT, sendmsg(socket.out, (void *)8, 0));
    EXPECT_ERROR(EFAULT,
                 recvmsg(socket.in, &(struct msghdr){.msg_iov = (void *)8, .msg_iovlen = 2}, 0));
    EXPECT_ERROR(EFAULT,
                 sendmsg(socket.out, &(struct msghdr){.msg_iov = (void *)8, .msg_iovlen = 2}, 0));
    EXPECT_ERROR(EFAULT, recvmmsg(socket.in, (void *)8, 2, 0, NULL));
    EXPECT_ERROR(EFAULT, sendmmsg(socket.out, (void *)8, 2, 0));
    EXPECT_QUIET(0, read(file, NULL, 0));
    EXPECT_QUIET(0, write(file, NULL, 0));
    EXPECT_QUIET(0, write(pipe.out, NULL, 0));
    EXPECT_QUIET(0, read(pipe.in, (void *)64, 0));
    EXPECT_QUIET(0, readv(pipe.in, NULL, 0));
    EXPECT_QUIET(0, recv(socket.in, NULL, 0, 0));
    EXPECT_QUIET(0, writev(pipe.out, (struct iovec[]){{NULL, 0}, {(void *)64, 0}}, 2));
    EXPECT_ERROR(EBADF, read(-1, NULL, 0));
    EXPECT_STREAM(pipe.in, SIZE, NEW, 0);
    EXPECT_STREAM(socket.in, SIZE, NEW, 0);
    EXPECT_STREAM(file, SIZE, NEW, 0);
    EXPECT_BYTES(at, SIZE, OLD, 0);
}

static void descriptors(void) {
    byte *at = buffer(1);
    struct iovec whole = {at, SIZE};
    struct msghdr message = {.msg_iov = &whole, .msg_iovlen = 1};
    struct mmsghdr messages[1] = {{.msg_hdr = message}};
    int closed = dup(1), file = temporary_file(0), only_in = open("/dev/null", O_RDONLY),
        only_out = open("/dev/null", O_WRONLY);
    close(closed);
    int bad[] = {-1, closed, INT_MAX, INT_MIN, 1 << 20};
    for (int i = 0; i < 5; i++) {
        int fd = bad[i];
        EXPECT_ERROR(EBADF, read(fd, at, SIZE));
        EXPECT_ERROR(EBADF, pread(fd, at, SIZE, 0));
        EXPECT_ERROR(EBADF, readv(fd, &whole, 1));
        EXPECT_ERROR(EBADF, preadv(fd, &whole, 1, 0));
        EXPECT_ERROR(EBADF, preadv2(fd, &whole, 1, 0, 0));
        EXPECT_ERROR(EBADF, recv(fd, at, SIZE, 0));
        EXPECT_ERROR(EBADF, recvfrom(fd, at, SIZE, 0, NULL, NULL));
        EXPECT_ERROR(EBADF, recvmsg(fd, &message, 0));
        EXPECT_ERROR(EBADF, recvmmsg(fd, messages, 1, 0, NULL));
        EXPECT_ERROR(EBADF, write(fd, at, SIZE));
        EXPECT_ERROR(EBADF, pwrite(fd, at, SIZE, 0));
        EXPECT_ERROR(EBADF, writev(fd, &whole, 1));
        EXPECT_ERROR(EBADF, pwritev(fd, &whole, 1, 0));
        EXPECT_ERROR(EBADF, pwritev2(fd, &whole, 1, 0, 0));
        EXPECT_ERROR(EBADF, send(fd, at, SIZE, 0));
        EXPECT_ERROR(EBADF, sendto(fd, at, SIZE, 0, NULL, 0));
        EXPECT_ERROR(EBADF, sendmsg(fd, &message, 0));
        EXPECT_ERROR(EBADF, sendmmsg(fd, messages, 1, 0));
    }
    int not_sockets[] = {file, wide_pipe().in, only_in};
    for (int i = 0; i < 3; i++) {
        EXPECT_ERROR(ENOTSOCK, recv(not_sockets[i], at, SIZE, 0));
        EXPECT_ERROR(ENOTSOCK, recvmsg(not_sockets[i], &message, 0));
        EXPECT_ERROR(ENOTSOCK, recvmmsg(not_sockets[i], messages, 1, 0, NULL));
        EXPECT_ERROR(ENOTSOCK, send(not_sockets[i], at, SIZE, 0));
        EXPECT_ERROR(ENOTSOCK, sendmsg(not_sockets[i], &message, 0));
        EXPECT_ERROR(ENOTSOCK, sendmmsg(not_sockets[i], messages, 1, 0));
    }
    EXPECT_ERROR(EBADF, read(only_out, at, SIZE));
    EXPECT_ERROR(EBADF, write(only_in, at, SIZE));
    EXPECT_ERROR(EBADF, write(wide_pipe().in, at, SIZE));
    EXPECT_ERROR(EBADF, read(wide_pipe().out, at, SIZE));
    EXPECT_ERROR(EINVAL, pwrite(file, at, SIZE, -5));
    EXPECT_ERROR(ESPIPE, pwrite(wide_pipe().out, at, SIZE, 0));
    EXPECT_ERROR(EOPNOTSUPP, pwritev2(file, &whole, 1, 0, 1 << 30));
    EXPECT_BYTES(at, SIZE, OLD, 0);
}

/* The arguments themselves lie in viewed memory: iovec, msghdr, address, control. */
static void viewed_arguments(void) {
    for (int round = 0; round < 6; round++) {
        struct channel c = unix_pair(SOCK_STREAM), udp = inet_pair(SOCK_DGRAM);
        byte *arguments = viewed(64 * KIB, OLD), *at = buffer(1),
             *from = stream_bytes(SIZE, NEW, 0);
        struct iovec *parts = (void *)(arguments + PAGE - 8);         /* crosses a page */
        struct msghdr *message = (void *)(arguments + 3 * PAGE - 24); /* likewise */
        struct sockaddr_in *address = (void *)(arguments + 5 * PAGE - 4);
        socklen_t *length = (void *)(arguments + 7 * PAGE);
        byte *control = arguments + 9 * PAGE - 16;
        parts[0] = (struct iovec){at, 20000};
        parts[1] = (struct iovec){at + 20000, SIZE - 20000};
        write_all(c.out, from, SIZE);
        if (round % 3 == 0)
            EXPECT(readv(c.in, parts, 2), SIZE);
        *message = (struct msghdr){
            .msg_iov = parts, .msg_iovlen = 2, .msg_control = control, .msg_controllen = 128};
        if (round % 3 == 1)
            EXPECT(recvmsg(c.in, message, MSG_WAITALL), SIZE);
        if (round % 3 == 2)
            EXPECT(recv(c.in, at, SIZE, MSG_WAITALL), SIZE);
        EXPECT_BYTES(at, 100, NEW, 0);
        *message = (struct msghdr){.msg_iov = parts, .msg_iovlen = 2};
        EXPECT(round % 2 ? sendmsg(c.out, message, 0) : writev(c.out, parts, 2), SIZE);
        EXPECT_STREAM(c.in, SIZE, NEW, 0);
        EXPECT(send(udp.out, at, 40000, 0), 40000);
        *length = sizeof *address;
        EXPECT(recvfrom(udp.in, at + SIZE / 2, SIZE / 2, 0, (void *)address, length), 40000);
        EXPECT(*length, sizeof *address);
        EXPECT(address->sin_addr.s_addr == htonl(INADDR_LOOPBACK), 1);
        EXPECT_BYTES(at + SIZE / 2, 40000, NEW, 0);
        EXPECT_BYTES(arguments + 10 * PAGE, 6 * PAGE, OLD, 10 * PAGE);
        /* The buffer covers the vector that describes it, and the pipe's descriptors' page. */
        struct channel pipe = wide_pipe();
        write_all(pipe.out, from, 64 * KIB);
        struct iovec *inside = (void *)(arguments + 2 * PAGE);
        inside[0] = (struct iovec){arguments, 32 * KIB};
        inside[1] = (struct iovec){arguments + 32 * KIB, 32 * KIB};
        EXPECT(readv(pipe.in, inside, 2), 64 * KIB);
        EXPECT_BYTES(arguments, 64 * KIB, NEW, 0);
        close_channel(c), close_channel(udp), close_channel(pipe);
    }
}

SUBCASES({"input-pipe", input_pipe}, {"input-unix", input_unix}, {"input-tcp", input_tcp},
         {"input-file", input_file}, {"output", output}, {"lengths", lengths}, {"nothing", nothing},
         {"descriptors", descriptors}, {"viewed-arguments", viewed_arguments})
