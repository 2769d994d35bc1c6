/* Input from pipes, sockets and packets by every call that there is for it. */
#include "direct.h"
#include "fuzz.h"
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

ssize_t __read_chk(int, void *, size_t, size_t);
ssize_t __recv_chk(int, void *, size_t, size_t, int);

/* Vectors over two ranges, the first one in `pieces` parts. */
static int vectors(struct iovec *v, byte *at, size_t n, int pieces, byte *more, size_t rest) {
    int used = 0;
    for (int i = 0; i < pieces; i++) {
        size_t part = i == pieces - 1 ? n : n / 3;
        v[used++] = (struct iovec){at, part};
        at += part, n -= part;
    }
    if (rest > 0)
        v[used++] = (struct iovec){more, rest};
    return used;
}

enum { SOCKET_WAYS = 14, PIPE_WAYS = 6, PEEKED_ELSEWHERE = 12 };

/* One call for up to n bytes at `at` and `rest` bytes at `more`. */
static ssize_t take(int fd, bool is_pipe, long way, byte *at, size_t n, byte *more, size_t rest) {
    struct iovec v[6];
    struct msghdr message = {.msg_iov = v};
    struct mmsghdr messages[1];
    if (rest > 0) {
        message.msg_iovlen = (size_t)vectors(v, at, n, 1 + (int)(way % 3), more, rest);
        return is_pipe || way % 2 ? readv(fd, v, (int)message.msg_iovlen)
                                  : recvmsg(fd, &message, 0);
    }
    switch (way % (is_pipe ? PIPE_WAYS : SOCKET_WAYS)) {
    case 0:
        return read(fd, at, n);
    case 1:
        return readv(fd, v, vectors(v, at, n, 3, NULL, 0));
    case 2:
        return __read_chk(fd, at, n, n);
    case 3:
        return syscall(SYS_read, fd, at, n);
    case 4:
        return DIRECT(SYS_read, fd, at, n);
    case 5:
        vectors(v, at, n, 2, NULL, 0);
        return DIRECT(SYS_readv, fd, v, 2);
    case 6:
        return recvfrom(fd, at, n, 0, NULL, NULL);
    case 7:
        message.msg_iovlen = (size_t)vectors(v, at, n, 3, NULL, 0);
        return recvmsg(fd, &message, 0);
    case 8:
        message.msg_iovlen = (size_t)vectors(v, at, n, 2, NULL, 0);
        messages[0] = (struct mmsghdr){.msg_hdr = message};
        return recvmmsg(fd, messages, 1, 0, NULL) == 1 ? (ssize_t)messages[0].msg_len : -1;
    case 9:
        return DIRECT(SYS_recvfrom, fd, at, n, 0, 0, 0);
    case 10:
        return __recv_chk(fd, at, n, n, 0);
    case 11: /* looked at first */
        if (recv(fd, at, n, MSG_PEEK) < 0)
            return -1;
        return recv(fd, at, n, 0);
    case PEEKED_ELSEWHERE: /* looked at first, into the half of it that is received last */
        if (recv(fd, at + n / 2, n - n / 2, MSG_PEEK) < 0)
            return -1;
        return recv(fd, at, n, 0);
    default:
        return recv(fd, at, n, MSG_DONTWAIT);
    }
}

/* Exactly `count` bytes into the two ranges, which have room for them at least. */
static void receive(struct context *context, struct range one, struct range two, size_t count,
                    long kind, long way) {
    fuzz_open_channels(context);
    struct channel *channel = &context->channels[fuzz_kind(kind)];
    size_t done = 0, room = one.n + two.n;
    /* What TCP shows of the future depends on how much has arrived. */
    if (fuzz_kind(kind) == TCP && way % SOCKET_WAYS == PEEKED_ELSEWHERE)
        way = 0;
    while (done < count) {
        size_t burst = count - done < channel->capacity ? count - done : channel->capacity;
        fuzz_supply(context, channel->out, burst);
        for (size_t end = done + burst; done < end;) {
            /* As much as there is room for, though less will come, unless that may come later. */
            size_t want = end == count ? room - done : end - done;
            byte *at = done < one.n ? one.at + done : two.at + (done - one.n);
            size_t n = done < one.n ? one.n - done : two.n - (done - one.n), rest = 0;
            if (n > want)
                n = want;
            if (done < one.n && two.n > 0)
                rest = want - n;
            ssize_t got = take(channel->in, fuzz_kind(kind) == PIPE, way, at, n, two.at, rest);
            if (got < 0 && (errno == EINTR || errno == EAGAIN))
                continue;
            if (got <= 0) {
                fuzz_say(context, " failed: %zd %d", got, errno);
                return;
            }
            done += (size_t)got;
        }
    }
    fuzz_say(context, " %zu", done);
}

