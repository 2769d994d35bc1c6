/* What the IO and process victims share: byte streams whose every byte is known from its
 * position, channels to feed them through, and expectations. Output goes to descriptor 1
 * without stdio (several victims fork, or take stdio itself to task) and depends on
 * nothing but the program's meaning: no addresses, no times, no counts the kernel does
 * not promise. */
#ifndef CHANNELS_H
#define CHANNELS_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE   ((size_t)4096)
#define KIB    ((size_t)1024)
#define MIB    ((size_t)1024 * 1024)
#define UNUSED __attribute__((unused))

typedef unsigned char byte;

static int failures;

/* Whether this failure is one of the first, which are told. */
static int UNUSED fails(void) {
    return failures++ < 12;
}

static void UNUSED __attribute__((format(printf, 1, 2))) say(const char *format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line - 1)
        length = (int)sizeof line - 1;
    ssize_t ignored = write(1, line, (size_t)length);
    (void)ignored;
}

/* A capability is missing: the harness shows the reason. */
static void UNUSED __attribute__((noreturn)) skip(const char *reason) {
    say("%s\n", reason);
    _exit(77);
}

static void UNUSED __attribute__((noreturn)) die(const char *what) {
    say("cannot set up: %s: %s\n", what, strerrorname_np(errno));
    _exit(70);
}

UNUSED static const char *errno_name(int code) {
    const char *name = code ? strerrorname_np(code) : "0";
    return name ? name : "?";
}

/* A result with its errno, as a line of output and for comparison with the plain run. */
static void UNUSED say_result(const char *what, ssize_t result) {
    int code = errno;
    if (result < 0)
        say("%s: -1 %s\n", what, errno_name(code));
    else
        say("%s: %zd\n", what, result);
    errno = code;
}

static void UNUSED expect_at(const char *file, int line, long long got, long long want,
                             const char *what) {
    if (got == want || !fails())
        return;
    say("%s:%d: %s is %lld, not %lld (errno %s)\n",
        strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line, what, got, want,
        errno_name(errno));
}
#define EXPECT(got, want) expect_at(__FILE__, __LINE__, (long long)(got), (long long)(want), #got)

