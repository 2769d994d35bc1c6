/* Cases 9, 12 and 18, trap 12: signals, cancellation and longjmp in the middle of
 * hooked calls, with and without SA_RESTART, and handlers that touch viewed memory. */
#include "busy_handler.h"
#include <semaphore.h>
#include <setjmp.h>
#include <sys/time.h>

enum { OLD = 1, NEW = 2 };

static atomic_int finished;

static void count_signal(int number) {
    (void)number;
    handled++;
}

/* Signals the target thread until it says it has finished. */
static void *keep_signalling(void *argument) {
    pthread_t target = *(pthread_t *)argument;
    while (!finished) {
        pthread_kill(target, SIGUSR1);
        pause_ms(1);
    }
    return NULL;
}

static void expect_old(byte *at) {
    byte *later = region(SIZE);
    copy(later, at, SIZE);
    EXPECT_BYTES(later, SIZE, OLD, 0);
    EXPECT_BYTES(at, SIZE, OLD, 0);
}

static void interrupted(void) {
    pthread_t self = pthread_self();
    on_signal(SIGUSR1, count_signal, 0);
    struct channel channels[] = {unix_pair(SOCK_STREAM), inet_pair(SOCK_STREAM), wide_pipe(),
                                 unix_pair(SOCK_SEQPACKET)};
    for (int i = 0; i < 4; i++) {
        byte *at = viewed(SIZE, OLD);
        struct msghdr message = {.msg_iov = &(struct iovec){at, SIZE}, .msg_iovlen = 1};
        handled = finished = 0;
        pthread_t other = start(keep_signalling, &self);
        EXPECT_ERROR(EINTR, read(channels[i].in, at, SIZE));
        if (i != 2)
            EXPECT_ERROR(EINTR, recv(channels[i].in, at, SIZE, 0));
        if (i != 2)
            EXPECT_ERROR(EINTR, recvmsg(channels[i].in, &message, MSG_WAITALL));
        EXPECT_ERROR(EINTR, readv(channels[i].in, message.msg_iov, 1));
        finished = 1;
        pthread_join(other, NULL);
        EXPECT(handled >= 1, 1);
        expect_old(at);
        close_channel(channels[i]);
    }
}

/* What had come before the signal is returned, the rest of the buffer stays. */
static void interrupted_waitall(void) {
    pthread_t self = pthread_self();
    struct channel channels[] = {unix_pair(SOCK_STREAM), inet_pair(SOCK_STREAM)};
    for (int i = 0; i < 2; i++)
        for (int restart = 0; restart < 2; restart++) {
            on_signal(SIGUSR1, count_signal, restart ? SA_RESTART : 0);
            byte *at = viewed(SIZE, OLD), *from = stream_bytes(50000, NEW, 0);
            write_all(channels[i].out, from, 50000);
            struct pollfd all = {.fd = channels[i].in, .events = POLLIN};
            byte *peeked = region(50000);
            poll(&all, 1, -1);
            while (recv(channels[i].in, peeked, 50000, MSG_PEEK) != 50000)
                pause_ms(1);
            finished = 0;
            pthread_t other = start(keep_signalling, &self);
            EXPECT(recv(channels[i].in, at, SIZE, MSG_WAITALL), 50000);
            finished = 1;
            pthread_join(other, NULL);
            EXPECT_BYTES(at, 50000, NEW, 0);
            EXPECT_BYTES(at + 50000, SIZE - 50000, OLD, 50000);
        }
}

struct later {
    int fd;
    const byte *from;
    size_t count;
    pthread_t target;
};

/* Sends only once the target has been interrupted a few times. */
static void *signal_then_send(void *argument) {
    struct later *l = argument;
    while (handled < 5) {
        pthread_kill(l->target, SIGUSR1);
        pause_ms(1);
    }
    write_all(l->fd, l->from, l->count);
    return NULL;
}

static void restarted(void) {
    on_signal(SIGUSR1, count_signal, SA_RESTART);
    struct channel channels[] = {unix_pair(SOCK_STREAM), inet_pair(SOCK_STREAM), wide_pipe()};
    for (int i = 0; i < 3; i++) {
        byte *at = viewed(SIZE, OLD), *copied = region(SIZE);
        struct later l = {channels[i].out, stream_bytes(SIZE, NEW, 0), 40000, pthread_self()};
        handled = 0;
        pthread_t other = start(signal_then_send, &l);
        size_t got = 0;
        while (got < 40000) {
            ssize_t n = read(channels[i].in, at + got, SIZE - got);
            if (n <= 0) {
                EXPECT(n, 40000);
                break;
            }
            got += (size_t)n;
        }
        pthread_join(other, NULL);
        copy(copied, at, SIZE);
        EXPECT_BYTES(copied, 40000, NEW, 0);
        EXPECT_BYTES(copied + 40000, SIZE - 40000, OLD, 40000);
        EXPECT_BYTES(at, 40000, NEW, 0);
    }
}

