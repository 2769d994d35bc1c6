/* Case 11: datagrams and SEQPACKET messages stay one message with the plain length and
 * flags, and what travels beside the data (descriptors, credentials, addresses) does so
 * exactly once, however large and viewed the data is. */
#include "channels.h"

enum { STREAM = 1, OLD = 3 };
#define SIZE (192 * KIB)

static byte *striped(void) {
    byte *at = viewed(SIZE, STREAM);
    for (size_t page = 1; page < SIZE / PAGE; page += 2) {
        volatile byte *touched = at + page * PAGE;
        *touched = *touched;
    }
    return at;
}

static const size_t lengths[] = {0, 1, 4096, 16384, 20001, 40000, 60000, 65507};
#define LENGTHS (sizeof lengths / sizeof lengths[0])

/* Each message out by another call and in by another; boundaries and bytes stay. */
static void boundaries(void) {
    struct channel channels[] = {inet_pair(SOCK_DGRAM), unix_pair(SOCK_DGRAM),
                                 unix_pair(SOCK_SEQPACKET)};
    for (int kind = 0; kind < 3; kind++) {
        struct channel c = channels[kind];
        byte *at = striped(), *into = viewed(SIZE, OLD), *copied = region(SIZE);
        for (unsigned i = 0; i < LENGTHS * 4; i++) {
            size_t length = lengths[i % LENGTHS], skew = i * 777 % 5000;
            byte *from = at + skew;
            struct iovec parts[3] = {
                {from, length / 2},
                {from + length / 2, length / 4},
                {from + length / 2 + length / 4, length - length / 2 - length / 4}};
            struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
            if (i / LENGTHS == 0)
                EXPECT_QUIET(length, send(c.out, from, length, 0));
            if (i / LENGTHS == 1)
                EXPECT_QUIET(length, sendmsg(c.out, &message, 0));
            if (i / LENGTHS == 2)
                EXPECT_QUIET(length, write(c.out, from, length));
            if (i / LENGTHS == 3)
                EXPECT_QUIET(length, sendto(c.out, from, length, MSG_EOR * (kind == 2), NULL, 0));
        }
        for (unsigned i = 0; i < LENGTHS * 4; i++) {
            size_t length = lengths[i % LENGTHS], skew = i * 777 % 5000, odd = i * 33 % 4097;
            struct iovec parts[2] = {{into + odd, 10000}, {into + odd + 10000, SIZE - odd - 10000}};
            struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
            if (i % 4 == 0)
                EXPECT_QUIET(length, recv(c.in, into + odd, SIZE - odd, 0));
            if (i % 4 == 1)
                EXPECT_QUIET(length, recvmsg(c.in, &message, 0));
            if (i % 4 == 1)
                EXPECT(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC), 0);
            if (i % 4 == 2)
                EXPECT_QUIET(length,
                             length ? read(c.in, into + odd, SIZE - odd) : recv(c.in, into, 0, 0));
            if (i % 4 == 3)
                EXPECT_QUIET(length, recvfrom(c.in, into + odd, SIZE - odd, 0, NULL, NULL));
            copy(copied, into + odd, length);
            EXPECT_BYTES(copied, length, STREAM, skew);
        }
        EXPECT_ERROR(EAGAIN, recv(c.in, into, SIZE, MSG_DONTWAIT));
        close_channel(c);
    }
}

