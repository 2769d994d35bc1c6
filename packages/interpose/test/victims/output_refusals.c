/* Case 10: output that the kernel takes in part, late or not at all. */
#include "channels.h"
#include <sys/time.h>

enum { STREAM = 1, OTHER = 2 };
#define SIZE (256 * KIB)

static atomic_int broken_pipes;
static void count_signal(int number) {
    (void)number;
    broken_pipes++;
}

static struct channel small_pipe(int flags) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | flags))
        die("pipe2");
    if (fcntl(ends[1], F_SETPIPE_SZ, 65536) < 0)
        die("F_SETPIPE_SZ");
    return (struct channel){ends[0], ends[1]};
}

/* Every second page was touched: views and plain pages in turn. */
static byte *striped(void) {
    byte *at = viewed(SIZE, STREAM);
    for (size_t page = 0; page < SIZE / PAGE; page += 2) {
        volatile byte *touched = at + page * PAGE;
        *touched = *touched;
    }
    return at;
}

/* The pipe's capacity makes every count certain. */
static void nonblocking_pipe(void) {
    for (int kind = 0; kind < 2; kind++) {
        struct channel c = small_pipe(O_NONBLOCK);
        byte *at = kind ? striped() : viewed(SIZE, STREAM);
        EXPECT_QUIET(65536, write(c.out, at, SIZE));
        EXPECT_ERROR(EAGAIN, write(c.out, at + 65536, SIZE - 65536));
        EXPECT_ERROR(EAGAIN, write(c.out, at + 65536, 1));
        EXPECT_STREAM(c.in, 8192, STREAM, 0);
        EXPECT_QUIET(8192, write(c.out, at + 65536, SIZE - 65536));
        EXPECT_STREAM(c.in, 65536, STREAM, 8192);
        struct iovec parts[3] = {
            {at + 73728, 1000}, {at + 74728, 40000}, {at + 114728, SIZE - 114728}};
        EXPECT_QUIET(65536, writev(c.out, parts, 3));
        EXPECT_ERROR(EAGAIN, writev(c.out, parts, 3));
        EXPECT_STREAM(c.in, 65536, STREAM, 73728);
        EXPECT_ERROR(EAGAIN, read(c.in, at, SIZE));
        EXPECT_BYTES(at, SIZE, STREAM, 0);
        close_channel(c);
    }
}

/* Unix sockets: the count is the kernel's, but the same with and without zIO. */
static void nonblocking_socket(void) {
    for (int kind = 0; kind < 4; kind++) {
        int ends[2], size = 100000;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends))
            die("socketpair");
        setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        byte *at = kind % 2 ? striped() : viewed(SIZE, STREAM);
        size_t done = 0;
        for (int turn = 0; done < SIZE; turn++) {
            struct iovec parts[2] = {
                {at + done, (SIZE - done) / 2},
                {at + done + (SIZE - done) / 2, SIZE - done - (SIZE - done) / 2}};
            errno = 0;
            ssize_t n = kind < 2
                            ? send(ends[1], at + done, SIZE - done, 0)
                            : sendmsg(ends[1], &(struct msghdr){.msg_iov = parts, .msg_iovlen = 2},
                                      MSG_DONTWAIT);
            say_result("send", n);
            if (n > (ssize_t)(SIZE - done))
                say("more than was asked for\n");
            if (n < 0)
                break;
            EXPECT_STREAM(ends[0], (size_t)n, STREAM, done);
            memset(at + done, 0xcc, (size_t)n); /* it went out, so it may change */
            done += (size_t)n;
        }
        EXPECT(done, SIZE);
        while (send(ends[1], at, SIZE, 0) > 0) {
        }
        EXPECT_ERROR(EAGAIN, send(ends[1], at, SIZE, 0));
        EXPECT_ERROR(EAGAIN, write(ends[1], at, 1));
        close(ends[0]), close(ends[1]);
    }
}

struct reader {
    int fd;
    size_t count;
};
static void *drain_slowly(void *argument) {
    struct reader *r = argument;
    byte piece[5000];
    for (size_t done = 0; done < r->count;) {
        ssize_t n = read(r->fd, piece, sizeof piece);
        if (n <= 0) {
            EXPECT(n, 1);
            break;
        }
        ssize_t at = difference(piece, (size_t)n, STREAM, done);
        if (at >= 0) {
            EXPECT(done + (size_t)at, -1);
            break;
        }
        done += (size_t)n;
        if (done % 23 == 0)
            pause_ms(1);
    }
    return NULL;
}