static void handler_does_io(void) {
    handler_from = viewed(SIZE, OTHER);
    handler_to = region(SIZE);
    handler_channel = wide_pipe();
    struct channel c = wide_pipe();
    on_signal(SIGALRM, busy_handler, SA_RESTART);
    struct itimerval every = {{0, 700}, {0, 700}}, never = {{0, 0}, {0, 0}};
    byte *a = region(SIZE), *b = region(SIZE), *out = stream_bytes(SIZE, NEW, 0);
    setitimer(ITIMER_REAL, &every, NULL);
    for (int round = 0; round < 400 || handled < 100; round++) {
        write_all(c.out, out, SIZE);
        read_all(c.in, a, SIZE);
        copy(b, a, SIZE);
        write_all(c.out, b, SIZE);
        read_all(c.in, a, SIZE);
        if (round % 20 == 0)
            EXPECT_BYTES(a, SIZE, NEW, 0);
        if (round > 100000)
            break;
    }
    setitimer(ITIMER_REAL, &never, NULL);
    EXPECT_BYTES(b, SIZE, NEW, 0);
}

/* A handler leaves a blocked call by siglongjmp: nothing was received, and everything
 * works as before. */
static sigjmp_buf escape;
static void jump(int number) {
    (void)number;
    siglongjmp(escape, 1);
}

static void longjmp_out(void) {
    struct channel c = unix_pair(SOCK_STREAM), full = wide_pipe();
    byte *at = viewed(SIZE, OLD), *from = stream_bytes(SIZE, NEW, 0);
    volatile int round = 0;
    on_signal(SIGALRM, jump, SA_RESTART);
    for (round = 0; round < 30; round++) {
        struct itimerval once = {{0, 0}, {0, 3000}};
        if (sigsetjmp(escape, 1) == 0) {
            setitimer(ITIMER_REAL, &once, NULL);
            for (;;) {
                if (round % 3 == 0)
                    recv(c.in, at, SIZE, MSG_WAITALL);
                else if (round % 3 == 1)
                    read(c.in, at, SIZE);
                else
                    write(full.out, at, SIZE); /* blocks once the pipe is full of old bytes */
            }
        }
    }
    expect_old(at);
    write_all(c.out, from, SIZE);
    EXPECT(recv(c.in, at, SIZE, MSG_WAITALL), SIZE);
    byte *copied = region(SIZE);
    copy(copied, at, SIZE);
    EXPECT_BYTES(copied, SIZE, NEW, 0);
    EXPECT_BYTES(at, SIZE, NEW, 0);
}

struct cancelled {
    struct channel c;
    byte *at;
    int how;
    sem_t entered;
};

static void *wait_for_input(void *argument) {
    struct cancelled *t = argument;
    sem_post(&t->entered);
    struct msghdr message = {.msg_iov = &(struct iovec){t->at, SIZE}, .msg_iovlen = 1};
    for (;;) {
        ssize_t n = t->how == 0   ? read(t->c.in, t->at, SIZE)
                    : t->how == 1 ? recv(t->c.in, t->at, SIZE, MSG_WAITALL)
                    : t->how == 2 ? recvmsg(t->c.in, &message, 0)
                    : t->how == 3 ? readv(t->c.in, message.msg_iov, 1)
                    : t->how == 4 ? write(t->c.out, t->at, SIZE)
                                  : sendmsg(t->c.out, &message, 0);
        if (t->how < 4)
            EXPECT(n, -2); /* never returns */
    }
    return NULL;
}

/* A thread is cancelled while it blocks in a hooked call; thirty times each way. */
static void cancelled(void) {
    for (int round = 0; round < 60; round++) {
        struct cancelled t = {
            .c = unix_pair(SOCK_STREAM), .at = viewed(SIZE, OLD), .how = round % 6};
        sem_init(&t.entered, 0, 0);
        pthread_t thread = start(wait_for_input, &t);
        sem_wait(&t.entered);
        pause_ms(round % 3);
        void *result = NULL;
        pthread_cancel(thread);
        pthread_join(thread, &result);
        EXPECT(result == PTHREAD_CANCELED, 1);
        if (round % 10 == 0) {
            expect_old(t.at);
        }
        munmap(t.at, SIZE);
        close_channel(t.c);
    }
    byte *at = viewed(SIZE, NEW);
    EXPECT_BYTES(at, SIZE, NEW, 0);
}

SUBCASES({"interrupted", interrupted}, {"interrupted-waitall", interrupted_waitall},
         {"restarted", restarted}, {"handler-does-io", handler_does_io},
         {"longjmp-out", longjmp_out}, {"cancelled", cancelled})
