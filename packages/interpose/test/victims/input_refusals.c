/* Case 9: input that fails, falls short or takes nothing away. Whatever happens, the bytes
 * that were not delivered are still what the application had there, views included. */
#include "channels.h"
#include <sys/time.h>

enum { OLD = 1, NEW = 2 };
#define SIZE (256 * KIB)

/* The three states an input buffer can be in before the call. */
static byte *old_buffer(int state) {
    byte *at;
    if (state == 2)
        return viewed(SIZE, OLD);
    at = region(SIZE);
    if (state == 1)
        feed(at, SIZE, OLD, 0);
    else
        fill(at, SIZE, OLD, 0);
    return at;
}

/* A copy of the buffer taken through the hook and the buffer itself hold the old bytes. */
static void expect_old(byte *at) {
    byte *later = region(SIZE);
    copy(later, at, SIZE);
    EXPECT_BYTES(later, SIZE, OLD, 0);
    EXPECT_BYTES(at, SIZE, OLD, 0);
}

static void set_nonblocking(int fd) {
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK))
        die("O_NONBLOCK");
}

static void eagain(void) {
    for (int state = 0; state < 3; state++) {
        struct channel socket = unix_pair(SOCK_STREAM), tcp = inet_pair(SOCK_STREAM),
                       pipe = wide_pipe();
        byte *at = old_buffer(state);
        struct iovec parts[2] = {{at, SIZE / 2}, {at + SIZE / 2, SIZE / 2}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        EXPECT_ERROR(EAGAIN, recv(socket.in, at, SIZE, MSG_DONTWAIT));
        EXPECT_ERROR(EAGAIN, recv(tcp.in, at, SIZE, MSG_DONTWAIT));
        EXPECT_ERROR(EAGAIN, recvmsg(tcp.in, &message, MSG_DONTWAIT));
        EXPECT_ERROR(EAGAIN, recvfrom(socket.in, at + 17, SIZE - 17, MSG_DONTWAIT | MSG_WAITALL,
                                      NULL, NULL));
        set_nonblocking(socket.in), set_nonblocking(tcp.in), set_nonblocking(pipe.in);
        EXPECT_ERROR(EAGAIN, read(socket.in, at, SIZE));
        EXPECT_ERROR(EAGAIN, read(tcp.in, at + 1, SIZE - 1));
        EXPECT_ERROR(EAGAIN, read(pipe.in, at, SIZE));
        EXPECT_ERROR(EAGAIN, readv(tcp.in, parts, 2));
        EXPECT_ERROR(EAGAIN, readv(pipe.in, parts, 2));
        expect_old(at);
        close_channel(socket), close_channel(tcp), close_channel(pipe);
    }
}

/* A nonblocking reader gets what there is, and the rest of its buffer stays. */
static void short_input(void) {
    static const size_t counts[] = {1, 100, 4096, 5000, 20000, 65536, 70001};
    for (int state = 0; state < 3; state++)
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
            struct channel c = i % 2 ? wide_pipe() : unix_pair(SOCK_STREAM);
            byte *at = old_buffer(state), *from = stream_bytes(counts[i], NEW, 0);
            size_t skew = i * 1111 % 5000;
            write_all(c.out, from, counts[i]);
            EXPECT_QUIET(counts[i], read(c.in, at + skew, SIZE - skew));
            byte *later = region(SIZE);
            copy(later, at, SIZE);
            EXPECT_BYTES(later, skew, OLD, 0);
            EXPECT_BYTES(later + skew, counts[i], NEW, 0);
            EXPECT_BYTES(later + skew + counts[i], SIZE - skew - counts[i], OLD, skew + counts[i]);
            EXPECT_BYTES(at, skew, OLD, 0);
            EXPECT_BYTES(at + skew, counts[i], NEW, 0);
            EXPECT_BYTES(at + skew + counts[i], SIZE - skew - counts[i], OLD, skew + counts[i]);
            close_channel(c);
        }
}

