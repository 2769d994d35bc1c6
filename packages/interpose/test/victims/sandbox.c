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

/* A filter that allows a list and kills the process, or the thread, for all else. */
static struct sock_fprog allow(const int *calls, size_t count, unsigned otherwise) {
    static struct sock_filter rules[160];
    unsigned short n = 0;
    rules[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
    for (size_t i = 0; i < count; i++) {
        rules[n++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i], 0, 1);
        rules[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    rules[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, otherwise);
    return (struct sock_fprog){n, rules};
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

int main(int argc, char **argv) {
    static const struct subcase cases[] = {{"strict", strict},
                                           {"by-prctl", by_prctl},
                                           {"by-seccomp", by_seccomp},
                                           {"over-threads", over_threads}};
    return run_subcase(argc, argv, cases, COUNT(cases));
}