/* Partial writes over TCP and Unix sockets with resume; each page is spoiled once it went. */
static void resume(void) {
    for (int kind = 0; kind < 4; kind++) {
        struct channel c = kind % 2 ? inet_pair(SOCK_STREAM) : unix_pair(SOCK_STREAM);
        int size = 60000;
        setsockopt(c.out, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        fcntl(c.out, F_SETFL, O_NONBLOCK);
        struct reader r = {c.in, 4 * MIB};
        pthread_t thread = start(drain_slowly, &r);
        byte *landed = region(MIB), *at = region(MIB);
        for (size_t position = 0; position < r.count; position += MIB) {
            feed(landed, MIB, STREAM, position);
            copy(at, landed, MIB);
            for (size_t done = 0; done < MIB;) {
                errno = 0;
                ssize_t n =
                    kind < 2
                        ? write(c.out, at + done, MIB - done)
                        : writev(c.out,
                                 (struct iovec[]){{at + done, 1}, {at + done + 1, MIB - done - 1}},
                                 2);
                if (n < 0) {
                    if (errno != EAGAIN)
                        EXPECT(errno, EAGAIN);
                    struct pollfd p = {.fd = c.out, .events = POLLOUT};
                    poll(&p, 1, -1);
                    continue;
                }
                if ((size_t)n > MIB - done || n == 0)
                    EXPECT(n, -1);
                memset(at + done, 0xdd, (size_t)n);
                done += (size_t)n;
            }
        }
        pthread_join(thread, NULL);
        EXPECT_DRAINED(c.in);
        close_channel(c);
    }
}

static void broken(void) {
    byte *at = viewed(SIZE, STREAM);
    struct sigaction action = {.sa_handler = count_signal};
    sigaction(SIGPIPE, &action, NULL);
    struct channel pipe = wide_pipe(), gone = unix_pair(SOCK_STREAM), half = unix_pair(SOCK_STREAM);
    close(pipe.in), close(gone.in);
    shutdown(half.out, SHUT_WR);
    struct iovec whole = {at, SIZE};
    struct msghdr message = {.msg_iov = &whole, .msg_iovlen = 1};
    EXPECT_ERROR(EPIPE, write(pipe.out, at, SIZE));
    EXPECT(broken_pipes, 1);
    EXPECT_ERROR(EPIPE, writev(pipe.out, &whole, 1));
    EXPECT(broken_pipes, 2);
    EXPECT_ERROR(EPIPE, write(gone.out, at, SIZE));
    EXPECT(broken_pipes, 3);
    EXPECT_ERROR(EPIPE, send(gone.out, at, SIZE, 0));
    EXPECT(broken_pipes, 4);
    EXPECT_ERROR(EPIPE, sendmsg(half.out, &message, 0));
    EXPECT(broken_pipes, 5);
    EXPECT_ERROR(EPIPE, send(gone.out, at, SIZE, MSG_NOSIGNAL));
    EXPECT_ERROR(EPIPE, sendmsg(half.out, &message, MSG_NOSIGNAL));
    EXPECT_ERROR(EPIPE, sendto(half.out, at, SIZE, MSG_NOSIGNAL, NULL, 0));
    EXPECT(broken_pipes, 5);
    signal(SIGPIPE, SIG_IGN);
    EXPECT_ERROR(EPIPE, write(pipe.out, at, SIZE));
    EXPECT_ERROR(ENOTCONN, send(socket(AF_UNIX, SOCK_STREAM, 0), at, SIZE, MSG_NOSIGNAL));
    EXPECT_BYTES(at, SIZE, STREAM, 0);
}

static void write_until_killed(void *argument) {
    struct channel c = small_pipe(0);
    (void)argument;
    byte *at = viewed(SIZE, STREAM);
    signal(SIGPIPE, SIG_DFL);
    close(c.in);
    write(c.out, at, SIZE);
}

/* Without a handler the signal ends the process: the parent sees how. */
static void killed(void) {
    pid_t child = fork();
    if (child == 0) {
        write_until_killed(NULL);
        _exit(0);
    }
    int status = 0;
    EXPECT(waitpid(child, &status, 0), child);
    EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE, 1);
    write_until_killed(NULL); /* and so this process ends too */
}

