/* Trap 6 and case 19: descriptors are the program's. It may close, replace, count and exhaust
 * all of them, and finds the same free numbers as without zIO. */
#include "channels.h"
#include "direct_call.h"
#include <dirent.h>
#include <sys/epoll.h>

enum { OLD = 1, NEW = 2, OTHER = 3 };
#define SIZE (192 * KIB)

/* Input, copies, faults and output, with descriptors that exist already. */
static void work_through(struct channel c) {
    byte *source = stream_bytes(SIZE, OTHER, 0), *a = region(SIZE), *b = region(SIZE);
    for (int i = 0; i < 3; i++) {
        write_all(c.out, source, SIZE);
        read_all(c.in, a, SIZE);
        copy(b, a, SIZE);
        a[i * 1000] ^= 1;
        write_all(c.out, b, SIZE);
        EXPECT_STREAM(c.in, SIZE, OTHER, 0);
        EXPECT_BYTES(b, SIZE, OTHER, 0);
    }
    munmap(source, SIZE + PAGE), munmap(a, SIZE + PAGE), munmap(b, SIZE + PAGE);
}

/* The numbers that new descriptors get, one of each kind. */
static void say_numbers(const char *when) {
    int ends[2], others[2];
    int file = open("/dev/null", O_RDWR), copied = dup(file), high = fcntl(file, F_DUPFD, 100),
        net = socket(AF_INET, SOCK_STREAM, 0);
    if (pipe(ends) || socketpair(AF_UNIX, SOCK_STREAM, 0, others))
        die("pipe");
    int epoll = epoll_create1(0), memory = memfd_create("v", 0);
    say("%s: %d %d %d %d %d %d %d %d %d %d\n", when, file, copied, high, net, ends[0], ends[1],
        others[0], others[1], epoll, memory);
    int all[] = {file, copied, high, net, ends[0], ends[1], others[0], others[1], epoll, memory};
    for (int i = 0; i < 10; i++)
        close(all[i]);
}

static void numbers(void) {
    say_numbers("at the start");
    struct channel c = wide_pipe();
    say("the pipe: %d %d\n", c.in, c.out);
    work_through(c);
    say_numbers("after large input");
    pid_t child = fork();
    if (child == 0) {
        say_numbers("in a child");
        work_through(c);
        say_numbers("in a child after large input");
        _exit(0);
    }
    waitpid(child, NULL, 0);
    close_channel(c);
    byte *at = viewed(SIZE, OLD);
    say_numbers("with a view pending");
    EXPECT_BYTES(at, SIZE, OLD, 0);
}

