/* What every victim is made of: data that arrives by recv or read and that anyone can compute
 * again, memory of known alignment, a sink that reports what was sent to it, and output that never
 * depends on an address or on how many bytes one call moved. A victim is a list of sub-cases; the
 * first argument chooses one, without arguments their names are printed.
 *
 * Two helper processes are forked before anything else happens: the feeder writes the endless byte
 * stream of a seed into a socket, the sink reads what the victim sends in pieces too small to be
 * tracked. Both die with the victim. */
#ifndef VICTIM_H
#define VICTIM_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE             ((size_t)4096)
#define KIB              ((size_t)1024)
#define MIB              ((size_t)1024 * 1024)
#define LENGTH_OF(array) (sizeof(array) / sizeof((array)[0]))
#define UNUSED           __attribute__((unused))

typedef unsigned char byte;

/* ---- output ---------------------------------------------------------------------------------- */

static void write_all(int fd, const void *from, size_t n) {
    const char *at = from;
    while (n > 0) {
        ssize_t done = write(fd, at, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            _exit(99);
        at += done;
        n -= (size_t)done;
    }
}

/* One line on standard output. */
UNUSED __attribute__((format(printf, 1, 2))) static void say(const char *format, ...) {
    char line[4096];
    va_list values;
    va_start(values, format);
    int n = vsnprintf(line, sizeof line - 1, format, values);
    va_end(values);
    if (n > (int)sizeof line - 2)
        n = (int)sizeof line - 2;
    line[n] = '\n';
    write_all(1, line, (size_t)n + 1);
}

/* Ends the victim: something that must work everywhere did not. */
UNUSED static _Noreturn void die(const char *what) {
    say("victim failed: %s: %s", what, strerror(errno));
    exit(98);
}

UNUSED static void need(bool held, const char *what) {
    if (!held)
        die(what);
}

/* Ends the victim so that the test is skipped. */
UNUSED static _Noreturn void skip(const char *reason) {
    say("%s: %s", reason, strerror(errno));
    exit(77);
}

/* ---- data that can be computed again --------------------------------------------------------- */

static uint64_t mix64(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Byte number `position` of every stream here; never zero, so that a lost page shows. */
UNUSED static byte stream_byte(uint64_t position) {
    byte b = (byte)(mix64(position / 8) >> (8 * (position % 8)));
    return b ? b : 0x5a;
}

static uint64_t no_zero_bytes(uint64_t word) {
    uint64_t low = word & 0x7f7f7f7f7f7f7f7fu;
    uint64_t zero = ~((low + 0x7f7f7f7f7f7f7f7fu) | word) & 0x8080808080808080u;
    return word | (zero >> 7) * 0x5a;
}

/* Fills plain memory, without a libc call, with the stream from `position` on. */
UNUSED static void stream_fill(void *to, size_t n, uint64_t position) {
    byte *at = to;
    size_t i = 0;
    for (; i < n && (position + i) % 8; i++)
        at[i] = stream_byte(position + i);
    for (; i + 8 <= n; i += 8)
        *(uint64_t __attribute__((aligned(1), may_alias)) *)(at + i) =
            no_zero_bytes(mix64((position + i) / 8));
    for (; i < n; i++)
        at[i] = stream_byte(position + i);
}

/* A reproducible choice below `limit`. */
static uint64_t chooser_state = 1;

UNUSED static void choose_from(uint64_t seed) {
    chooser_state = mix64(seed ^ 0xabcdef);
}

UNUSED static size_t choose(size_t limit) {
    chooser_state = mix64(chooser_state);
    return limit ? (size_t)(chooser_state % limit) : 0;
}

/* ---- looking at memory by plain loads -------------------------------------------------------- */

UNUSED static uint64_t fnv(const void *from, size_t n) {
    const volatile byte *at = from;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ at[i]) * 0x100000001b3u;
    return hash;
}

/* With VICTIM_DUMP=DIRECTORY every shown range is also written to a file there. */
static void dump(const char *label, const void *from, size_t n) {
    static int serial;
    const char *directory = getenv("VICTIM_DUMP");
    if (directory == NULL)
        return;
    char path[512];
    snprintf(path, sizeof path, "%s/%05d-%s", directory, serial++, label);
    for (char *c = path + strlen(directory) + 1; *c; c++)
        if (*c == '/' || *c == ' ')
            *c = '_';
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    const volatile byte *at = from;
    static __thread char bounce[4096];
    for (size_t i = 0; i < n; i += sizeof bounce) {
        size_t part = n - i < sizeof bounce ? n - i : sizeof bounce;
        for (size_t j = 0; j < part; j++)
            bounce[j] = (char)at[i + j];
        write_all(fd, bounce, part);
    }
    close(fd);
}

/* Prints a checksum of the range and, for a longer one, eight bits for each 4 KiB of it. */
UNUSED static void show(const char *label, const void *from, size_t n) {
    char pages[1100] = "";
    size_t used = 0;
    for (size_t i = 0; n > PAGE && i < n && used + 3 < sizeof pages; i += PAGE)
        used += (size_t)snprintf(
            pages + used, sizeof pages - used, "%02x",
            (unsigned)(fnv((const byte *)from + i, n - i < PAGE ? n - i : PAGE) >> 13) & 0xff);
    dump(label, from, n);
    say("%s: %zu bytes %016llx %s", label, n, (unsigned long long)fnv(from, n), pages);
}

/* Prints whether the range holds the stream from `position` on, else the first wrong byte. */
UNUSED static void expect_stream(const char *label, const void *from, size_t n, uint64_t position) {
    const volatile byte *at = from;
    for (size_t i = 0; i < n; i++)
        if (at[i] != stream_byte(position + i)) {
            say("%s: byte %zu of %zu is %02x, not %02x", label, i, n, at[i],
                stream_byte(position + i));
            dump(label, from, n);
            return;
        }
    say("%s: %zu bytes as received", label, n);
}

/* Prints whether every byte of the range is `value`. */
UNUSED static void expect_bytes(const char *label, const void *from, size_t n, byte value) {
    const volatile byte *at = from;
    for (size_t i = 0; i < n; i++)
        if (at[i] != value) {
            say("%s: byte %zu of %zu is %02x, not %02x", label, i, n, at[i], value);
            dump(label, from, n);
            return;
        }
    say("%s: %zu bytes of %02x", label, n, value);
}

/* ---- the feeder ------------------------------------------------------------------------------ */

static int feed_fd = -1;
static uint64_t feed_position; /* of the next byte that arrives */

static void helper_lives_no_longer_than(pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    signal(SIGPIPE, SIG_IGN);
}

static void socket_pair(int ends[2]) {
    need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
    int size = 4 << 20;
    for (int i = 0; i < 2; i++) {
        setsockopt(ends[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
        setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    }
}

static void start_feeder(void) {
    int ends[2];
    socket_pair(ends);
    pid_t self = getpid();
    pid_t child = fork();
    need(child >= 0, "fork");
    if (child == 0) {
        helper_lives_no_longer_than(self);
        close(ends[0]);
        static byte piece[8192];
        for (uint64_t position = 0;; position += sizeof piece) {
            stream_fill(piece, sizeof piece, position);
            for (size_t done = 0; done < sizeof piece;) {
                ssize_t n = write(ends[1], piece + done, sizeof piece - done);
                if (n <= 0 && errno != EINTR)
                    _exit(0);
                done += n > 0 ? (size_t)n : 0;
            }
        }
    }
    close(ends[1]);
    feed_fd = ends[0];
}

/* Receives exactly n bytes, in one call where the kernel lets us, and returns their position in the
 * stream. */
UNUSED static uint64_t feed(void *to, size_t n) {
    uint64_t position = feed_position;
    for (size_t done = 0; done < n;) {
        ssize_t got = recv(feed_fd, (byte *)to + done, n - done, MSG_WAITALL);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            die("recv");
        done += (size_t)got;
    }
    feed_position += n;
    return position;
}

/* The same by read(2), which may return early any number of times. */
UNUSED static uint64_t feed_by_read(void *to, size_t n) {
    uint64_t position = feed_position;
    for (size_t done = 0; done < n;) {
        ssize_t got = read(feed_fd, (byte *)to + done, n - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            die("read");
        done += (size_t)got;
    }
    feed_position += n;
    return position;
}

/* The same by a system call that no hook sees. */
UNUSED static uint64_t feed_raw(void *to, size_t n) {
    uint64_t position = feed_position;
    for (size_t done = 0; done < n;) {
        long got =
            syscall(SYS_recvfrom, feed_fd, (byte *)to + done, n - done, MSG_WAITALL, NULL, NULL);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            die("SYS_recvfrom");
        done += (size_t)got;
    }
    feed_position += n;
    return position;
}

/* A file of n stream bytes from `position` on, removed already. */
UNUSED static int stream_file(size_t n, uint64_t position) {
    char path[] = "stream-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    need(fd >= 0, "mkostemp");
    unlink(path);
    static byte piece[8192];
    for (size_t done = 0; done < n; done += sizeof piece) {
        stream_fill(piece, sizeof piece, position + done);
        write_all(fd, piece, n - done < sizeof piece ? n - done : sizeof piece);
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

/* ---- the sink -------------------------------------------------------------------------------- */

static int sink_fd = -1;
static int sink_control = -1;
static uint64_t sink_sent;

static void start_sink(void) {
    int data[2], control[2];
    socket_pair(data);
    socket_pair(control);
    pid_t self = getpid();
    pid_t child = fork();
    need(child >= 0, "fork");
    if (child == 0) {
        helper_lives_no_longer_than(self);
        close(data[0]);
        close(control[0]);
        static byte piece[4096];
        uint64_t wanted, seen = 0;
        while (read(control[1], &wanted, sizeof wanted) == sizeof wanted) {
            uint64_t hash = 0xcbf29ce484222325u;
            while (seen < wanted) {
                size_t most = wanted - seen < sizeof piece ? (size_t)(wanted - seen) : sizeof piece;
                ssize_t n = read(data[1], piece, most);
                if (n <= 0)
                    _exit(0);
                for (ssize_t i = 0; i < n; i++)
                    hash = (hash ^ piece[i]) * 0x100000001b3u;
                seen += (uint64_t)n;
            }
            write_all(control[1], &hash, sizeof hash);
        }
        _exit(0);
    }
    close(data[1]);
    close(control[1]);
    sink_fd = data[0];
    sink_control = control[0];
}

/* Sends the range without looking at it and returns `fnv` of what arrived. */
static uint64_t sink_hash(const void *from, size_t n) {
    uint64_t hash,
        expected = sink_sent + n; /* said beforehand, so that the sink reads while we send */
    need(write(sink_control, &expected, sizeof expected) == sizeof expected, "sink");
    for (size_t done = 0; done < n;) {
        ssize_t sent = send(sink_fd, (const byte *)from + done, n - done, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            die("send");
        done += (size_t)sent;
    }
    need(read(sink_control, &hash, sizeof hash) == sizeof hash, "sink");
    sink_sent = expected;
    return hash;
}

UNUSED static void sink(const char *label, const void *from, size_t n) {
    say("%s: sent %zu bytes %016llx", label, n, (unsigned long long)sink_hash(from, n));
}

/* ---- memory ---------------------------------------------------------------------------------- */

UNUSED static byte *map_private(size_t n) {
    void *at = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    need(at != MAP_FAILED, "mmap");
    return at;
}

UNUSED static byte *heap(size_t n) {
    byte *at = malloc(n);
    need(at != NULL, "malloc");
    return at;
}

/* Heap memory that starts `offset` bytes after a page boundary. */
UNUSED static byte *heap_at(size_t offset, size_t n) {
    void *at = NULL;
    need(posix_memalign(&at, PAGE, n + offset + PAGE) == 0, "posix_memalign");
    return (byte *)at + offset;
}

/* ---- sub-cases ------------------------------------------------------------------------------- */

struct sub_case {
    const char *name;
    void (*run)(void);
};

static char **case_arguments; /* what follows the sub-case's name, ended by NULL */

/* The number given as argument `index` after the sub-case's name, or `otherwise`. */
UNUSED static size_t argument(int index, size_t otherwise) {
    for (int i = 0; i <= index; i++)
        if (case_arguments[i] == NULL)
            return otherwise;
    return strtoull(case_arguments[index], NULL, 0);
}

static int run_sub_case(const struct sub_case *cases, size_t count, char **argv) {
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    for (size_t i = 0; i < count; i++) {
        if (argv[1] == NULL)
            say("%s", cases[i].name);
        else if (strcmp(argv[1], cases[i].name) == 0) {
            case_arguments = argv + 2;
            start_feeder();
            start_sink();
            cases[i].run();
            say("done");
            return 0;
        }
    }
    return argv[1] ? 97 : 0;
}

#define VICTIM_MAIN(cases)                                                                         \
    int main(int argc, char **argv) {                                                              \
        (void)argc;                                                                                \
        return run_sub_case(cases, LENGTH_OF(cases), argv);                                        \
    }

#endif
