/* Trap 5: seccomp. A program that confines itself, or was started confined, is not killed for a
 * system call that zIO made in its name. */
#include "channels.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

enum { OLD = 1, NEW = 2, OTHER = 3 };
#define SIZE (192 * KIB)

/* Everything that the confined part needs exists before. */
static struct channel c;
static byte *a, *b, *d, *source;

static void prepare(void) {
    a = viewed(SIZE, OLD), b = region(SIZE), d = region(SIZE);
    source = stream_bytes(SIZE, NEW, 0);
    copy(b, a, SIZE);
    c = wide_pipe();
    write_all(c.out, source, SIZE);
}

/* Touches, copies, input and output, by read and write only. */
static void confined(void) {
    EXPECT_BYTES(a, SIZE, OLD, 0);
    copy(d, b, SIZE);
    EXPECT_BYTES(d, SIZE, OLD, 0);
    for (int i = 0; i < 4; i++) {
        EXPECT(read(c.in, a, SIZE), SIZE);
        copy(b, a, SIZE);
        a[i] ^= 1;
        EXPECT(write(c.out, b, SIZE), SIZE);
        EXPECT_BYTES(b, SIZE, NEW, 0);
        memset(d, i, SIZE);
    }
    say("confined: %s\n", failures ? "failed" : "done");
}

static void strict(void) {
    prepare();
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
        skip("no seccomp here");
    confined();
    syscall(SYS_exit, failures != 0);
}

/* A filter that does one thing for a list of calls, and another for all else. */
static struct sock_fprog filter(const int *calls, size_t count, unsigned listed, unsigned others) {
    static struct sock_filter rules[160];
    unsigned short n = 0;
    rules[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
    for (size_t i = 0; i < count; i++) {
        rules[n++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i], 0, 1);
        rules[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, listed);
    }
    rules[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, others);
    return (struct sock_fprog){n, rules};
}
static struct sock_fprog allow(const int *calls, size_t count, unsigned others) {
    return filter(calls, count, SECCOMP_RET_ALLOW, others);
}
static struct sock_fprog refuse(const int *calls, size_t count, unsigned how) {
    return filter(calls, count, how, SECCOMP_RET_ALLOW);
}

static const int io_calls[] = {SYS_read, SYS_write, SYS_exit, SYS_exit_group, SYS_rt_sigreturn};
#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static void install(struct sock_fprog program, int way) {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    long failed = way == 0   ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)
                  : way == 1 ? syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)
                             : syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                                       SECCOMP_FILTER_FLAG_TSYNC, &program);
    if (failed)
        skip("no seccomp filters here");
}

static void filtered(int way) {
    prepare();
    install(allow(io_calls, COUNT(io_calls), SECCOMP_RET_KILL_PROCESS), way);
    confined();
    _exit(failures != 0);
}
static void by_prctl(void) {
    filtered(0);
}
static void by_seccomp(void) {
    filtered(1);
}

static atomic_int stop, rounds[2];
static void *busy(void *argument) {
    struct channel mine = wide_pipe();
    byte *from = stream_bytes(SIZE, OTHER, 0), *one = region(SIZE), *two = region(SIZE);
    while (!stop) {
        if (write(mine.out, from, SIZE) != (ssize_t)SIZE ||
            read(mine.in, one, SIZE) != (ssize_t)SIZE)
            EXPECT(errno, 0);
        copy(two, one, SIZE);
        EXPECT_BYTES(two, SIZE, OTHER, 0);
        ++*(atomic_int *)argument;
    }
    return NULL;
}

/* The filter comes over all threads at once, in the middle of their IO. */
static void over_threads(void) {
    static const int calls[] = {SYS_read,           SYS_write,          SYS_exit,    SYS_exit_group,
                                SYS_rt_sigreturn,   SYS_futex,          SYS_madvise, SYS_munmap,
                                SYS_rt_sigprocmask, SYS_clock_nanosleep};
    prepare();
    pthread_t threads[2] = {start(busy, &rounds[0]), start(busy, &rounds[1])};
    while (rounds[0] < 2 || rounds[1] < 2)
        pause_ms(1);
    install(allow(calls, COUNT(calls), SECCOMP_RET_KILL_PROCESS), 2);
    int before[] = {rounds[0], rounds[1]};
    while (rounds[0] < before[0] + 3 || rounds[1] < before[1] + 3)
        pause_ms(1);
    confined();
    stop = 1;
    pthread_join(threads[0], NULL), pthread_join(threads[1], NULL);
    _exit(failures != 0);
}