struct blocked {
    int fd;
    byte *at;
    ssize_t result;
    int code;
    _Atomic pid_t tid;
};
static void *write_blocked(void *argument) {
    struct blocked *b = argument;
    b->tid = gettid();
    errno = 0;
    b->result = write(b->fd, b->at, SIZE);
    b->code = errno;
    return NULL;
}

/* The reader leaves while a writer is blocked half way. */
static void broken_half_way(void) {
    signal(SIGPIPE, SIG_IGN);
    struct channel c = small_pipe(0);
    struct blocked b = {.fd = c.out, .at = viewed(SIZE, STREAM)};
    pthread_t thread = start(write_blocked, &b);
    while (!b.tid)
        pause_ms(1);
    wait_until_blocked(getpid(), b.tid);
    EXPECT_STREAM(c.in, 16384, STREAM, 0);
    wait_until_blocked(getpid(), b.tid);
    close(c.in);
    pthread_join(thread, NULL);
    EXPECT(b.result, 65536 + 16384);
    EXPECT_BYTES(b.at, SIZE, STREAM, 0);
}

/* A signal ends a blocked write with the count so far, or EINTR when there is none. */
static void interrupted(void) {
    struct sigaction action = {.sa_handler = count_signal};
    sigaction(SIGUSR1, &action, NULL);
    struct channel c = small_pipe(0);
    struct blocked b = {.fd = c.out, .at = striped()};
    for (int turn = 0; turn < 2; turn++) {
        b.tid = 0;
        pthread_t thread = start(write_blocked, &b);
        while (!b.tid)
            pause_ms(1);
        wait_until_blocked(getpid(), b.tid);
        pthread_kill(thread, SIGUSR1);
        pthread_join(thread, NULL);
        EXPECT(b.result, turn ? -1 : 65536);
        EXPECT(b.code, turn ? EINTR : 0);
    }
    EXPECT_STREAM(c.in, 65536, STREAM, 0);
    EXPECT_DRAINED(c.in);
}

static void sndtimeo(void) {
    struct timeval limit = {.tv_usec = 20000};
    int ends[2], size = 100000;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
        die("socketpair");
    setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    setsockopt(ends[1], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    byte *at = viewed(SIZE, STREAM);
    ssize_t n = send(ends[1], at, SIZE, 0);
    say_result("send until the limit", n);
    EXPECT_ERROR(EAGAIN, send(ends[1], at + n, SIZE - (size_t)n, 0));
    EXPECT_STREAM(ends[0], (size_t)n, STREAM, 0);
    EXPECT_DRAINED(ends[0]);
}

static void file_limits(void) {
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old, limit;
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 100000;
    byte *at = viewed(SIZE, STREAM);
    int file = temporary_file(0), full = open("/dev/full", O_WRONLY),
        null = open("/dev/null", O_RDWR);
    setrlimit(RLIMIT_FSIZE, &limit);
    EXPECT_QUIET(100000, write(file, at, SIZE));
    EXPECT_ERROR(EFBIG, write(file, at, SIZE));
    EXPECT_ERROR(EFBIG, pwrite(file, at, SIZE, 100000));
    EXPECT_QUIET(1, pwrite(file, at + 99999, SIZE - 99999, 99999));
    EXPECT_QUIET(
        50000,
        pwritev(file, (struct iovec[]){{at + 50000, 20000}, {at + 70000, SIZE - 70000}}, 2, 50000));
    setrlimit(RLIMIT_FSIZE, &old);
    lseek(file, 0, SEEK_SET);
    EXPECT_STREAM(file, 100000, STREAM, 0);
    EXPECT(lseek(file, 0, SEEK_END), 100000);
    EXPECT_ERROR(ENOSPC, write(full, at, SIZE));
    EXPECT_ERROR(ENOSPC, writev(full, (struct iovec[]){{at, SIZE / 2}, {at, SIZE / 2}}, 2));
    EXPECT_QUIET(SIZE, write(null, at, SIZE));
    EXPECT_QUIET(0, read(null, at, SIZE));
    EXPECT_BYTES(at, SIZE, STREAM, 0);
}

SUBCASES({"nonblocking-pipe", nonblocking_pipe}, {"nonblocking-socket", nonblocking_socket},
         {"resume", resume}, {"broken", broken}, {"killed", killed},
         {"broken-half-way", broken_half_way}, {"interrupted", interrupted}, {"sndtimeo", sndtimeo},
         {"file-limits", file_limits})
