/* flags: -O2 -fno-builtin -Wno-nonnull -Wno-stringop-overflow -Wno-stringop-overread */
/* Files whose writes may be logged: what a program writes and reads, with every result, errno, the
 * size and the bytes that come back. The pattern is *.log. */
#include "nvm_file.h"
#include "nvm_records.h"

static void appends(void) {
    int fd = open_log(O_WRONLY | O_APPEND);
    for (int i = 0; i < 24; i++) {
        byte *at = relayed();
        TELL(write(fd, at, MESSAGE));
        memset(at, 0xee, MESSAGE);
        if (i % 3 == 0)
            TELL(write(fd, "header\n", 7));
        if (i % 5 == 0)
            TELL(fdatasync(fd));
        munmap(at, MESSAGE);
    }
    TELL(fsync(fd));
    tell_size(fd);
    tell_content("appended");
    close(fd);
}

/* The same buffer for every message, as servers have it. */
static void one_buffer(void) {
    int fd = open_log(O_WRONLY | O_APPEND);
    byte *in = map_private(MESSAGE), *out = map_private(MESSAGE);
    for (int i = 0; i < 100; i++) {
        feed(in, MESSAGE);
        memcpy(out, in, MESSAGE);
        need(write(fd, out, MESSAGE) == (ssize_t)MESSAGE, "write");
    }
    TELL(fsync(fd));
    tell_content("from one buffer");
    close(fd);
}

static void positions(void) {
    int fd = open_log(O_RDWR);
    byte *at = relayed(), *back = map_private(MESSAGE);
    TELL(write(fd, at, MESSAGE));
    TELL(lseek(fd, 1000, SEEK_SET));
    TELL(write(fd, at + 5, 100000));
    TELL(lseek(fd, -50, SEEK_CUR));
    TELL(read(fd, back, 200));
    show("read", back, 200);
    TELL(lseek(fd, 0, SEEK_END));
    TELL(lseek(fd, 5000, SEEK_END));
    TELL(write(fd, at, 70000));
    tell_size(fd);
    TELL(pread(fd, back, 20000, MESSAGE - 1000));
    show("hole", back, 20000);
    TELL(pwrite(fd, at + 99, 65536, 123));
    TELL(pread(fd, back, MESSAGE, 0));
    show("overwritten", back, MESSAGE);
    TELL(lseek(fd, -1, SEEK_SET));
    TELL(lseek(fd, -10000000, SEEK_END));
    TELL(lseek(fd, 0, SEEK_DATA));
    TELL(lseek(fd, MESSAGE, SEEK_HOLE));
    TELL(lseek(fd, 0, 77));
    TELL(pread(fd, back, 10, 100000000));
    TELL(lseek(fd, 100000000, SEEK_SET));
    TELL(read(fd, back, 10));
    tell_size(fd);
    tell_content("positions");
    close(fd);
}

static void vectors(void) {
    int fd = open_log(O_RDWR);
    byte *at = relayed(), *back = map_private(MESSAGE);
    struct iovec out[3] = {{at, 100000}, {"between", 7}, {at + 100000, 60001}};
    struct iovec in[3] = {{back, 5}, {back + 100, 0}, {back + 200, 160000}};
    TELL(writev(fd, out, 3));
    TELL(pwritev(fd, out, 3, 50));
    TELL(pwritev2(fd, out, 2, -1, 0));
    TELL(pwritev2(fd, out, 3, 7, RWF_DSYNC));
    TELL(pwritev2(fd, out, 3, 7, RWF_SYNC));
    TELL(pwritev2(fd, out, 2, 3, RWF_APPEND));
    TELL(pwritev2(fd, out, 2, -1, RWF_APPEND));
    tell_size(fd);
    TELL(preadv(fd, in, 3, 20));
    show("preadv", back, MESSAGE);
    TELL(lseek(fd, 11, SEEK_SET));
    TELL(readv(fd, in, 3));
    TELL(preadv2(fd, in, 3, -1, 0));
    TELL(preadv2(fd, in, 3, 99, RWF_HIPRI));
    tell_size(fd);
    static struct iovec many[1024];
    for (int i = 0; i < 1024; i++)
        many[i] = (struct iovec){at + i * 100, 100};
    TELL(writev(fd, many, 1024));
    TELL(writev(fd, many, 1025));
    TELL(writev(fd, many, 0));
    TELL(writev(fd, many, -1));
    for (int i = 0; i < 1024; i++)
        many[i].iov_base = back + i * 100;
    TELL(preadv(fd, many, 1024, 400000));
    show("many", back, 102400);
    tell_content("vectors");
    close(fd);
}

