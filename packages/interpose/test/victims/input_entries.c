/* Case 9: each way to ask for input, at whole and odd alignments and sizes, into memory
 * that was plain, received into, or a view, from pipes, sockets and files; and stdio. */
#include "vectors.h"

enum { OLD = 1, NEW = 2 };
#define SIZE (160 * KIB)

typedef ssize_t getter(int fd, byte *at, size_t count, off_t position);

static ssize_t get_read(int fd, byte *at, size_t count, off_t position) {
    (void)position;
    return read(fd, at, count);
}
static ssize_t get_recv(int fd, byte *at, size_t count, off_t position) {
    (void)position;
    return recv(fd, at, count, MSG_WAITALL);
}
static ssize_t get_recvfrom(int fd, byte *at, size_t count, off_t position) {
    (void)position;
    struct sockaddr_storage from;
    socklen_t length = sizeof from;
    ssize_t n = recvfrom(fd, at, count, MSG_WAITALL, (void *)&from, &length);
    EXPECT(length, 0);
    return n;
}
static ssize_t get_readv(int fd, byte *at, size_t count, off_t position) {
    struct iovec parts[4];
    (void)position;
    return readv(fd, parts, pieces(parts, at, count));
}
static ssize_t get_recvmsg(int fd, byte *at, size_t count, off_t position) {
    struct iovec parts[4];
    (void)position;
    struct msghdr message = {
        .msg_iov = parts, .msg_iovlen = (size_t)pieces(parts, at, count), .msg_flags = -1};
    struct iovec before[4];
    copy(before, parts, sizeof parts);
    ssize_t n = recvmsg(fd, &message, MSG_WAITALL);
    EXPECT(message.msg_flags & ~MSG_CMSG_CLOEXEC, 0);
    EXPECT(message.msg_iov == parts && message.msg_iovlen == 4, 1);
    expect_same_pieces(parts, before);
    return n;
}
static ssize_t get_recvmmsg(int fd, byte *at, size_t count, off_t position) {
    struct iovec parts[4];
    (void)position;
    struct mmsghdr messages[1] = {
        {.msg_hdr = {.msg_iov = parts, .msg_iovlen = (size_t)pieces(parts, at, count)}}};
    int n = recvmmsg(fd, messages, 1, MSG_WAITALL, NULL);
    EXPECT(n, 1);
    return n < 0 ? n : (ssize_t)messages[0].msg_len;
}
static ssize_t get_pread(int fd, byte *at, size_t count, off_t position) {
    return pread(fd, at, count, position);
}
static ssize_t get_pread64(int fd, byte *at, size_t count, off_t position) {
    return pread64(fd, at, count, position);
}
static ssize_t get_preadv(int fd, byte *at, size_t count, off_t position) {
    struct iovec parts[4];
    return preadv(fd, parts, pieces(parts, at, count), position);
}
static ssize_t get_preadv64(int fd, byte *at, size_t count, off_t position) {
    struct iovec parts[4];
    return preadv64(fd, parts, pieces(parts, at, count), position);
}
static ssize_t get_preadv2(int fd, byte *at, size_t count, off_t position) {
    struct iovec parts[4];
    return preadv2(fd, parts, pieces(parts, at, count), position, 0);
}
static ssize_t get_preadv2_here(int fd, byte *at, size_t count, off_t position) {
    struct iovec parts[4];
    (void)position;
    return preadv2(fd, parts, pieces(parts, at, count), -1, 0);
}

static byte *target(int state, size_t *skew) {
    static const size_t skews[] = {0, 1, 100, 4095, 2048};
    *skew = skews[state % 5];
    byte *at;
    if (state % 3 == 0)
        return viewed(SIZE + PAGE, OLD);
    at = region(SIZE + PAGE);
    if (state % 3 == 1)
        feed(at, SIZE + PAGE, OLD, 0);
    else
        fill(at, SIZE + PAGE, OLD, 0);
    return at;
}

static const size_t sizes[] = {0,     1,     4095,  4096,   8191,    16383,
                               16384, 16385, 65536, 100001, SIZE - 1};