static void eof(void) {
    for (int state = 0; state < 3; state++) {
        struct channel socket = unix_pair(SOCK_STREAM), tcp = inet_pair(SOCK_STREAM),
                       pipe = wide_pipe();
        int file = temporary_file(0);
        byte *at = old_buffer(state);
        close(socket.out), close(tcp.out), close(pipe.out);
        EXPECT_QUIET(0, read(socket.in, at, SIZE));
        EXPECT_QUIET(0, recv(tcp.in, at, SIZE, MSG_WAITALL));
        EXPECT_QUIET(0, read(pipe.in, at + 3, SIZE - 3));
        EXPECT_QUIET(0, read(file, at, SIZE));
        EXPECT_QUIET(0, pread(file, at, SIZE, 12345));
        EXPECT_QUIET(0, readv(file, &(struct iovec){at, SIZE}, 1));
        expect_old(at);
        /* The last bytes before the end come short, then nothing. */
        byte *from = stream_bytes(50000, NEW, 0);
        write_all(file, from, 50000);
        EXPECT_QUIET(30000, pread(file, at, SIZE, 20000));
        EXPECT_BYTES(at, 30000, NEW, 20000);
        EXPECT_BYTES(at + 30000, SIZE - 30000, OLD, 30000);
    }
    struct channel c = unix_pair(SOCK_STREAM);
    byte *at = old_buffer(2), *from = stream_bytes(60000, NEW, 0);
    write_all(c.out, from, 60000);
    shutdown(c.out, SHUT_WR);
    EXPECT_QUIET(60000, recv(c.in, at, SIZE, MSG_WAITALL));
    EXPECT_QUIET(0, recv(c.in, at, SIZE, MSG_WAITALL));
    EXPECT_BYTES(at, 60000, NEW, 0);
    EXPECT_BYTES(at + 60000, SIZE - 60000, OLD, 60000);
}

static void peek(void) {
    struct channel channels[] = {unix_pair(SOCK_STREAM), inet_pair(SOCK_STREAM)};
    for (int i = 0; i < 2; i++) {
        struct channel c = channels[i];
        byte *at = old_buffer(2), *copied = region(SIZE), *from = stream_bytes(100000, NEW, 0);
        write_all(c.out, from, 100000);
        /* WAITALL with PEEK waits for all of it on both families. */
        EXPECT_QUIET(100000, recv(c.in, at, 100000, MSG_PEEK | MSG_WAITALL));
        copy(copied, at, SIZE);
        EXPECT_QUIET(40000, recv(c.in, at + 50000, 40000, MSG_PEEK | MSG_WAITALL));
        EXPECT_BYTES(at + 50000, 40000, NEW, 0);
        EXPECT_BYTES(at, 50000, NEW, 0);
        EXPECT_BYTES(copied, 100000, NEW, 0);
        EXPECT_BYTES(copied + 100000, SIZE - 100000, OLD, 100000);
        EXPECT_QUIET(70000, recv(c.in, copied, 70000, MSG_WAITALL));
        EXPECT_QUIET(30000, recv(c.in, at, 30000, MSG_PEEK | MSG_WAITALL));
        EXPECT_QUIET(30000, recv(c.in, copied + 70000, 30000, MSG_WAITALL));
        EXPECT_BYTES(copied, 100000, NEW, 0);
        EXPECT_BYTES(at, 30000, NEW, 70000);
        EXPECT_ERROR(EAGAIN, recv(c.in, at, SIZE, MSG_PEEK | MSG_DONTWAIT));
        EXPECT_BYTES(at, 30000, NEW, 70000);
        close_channel(c);
    }
    int on = 0;
    struct channel c = unix_pair(SOCK_STREAM);
    byte *at = region(SIZE), *from = stream_bytes(100000, NEW, 0);
    if (setsockopt(c.in, SOL_SOCKET, SO_PEEK_OFF, &on, sizeof on))
        die("SO_PEEK_OFF");
    write_all(c.out, from, 100000);
    EXPECT_QUIET(40000, recv(c.in, at, 40000, MSG_PEEK));
    EXPECT_QUIET(60000, recv(c.in, at + 40000, 60000, MSG_PEEK));
    EXPECT_BYTES(at, 100000, NEW, 0);
    EXPECT_QUIET(100000, recv(c.in, at, 100000, 0));
    EXPECT_BYTES(at, 100000, NEW, 0);
}

