/* Trap 6 and case 19: the program fights over descriptor numbers, by calls that hooks see and by
 * calls that none sees, while views are pending. Every call returns what it returns without zIO,
 * and elision goes on afterwards. */
#include "channels.h"
#include "direct_call.h"
#include <dirent.h>

enum { OLD = 1, NEW = 2, OTHER = 3 };
#define SIZE (192 * KIB)

static byte *source, *a, *b;
static struct channel c;

static void prepare(void) {
    DIRECT(SYS_close_range, 3, ~0u, 0); /* what the test was started with */
    c = wide_pipe();
    source = stream_bytes(SIZE, OTHER, 0);
    a = region(SIZE), b = region(SIZE);
}

/* One message through the program: three quarters of it can be elided again. */
static void work(void) {
    write_all(c.out, source, SIZE);
    read_all(c.in, a, SIZE);
    copy(b, a, SIZE);
    write_all(c.out, b, SIZE);
    EXPECT_STREAM(c.in, SIZE, OTHER, 0);
    EXPECT_BYTES(b, SIZE, OTHER, 0);
    EXPECT_BYTES(a, SIZE, OTHER, 0);
}

/* The numbers in use from 3 on, as the kernel itself tells. */
static int in_use(int *numbers, int most) {
    static byte listing[65536];
    struct entry {
        uint64_t inode;
        int64_t offset;
        uint16_t bytes;
        byte type;
        char name[];
    };
    int count = 0, directory = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long have;
    while ((have = DIRECT(SYS_getdents64, directory, listing, sizeof listing)) > 0)
        for (long at = 0; at < have;) {
            struct entry *entry = (void *)(listing + at);
            int fd = atoi(entry->name);
            if (fd > 2 && fd != directory && count < most)
                numbers[count++] = fd;
            at += entry->bytes;
        }
    close(directory);
    return count;
}

/* Those of them that the program did not open. */
static int foreign(int *numbers, int most, const int *own, int own_count) {
    int all[4096], count = in_use(all, 4096), found = 0;
    for (int i = 0; i < count; i++) {
        int mine = 0;
        for (int j = 0; j < own_count; j++)
            mine = mine || own[j] == all[i];
        if (!mine && found < most)
            numbers[found++] = all[i];
    }
    return found;
}

static int same_file(int one, int other) {
    struct stat first, second;
    return fstat(one, &first) == 0 && fstat(other, &second) == 0 && first.st_ino == second.st_ino &&
           first.st_dev == second.st_dev;
}

/* Another file under every number that the program did not open, four times in each way. */
static void replaced(void) {
    prepare();
    int null = open("/dev/null", O_RDWR);
    for (int round = 0; round < 24; round++) {
        byte *kept = viewed(SIZE, OLD);
        int own[] = {c.in, c.out, null}, numbers[16], count = foreign(numbers, 16, own, 3);
        for (int i = 0; i < count; i++) {
            int to = numbers[i];
            long result = round % 6 == 0   ? dup2(null, to)
                          : round % 6 == 1 ? dup3(null, to, O_CLOEXEC)
                          : round % 6 == 2 ? syscall(SYS_dup3, null, to, 0)
                          : round % 6 == 3 ? DIRECT(SYS_dup3, null, to, 0)
                          : round % 6 == 4 ? fcntl(null, F_DUPFD, to)
                                           : DIRECT(SYS_close, to) + DIRECT(SYS_dup3, null, to, 0);
            if (round % 6 != 4)
                EXPECT(result, to);
            else
                EXPECT(close((int)result), 0);
        }
        EXPECT_BYTES(kept, SIZE / 2, OLD, 0);
        work();
        for (int i = 0; i < count && round % 6 != 4; i++) {
            EXPECT(same_file(null, numbers[i]), 1);
            EXPECT(close(numbers[i]), 0);
        }
        EXPECT_BYTES(kept, SIZE, OLD, 0);
        munmap(kept, SIZE + PAGE);
        work();
    }
}