static void check(getter *get, int fd, off_t position, unsigned round, size_t count) {
    size_t skew;
    byte *at = target((int)round, &skew), *copied = region(SIZE + PAGE);
    EXPECT_QUIET(count, get(fd, at + skew, count, position));
    copy(copied, at, SIZE + PAGE);
    for (int pass = 0; pass < 2; pass++) {
        byte *look = pass ? at : copied;
        EXPECT_BYTES(look, skew, OLD, 0);
        EXPECT_BYTES(look + skew, count, NEW, (uint64_t)position);
        EXPECT_BYTES(look + skew + count, SIZE + PAGE - skew - count, OLD, skew + count);
    }
    munmap(at, SIZE + 2 * PAGE);
    munmap(copied, SIZE + 2 * PAGE);
}

static void from_stream(getter *get, struct channel c) {
    unsigned round = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++, round++) {
        byte *from = stream_bytes(sizes[i] + 1, NEW, 0);
        /* A socket that has nothing blocks even a call for nothing. */
        write_all(c.out, from, sizes[i] ? sizes[i] : 1);
        check(get, c.in, 0, round, sizes[i]);
        if (!sizes[i])
            EXPECT(read(c.in, from, 1), 1);
        munmap(from, (sizes[i] + PAGE) / PAGE * PAGE + PAGE);
    }
    EXPECT_DRAINED(c.in);
    close_channel(c);
}

/* `moves` is whether the call reads at the descriptor's own position and advances it. */
static void from_file(getter *get, int moves) {
    static const off_t positions[] = {0, 1, 4096, 5000, 8192 + 13};
    byte *from = stream_bytes(SIZE + 16 * KIB, NEW, 0);
    int fd = temporary_file(0);
    write_all(fd, from, SIZE + 16 * KIB);
    lseek(fd, 77, SEEK_SET);
    for (unsigned round = 0; round < 11; round++) {
        off_t position = positions[round % 5];
        if (moves)
            lseek(fd, position, SEEK_SET);
        check(get, fd, position, round, sizes[round]);
        EXPECT(lseek(fd, 0, SEEK_CUR), moves ? position + (off_t)sizes[round] : 77);
    }
    close(fd);
}