/* Result and errno of one call: RESULT(-1, EAGAIN, recv(...)). */
#define EXPECT_ERROR(code, call)                                                                   \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long long got_result_ = (long long)(call);                                                 \
        int got_errno_ = errno;                                                                    \
        expect_at(__FILE__, __LINE__, got_result_, -1, #call);                                     \
        expect_at(__FILE__, __LINE__, got_errno_, (code), "errno of " #call);                      \
    } while (0)

/* A call that succeeds leaves errno alone. */
#define EXPECT_QUIET(want, call)                                                                   \
    do {                                                                                           \
        errno = 4242;                                                                              \
        long long got_result_ = (long long)(call);                                                 \
        int got_errno_ = errno;                                                                    \
        expect_at(__FILE__, __LINE__, got_result_, (long long)(want), #call);                      \
        expect_at(__FILE__, __LINE__, got_errno_, 4242, "errno after " #call);                     \
        errno = got_errno_;                                                                        \
    } while (0)

/* Eight bytes of stream `stream`, from position 8 * `index` on. */
static inline uint64_t word_of(unsigned stream, uint64_t index) {
    uint64_t x = index * UINT64_C(0x9E3779B97F4A7C15) + stream * UINT64_C(0xD1B54A32D192ED03) + 1;
    x ^= x >> 29;
    x *= UINT64_C(0xBF58476D1CE4E5B9);
    return x ^ x >> 32;
}

/* Byte `position` of stream `stream`. */
static inline byte byte_of(unsigned stream, uint64_t position) {
    return (byte)(word_of(stream, position >> 3) >> (8 * (position & 7)));
}

typedef uint64_t __attribute__((aligned(1), may_alias)) loose_word;

static void UNUSED fill(void *into, size_t count, unsigned stream, uint64_t position) {
    volatile byte *to = into;
    size_t i = 0;
    for (; i < count && (position + i) & 7; i++)
        to[i] = byte_of(stream, position + i);
    for (; i + 8 <= count; i += 8)
        *(volatile loose_word *)(to + i) = word_of(stream, (position + i) >> 3);
    for (; i < count; i++)
        to[i] = byte_of(stream, position + i);
}

/* Index of the first byte that differs from the stream, or -1. Never calls libc. */
static ssize_t UNUSED difference(const void *from, size_t count, unsigned stream,
                                 uint64_t position) {
    const volatile byte *at = from;
    for (size_t i = 0; i < count; i++) {
        while (!((position + i) & 7) && i + 8 <= count &&
               *(const volatile loose_word *)(at + i) == word_of(stream, (position + i) >> 3))
            i += 8;
        if (i < count && at[i] != byte_of(stream, position + i))
            return (ssize_t)i;
    }
    return -1;
}

static void UNUSED expect_bytes_at(const char *file, int line, const void *from, size_t count,
                                   unsigned stream, uint64_t position, const char *what) {
    ssize_t at = difference(from, count, stream, position);
    if (at < 0 || !fails())
        return;
    size_t zeros = 0, wrong = 0;
    for (size_t i = 0; i < count; i++) {
        byte b = ((const volatile byte *)from)[i];
        wrong += b != byte_of(stream, position + i);
        zeros += b == 0;
    }
    say("%s:%d: %s: byte %zd of %zu is wrong (%zu wrong, %zu zero)\n",
        strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line, what, at, count, wrong, zeros);
}
/* `count` bytes at `from` are those of `stream` from `position` on. */
#define EXPECT_BYTES(from, count, stream, position)                                                \
    expect_bytes_at(__FILE__, __LINE__, from, count, stream, position, #from)

/* `count` bytes at `from` are all `value`. */
static void UNUSED expect_all_at(const char *file, int line, const void *from, size_t count,
                                 byte value, const char *what) {
    const volatile byte *at = from;
    for (size_t i = 0; i < count; i++)
        if (at[i] != value) {
            failures++;
            say("%s:%d: %s: byte %zu of %zu is %d, not %d\n",
                strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line, what, i, count, at[i],
                value);
            return;
        }
}
#define EXPECT_ALL(from, count, value) expect_all_at(__FILE__, __LINE__, from, count, value, #from)

/* Copies through the hook whatever the compiler thinks of it. */
static void UNUSED __attribute__((noinline)) copy(void *to, const void *from, size_t count) {
    memcpy(to, from, count);
    __asm__ volatile("" ::: "memory");
}

/* Page-aligned private memory, with a guard page after it. */
UNUSED static byte *region(size_t bytes) {
    size_t length = (bytes + PAGE - 1) / PAGE * PAGE;
    byte *at =
        mmap(NULL, length + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        die("mmap");
    if (mprotect(at + length, PAGE, PROT_NONE))
        die("mprotect");
    return at;
}

/* Memory for what a victim sends: filled byte by byte, never received into. */
UNUSED static byte *stream_bytes(size_t count, unsigned stream, uint64_t position) {
    byte *at = region(count);
    fill(at, count, stream, position);
    return at;
}

static void UNUSED write_all(int fd, const void *from, size_t count) {
    for (size_t done = 0; done < count;) {
        ssize_t n = write(fd, (const byte *)from + done, count - done);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            die("write_all");
        done += (size_t)n;
    }
}

static void UNUSED read_all(int fd, void *into, size_t count) {
    for (size_t done = 0; done < count;) {
        ssize_t n = read(fd, (byte *)into + done, count - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            die("read_all");
        done += (size_t)n;
    }
}

struct channel {
    int in;  /* read or receive here */
    int out; /* write or send here */
};

/* A pipe that takes a megabyte before it blocks. */
static struct channel UNUSED wide_pipe(void) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        die("pipe2");
    if (fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) < 0)
        die("F_SETPIPE_SZ");
    return (struct channel){ends[0], ends[1]};
}

/* As much as an ordinary user may have, or `size`. */
static void UNUSED widen(int fd, int option, int option_by_force, int size) {
    if (setsockopt(fd, SOL_SOCKET, option_by_force, &size, sizeof size))
        setsockopt(fd, SOL_SOCKET, option, &size, sizeof size);
}

static struct channel UNUSED unix_pair(int type) {
    int ends[2];
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends))
        die("socketpair");
    for (int i = 0; i < 2; i++)
        widen(ends[i], SO_SNDBUF, SO_SNDBUFFORCE, 4 << 20);
    return (struct channel){ends[0], ends[1]};
}

/* Connected loopback sockets, both ways usable. */
static struct channel UNUSED inet_pair(int type) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int first = socket(AF_INET, type | SOCK_CLOEXEC, 0),
        second = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    if (first < 0 || second < 0 || bind(first, (void *)&address, length))
        die("inet socket");
    widen(second, SO_SNDBUF, SO_SNDBUFFORCE, 4 << 20);
    widen(first, SO_RCVBUF, SO_RCVBUFFORCE, 4 << 20);
    if (getsockname(first, (void *)&address, &length))
        die("getsockname");
    if (type == SOCK_STREAM) {
        if (listen(first, 1) || connect(second, (void *)&address, length))
            die("connect");
        int accepted = accept4(first, NULL, NULL, SOCK_CLOEXEC);
        if (accepted < 0)
            die("accept");
        close(first);
        return (struct channel){accepted, second};
    }
    struct sockaddr_in other = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(second, (void *)&other, sizeof other) || connect(second, (void *)&address, length))
        die("udp connect");
    length = sizeof other;
    if (getsockname(second, (void *)&other, &length) || connect(first, (void *)&other, length))
        die("udp connect");
    return (struct channel){first, second};
}

static void UNUSED close_channel(struct channel c) {
    close(c.in);
    close(c.out);
}