static void too_long(void) {
    byte *at = striped();
    struct channel udp = inet_pair(SOCK_DGRAM), local = unix_pair(SOCK_SEQPACKET);
    int size = 40000;
    setsockopt(local.out, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    EXPECT_ERROR(EMSGSIZE, send(udp.out, at, 65508, 0));
    EXPECT_ERROR(EMSGSIZE, writev(udp.out, (struct iovec[]){{at, 40000}, {at + 40000, 40000}}, 2));
    EXPECT_ERROR(EMSGSIZE, send(local.out, at, SIZE, 0));
    EXPECT_QUIET(65507, send(udp.out, at, 65507, 0));
    EXPECT_ERROR(EAGAIN, recv(local.in, at, SIZE, MSG_DONTWAIT));
    EXPECT_QUIET(65507, recv(udp.in, at + 16384, SIZE - 16384, 0));
    EXPECT_BYTES(at + 16384, 65507, STREAM, 0);
}

/* MSG_MORE and UDP_CORK build one datagram from several sends. */
static void more(void) {
    byte *at = striped(), *got = region(SIZE);
    struct channel udp = inet_pair(SOCK_DGRAM);
    for (int i = 0; i < 3; i++) {
        EXPECT_QUIET(20000, send(udp.out, at, 20000, MSG_MORE));
        EXPECT_ERROR(EAGAIN, recv(udp.in, got, SIZE, MSG_DONTWAIT));
        EXPECT_QUIET(17000, send(udp.out, at + 20000, 17000, MSG_MORE));
        EXPECT_QUIET(20000, send(udp.out, at + 37000, 20000, 0));
        EXPECT_QUIET(57000, recv(udp.in, got, SIZE, 0));
        EXPECT_BYTES(got, 57000, STREAM, 0);
    }
}

static void many_at_once(void) {
    struct channel c = inet_pair(SOCK_DGRAM);
    byte *at = striped(), *into = viewed(SIZE, OLD);
    struct iovec out[6], in[6];
    struct mmsghdr sent[6] = {0}, received[6] = {0};
    struct sockaddr_in from[6];
    for (int i = 0; i < 6; i++) {
        out[i] = (struct iovec){at + i * 5000, 20000 + (size_t)i * 1000};
        in[i] = (struct iovec){into + i * 30000, i == 3 ? 17000 : 30000};
        sent[i].msg_hdr = (struct msghdr){.msg_iov = &out[i], .msg_iovlen = 1};
        received[i].msg_hdr = (struct msghdr){.msg_iov = &in[i],
                                              .msg_iovlen = 1,
                                              .msg_name = &from[i],
                                              .msg_namelen = sizeof from[i]};
    }
    EXPECT_QUIET(6, sendmmsg(c.out, sent, 6, 0));
    struct timespec limit = {1, 0};
    EXPECT_QUIET(6, recvmmsg(c.in, received, 6, MSG_WAITFORONE, &limit));
    for (int i = 0; i < 6; i++) {
        EXPECT(sent[i].msg_len, out[i].iov_len);
        EXPECT(received[i].msg_len, i == 3 ? 17000 : out[i].iov_len);
        EXPECT(received[i].msg_hdr.msg_flags & MSG_TRUNC, i == 3 ? MSG_TRUNC : 0);
        EXPECT(received[i].msg_hdr.msg_namelen, sizeof from[i]);
        EXPECT(from[i].sin_addr.s_addr == htonl(INADDR_LOOPBACK), 1);
        EXPECT_BYTES(into + i * 30000, received[i].msg_len, STREAM, (uint64_t)i * 5000);
        EXPECT_BYTES(into + i * 30000 + received[i].msg_len, 30000 - received[i].msg_len, OLD,
                     (uint64_t)i * 30000 + received[i].msg_len);
    }
    EXPECT_ERROR(EAGAIN, recvmmsg(c.in, received, 6, MSG_DONTWAIT, NULL));
    /* A failure in the middle stops there, and is told by the count. */
    out[2].iov_len = 70000;
    EXPECT_QUIET(2, sendmmsg(c.out, sent, 6, 0));
    EXPECT_ERROR(EMSGSIZE, sendmmsg(c.out, sent + 2, 4, 0));
    EXPECT_QUIET(2, recvmmsg(c.in, received, 6, MSG_DONTWAIT, NULL));
}

enum { RELAYED = 3, RELAYED_BYTES = 64 * 1024, ROUNDS = 4 };

static void *send_rounds(void *argument) {
    struct channel *c = argument;
    byte *at = region(RELAYED * RELAYED_BYTES);
    for (int round = 0; round < ROUNDS; round++) {
        fill(at, RELAYED * RELAYED_BYTES, STREAM, (uint64_t)round * RELAYED * RELAYED_BYTES);
        for (int i = 0; i < RELAYED; i++)
            EXPECT_QUIET(RELAYED_BYTES, send(c->out, at + i * RELAYED_BYTES, RELAYED_BYTES, 0));
    }
    return NULL;
}

/* Only recvmmsg receives and only sendmmsg sends. */
static void relayed_in_bulk(void) {
    struct channel from = unix_pair(SOCK_SEQPACKET), to = unix_pair(SOCK_STREAM);
    byte *into = region(RELAYED * RELAYED_BYTES), *copied = region(RELAYED * RELAYED_BYTES);
    pthread_t sender = start(send_rounds, &from);
    for (int round = 0; round < ROUNDS; round++) {
        struct iovec in[RELAYED], out[RELAYED];
        struct mmsghdr received[RELAYED] = {0}, sent[RELAYED] = {0};
        for (int i = 0; i < RELAYED; i++) {
            in[i] = (struct iovec){into + i * RELAYED_BYTES, RELAYED_BYTES};
            out[i] = (struct iovec){copied + i * RELAYED_BYTES, RELAYED_BYTES};
            received[i].msg_hdr = (struct msghdr){.msg_iov = &in[i], .msg_iovlen = 1};
            sent[i].msg_hdr = (struct msghdr){.msg_iov = &out[i], .msg_iovlen = 1};
        }
        EXPECT_QUIET(RELAYED, recvmmsg(from.in, received, RELAYED, 0, NULL));
        for (int i = 0; i < RELAYED; i++) {
            EXPECT_QUIET(RELAYED_BYTES, received[i].msg_len);
            EXPECT(received[i].msg_hdr.msg_iov == &in[i], 1);
        }
        copy(copied, into, RELAYED * RELAYED_BYTES);
        int done = 0;
        /* Nobody reads meanwhile: what does not fit is told by a short count, which ends the call. */
        errno = 0;
        int result = sendmmsg(to.out, sent, RELAYED, MSG_DONTWAIT);
        size_t total = 0;
        for (; done < result; done++)
            total += sent[done].msg_len;
        say("%d %s %zu\n", result, errno_name(errno), total);
        EXPECT_STREAM(to.in, total, STREAM, (uint64_t)round * RELAYED * RELAYED_BYTES);
    }
    pthread_join(sender, NULL);
}

union control {
    char bytes[CMSG_SPACE(sizeof(int) * 4) + CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(64)];
    struct cmsghdr align;
};

static void attach(struct msghdr *message, union control *control, const int *fds, size_t count) {
    message->msg_control = control->bytes;
    message->msg_controllen = CMSG_SPACE(sizeof(int) * count);
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(header), fds, sizeof(int) * count);
}