/* What the program did not open it cannot copy. */
static void copied(void) {
    prepare();
    work();
    for (int i = 0; i < 2; i++) {
        int own[] = {c.in, c.out}, numbers[16], count = foreign(numbers, 16, own, 2);
        for (int j = 0; j < count; j++) {
            EXPECT_ERROR(EBADF, dup2(numbers[j], 900));
            EXPECT_ERROR(EBADF, dup3(numbers[j], 900, 0));
            EXPECT_ERROR(EBADF, dup2(numbers[j], numbers[j]));
        }
        EXPECT_ERROR(EBADF, dup2(900, 901));
        EXPECT_ERROR(EINVAL, dup3(900, 900, 0));
        work();
    }
}

/* Every number that the kernel lists is closed, one way after the other. */
static void closed(void) {
    prepare();
    for (int round = 0; round < 24; round++) {
        byte *kept = viewed(SIZE, OLD);
        int own[] = {c.in, c.out}, numbers[16], count = foreign(numbers, 16, own, 2);
        int last = c.in > c.out ? c.in : c.out;
        switch (round % 8) {
        case 0:
            for (int i = 0; i < count; i++)
                DIRECT(SYS_close, numbers[i]);
            break;
        case 1:
            for (int i = 0; i < count; i++)
                EXPECT_ERROR(EBADF, close(numbers[i]));
            break;
        case 2:
            for (int i = 0; i < count; i++)
                EXPECT_ERROR(EBADF, syscall(SYS_close, numbers[i]));
            break;
        case 3:
            EXPECT(DIRECT(SYS_close_range, last + 1, ~0u, 0), 0);
            break;
        case 4:
            EXPECT(syscall(SYS_close_range, last + 1, ~0u, 0), 0);
            break;
        case 5:
            EXPECT(close_range((unsigned)last + 1, ~0u, 0), 0);
            EXPECT(close_range((unsigned)last + 1, ~0u, CLOSE_RANGE_CLOEXEC), 0);
            EXPECT_ERROR(EINVAL, close_range(9, 8, 0));
            EXPECT_ERROR(EINVAL, close_range((unsigned)last + 1, ~0u, 1 << 20));
            break;
        case 6:
            closefrom(last + 1);
            break;
        default:
            for (int fd = last + 1; fd < 8192; fd++)
                if (fcntl(fd, F_GETFD) >= 0)
                    DIRECT(SYS_close, fd);
        }
        int spare = dup(0);
        EXPECT(spare, last + 1);
        close(spare);
        EXPECT_BYTES(kept, SIZE, OLD, 0);
        munmap(kept, SIZE + PAGE);
        work();
    }
}

/* A daemon's way: what the directory lists is closed, and what is open is counted. */
static void listed(void) {
    prepare();
    for (int round = 0; round < 4; round++) {
        work();
        byte *kept = viewed(SIZE, OLD);
        for (int i = 0; i < 2; i++) {
            DIR *directory = opendir(i ? "/proc/self/fdinfo" : "/proc/self/fd");
            for (struct dirent *entry; (entry = readdir(directory));) {
                int fd = atoi(entry->d_name);
                if (fd > 2 && fd != c.in && fd != c.out && fd != dirfd(directory))
                    say("%d is open\n", fd);
            }
            static byte listing[32768];
            lseek(dirfd(directory), 0, SEEK_SET);
            long bytes = syscall(SYS_getdents64, dirfd(directory), listing, sizeof listing);
            say("%d bytes of entries\n", (int)bytes);
            EXPECT(syscall(SYS_getdents64, dirfd(directory), listing, sizeof listing), 0);
            lseek(dirfd(directory), 0, SEEK_SET);
            EXPECT(getdents64(dirfd(directory), listing, sizeof listing), bytes);
            closedir(directory);
        }
        EXPECT_BYTES(kept, SIZE, OLD, 0);
    }
}