/* An unlinked regular file. O_TMPFILE where the file system has it. */
static int UNUSED temporary_file(int flags) {
    const char *where = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    int fd = open(where, O_TMPFILE | O_RDWR | O_CLOEXEC | flags, 0600);
    if (fd >= 0)
        return fd;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/zio-victim-XXXXXX", where);
    fd = mkostemp(path, O_CLOEXEC | flags);
    if (fd < 0)
        die("mkostemp");
    unlink(path);
    return fd;
}

/* Lands `count` bytes of the stream in `into` by large reads, which a redirecting zIO
 * makes views of. */
static void UNUSED feed(void *into, size_t count, unsigned stream, uint64_t position) {
    struct channel c = wide_pipe();
    byte *source = stream_bytes(count < MIB ? count : MIB, stream, position);
    for (size_t done = 0; done < count;) {
        size_t part = count - done < MIB ? count - done : MIB;
        if (done)
            fill(source, part, stream, position + done);
        write_all(c.out, source, part);
        EXPECT(read(c.in, (byte *)into + done, part), part);
        done += part;
    }
    munmap(source, ((count < MIB ? count : MIB) + PAGE - 1) / PAGE * PAGE + PAGE);
    close_channel(c);
}

/* New memory that holds the stream through one input and one copy: a view under zIO. */
UNUSED static byte *viewed(size_t count, unsigned stream) {
    byte *landed = region(count), *copied = region(count);
    feed(landed, count, stream, 0);
    copy(copied, landed, count);
    munmap(landed, (count + PAGE - 1) / PAGE * PAGE + PAGE);
    return copied;
}

/* Reads `count` bytes from `fd` into memory that was never viewed, and checks them. */
static void UNUSED expect_stream_at(const char *file, int line, int fd, size_t count,
                                    unsigned stream, uint64_t position) {
    byte *check = region(count);
    size_t done = 0;
    while (done < count) {
        size_t part = count - done < 8192 ? count - done : 8192;
        ssize_t n = read(fd, check + done, part);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            failures++;
            say("%s:%d: the stream ends after %zu of %zu bytes (%zd, %s)\n",
                strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line, done, count, n,
                errno_name(errno));
            break;
        }
        done += (size_t)n;
    }
    expect_bytes_at(file, line, check, done, stream, position, "what came out");
    munmap(check, (count + PAGE - 1) / PAGE * PAGE + PAGE);
}
#define EXPECT_STREAM(fd, count, stream, position)                                                 \
    expect_stream_at(__FILE__, __LINE__, fd, count, stream, position)

/* Nothing more is to be had from a descriptor just now. */
static void UNUSED expect_drained_at(const char *file, int line, int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int ready = poll(&p, 1, 0);
    if (ready == 0 || !(p.revents & POLLIN))
        return;
    failures++;
    say("%s:%d: there is more to read\n", strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line);
}
#define EXPECT_DRAINED(fd) expect_drained_at(__FILE__, __LINE__, fd)

static void UNUSED pause_ms(long ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) && errno == EINTR) {
    }
}

static double UNUSED now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Waits until thread `tid` of process `pid` sleeps in the kernel. */
static void UNUSED wait_until_blocked(pid_t pid, pid_t tid) {
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, tid);
    for (int asleep = 0; asleep < 3;) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return;
        ssize_t n = read(fd, line, sizeof line - 1);
        close(fd);
        line[n > 0 ? n : 0] = 0;
        const char *state = strrchr(line, ')');
        asleep = state && (state[2] == 'S' || state[2] == 'D') ? asleep + 1 : 0;
        pause_ms(2);
    }
}

static pthread_t UNUSED start(void *(*body)(void *), void *argument) {
    pthread_t thread;
    if ((errno = pthread_create(&thread, NULL, body, argument)))
        die("pthread_create");
    return thread;
}

/* Runs `body` in a child; its failures become the parent's. */
static void UNUSED in_child(pid_t (*how)(void), void (*body)(void *), void *argument) {
    pid_t child = how();
    if (child == 0) {
        failures = 0;
        body(argument);
        _exit(failures ? 1 : 0);
    }
    if (child < 0)
        die("fork");
    int status = 0;
    if (waitpid(child, &status, 0) != child)
        die("waitpid");
    EXPECT(status, 0);
}

struct subcase {
    const char *name;
    void (*run)(void);
};

/* The main function of a victim: the sub-case named by its first argument. */
static int UNUSED run_subcase(int argc, char **argv, const struct subcase *cases, size_t count) {
    if (argc < 2) {
        for (size_t i = 0; i < count; i++)
            say("%s\n", cases[i].name);
        return 64;
    }
    for (size_t i = 0; i < count; i++)
        if (!strcmp(cases[i].name, argv[1])) {
            cases[i].run();
            say("%s: %s\n", argv[1], failures ? "failed" : "done");
            return failures ? 1 : 0;
        }
    say("no such sub-case: %s\n", argv[1]);
    return 64;
}
#define SUBCASES(...)                                                                              \
    int main(int argc, char **argv) {                                                              \
        static const struct subcase cases[] = {__VA_ARGS__};                                       \
        return run_subcase(argc, argv, cases, sizeof cases / sizeof cases[0]);                     \
    }

#endif