/* How many descriptors came; each is checked to be the file that was sent, and closed. */
static int arrived(struct msghdr *message, ino_t inode) {
    int total = 0;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(message); h; h = CMSG_NXTHDR(message, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < (h->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++, total++) {
            int fd;
            struct stat status;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
            EXPECT(fstat(fd, &status), 0);
            EXPECT(status.st_ino == inode, 1);
            close(fd);
        }
    }
    return total;
}

/* Descriptors beside large data: sent once, also where the data goes out in parts. */
static void descriptors(void) {
    int file = temporary_file(0), fds[2] = {file, file};
    struct stat status;
    fstat(file, &status);
    for (int kind = 0; kind < 6; kind++) {
        int type = kind % 3 == 0   ? SOCK_STREAM
                   : kind % 3 == 1 ? SOCK_SEQPACKET
                                   : SOCK_DGRAM,
            size = kind < 3    ? 4 << 20
                   : kind == 3 ? 30000
                               : 100000;
        struct channel c = unix_pair(type);
        setsockopt(c.out, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        union control control;
        byte *at = striped(), *into = viewed(SIZE, OLD);
        size_t length = type == SOCK_STREAM ? SIZE : 90000;
        struct iovec parts[2] = {{at, 30000}, {at + 30000, length - 30000}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        attach(&message, &control, fds, 2);
        errno = 0;
        ssize_t sent = sendmsg(c.out, &message, MSG_DONTWAIT);
        say_result("sent", sent);
        EXPECT(message.msg_controllen, CMSG_SPACE(sizeof(int) * 2));
        int total = 0;
        size_t got = 0;
        while (got < (size_t)sent) {
            struct msghdr input = {.msg_iov = &(struct iovec){into + got, SIZE - got},
                                   .msg_iovlen = 1,
                                   .msg_control = control.bytes,
                                   .msg_controllen = sizeof control.bytes};
            ssize_t n = recvmsg(c.in, &input, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
            if (n <= 0) {
                EXPECT(n, 1);
                break;
            }
            int here = arrived(&input, status.st_ino);
            if (got == 0)
                EXPECT(here, 2);
            total += here;
            got += (size_t)n;
            EXPECT(input.msg_flags & MSG_CTRUNC, 0);
        }
        EXPECT(total, 2);
        EXPECT_BYTES(into, got, STREAM, 0);
        EXPECT_BYTES(into + got, SIZE - got, OLD, got);
        EXPECT_ERROR(EAGAIN, recv(c.in, into, SIZE, MSG_DONTWAIT));
        close_channel(c);
    }
}

/* A receive into a large buffer ends where descriptors of the next message begin; control
 * that does not fit is cut with MSG_CTRUNC; plain reads drop it. */
static void descriptor_boundaries(void) {
    int file = temporary_file(0);
    struct stat status;
    fstat(file, &status);
    struct channel c = unix_pair(SOCK_STREAM);
    byte *at = striped(), *into = viewed(SIZE, OLD);
    union control control;
    for (int i = 0; i < 4; i++) {
        struct msghdr message = {.msg_iov = &(struct iovec){at + i * 20000, 20000},
                                 .msg_iovlen = 1};
        attach(&message, &control, &file, 1);
        EXPECT_QUIET(20000, sendmsg(c.out, &message, 0));
        EXPECT_QUIET(7000, send(c.out, at + 20000 + i * 20000, 7000, 0));
    }
    for (int i = 0; i < 4; i++) {
        struct msghdr message = {.msg_iov =
                                     (struct iovec[]){{into, 18000}, {into + 18000, SIZE - 18000}},
                                 .msg_iovlen = 2,
                                 .msg_control = control.bytes,
                                 .msg_controllen = i < 2    ? sizeof control.bytes
                                                   : i == 2 ? 8
                                                            : 0};
        errno = 0;
        ssize_t n = recvmsg(c.in, &message, 0);
        say_result("received", n);
        say("flags %x, control %zu\n", (unsigned)message.msg_flags, message.msg_controllen);
        EXPECT(arrived(&message, status.st_ino), i < 2);
        EXPECT_BYTES(into, 20000, STREAM, (uint64_t)i * 20000);
        if (n > 20000)
            EXPECT_BYTES(into + 20000, (size_t)n - 20000, STREAM, 20000 + (uint64_t)i * 20000);
        if (n == 20000)
            EXPECT_QUIET(7000, read(c.in, into, 7000));
    }
    EXPECT_DRAINED(c.in);
}

/* Credentials, the address of a datagram, its truncated and missing buffers. */
static void beside_the_data(void) {
    struct channel c = unix_pair(SOCK_SEQPACKET), udp = inet_pair(SOCK_DGRAM);
    byte *at = striped(), *into = viewed(SIZE, OLD);
    union control control;
    int on = 1;
    setsockopt(c.in, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    setsockopt(udp.in, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    setsockopt(udp.in, IPPROTO_IP, IP_RECVTTL, &on, sizeof on);
    EXPECT_QUIET(50000, send(c.out, at, 50000, 0));
    EXPECT_QUIET(50000, send(udp.out, at, 50000, 0));
    struct msghdr message = {.msg_iov = &(struct iovec){into, SIZE},
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    EXPECT_QUIET(50000, recvmsg(c.in, &message, 0));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    EXPECT(header && header->cmsg_type == SCM_CREDENTIALS, 1);
    EXPECT(header && ((struct ucred *)CMSG_DATA(header))->pid == getpid(), 1);
    message.msg_controllen = sizeof control.bytes;
    struct sockaddr_in from;
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    EXPECT_QUIET(50000, recvmsg(udp.in, &message, 0));
    int seen = 0;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h))
        seen += h->cmsg_level == IPPROTO_IP ? h->cmsg_type == IP_PKTINFO ? 1
                                              : h->cmsg_type == IP_TTL   ? 10
                                                                         : 100
                                            : 1000;
    EXPECT(seen, 11);
    EXPECT(message.msg_namelen, sizeof from);
    EXPECT_BYTES(into, 50000, STREAM, 0);
    /* An address buffer that is too small, or nowhere. */
    socklen_t length = 3;
    EXPECT_QUIET(50000, send(udp.out, at, 50000, 0));
    EXPECT_QUIET(50000, recvfrom(udp.in, into + 5, SIZE - 5, 0, (void *)&from, &length));
    EXPECT(length, sizeof from);
    EXPECT_BYTES(into + 5, 50000, STREAM, 0);
    EXPECT_QUIET(50000, send(udp.out, at, 50000, 0));
    length = sizeof from;
    EXPECT_ERROR(EFAULT, recvfrom(udp.in, into, SIZE, 0, (void *)8, &length));
    EXPECT_ERROR(EAGAIN, recv(udp.in, into, SIZE, MSG_DONTWAIT)); /* consumed, as plain */
    /* Unconnected: the address of sendto decides. */
    int free_socket = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in to;
    length = sizeof to;
    getsockname(udp.in, (void *)&to, &length);
    EXPECT_ERROR(EDESTADDRREQ, send(free_socket, at, 50000, 0));
    connect(udp.in, &(struct sockaddr){.sa_family = AF_UNSPEC}, sizeof(struct sockaddr));
    EXPECT(bind(udp.in, (void *)&to, sizeof to) == 0 || errno == EINVAL, 1);
    EXPECT_QUIET(50000, sendto(free_socket, at + 1, 50000, 0, (void *)&to, sizeof to));
    struct pollfd ready = {.fd = udp.in, .events = POLLIN};
    EXPECT(poll(&ready, 1, 1000), 1);
    EXPECT_QUIET(50000, recv(udp.in, into, SIZE, MSG_DONTWAIT));
    EXPECT_BYTES(into, 50000, STREAM, 1);
}

/* A pipe in packet mode: each read takes one packet, whatever the buffer has room for. */
static void packet_pipe(void) {
    int ends[2];
    if (pipe2(ends, O_DIRECT | O_NONBLOCK))
        skip("no packet pipes here");
    byte *at = striped(), *into = viewed(SIZE, OLD);
    EXPECT_QUIET(1000, write(ends[1], at, 1000));
    EXPECT_QUIET(20000, write(ends[1], at + 1000, 20000));
    struct iovec parts[2] = {{at + 21000, 3000}, {at + 24000, 3000}};
    EXPECT_QUIET(6000, writev(ends[1], parts, 2));
    size_t position = 0;
    for (int i = 0; i < 8; i++) {
        errno = 0;
        ssize_t n = read(ends[0], into, i == 3 ? 100 : SIZE);
        say_result("packet", n);
        if (n < 0)
            break;
        EXPECT_BYTES(into, (size_t)n, STREAM, position);
        EXPECT_BYTES(into + n, SIZE - (size_t)n, OLD, (uint64_t)n);
        position += i == 3 ? 4096 : (size_t)n;
        feed(into, SIZE, OLD, 0);
    }
}

/* Urgent data: a large receive ends at the mark. */
static void out_of_band(void) {
    struct channel channels[] = {inet_pair(SOCK_STREAM), unix_pair(SOCK_STREAM)};
    for (int kind = 0; kind < 2; kind++) {
        struct channel c = channels[kind];
        byte *at = striped(), *into = viewed(SIZE, OLD), urgent = '!';
        EXPECT_QUIET(50000, send(c.out, at, 50000, 0));
        errno = 0;
        say_result("urgent", send(c.out, &urgent, 1, MSG_OOB));
        EXPECT_QUIET(50000, send(c.out, at + 50000, 50000, 0));
        pause_ms(30);
        for (int i = 0; i < 3; i++) {
            errno = 0;
            ssize_t n = recv(c.in, into, SIZE, MSG_DONTWAIT);
            say_result("part", n);
            if (n > 0)
                EXPECT_BYTES(into, (size_t)n, STREAM, (uint64_t)i * 50000);
        }
        urgent = 0;
        errno = 0;
        say_result("urgent", recv(c.in, &urgent, 1, MSG_OOB | MSG_DONTWAIT));
        say("%d\n", urgent);
    }
}

SUBCASES({"boundaries", boundaries}, {"too-long", too_long}, {"more", more},
         {"many-at-once", many_at_once}, {"relayed-in-bulk", relayed_in_bulk}, {"descriptors", descriptors},
         {"descriptor-boundaries", descriptor_boundaries}, {"beside-the-data", beside_the_data},
         {"packet-pipe", packet_pipe}, {"out-of-band", out_of_band})
