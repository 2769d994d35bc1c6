/* `iofuzz SEED OPERATIONS [THREADS]`: random input, copies, overwrites and output over pipes,
 * sockets and files, in random parts, with forks between, checked against plain shadows of
 * everything and against the plain run by one checksum of all that came out. IOFUZZ_TRACE=1 tells
 * each step. */
#include "channels.h"
#include "direct_call.h"
#include <sys/stat.h>

enum {
    BUFFERS = 6,
    LENGTH = 256 * 1024,
    FILE_LENGTH = 512 * 1024,
    MOST = 180 * 1024,
    SCRATCH = 8192
};

/* Each thread has its own of everything. */
static __thread byte *buffers[BUFFERS], *shadows[BUFFERS], *file_shadow, *expected, *scratch;
static __thread struct channel channels[3]; /* a pipe, a Unix and a TCP connection */
static __thread int file;
static __thread uint64_t state, stream_position, checksum;
static __thread unsigned step, depth;
static __thread uint64_t seed;
static int tracing, in_a_child;
static unsigned operations;

static uint64_t random_word(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state * UINT64_C(0x2545F4914F6CDD1D);
}
static size_t below(size_t limit) {
    return limit ? (size_t)(random_word() >> 16) % limit : 0;
}
/* Mostly large, sometimes whole pages, sometimes tiny. */
static size_t some_length(size_t most) {
    size_t kind = below(8), length = kind == 0   ? below(300)
                                     : kind == 1 ? (1 + below(20)) * PAGE
                                     : kind < 4  ? 16384 + below(20000)
                                                 : below(MOST);
    return length < most ? length : most;
}
static size_t some_offset(size_t room) {
    size_t offset = below(3) == 0 ? below(room / PAGE + 1) * PAGE : below(room + 1);
    return offset < room ? offset : room;
}

static void trace(const char *format, size_t a, size_t b, size_t c, size_t d) {
    if (!tracing)
        return;
    say("%s%u ", in_a_child ? "  child " : "", step);
    say(format, a, b, c, d);
    say("\n");
}

/* Shadows are kept by plain loads and stores. */
static void shadow_copy(byte *to, const byte *from, size_t count) {
    volatile byte *t = to;
    const volatile byte *f = from;
    if (t <= f)
        for (size_t i = 0; i < count; i++)
            t[i] = f[i];
    else
        for (size_t i = count; i-- > 0;)
            t[i] = f[i];
}
static void compare(const char *what, const byte *got, const byte *want, size_t count) {
    const volatile byte *at = got;
    for (size_t i = 0; i < count; i++)
        if (at[i] != want[i]) {
            if (fails())
                say("seed %llu, step %u%s: %s: byte %zu of %zu is %d, not %d\n",
                    (unsigned long long)seed, step, in_a_child ? " in a child" : "", what, i, count,
                    at[i], want[i]);
            return;
        }
}

/* Vectors of one to five pieces over one range. */
static int split(struct iovec *parts, byte *at, size_t count) {
    int pieces = 1 + (int)below(5);
    for (int i = 0; i < pieces; i++) {
        size_t part = i == pieces - 1 ? count : below(count + 1);
        parts[i] = (struct iovec){at, part};
        at += part, count -= part;
    }
    return pieces;
}

static ssize_t take_in(int channel, byte *at, size_t count) {
    struct iovec parts[5];
    int fd = channels[channel].in;
    switch (below(channel ? 5 : 2)) {
    case 0:
        return read(fd, at, count);
    case 1:
        return readv(fd, parts, split(parts, at, count));
    case 2:
        return recv(fd, at, count, MSG_DONTWAIT);
    case 3:
        return recvmsg(
            fd, &(struct msghdr){.msg_iov = parts, .msg_iovlen = (size_t)split(parts, at, count)},
            MSG_DONTWAIT);
    default:
        return recvfrom(fd, at, count, MSG_DONTWAIT, NULL, NULL);
    }
}

/* New bytes of the endless stream through a channel into one buffer, in random parts. */
static void input(void) {
    int b = (int)below(BUFFERS), channel = (int)below(3);
    size_t count = some_length(LENGTH), offset = some_offset(LENGTH - count), done = 0, sent = 0;
    trace("input of %zu at %zu of buffer %zu through %zu", count, offset, (size_t)b,
          (size_t)channel);
    fill(shadows[b] + offset, count, 9, stream_position);
    uint64_t after = random_word(); /* how many choices the loop makes is the kernel's affair */
    while (done < count) {
        if (sent < count && (sent == done || below(2))) {
            size_t part = below(3) ? count - sent : 1 + below(count - sent);
            for (size_t end = sent + part; sent < end;) { /* by pieces that nobody tracks */
                size_t piece = end - sent < SCRATCH ? end - sent : SCRATCH;
                fill(scratch, piece, 9, stream_position + sent);
                ssize_t n = write(channels[channel].out, scratch, piece);
                if (n <= 0)
                    break; /* full: read first */
                sent += (size_t)n;
            }
        }
        size_t want = below(3) ? count - done : 1 + below(count - done);
        ssize_t n = take_in(channel, buffers[b] + offset + done, want);
        if (n < 0 && errno == EAGAIN)
            continue;
        if (n <= 0 || (size_t)n > want) {
            EXPECT(n, want);
            return;
        }
        done += (size_t)n;
    }
    state = after | 1;
    stream_position += count;
}