/* TCP's MSG_TRUNC discards: it returns a count and writes nothing. */
static void trunc_tcp(void) {
    struct channel c = inet_pair(SOCK_STREAM);
    byte *at = old_buffer(2), *from = stream_bytes(200000, NEW, 0);
    write_all(c.out, from, 200000);
    EXPECT_QUIET(80000, recv(c.in, at, 80000, MSG_TRUNC | MSG_WAITALL));
    expect_old(at);
    EXPECT_QUIET(20000, recv(c.in, NULL, 20000, MSG_TRUNC | MSG_WAITALL));
    EXPECT_QUIET(50000,
                 recvmsg(c.in,
                         &(struct msghdr){.msg_iov = &(struct iovec){at, 50000}, .msg_iovlen = 1},
                         MSG_TRUNC | MSG_WAITALL));
    expect_old(at);
    EXPECT_QUIET(50000, recv(c.in, at, 50000, MSG_WAITALL));
    EXPECT_BYTES(at, 50000, NEW, 150000);
    EXPECT_BYTES(at + 50000, SIZE - 50000, OLD, 50000);
}

static void trunc_udp(void) {
    struct channel channels[] = {inet_pair(SOCK_DGRAM), unix_pair(SOCK_DGRAM),
                                 unix_pair(SOCK_SEQPACKET)};
    for (int i = 0; i < 3; i++) {
        struct channel c = channels[i];
        byte *at = old_buffer(2), *from = stream_bytes(60000, NEW, 0);
        for (int round = 0; round < 5; round++)
            EXPECT(send(c.out, from, 60000, 0), 60000);
        EXPECT_QUIET(60000, recv(c.in, at, 20000, MSG_TRUNC));
        EXPECT_BYTES(at, 20000, NEW, 0);
        EXPECT_BYTES(at + 20000, SIZE - 20000, OLD, 20000);
        EXPECT_QUIET(33000, recv(c.in, at, 33000, 0));
        EXPECT_BYTES(at, 33000, NEW, 0);
        EXPECT_BYTES(at + 33000, SIZE - 33000, OLD, 33000);
        struct msghdr message = {.msg_iov = (struct iovec[]){{at, 10000}, {at + 100000, 20000}},
                                 .msg_iovlen = 2};
        EXPECT_QUIET(60000, recvmsg(c.in, &message, MSG_TRUNC | MSG_PEEK));
        EXPECT(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC | MSG_EOR), MSG_TRUNC);
        message.msg_flags = 0;
        EXPECT_QUIET(30000, recvmsg(c.in, &message, 0));
        EXPECT(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC | MSG_EOR), MSG_TRUNC);
        EXPECT_BYTES(at, 10000, NEW, 0);
        EXPECT_BYTES(at + 100000, 20000, NEW, 10000);
        EXPECT_BYTES(at + 33000, 67000, OLD, 33000);
        EXPECT_BYTES(at + 120000, SIZE - 120000, OLD, 120000);
        EXPECT_QUIET(60000, recv(c.in, at, SIZE, 0));
        EXPECT_BYTES(at, 60000, NEW, 0);
        EXPECT_QUIET(0, recv(c.in, at, 0, 0));
        EXPECT_ERROR(EAGAIN, recv(c.in, at, SIZE, MSG_DONTWAIT));
        EXPECT_BYTES(at, 60000, NEW, 0);
        close_channel(c);
    }
}

struct delayed {
    int fd;
    const byte *from;
    size_t count, piece;
};

static void *send_in_pieces(void *argument) {
    struct delayed *d = argument;
    for (size_t done = 0; done < d->count; done += d->piece) {
        pause_ms(3);
        write_all(d->fd, d->from + done, d->count - done < d->piece ? d->count - done : d->piece);
    }
    return NULL;
}

