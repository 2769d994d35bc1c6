/* Output to pipes, sockets and packets by every call that there is for it. The other end is read
 * only afterwards, when the program's memory has often been overwritten already. */
#include "direct.h"
#include "fuzz.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOCKET_WAYS = 9, PIPE_WAYS = 4 };

static ssize_t put(int fd, bool is_pipe, long way, struct iovec *v, int count) {
    struct msghdr message = {.msg_iov = v, .msg_iovlen = (size_t)count};
    struct mmsghdr messages[1] = {{.msg_hdr = message}};
    if (count > 1)
        switch (way % (is_pipe ? 2 : 4)) {
        case 0:
            return writev(fd, v, count);
        case 1:
            return DIRECT(SYS_writev, fd, v, count);
        case 2:
            return sendmsg(fd, &message, MSG_NOSIGNAL);
        default:
            return sendmmsg(fd, messages, 1, 0) == 1 ? (ssize_t)messages[0].msg_len : -1;
        }
    switch (way % (is_pipe ? PIPE_WAYS : SOCKET_WAYS)) {
    case 0:
        return write(fd, v->iov_base, v->iov_len);
    case 1:
        return writev(fd, v, 1);
    case 2:
        return syscall(SYS_write, fd, v->iov_base, v->iov_len);
    case 3:
        return DIRECT(SYS_write, fd, v->iov_base, v->iov_len);
    case 4:
        return send(fd, v->iov_base, v->iov_len, MSG_NOSIGNAL);
    case 5:
        return sendto(fd, v->iov_base, v->iov_len, 0, NULL, 0);
    case 6:
        return DIRECT(SYS_sendto, fd, v->iov_base, v->iov_len, 0, 0, 0);
    case 7:
        return sendmsg(fd, &message, 0);
    default:
        return sendmmsg(fd, messages, 1, 0) == 1 ? (ssize_t)messages[0].msg_len : -1;
    }
}

/* What becomes of memory that was sent and has not been read by the other end yet. `through` is
 * a channel that is empty. */
static void spoil(struct context *context, struct range r, long how, struct channel *through) {
    size_t n = r.n < 65536 ? r.n : 65536;
    switch (how % 6) {
    case 1:
        memset(r.at, 0x77, r.n);
        break;
    case 2:
        for (size_t i = 0; i < r.n; i += PAGE)
            ((volatile byte *)r.at)[i] = 0x78;
        break;
    case 3:
        fuzz_supply(context, through->out, n);
        for (size_t done = 0; done < n;) {
            ssize_t got = read(through->in, r.at + done, n - done);
            done += got > 0 ? (size_t)got : 0;
        }
        break;
    case 4:
        memset(r.at, 0, r.n);
        break;
    case 5:
        memmove(r.at, r.at + r.n / 2, r.n - r.n / 2);
    }
}

struct transmission {
    struct iovec *v;
    int count;
    long kind, way;
    struct range spoilt; /* none where its n is 0 */
    long how;
};

/* The pieces through a channel, as much at a time as fits. */
static void transmit(struct context *context, struct transmission t) {
    fuzz_open_channels(context);
    bool is_pipe = fuzz_kind(t.kind) == PIPE;
    struct channel *channel = &context->channels[fuzz_kind(t.kind)];
    uint64_t hash = FUZZ_HASH_START;
    size_t total = 0;
    while (t.count > 0) {
        struct iovec part[4];
        int pieces = 0;
        size_t n = 0;
        for (; pieces < t.count && pieces < 4 && n < channel->capacity; pieces++) {
            part[pieces] = t.v[pieces];
            if (part[pieces].iov_len > channel->capacity - n)
                part[pieces].iov_len = channel->capacity - n;
            n += part[pieces].iov_len;
        }
        ssize_t sent = put(channel->out, is_pipe, t.way, part, pieces);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 || (size_t)sent > n) {
            fuzz_say(context, " failed: %zd %d", sent, errno);
            return;
        }
        if ((size_t)sent == n && pieces == t.count && t.spoilt.n > 0)
            spoil(context, t.spoilt, t.how, &context->channels[is_pipe ? UNIX_STREAM : PIPE]);
        hash = fuzz_drain(channel->in, (size_t)sent, hash);
        total += (size_t)sent;
        while (t.count > 0 && (size_t)sent >= t.v->iov_len)
            sent -= (ssize_t)t.v->iov_len, t.v++, t.count--;
        if (t.count > 0) {
            t.v->iov_base = (byte *)t.v->iov_base + sent;
            t.v->iov_len -= (size_t)sent;
        }
    }
    fuzz_say(context, " %zu %016llx", total, (unsigned long long)hash);
}