static void copy_between(void) {
    int from = (int)below(BUFFERS), to = (int)below(BUFFERS);
    size_t count = some_length(LENGTH), a = some_offset(LENGTH - count),
           b = some_offset(LENGTH - count);
    trace("copy of %zu from %zu to %zu, buffers %zu", count, a, b, (size_t)(from * 10 + to));
    shadow_copy(shadows[to] + b, shadows[from] + a, count);
    if (from == to || below(2))
        memmove(buffers[to] + b, buffers[from] + a, count);
    else
        copy(buffers[to] + b, buffers[from] + a, count);
}

static void drain(int channel, size_t *got, size_t most) {
    while (most) {
        ssize_t n = read(channels[channel].in, scratch, most < SCRATCH ? most : SCRATCH);
        if (n <= 0)
            break;
        compare("output", scratch, expected + *got, (size_t)n);
        for (ssize_t i = 0; i < n; i++)
            checksum = (checksum ^ scratch[i]) * UINT64_C(1099511628211);
        *got += (size_t)n, most -= (size_t)n;
    }
}

static ssize_t put_out(int channel, byte *at, size_t count) {
    struct iovec parts[5];
    int fd = channels[channel].out;
    switch (below(channel ? 4 : 2)) {
    case 0:
        return write(fd, at, count);
    case 1:
        return writev(fd, parts, split(parts, at, count));
    case 2:
        return send(fd, at, count, MSG_NOSIGNAL);
    default:
        return sendmsg(
            fd, &(struct msghdr){.msg_iov = parts, .msg_iovlen = (size_t)split(parts, at, count)},
            0);
    }
}

/* A range out through a channel, nonblocking, resumed as often as it takes. What has gone
 * is sometimes overwritten at once. */
static void output(void) {
    int b = (int)below(BUFFERS), channel = (int)below(3), spoil = channel == 0 && below(2);
    size_t count = some_length(MOST), offset = some_offset(LENGTH - count), sent = 0, got = 0;
    trace("output of %zu at %zu of buffer %zu through %zu", count, offset, (size_t)b,
          (size_t)channel);
    shadow_copy(expected, shadows[b] + offset, count);
    uint64_t after = random_word();
    while (got < count) {
        if (sent < count) {
            size_t part = below(3) ? count - sent : 1 + below(count - sent);
            ssize_t n = put_out(channel, buffers[b] + offset + sent, part);
            if (n == 0 || n > (ssize_t)part || (n < 0 && errno != EAGAIN)) {
                EXPECT(n, part);
                return;
            }
            if (n > 0 && spoil) {
                memset(buffers[b] + offset + sent, 0x77, (size_t)n);
                for (ssize_t i = 0; i < n; i++)
                    shadows[b][offset + sent + (size_t)i] = 0x77;
            }
            if (n > 0)
                sent += (size_t)n;
        }
        drain(channel, &got, sent - got);
    }
    state = after | 1;
}

static void file_output(void) {
    int b = (int)below(BUFFERS);
    size_t count = some_length(LENGTH), offset = some_offset(LENGTH - count),
           at = some_offset(FILE_LENGTH - count);
    struct iovec parts[5];
    trace("file output of %zu at %zu of buffer %zu to %zu", count, offset, (size_t)b, at);
    shadow_copy(file_shadow + at, shadows[b] + offset, count);
    if (below(2))
        EXPECT(pwrite(file, buffers[b] + offset, count, (off_t)at), count);
    else
        EXPECT(pwritev(file, parts, split(parts, buffers[b] + offset, count), (off_t)at), count);
}

static void file_input(void) {
    int b = (int)below(BUFFERS);
    size_t count = some_length(LENGTH), offset = some_offset(LENGTH - count),
           at = some_offset(FILE_LENGTH - count);
    struct iovec parts[5];
    trace("file input of %zu at %zu of buffer %zu from %zu", count, offset, (size_t)b, at);
    shadow_copy(shadows[b] + offset, file_shadow + at, count);
    if (below(2))
        EXPECT(pread(file, buffers[b] + offset, count, (off_t)at), count);
    else
        EXPECT(preadv(file, parts, split(parts, buffers[b] + offset, count), (off_t)at), count);
}

static void touch(void) {
    int b = (int)below(BUFFERS);
    trace("touches of buffer %zu", (size_t)b, 0, 0, 0);
    for (int i = 0; i < 8; i++) {
        size_t at = below(LENGTH);
        volatile byte *byte_here = buffers[b] + at;
        if (*byte_here != shadows[b][at])
            compare("touch", buffers[b] + at, shadows[b] + at, 1);
        if (i % 2)
            *byte_here = shadows[b][at] = (byte)at;
    }
}