static void refusals(void) {
    byte *at = relayed(), *back = map_private(MESSAGE), *end = map_private(4 * PAGE);
    int fd = open_log(O_RDWR), reads = open(NAME, O_RDONLY), writes = open(NAME, O_WRONLY);
    munmap(end + 2 * PAGE, 2 * PAGE);
    memset(end, 'x', 2 * PAGE);
    TELL(write(fd, at, 100000));
    TELL(write(reads, at, 10));
    TELL(read(writes, back, 10));
    TELL(write(fd, bad, 10));
    TELL(write(fd, NULL, 10));
    TELL(pread(fd, bad, 10, 0));
    TELL(pread(fd, bad, 10, 100000000));
    TELL(write(fd, end + PAGE, 3 * PAGE));
    TELL(write(fd, end + 2 * PAGE, PAGE));
    TELL(pread(fd, end + PAGE + 100, 3 * PAGE, 0));
    TELL(pread(fd, end + 2 * PAGE, PAGE, 0));
    TELL(pread(fd, at, 0, 0));
    TELL(write(fd, at, 0));
    TELL(write(fd, NULL, 0));
    TELL(pwrite(fd, at, 10, -5));
    TELL(pread(fd, back, 10, -5));
    TELL(pwritev2(fd, &(struct iovec){at, 10}, 1, -7, 0));
    TELL(pwritev2(fd, &(struct iovec){at, 10}, 1, 0, 0x4000));
    TELL(pwrite(fd, at, 10, INT64_MAX - 3));
    TELL(write(fd, at, (size_t)-1));
    TELL(writev(fd, bad, 2));
    TELL(writev(fd, &(struct iovec){bad, 20}, 1));
    TELL(writev(fd, ((struct iovec[]){{at, 4000}, {bad, 20}}), 2));
    mprotect(end, PAGE, PROT_READ);
    TELL(pread(fd, end, 10, 0));
    TELL(write(fd, end, 10));
    TELL(open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600));
    TELL(open(NAME, O_RDONLY | O_DIRECTORY));
    tell_size(fd);
    tell_content("refusals");
    close(fd), close(reads), close(writes);
    TELL(write(fd, at, 10));
    TELL(fsync(fd));
}

static void limited(void) {
    byte *at = relayed();
    int fd = open_log(O_RDWR);
    struct rlimit limit = {150000, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    TELL(write(fd, at, 100000));
    TELL(write(fd, at, 100000));
    TELL(write(fd, at, 100000));
    TELL(pwrite(fd, at, 10, 149995));
    TELL(pwrite(fd, at, 10, 150000));
    TELL(ftruncate(fd, 200000));
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    TELL(write(fd, at, 100000));
    tell_size(fd);
    tell_content("limited");
    close(fd);
}

static void *append_records(void *argument) {
    byte number = *(byte *)argument, record[500];
    int fd = open(NAME, O_WRONLY | O_APPEND);
    memset(record, number, sizeof record);
    for (int i = 0; i < 400; i++)
        need(write(fd, record, sizeof record) == sizeof record, "write");
    close(fd);
    return NULL;
}

static void threads(void) {
    pthread_t thread[4];
    static byte numbers[4] = {1, 2, 3, 4};
    close(open_log(O_RDWR));
    for (int i = 0; i < 4; i++)
        need(pthread_create(&thread[i], NULL, append_records, &numbers[i]) == 0, "thread");
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    tell_records(NAME, 500, true);
}

/* Random calls on a few descriptors of one file: each result is told. */
static void random_calls(void) {
    byte *at = relayed(), *back = map_private(MESSAGE);
    int fds[4];
    choose_from((uint64_t)(case_arguments[0] ? atoi(case_arguments[0]) : 1));
    fds[0] = open_log(O_RDWR);
    fds[1] = open(NAME, O_RDWR | O_APPEND);
    fds[2] = open(NAME, O_RDONLY);
    fds[3] = dup(fds[0]);
    for (int step = 0; step < 400; step++) {
        size_t which = choose(4), length = choose(3) ? choose(3000) : choose(100000);
        size_t skew = choose(MESSAGE - 100000);
        off_t offset = (off_t)choose(300000);
        struct iovec parts[3] = {{at + skew, length / 3}, {at, length / 5}, {at + 4096, length / 2}};
        int fd = fds[which];
        long long result = 0;
        errno = 0;
        size_t call = choose(16);
        switch (call) {
        case 0: case 1: result = write(fd, at + skew, length); break;
        case 2: case 3: result = pwrite(fd, at + skew, length, offset); break;
        case 4: result = writev(fd, parts, 3); break;
        case 5: result = pwritev(fd, parts, 3, offset); break;
        case 6: case 7: result = read(fd, back, length); break;
        case 8: case 9: result = pread(fd, back, length, offset); break;
        case 10: result = lseek(fd, offset, SEEK_SET); break;
        case 11: result = lseek(fd, -(off_t)choose(1000), SEEK_END); break;
        case 12: result = choose(4) ? 0 : ftruncate(fd, offset); break;
        case 13: result = choose(2) ? fsync(fd) : fdatasync(fd); break;
        case 14: {
            struct stat status;
            fstat(fd, &status);
            result = status.st_size;
            break;
        }
        case 15:
            feed(at + skew, 70000);
            break;
        }
        say("%d: %zu on %zu, %zu at %lld: %lld %s", step, call, which, length, (long long)offset,
            result, result < 0 ? error_name() : "");
        if (call >= 6 && call <= 9 && result > 0)
            show("got", back, (size_t)result);
    }
    tell_content("in the end");
}

/* What has returned is there after the death of the process. */
static void dies(void) {
    int fd = open_log(O_RDWR | O_APPEND);
    for (int i = 0; i < 12; i++) {
        byte *at = relayed();
        TELL(write(fd, at, MESSAGE - (size_t)i * 1000));
        TELL(pwrite(fd, "record", 6, i * 100000));
    }
    TELL(ftruncate(fd, MESSAGE * 10));
    TELL(write(fd, "last", 4));
    kill(getpid(), SIGKILL);
}

static void leaves_early(void) {
    int fd = open_log(O_RDWR | O_APPEND);
    byte *at = relayed();
    TELL(write(fd, at, MESSAGE));
    _exit(7);
}

static const struct sub_case cases[] = {
    {"appends", appends},
    {"one-buffer", one_buffer},
    {"positions", positions},
    {"vectors", vectors},
    {"refusals", refusals},
    {"limited", limited},
    {"threads", threads},
    {"random", random_calls},
    {"dies", dies},
    {"leaves-early", leaves_early},
};

VICTIM_MAIN(cases)
