/* Cases 13, traps 14 and 15: memory that the kernel still refers to after the call that named
 * it: pages in pipes, in sockets, fixed in rings, and of asynchronous IO under way. */
#include "channels.h"
#include "direct_call.h"
#include <linux/aio_abi.h>
#include <linux/errqueue.h>
#include <linux/io_uring.h>

enum { OLD = 1, NEW = 2, OTHER = 3 };
#define SIZE (256 * KIB)

/* What recycles pages: inputs, copies, outputs and frees of other data. */
static void churn(int rounds) {
    for (int i = 0; i < rounds; i++) {
        struct channel c = wide_pipe();
        byte *a = viewed(SIZE, OTHER), *b = region(SIZE);
        copy(b, a, SIZE);
        b[5000] = 1;
        write_all(c.out, b + PAGE * 2, SIZE - PAGE * 2);
        feed(a, SIZE, OTHER, 100);
        read_all(c.in, b, SIZE - PAGE * 2);
        EXPECT_BYTES(b, SIZE - PAGE * 2, OTHER, PAGE * 2);
        munmap(a, SIZE + PAGE), munmap(b, SIZE + PAGE);
        close_channel(c);
    }
}

static void vmspliced(void) {
    for (int way = 0; way < 5; way++) {
        struct channel c = wide_pipe();
        byte *at = viewed(SIZE, NEW), *other = region(SIZE);
        EXPECT(vmsplice(c.out, &(struct iovec){at, SIZE}, 1, 0), SIZE);
        if (way == 1)
            munmap(at, SIZE);
        if (way == 2)
            copy(other, at, SIZE); /* the pages stay the application's */
        if (way == 3)
            feed(at, SIZE, NEW, 0); /* the same bytes again, in pages of another origin */
        if (way == 4)
            copy(at + PAGE, at + PAGE, SIZE - PAGE);
        churn(6);
        EXPECT_STREAM(c.in, SIZE, NEW, 0);
        if (way == 2)
            EXPECT_BYTES(other, SIZE, NEW, 0);
        if (way != 1)
            EXPECT_BYTES(at, SIZE, NEW, 0);
        close_channel(c);
    }
}

/* Plain, a pipe refers to the pages: what is received there later is what comes out. */
static void vmspliced_then_received(void) {
    struct channel c = wide_pipe();
    byte *at = viewed(SIZE, OLD);
    EXPECT(vmsplice(c.out, &(struct iovec){at, SIZE}, 1, 0), SIZE);
    feed(at, SIZE, NEW, 0);
    EXPECT_STREAM(c.in, SIZE, NEW, 0);
}

/* A TCP connection whose receiver takes 64 KiB, so that the rest waits at the sender. */
static struct channel narrow_tcp(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0),
        small = 65536;
    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    widen(client, SO_SNDBUF, SO_SNDBUFFORCE, 4 << 20);
    if (bind(listener, (void *)&address, length) || listen(listener, 1) ||
        getsockname(listener, (void *)&address, &length) ||
        connect(client, (void *)&address, length))
        die("narrow tcp");
    int accepted = accept(listener, NULL, NULL);
    close(listener);
    return (struct channel){accepted, client};
}

/* The application's own MSG_ZEROCOPY: its pages are in the socket until the completion. */
static void zerocopy(void) {
    for (int round = 0; round < 4; round++) {
        struct channel c = narrow_tcp();
        int on = 1;
        if (setsockopt(c.out, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on))
            skip("no SO_ZEROCOPY here");
        byte *at = viewed(SIZE, NEW);
        struct iovec parts[2] = {{at, SIZE / 2}, {at + SIZE / 2, SIZE / 2}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        fcntl(c.out, F_SETFL, O_NONBLOCK);
        ssize_t sent = round % 2 ? sendmsg(c.out, &message, MSG_ZEROCOPY)
                                 : send(c.out, at, SIZE, MSG_ZEROCOPY);
        if (sent < 0 && errno == ENOBUFS)
            skip("no locked memory for MSG_ZEROCOPY here");
        EXPECT(sent > 0, 1);
        if (round == 2)
            EXPECT_BYTES(at, SIZE, NEW, 0); /* only looked at */
        if (round == 3)
            munmap(at, SIZE);
        churn(6);
        EXPECT_STREAM(c.in, (size_t)sent, NEW, 0);
        /* The completion is the application's, exactly one, and no error. */
        union {
            char bytes[128];
            struct cmsghdr align;
        } control;
        struct msghdr completion = {.msg_control = control.bytes,
                                    .msg_controllen = sizeof control.bytes};
        struct pollfd p = {.fd = c.out};
        EXPECT(poll(&p, 1, 2000), 1);
        EXPECT(recvmsg(c.out, &completion, MSG_ERRQUEUE), 0);
        struct cmsghdr *header = CMSG_FIRSTHDR(&completion);
        struct sock_extended_err *error = header ? (void *)CMSG_DATA(header) : NULL;
        EXPECT(error && error->ee_origin == SO_EE_ORIGIN_ZEROCOPY && error->ee_errno == 0 &&
                   error->ee_info == 0,
               1);
        EXPECT_ERROR(EAGAIN, recvmsg(c.out, &completion, MSG_ERRQUEUE));
        close_channel(c);
    }
    EXPECT_BYTES(viewed(SIZE, NEW), SIZE, NEW, 0);
}

/* Elided output never shows on the application's error queue or as a pending error. */
static void no_strange_completions(void) {
    struct channel c = inet_pair(SOCK_STREAM);
    byte *at = viewed(SIZE, NEW);
    for (int i = 0; i < 8; i++) {
        EXPECT(send(c.out, at, SIZE, 0), SIZE);
        EXPECT_STREAM(c.in, SIZE, NEW, 0);
    }
    struct pollfd p = {.fd = c.out, .events = POLLIN | POLLOUT};
    EXPECT(poll(&p, 1, 100), 1);
    EXPECT(p.revents, POLLOUT);
    int error = 5, option = 5;
    EXPECT(getsockopt(c.out, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error}), 0);
    EXPECT(error, 0);
    EXPECT(getsockopt(c.out, SOL_SOCKET, SO_ZEROCOPY, &option, &(socklen_t){sizeof option}), 0);
    EXPECT(option, 0);
}