/* Closed where no hook sees it; then the program's own descriptors take every number. */
static void reused(void) {
    prepare();
    work();
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 6000 ? limit.rlim_max : 6000;
    setrlimit(RLIMIT_NOFILE, &limit);
    byte *kept = viewed(SIZE, OLD);
    int last = c.in > c.out ? c.in : c.out, highest = (int)limit.rlim_cur - 60, spare[2];
    DIRECT(SYS_close_range, last + 1, ~0u, 0);
    while (dup(0) < highest) {
    }
    if (pipe(spare))
        die("pipe");
    for (int fd = last + 1; fd <= highest; fd++)
        EXPECT(dup2(spare[0], fd), fd);
    EXPECT_BYTES(kept, SIZE, OLD, 0);
    work();
    EXPECT(write(spare[1], "message", 7), 7);
    char text[8];
    EXPECT(read(last + 1, text, 8), 7);
    for (int fd = last + 1; fd <= highest; fd++)
        EXPECT(close(fd), 0);
    work();
}

/* In new memory: fork shares the pages of the old. */
static void work_anew(void) {
    a = region(SIZE), b = region(SIZE);
    work();
}

/* The soft limit is reached with views pending: as many descriptors, the same numbers. */
static void at_the_limit(void) {
    struct rlimit limit;
    prepare();
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 200;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int round = 0; round < 3; round++) {
        work_anew();
        int count = 0, last = -1, first = -1, sum = 0;
        for (int fd; (fd = open("/dev/null", O_RDONLY)) >= 0; count++)
            last = fd, first = first < 0 ? fd : first, sum += fd;
        say("%d from %d to %d, sum %d, then %s\n", count, first, last, sum, errno_name(errno));
        work_anew();
        for (int fd = first; fd <= last; fd++)
            EXPECT(close(fd), 0);
        pid_t child = fork();
        if (child == 0) {
            work_anew();
            for (last = -1; (count = dup(0)) >= 0;)
                last = count;
            say("in a child up to %d\n", last);
            work_anew();
            _exit(failures != 0);
        }
        int status = -1;
        waitpid(child, &status, 0);
        EXPECT(status, 0);
        /* Lower than our numbers: those that are open stay. */
        limit.rlim_cur = 40;
        setrlimit(RLIMIT_NOFILE, &limit);
        work_anew();
        DIRECT(SYS_close_range, (c.in > c.out ? c.in : c.out) + 1, ~0u, 0);
        work_anew();
        limit.rlim_cur = 200;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* One thread closes and replaces, two go on with their IO. */
static atomic_int stop;
static void *busy(void *argument) {
    struct channel *mine = argument;
    byte *one = region(SIZE), *two = region(SIZE);
    for (int i = 0; i < 60; i++) {
        write_all(mine->out, source, SIZE);
        read_all(mine->in, one, SIZE);
        copy(two, one, SIZE);
        one[i] ^= 1;
        write_all(mine->out, two, SIZE);
        EXPECT_STREAM(mine->in, SIZE, OTHER, 0);
        EXPECT_BYTES(two, SIZE, OTHER, 0);
    }
    stop++;
    return NULL;
}
static void in_threads(void) {
    prepare();
    work(); /* a descriptor of ours that is closed while it is being set up ends elision */
    struct channel mine[] = {wide_pipe(), wide_pipe()};
    int null = open("/dev/null", O_RDWR), own[] = {c.in,        c.out,      mine[0].in, mine[0].out,
                                                   mine[1].in, mine[1].out, null};
    pthread_t threads[] = {start(busy, &mine[0]), start(busy, &mine[1])};
    for (int i = 0; stop < 2; i++) {
        int numbers[16], count = foreign(numbers, 16, own, 7);
        for (int j = 0; j < count; j++) {
            /* /proc/self/maps of a thread may be among them: high numbers only. */
            if (numbers[j] < 100)
                continue;
            if (i % 2)
                DIRECT(SYS_close, numbers[j]);
            else
                dup2(null, numbers[j]), close(numbers[j]);
        }
        pause_ms(1);
    }
    pthread_join(threads[0], NULL), pthread_join(threads[1], NULL);
    work();
}

SUBCASES({"replaced", replaced}, {"copied", copied}, {"closed", closed}, {"listed", listed},
         {"reused", reused}, {"at-the-limit", at_the_limit}, {"in-threads", in_threads})