static void waitall(void) {
    struct channel channels[] = {unix_pair(SOCK_STREAM), inet_pair(SOCK_STREAM)};
    for (int i = 0; i < 2; i++) {
        struct delayed d = {channels[i].out, stream_bytes(SIZE, NEW, 0), SIZE, 30000};
        byte *at = old_buffer(2), *copied = region(SIZE);
        pthread_t sender = start(send_in_pieces, &d);
        EXPECT_QUIET(SIZE - 5, recv(channels[i].in, at, SIZE - 5, MSG_WAITALL));
        copy(copied, at, SIZE);
        EXPECT_QUIET(5, recv(channels[i].in, at, SIZE, 0));
        pthread_join(sender, NULL);
        EXPECT_BYTES(copied, SIZE - 5, NEW, 0);
        EXPECT_BYTES(copied + SIZE - 5, 5, OLD, SIZE - 5);
        EXPECT_BYTES(at, 5, NEW, SIZE - 5);
        EXPECT_BYTES(at + 5, SIZE - 10, NEW, 5);
        close_channel(channels[i]);
    }
}

static void rcvtimeo(void) {
    struct timeval limit = {.tv_usec = 20000};
    struct channel channels[] = {unix_pair(SOCK_STREAM), inet_pair(SOCK_STREAM)};
    for (int i = 0; i < 2; i++) {
        struct channel c = channels[i];
        if (setsockopt(c.in, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit))
            die("SO_RCVTIMEO");
        byte *at = old_buffer(2), *from = stream_bytes(90000, NEW, 0);
        EXPECT_ERROR(EAGAIN, recv(c.in, at, SIZE, 0));
        EXPECT_ERROR(EAGAIN, read(c.in, at, SIZE));
        expect_old(at);
        write_all(c.out, from, 90000);
        EXPECT_QUIET(90000, recv(c.in, at, SIZE, MSG_WAITALL)); /* the limit ends it */
        EXPECT_BYTES(at, 90000, NEW, 0);
        EXPECT_BYTES(at + 90000, SIZE - 90000, OLD, 90000);
        close_channel(c);
    }
}

static void refused(void) {
    byte *at = old_buffer(2);
    int fresh = socket(AF_INET, SOCK_STREAM, 0), listening = socket(AF_INET, SOCK_STREAM, 0);
    listen(listening, 1);
    EXPECT_ERROR(ENOTCONN, recv(fresh, at, SIZE, 0));
    EXPECT_ERROR(ENOTCONN, read(listening, at, SIZE));
    EXPECT_ERROR(EISDIR, read(open("/", O_RDONLY), at, SIZE));
    EXPECT_ERROR(EBADF, read(open("/dev/null", O_WRONLY), at, SIZE));
    EXPECT_ERROR(EBADF, read(open("/", O_PATH), at, SIZE));
    EXPECT_ERROR(ESPIPE, pread(wide_pipe().in, at, SIZE, 0));
    EXPECT_ERROR(EINVAL, pread(temporary_file(0), at, SIZE, -1));
    EXPECT_ERROR(EOPNOTSUPP, recv(unix_pair(SOCK_DGRAM).in, at, SIZE, MSG_OOB));
    EXPECT_ERROR(EOPNOTSUPP, preadv2(temporary_file(0), &(struct iovec){at, SIZE}, 1, 0, 1 << 30));
    EXPECT_ERROR(EAGAIN, recv(inet_pair(SOCK_STREAM).in, at, SIZE, MSG_ERRQUEUE));
    expect_old(at);
    /* A reset connection loses what was queued; the buffer stays. */
    struct channel c = inet_pair(SOCK_STREAM);
    struct linger now = {1, 0};
    setsockopt(c.out, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(c.out);
    EXPECT_ERROR(ECONNRESET, recv(c.in, at, SIZE, 0));
    EXPECT_QUIET(0, recv(c.in, at, SIZE, 0));
    shutdown(c.in, SHUT_RD);
    expect_old(at);
}

SUBCASES({"eagain", eagain}, {"short", short_input}, {"eof", eof}, {"peek", peek},
         {"trunc-tcp", trunc_tcp}, {"trunc-udp", trunc_udp}, {"waitall", waitall},
         {"rcvtimeo", rcvtimeo}, {"refused", refused})