static void linux_aio(void) {
    aio_context_t context = 0;
    if (DIRECT(SYS_io_setup, 8, &context))
        skip("no io_setup here");
    int file = temporary_file(0);
    byte *at = viewed(SIZE, NEW), *into = viewed(SIZE, OLD), *copied = region(SIZE);
    struct iocb blocks[2] = {{.aio_fildes = (uint32_t)file,
                              .aio_lio_opcode = IOCB_CMD_PWRITE,
                              .aio_buf = (uint64_t)(uintptr_t)at,
                              .aio_nbytes = SIZE},
                             {.aio_fildes = (uint32_t)file,
                              .aio_lio_opcode = IOCB_CMD_PREAD,
                              .aio_buf = (uint64_t)(uintptr_t)into,
                              .aio_nbytes = SIZE}};
    struct io_event event;
    copy(copied, at, SIZE);
    for (int direct = 0; direct < 2; direct++) {
        if (direct && fcntl(file, F_SETFL, O_DIRECT))
            break;
        for (int i = 0; i < 2; i++) {
            EXPECT(DIRECT(SYS_io_submit, context, 1, (struct iocb *[]){&blocks[i]}), 1);
            EXPECT(DIRECT(SYS_io_getevents, context, 1, 1, &event, NULL), 1);
            EXPECT(event.res, SIZE);
        }
        EXPECT_BYTES(into, SIZE, NEW, 0);
        feed(into, SIZE, OLD, 0), feed(at, SIZE, NEW, 0);
    }
    EXPECT_BYTES(copied, SIZE, NEW, 0);
    DIRECT(SYS_io_destroy, context);
}

/* The least of an io_uring that one request at a time needs. */
struct ring {
    int fd;
    unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
    struct io_uring_sqe *entries;
    struct io_uring_cqe *completions;
};

static struct ring make_ring(void) {
    struct io_uring_params p = {0};
    struct ring r = {.fd = (int)DIRECT(SYS_io_uring_setup, 8, &p)};
    if (r.fd < 0)
        skip("io_uring is refused here");
    size_t length = p.sq_off.array + p.sq_entries * sizeof(unsigned),
           other = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
    byte *sq = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r.fd,
                    IORING_OFF_SQ_RING);
    byte *cq = mmap(NULL, other, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r.fd,
                    IORING_OFF_CQ_RING);
    r.entries = mmap(NULL, p.sq_entries * sizeof *r.entries, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_POPULATE, r.fd, IORING_OFF_SQES);
    if (sq == MAP_FAILED || cq == MAP_FAILED || (void *)r.entries == MAP_FAILED)
        die("io_uring mmap");
    r.sq_tail = (void *)(sq + p.sq_off.tail), r.sq_mask = (void *)(sq + p.sq_off.ring_mask),
    r.sq_array = (void *)(sq + p.sq_off.array);
    r.cq_head = (void *)(cq + p.cq_off.head), r.cq_tail = (void *)(cq + p.cq_off.tail),
    r.cq_mask = (void *)(cq + p.cq_off.ring_mask);
    r.completions = (void *)(cq + p.cq_off.cqes);
    return r;
}

static void submit(struct ring *r, byte operation, int fd, void *at, size_t length, int fixed) {
    unsigned tail = *r->sq_tail, slot = tail & *r->sq_mask;
    r->entries[slot] = (struct io_uring_sqe){.opcode = operation,
                                             .fd = fd,
                                             .addr = (uint64_t)(uintptr_t)at,
                                             .len = (uint32_t)length,
                                             .off = (uint64_t)-1,
                                             .buf_index = (uint16_t)fixed};
    if (operation == IORING_OP_RECV || operation == IORING_OP_SEND)
        r->entries[slot].off = 0;
    r->sq_array[slot] = slot;
    __atomic_store_n(r->sq_tail, tail + 1, __ATOMIC_RELEASE);
    EXPECT(DIRECT(SYS_io_uring_enter, r->fd, 1, 0, 0, NULL, 0), 1);
}

