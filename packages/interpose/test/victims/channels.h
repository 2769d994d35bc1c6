/* What the IO and process victims share: channels to feed byte streams through, memory that
 * holds views, threads, children, and the table of sub-cases. */
#ifndef CHANNELS_H
#define CHANNELS_H
#include "expectations.h"

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