/* recv SLOT OFFSET LENGTH COUNT CHANNEL WAY: COUNT bytes by calls that ask for LENGTH. */
static void do_recv(struct context *context, const long *a) {
    struct range r = fuzz_range(fuzz_slot(context, a[0]), a[1], a[2]);
    size_t count = (size_t)a[3] < r.n ? (size_t)a[3] : r.n;
    if (count > 0)
        receive(context, r, (struct range){0}, count, a[4], a[5]);
}

/* recvall SLOT OFFSET LENGTH CHANNEL: one call with MSG_WAITALL. */
static void do_recvall(struct context *context, const long *a) {
    fuzz_open_channels(context);
    struct channel *channel = &context->channels[a[3] % 2 ? UNIX_STREAM : TCP];
    struct range r = fuzz_range(fuzz_slot(context, a[0]), a[1], a[2]);
    if (r.n > channel->capacity)
        r.n = channel->capacity;
    if (r.n == 0)
        return;
    fuzz_supply(context, channel->out, r.n);
    for (size_t done = 0; done < r.n;) { /* a signal ends it early */
        ssize_t got = recv(channel->in, r.at + done, r.n - done, MSG_WAITALL);
        done += got > 0 ? (size_t)got : 0;
    }
}

static bool overlap(struct range one, struct range two) {
    return one.slot == two.slot && one.at < two.at + two.n && two.at < one.at + one.n;
}

/* scatter SLOT OFFSET LENGTH SLOT OFFSET LENGTH CHANNEL WAY: one stream into two ranges. */
static void do_scatter(struct context *context, const long *a) {
    struct range one = fuzz_range(fuzz_slot(context, a[0]), a[1], a[2]);
    struct range two = fuzz_range(fuzz_slot(context, a[3]), a[4], a[5]);
    if (one.n > 0 && two.n > 0 && !overlap(one, two))
        receive(context, one, two, one.n + two.n, a[6], a[7]);
}

/* packet SLOT OFFSET LENGTH SIZE WAY: a packet of SIZE into LENGTH bytes, cut off where it is
 * larger; some ways ask for its real size. */
static void do_packet(struct context *context, const long *a) {
    struct range r = fuzz_range(fuzz_slot(context, a[0]), a[1], a[2]);
    if (r.n == 0)
        return;
    fuzz_open_channels(context);
    static __thread byte packet[96 * 1024];
    size_t size = 1 + (size_t)a[3] % sizeof packet;
    fuzz_stream_fill(packet, size, context->stream, context->position);
    context->position += size;
    if (DIRECT(SYS_write, context->packets.out, packet, size) != (long)size)
        fuzz_die("packet");
    struct iovec v[3];
    struct msghdr message = {.msg_iov = v};
    message.msg_iovlen = (size_t)vectors(v, r.at, r.n, 1 + (int)(a[4] % 3), NULL, 0);
    struct mmsghdr messages[2] = {{.msg_hdr = message}};
    ssize_t n;
    switch (a[4] / 3 % 5) {
    case 0:
        n = recv(context->packets.in, r.at, r.n, 0);
        break;
    case 1:
        n = recvmsg(context->packets.in, &message, MSG_TRUNC);
        break;
    case 2:
        n = recvmmsg(context->packets.in, messages, 1, 0, NULL);
        fuzz_say(context, " messages %zd", n);
        n = (ssize_t)messages[0].msg_len;
        message.msg_flags = messages[0].msg_hdr.msg_flags;
        break;
    case 3:
        n = read(context->packets.in, r.at, r.n);
        break;
    default:
        n = recvmsg(context->packets.in, &message, 0);
    }
    fuzz_say(context, " %zd flags %x", n, (unsigned)message.msg_flags);
}

/* empty SLOT OFFSET LENGTH CHANNEL HOW: nothing has come (EAGAIN), or never will (EOF). Inside a
 * block another thread's child may have the other end for a while. */
static void do_empty(struct context *context, const long *a) {
    struct range r = fuzz_range(fuzz_slot(context, a[0]), a[1], a[2]);
    int ends[2];
    if (r.n == 0)
        return;
    if (a[3] % 2 ? pipe2(ends, O_CLOEXEC | O_NONBLOCK)
                 : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends))
        fuzz_die("pipe2");
    size_t some = a[4] / 2 % 2 ? (r.n < 30000 ? r.n : 30000) : 0;
    fuzz_supply(context, ends[1], some);
    bool never = a[4] % 2 && context->threads == 1;
    if (never)
        close(ends[1]);
    for (int i = 0; i < 2; i++) {
        ssize_t n = read(ends[0], r.at, r.n);
        fuzz_say(context, " %zd %d", n, n < 0 ? errno : 0);
    }
    close(ends[0]);
    if (!never)
        close(ends[1]);
}

const struct verb fuzz_input_verbs[] = {
    {"recv", do_recv},     {"recvall", do_recvall}, {"scatter", do_scatter},
    {"packet", do_packet}, {"empty", do_empty},     {NULL, NULL},
};