static int complete(struct ring *r) {
    while (*r->cq_head == __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE))
        if (DIRECT(SYS_io_uring_enter, r->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0 &&
            errno != EINTR)
            die("io_uring_enter");
    int result = r->completions[*r->cq_head & *r->cq_mask].res;
    __atomic_store_n(r->cq_head, *r->cq_head + 1, __ATOMIC_RELEASE);
    return result;
}

static void ring_io(void) {
    struct ring r = make_ring();
    struct channel c = wide_pipe(), socket = unix_pair(SOCK_STREAM);
    byte *from = stream_bytes(SIZE, NEW, 0);
    for (int round = 0; round < 4; round++) {
        byte *at = viewed(SIZE, OLD), *copied = region(SIZE);
        submit(&r, IORING_OP_WRITE, c.out, at, SIZE, 0);
        EXPECT(complete(&r), SIZE);
        EXPECT_STREAM(c.in, SIZE, OLD, 0);
        /* A receive is under way in the view; the old bytes are there until data comes. */
        submit(&r, round % 2 ? IORING_OP_READ : IORING_OP_RECV, socket.in, at, SIZE, 0);
        copy(copied, at, SIZE);
        if (round > 1)
            EXPECT_BYTES(at, SIZE, OLD, 0);
        churn(1);
        write_all(socket.out, from, 100000);
        EXPECT(complete(&r), 100000);
        EXPECT_BYTES(at, 100000, NEW, 0);
        EXPECT_BYTES(at + 100000, SIZE - 100000, OLD, 100000);
        EXPECT_BYTES(copied, SIZE, OLD, 0);
        copy(copied, at, SIZE);
        submit(&r, IORING_OP_SEND, socket.out, copied, SIZE, 0);
        EXPECT(complete(&r), SIZE);
        EXPECT_STREAM(socket.in, 100000, NEW, 0);
        EXPECT_STREAM(socket.in, SIZE - 100000, OLD, 100000);
        munmap(at, SIZE + PAGE), munmap(copied, SIZE + PAGE);
    }
}

/* Fixed buffers are pinned: whatever is received, copied or overwritten there afterwards is
 * what the ring writes, and what the ring reads is what the program sees. */
static void fixed_buffers_by(int direct) {
    struct ring r = make_ring();
    struct channel c = wide_pipe();
    byte *at = viewed(SIZE, OLD), *copied = region(SIZE), *from = stream_bytes(SIZE, OTHER, 0);
    struct iovec whole = {at, SIZE};
    if (direct ? DIRECT(SYS_io_uring_register, r.fd, IORING_REGISTER_BUFFERS, &whole, 1)
               : syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_BUFFERS, &whole, 1))
        skip("no memory for fixed buffers here");
    for (int round = 0; round < 4; round++) {
        submit(&r, IORING_OP_WRITE_FIXED, c.out, at, SIZE, 0);
        EXPECT(complete(&r), SIZE);
        EXPECT_STREAM(c.in, SIZE, round ? OTHER : OLD, 0);
        feed(at, SIZE, NEW, 0);
        copy(copied, at, SIZE);
        submit(&r, IORING_OP_WRITE_FIXED, c.out, at, SIZE, 0);
        EXPECT(complete(&r), SIZE);
        EXPECT_STREAM(c.in, SIZE, NEW, 0);
        copy(at, viewed(SIZE, OLD), SIZE); /* by a copy of a view */
        submit(&r, IORING_OP_WRITE_FIXED, c.out, at, SIZE, 0);
        EXPECT(complete(&r), SIZE);
        EXPECT_STREAM(c.in, SIZE, OLD, 0);
        write_all(c.out, from, SIZE);
        submit(&r, IORING_OP_READ_FIXED, c.in, at, SIZE, 0);
        EXPECT(complete(&r), SIZE);
        EXPECT_BYTES(at, SIZE, OTHER, 0);
        EXPECT_BYTES(copied, SIZE, NEW, 0);
    }
}

static void fixed_buffers(void) {
    fixed_buffers_by(0);
}
static void fixed_buffers_direct(void) {
    fixed_buffers_by(1);
}

SUBCASES({"vmspliced", vmspliced}, {"vmspliced-then-received", vmspliced_then_received},
         {"zerocopy", zerocopy}, {"no-strange-completions", no_strange_completions},
         {"linux-aio", linux_aio}, {"ring-io", ring_io}, {"fixed-buffers", fixed_buffers},
         {"fixed-buffers-direct", fixed_buffers_direct})