/* send SLOT OFFSET LENGTH CHANNEL WAY SPOIL */
static void do_send(struct context *context, const long *a) {
    struct range r = fuzz_range(fuzz_source_slot(context, a[0]), a[1], a[2]);
    if (r.n == 0)
        return;
    struct range spoilt = a[5] % 6 && fuzz_may_change(context, r.slot) ? r : (struct range){0};
    transmit(context,
             (struct transmission){&(struct iovec){r.at, r.n}, 1, a[3], a[4], spoilt, a[5]});
}

/* gather SLOT OFFSET LENGTH SLOT OFFSET LENGTH CHANNEL WAY: two ranges, and half of the first. */
static void do_gather(struct context *context, const long *a) {
    struct range one = fuzz_range(fuzz_source_slot(context, a[0]), a[1], a[2]);
    struct range two = fuzz_range(fuzz_source_slot(context, a[3]), a[4], a[5]);
    if (one.n == 0 || two.n == 0)
        return;
    struct iovec v[3] = {{one.at, one.n}, {two.at, two.n}, {one.at, one.n / 2}};
    transmit(context, (struct transmission){v, 3, a[6], a[7], {0}, 0});
}

/* post SLOT OFFSET LENGTH WAY: one packet; it stays one. */
static void do_post(struct context *context, const long *a) {
    fuzz_open_channels(context);
    struct range r = fuzz_range(fuzz_source_slot(context, a[0]), a[1], a[2]);
    static __thread byte packet[96 * 1024];
    if (r.n > sizeof packet)
        r.n = sizeof packet;
    if (r.n == 0)
        return;
    struct iovec v[2] = {{r.at, r.n / 2}, {r.at + r.n / 2, r.n - r.n / 2}};
    ssize_t sent = put(context->packets.out, false, a[3], v, 2);
    long got = DIRECT(SYS_read, context->packets.in, packet, sizeof packet);
    fuzz_say(context, " %zd %ld %016llx", sent, got,
             (unsigned long long)fuzz_hash(FUZZ_HASH_START, packet, got > 0 ? (size_t)got : 0));
}

/* overfill SLOT OFFSET LENGTH WAY: into a pipe that does not block and has too little room. */
static void do_overfill(struct context *context, const long *a) {
    struct range r = fuzz_range(fuzz_source_slot(context, a[0]), a[1], a[2]);
    int ends[2];
    if (r.n == 0)
        return;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
        fuzz_die("pipe2");
    struct iovec v = {r.at, r.n};
    for (int i = 0; i < 2; i++) {
        errno = 0;
        ssize_t n = put(ends[1], true, a[3], &v, 1);
        fuzz_say(context, " %zd %d", n, n < 0 ? errno : 0);
        uint64_t hash = n > 0 ? fuzz_drain(ends[0], (size_t)n, FUZZ_HASH_START) : 0;
        fuzz_say(context, " %016llx", (unsigned long long)hash);
    }
    close(ends[0]);
    /* SIGPIPE is ignored. Inside a block another thread's child may have the other end. */
    ssize_t n = context->threads == 1 ? put(ends[1], true, a[3], &v, 1) : 0;
    fuzz_say(context, " %zd %d", n, n < 0 ? errno : 0);
    close(ends[1]);
}

const struct verb fuzz_output_verbs[] = {
    {"send", do_send},         {"gather", do_gather}, {"post", do_post},
    {"overfill", do_overfill}, {NULL, NULL},
};