/* Started by closed_at_start() without descriptors 0, 1 and 2; reports by a file. */
static void be_bare(void) {
    int first = open("/dev/null", O_RDWR), second = open("/dev/zero", O_RDONLY);
    byte *at = viewed(SIZE, OLD), *copied = region(SIZE);
    copy(copied, at, SIZE);
    int third = open("/dev/null", O_RDWR), fourth = open("/dev/null", O_RDWR);
    struct channel c = wide_pipe();
    EXPECT_BYTES(copied, SIZE, OLD, 0);
    EXPECT_QUIET(SIZE, write(0, copied, SIZE)); /* still /dev/null */
    EXPECT_QUIET(100, read(1, at, 100));
    EXPECT_ALL(at, 100, 0);
    int report = open("bare", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dprintf(report, "%d %d %d %d %d %d %d, %d failures\n", first, second, third, fourth, c.in,
            c.out, report, failures);
    close(0), close(1), close(2);
    byte *more = viewed(SIZE, NEW);
    dprintf(report, "%d", dup(report));
    EXPECT_BYTES(more, SIZE, NEW, 0);
    if (fork() == 0) {
        dprintf(report, " %d\n", dup(report));
        byte *again = viewed(SIZE, NEW);
        EXPECT_BYTES(again, SIZE, NEW, 0);
        EXPECT_BYTES(more, SIZE, NEW, 0);
        _exit(failures);
    }
    int status = -1;
    wait(&status);
    dprintf(report, "%d, %d failures\n", status, failures);
    _exit(failures);
}

static char self[PATH_MAX];
static int run_self(const char *what, void (*before)(void)) {
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    pid_t child = fork();
    if (child == 0) {
        before();
        execl(self, self, what, NULL);
        _exit(127);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return status;
}

static void close_first_three(void) {
    close(0), close(1), close(2);
}
static void closed_at_start(void) {
    char text[512];
    for (int i = 0; i < 2; i++) {
        EXPECT(run_self("be-bare", close_first_three), 0);
        int report = open("bare", O_RDONLY);
        ssize_t n = read(report, text, sizeof text - 1);
        say("%.*s", (int)n, text);
        close(report);
        unlink("bare");
        EXPECT_BYTES(viewed(SIZE, OLD), SIZE, OLD, 0);
    }
}

/* close() of every number tells which were open: only the program's own. */
static void close_all(void) {
    for (int round = 0; round < 3; round++) {
        struct channel c = wide_pipe();
        byte *at = viewed(SIZE, OLD), *copied = region(SIZE);
        copy(copied, at, SIZE);
        at[1] = 1;
        for (int fd = 3; fd < 1100; fd++) {
            errno = 0;
            int result = close(fd);
            if (result == 0 || errno != EBADF)
                say("close(%d): %d %s\n", fd, result, errno_name(errno));
        }
        EXPECT_BYTES(copied, SIZE, OLD, 0);
        c = wide_pipe();
        say("then %d %d\n", c.in, c.out);
        work_through(c);
        close_channel(c);
    }
}

/* The raw call that nobody sees, with views pending; then descriptors of the program's own
 * take the numbers, and nobody may read or close those. */
static void raw_close_range(void) {
    for (int round = 0; round < 3; round++) {
        byte *at = viewed(SIZE, OLD), *copied = region(SIZE), *third = region(SIZE);
        copy(copied, at, SIZE), copy(third, at, SIZE);
        EXPECT(round == 1 ? syscall(SYS_close_range, 3, ~0u, 0)
                          : DIRECT(SYS_close_range, 3, ~0u, 0),
               0);
        EXPECT_BYTES(copied, SIZE / 2, OLD, 0);
        int mine[40];
        for (int i = 0; i < 20; i++)
            if (pipe2(mine + 2 * i, O_NONBLOCK))
                die("pipe2");
        for (int i = 0; i < 20; i++)
            EXPECT(write(mine[2 * i + 1], "abc", 3), 3);
        say("%d to %d\n", mine[0], mine[39]);
        EXPECT_BYTES(copied, SIZE, OLD, 0);
        struct channel c = {mine[38], mine[39]};
        char three[4];
        EXPECT(read(c.in, three, 4), 3);
        fcntl(c.in, F_SETFL, 0), fcntl(c.out, F_SETFL, 0);
        fcntl(c.out, F_SETPIPE_SZ, 1 << 20);
        work_through(c);
        munmap(third, SIZE);
        EXPECT_BYTES(at, SIZE, OLD, 0);
        for (int i = 0; i < 19; i++)
            EXPECT(read(mine[2 * i], three, 4), 3);
        for (int i = 0; i < 40; i++)
            EXPECT(close(mine[i]), 0);
        work_through(wide_pipe());
    }
}

/* A process without any descriptor left but one goes on. */
static void closefrom_and_fork(void) {
    byte *at = viewed(SIZE, OLD), *copied = region(SIZE);
    copy(copied, at, SIZE);
    closefrom(3);
    pid_t child = fork();
    if (child == 0) {
        closefrom(3);
        EXPECT_BYTES(at, SIZE, OLD, 0);
        work_through(wide_pipe());
        _exit(failures != 0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT(status, 0);
    EXPECT_BYTES(copied, SIZE, OLD, 0);
    work_through(wide_pipe());
}

/* dup2 over every number from 3 on that is not the program's, each a pipe with a message. */
static void dup2_over_all(void) {
    struct channel c = wide_pipe(), kept = wide_pipe();
    byte *at = viewed(SIZE, OLD), *copied = region(SIZE);
    copy(copied, at, SIZE);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    int most = limit.rlim_cur < 1024 ? (int)limit.rlim_cur : 1024;
    static byte taken[65536];
    DIR *directory = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(directory));) {
        int fd = atoi(entry->d_name);
        if (fd > 2 && fd < 65536)
            taken[fd] = 1;
    }
    taken[dirfd(directory)] = 0;
    closedir(directory);
    EXPECT(write(kept.out, "hello", 5), 5);
    for (int fd = 3; fd < 65536; fd++) {
        if (fd == c.in || fd == c.out || fd == kept.in || fd == kept.out ||
            (fd >= most && !taken[fd]))
            continue;
        if (fd % 3 == 0)
            EXPECT(dup3(kept.in, fd, O_CLOEXEC), fd);
        if (fd % 3 != 0)
            EXPECT(dup2(kept.in, fd), fd);
    }
    EXPECT_BYTES(copied, SIZE, OLD, 0);
    work_through(c);
    struct stat one, other;
    fstat(kept.in, &one);
    for (int fd = 3; fd < most; fd++) {
        if (fd == c.in || fd == c.out || fd == kept.out)
            continue;
        if (fstat(fd, &other) || one.st_ino != other.st_ino) {
            EXPECT(fd, -1);
            break;
        }
    }
    char text[8];
    EXPECT(read(kept.in, text, 8), 5);
    EXPECT_BYTES(at, SIZE, OLD, 0);
}

static void use_up(const char *when) {
    int count = 0, last = -1;
    for (int fd; (fd = open("/dev/null", O_RDONLY)) >= 0; count++)
        last = fd;
    say("%s: %d more, the last is %d, then %s\n", when, count, last, errno_name(errno));
}

/* Every descriptor is in use before the first large input, and the limit is reached. */
static void exhausted(void) {
    struct rlimit limit = {64, 64};
    setrlimit(RLIMIT_NOFILE, &limit);
    struct channel c = wide_pipe();
    use_up("limit of 64");
    work_through(c);
    EXPECT_ERROR(EMFILE, dup(0));
    pid_t child = fork();
    if (child == 0) {
        work_through(c);
        EXPECT_ERROR(EMFILE, dup(0));
        _exit(failures != 0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT(status, 0);
}

static void lower_the_limit(void) {
    struct rlimit limit = {16, 16};
    setrlimit(RLIMIT_NOFILE, &limit);
}
/* The limit was low when the program started: it may use all of it. */
static void be_limited(void) {
    struct channel c = wide_pipe();
    work_through(c);
    use_up("limit of 16");
    work_through(c);
    _exit(failures);
}
static void limited_at_start(void) {
    EXPECT(run_self("be-limited", lower_the_limit), 0);
    EXPECT_BYTES(viewed(SIZE, OLD), SIZE, OLD, 0);
}

int main(int argc, char **argv) {
    static const struct subcase cases[] = {{"numbers", numbers},
                                           {"closed-at-start", closed_at_start},
                                           {"close-all", close_all},
                                           {"raw-close-range", raw_close_range},
                                           {"closefrom", closefrom_and_fork},
                                           {"dup2-over-all", dup2_over_all},
                                           {"exhausted", exhausted},
                                           {"limited-at-start", limited_at_start}};
    if (argc > 1 && strcmp(argv[1], "be-bare") == 0)
        be_bare();
    if (argc > 1 && strcmp(argv[1], "be-limited") == 0)
        be_limited();
    return run_subcase(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
