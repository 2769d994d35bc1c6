/* Byte streams whose every byte is known from its position, and expectations about results,
 * errno and bytes. Output goes to descriptor 1 without stdio (several victims fork, or take
 * stdio itself to task) and depends on nothing but the program's meaning: no addresses, no
 * times, no counts the kernel does not promise. Looking at memory calls nothing of libc. */
#ifndef EXPECTATIONS_H
#define EXPECTATIONS_H
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

#endif