static void *waiting(void *argument) {
    byte *one = region(SIZE), *two = region(SIZE);
    *(atomic_int *)argument = 1;
    EXPECT(read(c.in, one, SIZE), SIZE);
    copy(two, one, SIZE);
    EXPECT_BYTES(two, SIZE, NEW, 0);
    return NULL;
}

/* The same while a thread waits in an input, which goes on under the filter. */
static void over_waiting(void) {
    static const int calls[] = {SYS_read,    SYS_write,  SYS_exit,           SYS_exit_group,
                                SYS_futex,   SYS_munmap, SYS_rt_sigprocmask, SYS_clock_nanosleep,
                                SYS_madvise};
    prepare();
    EXPECT(read(c.in, d, SIZE), SIZE);
    pthread_t thread = start(waiting, &rounds[0]);
    while (!rounds[0])
        pause_ms(1);
    pause_ms(20);
    install(allow(calls, COUNT(calls), SECCOMP_RET_KILL_PROCESS), 2);
    EXPECT(write(c.out, source, SIZE), SIZE);
    pthread_join(thread, NULL);
    EXPECT(write(c.out, source, SIZE), SIZE);
    confined();
    _exit(failures != 0);
}

/* The filter and all that was done under it are the program's: it ends as it does plain. */
static void leaves(int way) {
    static const int calls[] = {SYS_read, SYS_write, SYS_exit_group, SYS_fstat, SYS_newfstatat};
    pid_t child = fork();
    if (child == 0) {
        prepare();
        install(allow(calls, COUNT(calls), SECCOMP_RET_KILL_PROCESS), way);
        confined();
        exit(failures != 0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    say("left: %d\n", status);
}
static void exits(void) {
    leaves(0);
    leaves(1);
}

static void *nothing(void *argument) {
    byte *mine = viewed(SIZE, OLD);
    EXPECT_BYTES(mine, SIZE, OLD, 0);
    return argument;
}
/* Threads and children end and begin under a filter that allows what libc needs for it. */
static void goes_on(void) {
    static const int wanted[] = {SYS_userfaultfd, SYS_ioctl,       SYS_ppoll,      SYS_sigaltstack,
                                 SYS_fallocate,   SYS_mkdirat,     SYS_unlinkat,   SYS_getppid,
                                 SYS_statx,       SYS_close_range, SYS_nanosleep,  SYS_sysinfo,
                                 SYS_prctl,       SYS_mincore,     SYS_sched_yield};
    prepare();
    pthread_join(start(nothing, NULL), NULL);
    pthread_t early = start(nothing, NULL);
    install(refuse(wanted, COUNT(wanted), SECCOMP_RET_KILL_PROCESS), 2);
    pthread_join(early, NULL);
    confined();
    pthread_join(start(nothing, NULL), NULL);
    pid_t child = fork();
    if (child == 0) {
        EXPECT_BYTES(b, SIZE, NEW, 0);
        write_all(c.out, source, SIZE);
        confined();
        exit(failures != 0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    say("the child: %d\n", status);
    for (int fd = 3; fd < 5000; fd++)
        close(fd);
    exit(failures != 0);
}

/* Questions about seccomp install nothing, and zIO goes on. */
static void asks(void) {
    errno = 0;
    say("%ld %s\n", (long)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL), errno_name(errno));
    say("%ld %s\n", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL), errno_name(errno));
    unsigned action = SECCOMP_RET_KILL_PROCESS;
    say("%ld\n", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
    say("%d\n", prctl(PR_GET_SECCOMP));
    prepare();
    for (int i = 0; i < 10; i++)
        EXPECT_BYTES(viewed(SIZE, OLD), SIZE, OLD, 0);
}

static char self[PATH_MAX];
static void run_self(void) {
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    execl(self, self, "be-filtered", NULL);
    die("exec");
}
static void be_filtered(void) {
    prepare();
    confined();
    _exit(failures != 0);
}

/* Filters that were there when the program started: of the calls that zIO may try. */
static void born_filtered(void) {
    static const int some[] = {SYS_userfaultfd};
    static const int more[] = {SYS_userfaultfd, SYS_ioctl, SYS_ppoll, SYS_madvise, SYS_mremap};
    static const unsigned how[] = {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD,
                                   SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ERRNO | ENOSYS,
                                   SECCOMP_RET_TRAP};
    for (int i = 0; i < 10; i++) {
        pid_t child = fork();
        if (child == 0) {
            install(i % 2 ? refuse(more, COUNT(more), how[i / 2])
                          : refuse(some, COUNT(some), how[i / 2]),
                    0);
            run_self();
        }
        int status = -1;
        waitpid(child, &status, 0);
        say("filter %d: %d\n", i, status);
    }
    EXPECT_BYTES(viewed(SIZE, OLD), SIZE, OLD, 0);
}

/* Only what the plain program needs from exec to exit is allowed: not even a child to try in. */
static void born_confined(void) {
    static const int calls[] = {
        SYS_read,
        SYS_write,
        SYS_exit_group,
        SYS_execve,
        SYS_brk,
        SYS_mmap,
        SYS_munmap,
        SYS_mprotect,
        SYS_openat,
        SYS_close,
        SYS_newfstatat,
        SYS_fstat,
        SYS_pread64,
        SYS_set_tid_address,
        SYS_set_robust_list,
        SYS_rseq,
        SYS_prlimit64,
        SYS_getrandom,
        SYS_pipe2,
        SYS_fcntl,
        SYS_readlinkat,
        SYS_faccessat,
        SYS_faccessat2,
        SYS_futex,
        SYS_uname,
        SYS_getpid,
        SYS_gettid,
        SYS_rt_sigaction,
        SYS_rt_sigprocmask,
#ifdef __x86_64__
        SYS_arch_prctl,
        SYS_access,
        SYS_readlink,
        SYS_open,
        SYS_stat,
#endif
    };
    pid_t child = fork();
    if (child == 0) {
        install(allow(calls, COUNT(calls), SECCOMP_RET_KILL_PROCESS), 0);
        run_self();
    }
    int status = -1;
    waitpid(child, &status, 0);
    say("ended with %d\n", status);
    EXPECT_BYTES(viewed(SIZE, OLD), SIZE, OLD, 0);
}

/* A filter at the start under which zIO is known to work, and one under which one call that it makes
 * in the program's name is refused: a read of the program's must not fail for that. */
static void born_known(void) {
    static const int harmless[] = {SYS_swapon}, readv_only[] = {SYS_readv};
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        if (child == 0) {
            setenv("ZIO_SECCOMP", "1", 1);
            install(i == 0 ? refuse(harmless, 1, SECCOMP_RET_KILL_PROCESS)
                    : i == 1 ? refuse(readv_only, 1, SECCOMP_RET_ERRNO | EPERM)
                             : refuse(readv_only, 1, SECCOMP_RET_KILL_PROCESS),
                    0);
            run_self();
        }
        int status = -1;
        waitpid(child, &status, 0);
        say("filter %d: %d\n", i, status);
    }
    EXPECT_BYTES(viewed(SIZE, OLD), SIZE, OLD, 0);
}

int main(int argc, char **argv) {
    static const struct subcase cases[] = {{"strict", strict},
                                           {"by-prctl", by_prctl},
                                           {"by-seccomp", by_seccomp},
                                           {"over-threads", over_threads},
                                           {"over-waiting", over_waiting},
                                           {"exits", exits},
                                           {"goes-on", goes_on},
                                           {"asks", asks},
                                           {"born-known", born_known},
                                           {"born-filtered", born_filtered},
                                           {"born-confined", born_confined}};
    if (argc > 1 && strcmp(argv[1], "be-filtered") == 0)
        be_filtered();
    return run_subcase(argc, argv, cases, COUNT(cases));
}