static void clear(void) {
    int b = (int)below(BUFFERS), way = (int)below(4);
    size_t count = way ? LENGTH : some_length(LENGTH),
           offset = way ? 0 : some_offset(LENGTH - count);
    trace("clear %zu at %zu of buffer %zu by way %zu", count, offset, (size_t)b, (size_t)way);
    if (way == 0)
        memset(buffers[b] + offset, 0, count);
    if (way == 1)
        madvise(buffers[b], LENGTH, MADV_DONTNEED);
    if (way == 2)
        DIRECT(SYS_madvise, buffers[b], LENGTH, MADV_DONTNEED);
    if (way == 3) { /* mostly the same address again; threads may take it in between */
        munmap(buffers[b], LENGTH);
        buffers[b] = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (buffers[b] == MAP_FAILED)
            die("mmap");
    }
    for (size_t i = 0; i < count; i++)
        ((volatile byte *)shadows[b])[offset + i] = 0;
}

static void check(void) {
    int b = (int)below(BUFFERS);
    trace("check of buffer %zu", (size_t)b, 0, 0, 0);
    compare("buffer", buffers[b], shadows[b], LENGTH);
}

static void operate(unsigned operations);

/* A child with its own choice of steps on channels of its own; the parent goes on first. */
static void have_child(void) {
    if (in_a_child)
        return;
    uint64_t seed = random_word();
    trace("fork", 0, 0, 0, 0);
    pid_t child = fork();
    if (child == 0) {
        in_a_child = 1;
        state = seed | 1;
        channels[0] = wide_pipe(), channels[1] = unix_pair(SOCK_STREAM),
        channels[2] = inet_pair(SOCK_STREAM);
        for (int i = 0; i < 3; i++)
            fcntl(channels[i].out, F_SETFL, O_NONBLOCK);
        if (seed & 2)
            file = temporary_file(0), write_all(file, file_shadow, FILE_LENGTH);
        else
            file = -1;
        operate(8);
        for (int b = 0; b < BUFFERS; b++)
            compare("at the end", buffers[b], shadows[b], LENGTH);
        _exit(failures != 0);
    }
    unsigned before = step;
    operate(3);
    step = before;
    int status = -1;
    EXPECT(waitpid(child, &status, 0), child);
    EXPECT(status, 0);
}

static void operate(unsigned operations) {
    depth++;
    for (unsigned i = 0; i < operations && failures == 0; i++, step += depth == 1) {
        size_t kind = below(100);
        if (kind < 30)
            input();
        else if (kind < 55)
            copy_between();
        else if (kind < 75)
            output();
        else if (kind < 80 && file >= 0)
            file_output();
        else if (kind < 85 && file >= 0)
            file_input();
        else if (kind < 91)
            touch();
        else if (kind < 95)
            clear();
        else if (kind < 98)
            check();
        else if (depth == 1)
            have_child();
    }
    depth--;
}

/* One run from one seed; the line that it ends with. */
static void *run(void *argument) {
    seed = (uint64_t)(uintptr_t)argument;
    state = (seed + 1) * UINT64_C(0x9E3779B97F4A7C15) | 1;
    checksum = UINT64_C(14695981039346656037);
    channels[0] = wide_pipe(), channels[1] = unix_pair(SOCK_STREAM),
    channels[2] = inet_pair(SOCK_STREAM);
    for (int i = 0; i < 3; i++)
        fcntl(channels[i].out, F_SETFL, O_NONBLOCK);
    fcntl(channels[0].out, F_SETPIPE_SZ, 65536 << below(4));
    file = temporary_file(0);
    if (ftruncate(file, FILE_LENGTH))
        die("ftruncate");
    for (int b = 0; b < BUFFERS; b++)
        buffers[b] = region(LENGTH), shadows[b] = region(LENGTH);
    file_shadow = region(FILE_LENGTH), expected = region(MOST), scratch = region(SCRATCH);
    operate(operations);
    for (int b = 0; b < BUFFERS; b++)
        compare("at the end", buffers[b], shadows[b], LENGTH);
    char *line = malloc(200);
    snprintf(line, 200, "seed %llu: %u steps, %llu bytes in, checksum %016llx\n",
             (unsigned long long)seed, step, (unsigned long long)stream_position,
             (unsigned long long)checksum);
    return line;
}

int main(int argc, char **argv) {
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    int count = argc > 3 ? atoi(argv[3]) : 0;
    pthread_t threads[16];
    operations = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 0) : 500;
    tracing = getenv("IOFUZZ_TRACE") != NULL;
    if (count == 0)
        say("%s", (char *)run((void *)(uintptr_t)first));
    for (int i = 0; i < count && i < 16; i++)
        threads[i] = start(run, (void *)(uintptr_t)(first * 100 + (unsigned)i));
    for (int i = 0; i < count && i < 16; i++) {
        void *line;
        pthread_join(threads[i], &line);
        say("%s", (char *)line);
    }
    say("%s\n", failures ? "failed" : "done");
    return failures != 0;
}
