/* Case 12: a call that blocks in one thread holds up nothing in another: no copy, no fault,
 * no IO, not even on the very buffer that the blocked call was given. Until data comes the
 * buffer holds, for every thread, what it held before. */
#include "channels.h"
#include "direct_call.h"
#include <sys/ioctl.h>

enum { OLD = 1, NEW = 2, OTHER = 3 };
#define SIZE (256 * KIB)

struct call {
    struct channel c;
    byte *at;
    int how;
    ssize_t result;
    int code;
    _Atomic pid_t tid;
    _Atomic int returned;
};

static void *run_call(void *argument) {
    struct call *call = argument;
    struct iovec parts[2] = {{call->at, SIZE / 2}, {call->at + SIZE / 2, SIZE / 2}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    struct mmsghdr messages[1] = {{.msg_hdr = message}};
    call->tid = gettid();
    errno = 0;
    switch (call->how) {
    case 0:
        call->result = read(call->c.in, call->at, SIZE);
        break;
    case 1:
        call->result = recv(call->c.in, call->at, SIZE, MSG_WAITALL);
        break;
    case 2:
        call->result = readv(call->c.in, parts, 2);
        break;
    case 3:
        call->result = recvmsg(call->c.in, &message, MSG_WAITALL);
        break;
    case 4:
        call->result =
            recvmmsg(call->c.in, messages, 1, 0, NULL) == 1 ? (ssize_t)messages[0].msg_len : -1;
        break;
    case 5:
        call->result = write(call->c.out, call->at, SIZE);
        break;
    case 6:
        call->result = send(call->c.out, call->at, SIZE, 0);
        break;
    case 7:
        call->result = writev(call->c.out, parts, 2);
        break;
    default:
        call->result = sendmsg(call->c.out, &message, 0);
        break;
    }
    call->code = errno;
    call->returned = 1;
    return NULL;
}

static pthread_t block(struct call *call) {
    pthread_t thread = start(run_call, call);
    while (!call->tid)
        pause_ms(1);
    wait_until_blocked(getpid(), call->tid);
    return thread;
}

/* Input, copies, faults, output, fork and unmap, as many threads do meanwhile. */
static void everything_else(int rounds) {
    struct channel c = wide_pipe();
    byte *source = stream_bytes(SIZE, OTHER, 0);
    for (int i = 0; i < rounds; i++) {
        byte *a = region(SIZE), *b = region(SIZE);
        write_all(c.out, source, SIZE);
        EXPECT(read(c.in, a, SIZE), SIZE);
        copy(b, a, SIZE);
        EXPECT(b[12345], byte_of(OTHER, 12345));
        a[7] = 1;
        EXPECT(write(c.out, b, SIZE), SIZE);
        EXPECT_STREAM(c.in, SIZE, OTHER, 0);
        munmap(a, SIZE + PAGE), munmap(b, SIZE + PAGE);
    }
    close_channel(c);
}

/* A receive is blocked on viewed memory; this thread uses the memory, then sends. */
static void blocked_input(void) {
    byte *source = stream_bytes(SIZE, NEW, 0);
    for (int how = 0; how < 5; how++)
        for (int variant = 0; variant < 3; variant++) {
            struct call call = {.c = how == 0 && variant ? wide_pipe() : unix_pair(SOCK_STREAM),
                                .at = viewed(SIZE, OLD),
                                .how = how};
            pthread_t thread = block(&call);
            everything_else(2);
            byte *copied = region(SIZE);
            if (variant == 0) {
                EXPECT_BYTES(call.at, SIZE, OLD, 0);
            } else {
                copy(copied, call.at, SIZE);
                EXPECT_BYTES(copied, SIZE, OLD, 0);
            }
            call.at[SIZE - 1] = 99; /* beyond what comes: stays */
            call.at[100001] = 98;
            call.at[3] = 97; /* replaced by what comes */
            if (variant == 2)
                copy(call.at + 150000, source, 20000);
            EXPECT(call.returned, 0);
            size_t length = 60000;
            write_all(call.c.out, source, length);
            if (how == 1 || how == 3)
                shutdown(call.c.out, SHUT_WR);
            pthread_join(thread, NULL);
            EXPECT(call.result, length);
            EXPECT_BYTES(call.at, length, NEW, 0);
            EXPECT(call.at[SIZE - 1], 99);
            EXPECT(call.at[100001], 98);
            EXPECT_BYTES(call.at + length, 100001 - length, OLD, length);
            if (variant == 2)
                EXPECT_BYTES(call.at + 150000, 20000, NEW, 0);
            EXPECT_BYTES(call.at + 170000, SIZE - 170001, OLD, 170000);
            close_channel(call.c);
        }
}

/* A send is blocked half way in viewed memory; this thread reads and copies the memory. */
static void blocked_output(void) {
    for (int how = 5; how < 9; how++) {
        struct call call = {.at = viewed(SIZE, OLD), .how = how};
        int ends[2], size = 20000;
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
            die("socketpair");
        setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        call.c = (struct channel){ends[0], ends[1]};
        pthread_t thread = block(&call);
        everything_else(3);
        byte *copied = region(SIZE);
        copy(copied, call.at, SIZE);
        EXPECT_BYTES(copied, SIZE, OLD, 0);
        EXPECT_BYTES(call.at + 50000, 100000, OLD, 50000);
        EXPECT(call.returned, 0);
        EXPECT_STREAM(call.c.in, SIZE, OLD, 0);
        pthread_join(thread, NULL);
        EXPECT(call.result, SIZE);
        EXPECT_BYTES(call.at, SIZE, OLD, 0);
        close_channel(call.c);
    }
}

/* The blocked buffer is unmapped, replaced or protected before the data comes. Plain, the
 * call sees the memory of the moment, and the next call gets the data that found no place. */
static void buffer_goes(void) {
    for (int way = 0; way < 4; way++) {
        struct call call = {.c = unix_pair(SOCK_STREAM), .at = viewed(SIZE, OLD), .how = 0};
        byte *source = stream_bytes(SIZE, NEW, 0);
        pthread_t thread = block(&call);
        if (way == 0)
            munmap(call.at, SIZE);
        if (way == 1)
            mmap(call.at, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                 0);
        if (way == 2)
            mprotect(call.at, SIZE, PROT_READ);
        if (way == 3) {
            int memory = memfd_create("victim", 0);
            if (ftruncate(memory, SIZE))
                die("ftruncate");
            mmap(call.at, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory, 0);
        }
        write_all(call.c.out, source, 60000);
        pthread_join(thread, NULL);
        say("way %d: %zd %s\n", way, call.result, errno_name(call.code));
        if (way == 1 || way == 3) {
            EXPECT_BYTES(call.at, 60000, NEW, 0);
            EXPECT_ALL(call.at + 60000, SIZE - 60000, 0);
        }
        if (way == 2)
            EXPECT_BYTES(call.at, SIZE, OLD, 0);
        if (call.result < 0)
            EXPECT_STREAM(call.c.in, 60000, NEW, 0);
        EXPECT_DRAINED(call.c.in);
    }
}

/* What could not be delivered goes with its descriptor, not with the number: after close or
 * dup2 the number belongs to other data. And the end comes after it. */
static void undelivered_closed(void) {
    for (int way = 0; way < 4; way++) {
        struct call call = {.c = unix_pair(SOCK_STREAM), .at = viewed(SIZE, OLD), .how = 0};
        byte *source = stream_bytes(SIZE, NEW, 0), *other = stream_bytes(SIZE, OTHER, 0),
             *into = region(SIZE);
        pthread_t thread = block(&call);
        munmap(call.at, SIZE);
        write_all(call.c.out, source, 60000);
        pthread_join(thread, NULL);
        EXPECT(call.result, -1);
        EXPECT(call.code, EFAULT);
        struct channel next = unix_pair(SOCK_STREAM);
        write_all(next.out, other, 30000);
        int number = call.c.in;
        if (way == 0) {
            close(number);
            number = fcntl(next.in, F_DUPFD, number);
        }
        if (way == 1)
            dup2(next.in, number);
        if (way == 2)
            dup3(next.in, number, O_CLOEXEC);
        if (way == 3) {
            DIRECT(SYS_close, number);
            number = fcntl(next.in, F_DUPFD, number);
        }
        EXPECT(number, call.c.in);
        EXPECT(recv(number, into, SIZE, MSG_DONTWAIT), 30000);
        EXPECT_BYTES(into, 30000, OTHER, 0);
        EXPECT_ERROR(EAGAIN, recv(number, into, SIZE, MSG_DONTWAIT));
    }
    struct call call = {.c = unix_pair(SOCK_STREAM), .at = viewed(SIZE, OLD), .how = 0};
    byte *source = stream_bytes(SIZE, NEW, 0), *into = viewed(SIZE, OLD);
    pthread_t thread = block(&call);
    mprotect(call.at, SIZE, PROT_READ);
    write_all(call.c.out, source, 60000);
    pthread_join(thread, NULL);
    close(call.c.out);
    EXPECT(recv(call.c.in, into, 20000, MSG_PEEK), 20000);
    EXPECT(recv(call.c.in, into + 20000, 30000, 0), 30000);
    EXPECT(recv(call.c.in, into, SIZE, MSG_WAITALL), 30000);
    EXPECT(recv(call.c.in, into + 30000, SIZE - 30000, 0), 0);
    EXPECT_BYTES(into, 30000, NEW, 30000);
    EXPECT_BYTES(into + 30000, 20000, NEW, 10000);
    EXPECT_BYTES(into + 50000, SIZE - 50000, OLD, 50000);
}

/* What found no place is asked for again with the same place, in every way, before it gets one. */
static void undelivered_again(void) {
    for (int protection = 0; protection < 2; protection++) {
        struct call call = {.c = unix_pair(SOCK_STREAM), .at = viewed(SIZE, OLD), .how = 0};
        byte *source = stream_bytes(SIZE, NEW, 0), *into = viewed(SIZE, OLD);
        pthread_t thread = block(&call);
        mprotect(call.at, SIZE, protection ? PROT_READ : PROT_NONE);
        write_all(call.c.out, source, 60000);
        pthread_join(thread, NULL);
        EXPECT(call.result, -1);
        EXPECT(call.code, EFAULT);
        int fd = call.c.in;
        struct iovec pieces[2] = {{call.at, 1000}, {call.at + 20000, 100000}};
        struct mmsghdr message = {.msg_hdr = {.msg_iov = pieces, .msg_iovlen = 2}};
        EXPECT_ERROR(EFAULT, recv(fd, call.at, SIZE, 0));
        EXPECT_ERROR(EFAULT, recv(fd, call.at, SIZE, MSG_PEEK));
        EXPECT_ERROR(EFAULT, read(fd, call.at + 100, 20000));
        EXPECT_ERROR(EFAULT, readv(fd, pieces, 2));
        EXPECT_ERROR(EFAULT, recvmsg(fd, &message.msg_hdr, 0));
        EXPECT_ERROR(EFAULT, recvmmsg(fd, &message, 1, 0, NULL));
        EXPECT_ERROR(EFAULT, recv(fd, NULL, SIZE, 0));
        EXPECT(recv(fd, into, 60000, MSG_WAITALL), 60000);
        EXPECT_BYTES(into, 60000, NEW, 0);
        EXPECT_DRAINED(fd);
    }
}

/* Of a message that found no place nothing is left: the next input is the next message. */
static void undelivered_messages(void) {
    static const int types[] = {SOCK_SEQPACKET, SOCK_DGRAM};
    for (int i = 0; i < 2; i++) {
        struct call call = {.c = unix_pair(types[i]), .at = viewed(SIZE, OLD), .how = 0};
        byte *source = stream_bytes(SIZE, NEW, 0), *into = viewed(SIZE, OLD);
        pthread_t thread = block(&call);
        mprotect(call.at + 16 * KIB, SIZE - 16 * KIB, PROT_READ);
        EXPECT(send(call.c.out, source, 60000, 0), 60000);
        pthread_join(thread, NULL);
        EXPECT(call.result, -1);
        EXPECT(call.code, EFAULT);
        EXPECT(send(call.c.out, source + 8, 50000, 0), 50000);
        EXPECT(recv(call.c.in, into, SIZE, 0), 50000);
        EXPECT_BYTES(into, 50000, NEW, 8);
        EXPECT_DRAINED(call.c.in);
    }
}

/* Two receivers of one socket, one buffer each; and two of one buffer, one after the other. */
static void competing(void) {
    struct channel c = unix_pair(SOCK_SEQPACKET);
    byte *source = stream_bytes(SIZE, NEW, 0);
    struct call first = {.c = c, .at = viewed(SIZE, OLD), .how = 0},
                second = {.c = c, .at = viewed(SIZE, OLD), .how = 2};
    pthread_t one = block(&first), two = block(&second);
    EXPECT(send(c.out, source, 60000, 0), 60000);
    EXPECT(send(c.out, source, 60000, 0), 60000);
    pthread_join(one, NULL), pthread_join(two, NULL);
    EXPECT(first.result, 60000);
    EXPECT(second.result, 60000);
    EXPECT_BYTES(first.at, 60000, NEW, 0);
    EXPECT_BYTES(second.at, 60000, NEW, 0);
    EXPECT_BYTES(second.at + 60000, SIZE - 60000, OLD, 60000);
}

static void *idle(void *argument) {
    return run_call(argument);
}

/* Sixteen blocked receives at once, fork meanwhile; the last thing is exit, with them still
 * blocked. */
static void many_blocked(void) {
    static struct call calls[16];
    for (int i = 0; i < 16; i++) {
        calls[i] =
            (struct call){.c = unix_pair(SOCK_STREAM), .at = viewed(SIZE, OLD), .how = i % 5};
        block(&calls[i]);
    }
    everything_else(5);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 16; i += 5)
            EXPECT_BYTES(calls[i].at, SIZE, OLD, 0);
        everything_else(2);
        _exit(failures != 0);
    }
    int status = -1;
    EXPECT(waitpid(child, &status, 0), child);
    EXPECT(status, 0);
    for (int i = 0; i < 16; i += 3)
        EXPECT_BYTES(calls[i].at, SIZE, OLD, 0);
    struct call last = {.c = wide_pipe(), .at = viewed(SIZE, OLD), .how = 0};
    start(idle, &last);
    pause_ms(5);
}

SUBCASES({"input", blocked_input}, {"output", blocked_output}, {"buffer-goes", buffer_goes},
         {"undelivered-closed", undelivered_closed}, {"undelivered-again", undelivered_again},
         {"undelivered-messages", undelivered_messages}, {"competing", competing},
         {"many-blocked", many_blocked})
