/* What data comes through and goes into: a pipe, a Unix and a TCP connection, packets, a file. Our
 * own ends of them are used by the instruction itself and in small pieces, so that nobody tracks
 * what only the interpreter moves. */
#include "direct.h"
#include "fuzz.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

enum { WANTED = 1 << 20 };

static size_t widen(int fd, int option, int by_force) {
    int size = 4 * WANTED;
    socklen_t length = sizeof size;
    if (setsockopt(fd, SOL_SOCKET, by_force, &size, length))
        setsockopt(fd, SOL_SOCKET, option, &size, length);
    return getsockopt(fd, SOL_SOCKET, option, &size, &length) ? 0 : (size_t)size;
}

static size_t capacity_of(size_t buffer) {
    return buffer / 4 < WANTED ? buffer / 4 : WANTED;
}

static struct channel open_pipe(void) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        fuzz_die("pipe2");
    int size = fcntl(ends[1], F_SETPIPE_SZ, WANTED);
    return (struct channel){ends[0], ends[1], size > 0 ? (size_t)size : 65536};
}

static struct channel open_unix(int type) {
    int ends[2];
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends))
        fuzz_die("socketpair");
    return (struct channel){ends[0], ends[1],
                            capacity_of(widen(ends[1], SO_SNDBUF, SO_SNDBUFFORCE))};
}

static struct channel open_tcp(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listening < 0 || out < 0 || bind(listening, (void *)&address, length))
        fuzz_die("TCP");
    widen(listening, SO_RCVBUF, SO_RCVBUFFORCE);
    size_t buffer = widen(out, SO_SNDBUF, SO_SNDBUFFORCE);
    if (getsockname(listening, (void *)&address, &length) || listen(listening, 1) ||
        connect(out, (void *)&address, length))
        fuzz_die("TCP");
    int in = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    if (in < 0)
        fuzz_die("accept4");
    close(listening);
    return (struct channel){in, out, capacity_of(buffer)};
}

void fuzz_open_channels(struct context *context) {
    if (context->has_channels)
        return;
    context->has_channels = true;
    context->channels[PIPE] = open_pipe();
    context->channels[UNIX_STREAM] = open_unix(SOCK_STREAM);
    context->channels[TCP] = open_tcp();
    context->packets = open_unix(SOCK_SEQPACKET);
}

int fuzz_file(struct context *context) {
    if (context->has_file)
        return context->file;
    const char *where = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    context->file = open(where, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (context->file < 0)
        context->file = (int)syscall(SYS_memfd_create, "zio-fuzz", 1u);
    if (context->file < 0)
        fuzz_die("O_TMPFILE");
    context->has_file = true;
    byte piece[SMALL];
    for (size_t at = 0; at < FILE_BYTES; at += SMALL) {
        fuzz_stream_fill(piece, SMALL, context->stream + 1000, at);
        if (DIRECT(SYS_pwrite64, context->file, piece, SMALL, at) != SMALL)
            fuzz_die("pwrite");
    }
    return context->file;
}

void fuzz_close_context(struct context *context) {
    if (context->has_channels)
        for (int i = 0; i <= CHANNELS; i++) {
            struct channel *channel = i < CHANNELS ? &context->channels[i] : &context->packets;
            close(channel->in);
            close(channel->out);
        }
    if (context->has_file)
        close(context->file);
    for (int i = 0; i < HANDLES; i++)
        if (context->handles[i])
            close(context->handles[i] - 1);
    context->has_channels = context->has_file = false;
}

void fuzz_supply(struct context *context, int out, size_t n) {
    byte piece[SMALL];
    for (size_t done = 0; done < n;) {
        size_t part = n - done < SMALL ? n - done : SMALL;
        fuzz_stream_fill(piece, part, context->stream, context->position);
        for (size_t sent = 0; sent < part;) {
            long got = DIRECT(SYS_write, out, piece + sent, part - sent);
            if (got < 0 && errno != EINTR)
                fuzz_die("supply");
            sent += got > 0 ? (size_t)got : 0;
        }
        context->position += part;
        done += part;
    }
}

uint64_t fuzz_drain(int in, size_t n, uint64_t hash) {
    byte piece[SMALL];
    while (n > 0) {
        /* Whole pieces, because the hash depends on where they begin. */
        size_t part = n < SMALL ? n : SMALL, have = 0;
        while (have < part) {
            long got = DIRECT(SYS_read, in, piece + have, part - have);
            if (got == 0 || (got < 0 && errno != EINTR))
                fuzz_die("drain");
            have += got > 0 ? (size_t)got : 0;
        }
        hash = fuzz_hash(hash, piece, part);
        n -= part;
    }
    return hash;
}