#define STREAM_CASE(name)                                                                          \
    static void run_##name(void) {                                                                 \
        from_stream(get_##name, unix_pair(SOCK_STREAM));                                           \
        from_stream(get_##name, inet_pair(SOCK_STREAM));                                           \
    }
#define PLAIN_CASE(name)                                                                           \
    static void run_##name(void) {                                                                 \
        from_stream(get_##name, unix_pair(SOCK_STREAM));                                           \
        from_stream(get_##name, wide_pipe());                                                      \
        from_file(get_##name, 1);                                                                  \
    }
#define FILE_CASE(name)                                                                            \
    static void run_##name(void) {                                                                 \
        from_file(get_##name, 0);                                                                  \
    }
PLAIN_CASE(read)
PLAIN_CASE(readv)
PLAIN_CASE(preadv2_here)
STREAM_CASE(recv)
STREAM_CASE(recvfrom)
STREAM_CASE(recvmsg)
STREAM_CASE(recvmmsg)
FILE_CASE(pread)
FILE_CASE(pread64)
FILE_CASE(preadv)
FILE_CASE(preadv64)
FILE_CASE(preadv2)

/* One fread or getdelim that spans many fills of a large buffer, of one set by the
 * program (a view once it was filled), and of none. */
static void run_fread(void) {
    for (int kind = 0; kind < 6; kind++) {
        int fd = temporary_file(0);
        byte *from = stream_bytes(3 * SIZE, NEW, 0), *copied = region(3 * SIZE);
        byte *at = kind % 2 ? viewed(3 * SIZE, OLD) : region(3 * SIZE);
        write_all(fd, from, 3 * SIZE);
        lseek(fd, 0, SEEK_SET);
        FILE *file = fdopen(fd, "r");
        byte *buffer = viewed(SIZE, OLD);
        if (kind % 3 == 1)
            setvbuf(file, (char *)buffer, _IOFBF, SIZE);
        if (kind % 3 == 2)
            setvbuf(file, NULL, _IONBF, 0);
        size_t done = 0;
        if (kind < 3) {
            EXPECT(fread(at, 1, 3 * SIZE, file), 3 * SIZE);
            done = 3 * SIZE;
        } else {
            for (size_t part = 1; done < 3 * SIZE; part = part * 3 + 1) {
                size_t count = 3 * SIZE - done < part ? 3 * SIZE - done : part;
                EXPECT(fread(at + done, 1, count, file), count);
                copy(copied + done, at + done, count);
                done += count;
            }
        }
        EXPECT(fread(at, 1, 1, file), 0);
        EXPECT(feof(file) != 0, 1);
        EXPECT(fseek(file, 100000, SEEK_SET), 0);
        EXPECT(fread(at + 100000, 1, 100000, file), 100000);
        EXPECT(ftell(file), 200000);
        EXPECT_BYTES(at, 3 * SIZE, NEW, 0);
        if (kind >= 3)
            EXPECT_BYTES(copied, 3 * SIZE, NEW, 0);
        fclose(file);
    }
}

static void run_fgets(void) {
    int fd = temporary_file(0);
    enum { LINES = 3000 };
    char expected[256];
    byte *text = region(LINES * 200);
    size_t length = 0;
    for (int i = 0; i < LINES; i++)
        length += (size_t)sprintf((char *)text + length, "%d %*s|\n", i, i * 37 % 150, "");
    write_all(fd, text, length);
    for (int kind = 0; kind < 2; kind++) {
        lseek(fd, 0, SEEK_SET);
        FILE *file = fdopen(dup(fd), "r");
        setvbuf(file, (char *)viewed(SIZE, OLD), _IOFBF, SIZE);
        char line[256], *grown = NULL;
        size_t capacity = 0;
        for (int i = 0; i < LINES; i++) {
            sprintf(expected, "%d %*s|\n", i, i * 37 % 150, "");
            if (kind)
                EXPECT(getline(&grown, &capacity, file), strlen(expected));
            else
                EXPECT(fgets(line, sizeof line, file) == line, 1);
            if (strcmp(kind ? grown : line, expected))
                EXPECT(i, -1);
        }
        fclose(file);
    }
    EXPECT_BYTES(viewed(SIZE, NEW), SIZE, NEW, 0);
}

/* Copies, fills, touches and frees leave errno alone, whatever they do behind the scenes. */
static void run_errno(void) {
    for (int round = 0; round < 6; round++) {
        byte *landed = region(SIZE), *one = malloc(SIZE), *two = region(SIZE);
        feed(landed, SIZE, NEW, 0);
        errno = 4242;
        copy(one, landed, SIZE);
        copy(two + 100, one, SIZE - 100);
        EXPECT(errno, 4242);
        memmove(two, two + 100, SIZE - 100);
        EXPECT(mempcpy(two, one, SIZE) == two + SIZE, 1);
        EXPECT(errno, 4242);
        EXPECT(two[round * 20000], byte_of(NEW, (uint64_t)round * 20000));
        one[round * 10000] = 1;
        EXPECT(errno, 4242);
        memset(two, 0, SIZE);
        one = realloc(one, 3 * SIZE);
        EXPECT(errno, 4242);
        free(one);
        munmap(landed, SIZE + PAGE);
        EXPECT(errno, 4242);
        pid_t child = fork();
        if (child == 0)
            _exit(errno != 4242);
        EXPECT(errno, 4242);
        int status = -1;
        waitpid(child, &status, 0);
        EXPECT(status, 0);
        munmap(two, SIZE + PAGE);
    }
}

SUBCASES({"read", run_read}, {"readv", run_readv}, {"recv", run_recv}, {"recvfrom", run_recvfrom},
         {"recvmsg", run_recvmsg}, {"recvmmsg", run_recvmmsg}, {"pread", run_pread},
         {"pread64", run_pread64}, {"preadv", run_preadv}, {"preadv64", run_preadv64},
         {"preadv2", run_preadv2}, {"preadv2-here", run_preadv2_here}, {"fread", run_fread},
         {"fgets", run_fgets}, {"errno", run_errno})
