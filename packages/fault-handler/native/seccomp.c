/* Finds out whether a seccomp filter would kill the program for what we are about to do, by
 * letting a throw-away child do it first. The child shares the memory (a fork of a large
 * program is dear) but neither descriptors nor signal handlers, has no exit signal, and
 * the caller's thread waits for it, so the program notices nothing. */
#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include <zio/arena.h>
#include <zio/syscall.h>

#include "internal.h"

enum { REHEARSAL_STACK_BYTES = 64 * 1024 };

/* Reads a small file of /proc by the three calls that the dynamic loader makes for every library, so
 * that no filter under which a program can start kills for them. */
struct status_reader {
    long fd, at, have;
    char buffer[512];
};

static int next_character(struct status_reader *reader) {
    if (reader->at == reader->have) {
        do {
            reader->have = zio_syscall(SYS_read, reader->fd, reader->buffer, sizeof reader->buffer);
        } while (reader->have == -EINTR);
        reader->at = 0;
        if (reader->have <= 0) {
            reader->have = 0;
            return -1;
        }
    }
    return (unsigned char)reader->buffer[reader->at++];
}

/* The number behind the next "\nNAME:\t"; -1 where no such line follows. */
static int next_field(struct status_reader *reader, const char *line_start) {
    int matched = 0, c;
    while (line_start[matched] != '\0') {
        c = next_character(reader);
        if (c < 0)
            return -1;
        matched = c == line_start[matched] ? matched + 1 : c == '\n';
    }
    int value = 0;
    while ((c = next_character(reader)) >= '0' && c <= '9')
        value = value * 10 + (c - '0');
    if (c >= 0)
        reader->at--; /* the line's end begins the next */
    return value;
}

int zio_seccomp_filters(void) {
    struct status_reader reader = {.at = 0, .have = 0};
    reader.fd = zio_syscall(SYS_openat, AT_FDCWD, "/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (reader.fd < 0)
        return ZIO_ENOSYS;
    int mode = next_field(&reader, "\nSeccomp:\t");
    int count = mode > 0 ? next_field(&reader, "\nSeccomp_filters:\t") : mode; /* Linux 5.9 */
    zio_syscall(SYS_close, reader.fd);
    return mode < 0 ? 0 : count < 0 ? ZIO_ENOSYS : count; /* no such line: a kernel without seccomp */
}

enum { ON_PAGE = -4096, ANYTHING = 1 << 20 };

/* What is called once views exist or may exist, on nothing: with the answer of a kernel that lets it
 * through. A call that is refused would show as an error of the program's own call, which it is
 * made instead of. Arguments ON_PAGE are a page of zeros at first: an empty path, no time. */
static const struct {
    long number, expected, arguments[5];
} calls[] = {
    {SYS_mkdirat, -ENOENT, {AT_FDCWD, ON_PAGE, 0700}},
    {SYS_unlinkat, -ENOENT, {AT_FDCWD, ON_PAGE}},
    {SYS_readlinkat, -ENOENT, {AT_FDCWD, ON_PAGE, ON_PAGE, 8}},
    {SYS_nanosleep, 0, {ON_PAGE}},
    {SYS_rt_sigprocmask, 0, {0, 0, ON_PAGE, 8}},
    {SYS_rt_sigaction, 0, {SIGKILL, 0, ON_PAGE, 8}},
    {SYS_rt_tgsigqueueinfo, -EINVAL, {-1, -1, SIGUSR1, ON_PAGE}},
    {SYS_sigaltstack, 0, {0, ON_PAGE}},
    {SYS_futex, 0, {ON_PAGE, 1, 1}},
    {SYS_sched_yield, 0, {0}},
    {SYS_clock_gettime, 0, {1, ON_PAGE}},
    {SYS_clock_gettime, 0, {2 /* CLOCK_PROCESS_CPUTIME_ID */, ON_PAGE}},
    {SYS_sysinfo, 0, {ON_PAGE}},
    {SYS_prlimit64, 0, {0, 7 /* RLIMIT_NOFILE */, 0, ON_PAGE}},
    {SYS_getpid, ANYTHING, {0}},
    {SYS_getppid, ANYTHING, {0}},
    {SYS_geteuid, ANYTHING, {0}},
    {SYS_gettid, ANYTHING, {0}},
    {SYS_mprotect, 0, {ON_PAGE, 4096, PROT_READ | PROT_WRITE}},
    {SYS_madvise, 0, {ON_PAGE, 4096, MADV_DONTNEED}},
    {SYS_madvise, ANYTHING, {ON_PAGE, 4096, MADV_NOHUGEPAGE}},
    {SYS_madvise, ANYTHING, {ON_PAGE, 4096, 22 /* MADV_POPULATE_READ */}},
    {SYS_munlock, 0, {ON_PAGE, 4096}},
    {SYS_mincore, ANYTHING, {4096}},
    {SYS_mremap, ANYTHING, {1}},
    {SYS_readv, -EBADF, {-1, ON_PAGE}},
    {SYS_writev, -EBADF, {-1, ON_PAGE}},
    {SYS_preadv, -EBADF, {-1, ON_PAGE}},
    {SYS_pwritev, -EBADF, {-1, ON_PAGE}},
    {SYS_preadv2, -EBADF, {-1, ON_PAGE}},
    {SYS_pwritev2, -EBADF, {-1, ON_PAGE}},
    {SYS_recvmsg, -EBADF, {-1, ON_PAGE}},
    {SYS_sendmsg, -EBADF, {-1, ON_PAGE}},
    {SYS_fstat, -EBADF, {-1, ON_PAGE}},
    {SYS_statx, ANYTHING, {-1, ON_PAGE, AT_EMPTY_PATH, 0, 0}},
    {SYS_lseek, -EBADF, {-1}},
    {SYS_fcntl, -EBADF, {-1, F_GETFL}},
    {SYS_fallocate, -EBADF, {-1, 0, 0, 1}},
    {SYS_getdents64, ANYTHING, {-1, ON_PAGE, 64}},
    {SYS_close, -EBADF, {-1}},
    {SYS_tgkill, ANYTHING, {-1}},
    {SYS_waitid, ANYTHING, {P_ALL, 0, 0, WEXITED | WNOHANG | WNOWAIT}},
    {434 /* pidfd_open */, ANYTHING, {-1}},
    {438 /* pidfd_getfd */, ANYTHING, {-1}},
};

static bool calls_are_allowed(unsigned char *page) {
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        long arguments[5];
        for (int j = 0; j < 5; j++)
            arguments[j] =
                calls[i].arguments[j] == ON_PAGE ? (long)page : calls[i].arguments[j];
        long result = zio_syscall(calls[i].number, arguments[0], arguments[1], arguments[2],
                                  arguments[3], arguments[4]);
        if (calls[i].expected != ANYTHING && result != calls[i].expected)
            return false;
    }
    return true;
}

struct rehearsal {
    uint32_t disabled;
    unsigned char *thread_stack;
    unsigned char *page;
    _Atomic int32_t thread;
    _Atomic bool thread_survived; /* a filter may kill just one thread */
};

ZIO__NEVER_RETURNS static void thread_main(void *argument) {
    struct rehearsal *rehearsal = argument;
    zio_syscall(SYS_prctl, PR_SET_NAME, "zio-handler");
    zio_syscall(SYS_prctl, PR_SET_TIMERSLACK, 1);
    zio__close_all_but(-1, -1);
    zio_syscall(SYS_chdir, "/");
    atomic_store(&rehearsal->thread_survived, true);
    for (;;)
        zio_syscall(SYS_exit, 0);
}

ZIO__NEVER_RETURNS static void child_main(void *argument) {
    struct rehearsal *rehearsal = argument;
    long fd = -1;
    if (!(rehearsal->disabled & ZIO_FEATURE_DEVICE)) {
        long device = zio_syscall(SYS_openat, AT_FDCWD, "/dev/userfaultfd", O_RDWR | O_CLOEXEC);
        if (device >= 0)
            fd = zio_syscall(SYS_ioctl, device, _IO(0xAA, 0), O_CLOEXEC | O_NONBLOCK);
    }
    if (fd < 0 && !(rehearsal->disabled & ZIO_FEATURE_SYSCALL)) {
        fd = zio_syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
            zio_syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | 1 /* user mode only */);
    }
    struct uffdio_api api = {.api = UFFD_API};
    zio_syscall(SYS_ioctl, fd, UFFDIO_API, &api);
    struct pollfd poll = {.fd = (int)fd, .events = POLLIN};
    struct timespec now = {0, 0};
    zio_syscall(SYS_ppoll, &poll, 1, &now, 0, 8);
    struct uffd_msg message;
    zio_syscall(SYS_read, fd, &message, sizeof message);
    zio_syscall(SYS_madvise, rehearsal->page, 4096, MADV_DONTNEED);
    if (fd >= 0)
        zio__fd_copy_away((int)fd);
    zio__descriptor_identity((int)fd);
    zio_mapping_can_query();
    bool allowed = calls_are_allowed(rehearsal->page);
    long code =
        zio__clone(ZIO__CLONE_THREAD_FLAGS, rehearsal->thread_stack + REHEARSAL_STACK_BYTES,
                   &rehearsal->thread, &rehearsal->thread, rehearsal->page, thread_main, rehearsal);
    if (code > 0) {
        int32_t tid;
        while ((tid = atomic_load(&rehearsal->thread)) != 0)
            zio_syscall(SYS_futex, &rehearsal->thread, 0 /* FUTEX_WAIT */, tid, 0);
    }
    for (;;)
        zio_syscall(SYS_exit_group, allowed && atomic_load(&rehearsal->thread_survived) ? 0 : 1);
}

int zio__seccomp_rehearse(uint32_t disabled) {
    if (zio_seccomp_filters() == 0)
        return 0;
    unsigned char *memory = zio_pages_alloc(2 * REHEARSAL_STACK_BYTES + 4096);
    if (!memory)
        return ZIO_ENOMEM;
    struct rehearsal rehearsal = {.disabled = disabled,
                                  .thread_stack = memory + REHEARSAL_STACK_BYTES,
                                  .page = memory + 2 * REHEARSAL_STACK_BYTES};
    /* With its signals blocked, a filter that traps ends the child too. */
    uint64_t mask = zio_signals_block();
    long child = zio__clone(CLONE_VM | CLONE_VFORK, memory + REHEARSAL_STACK_BYTES, 0, 0, 0,
                            child_main, &rehearsal);
    int status = -1;
    if (child > 0) {
        long code;
        do {
            code = zio_syscall(SYS_wait4, child, &status, __WALL, 0);
        } while (code == -EINTR);
        if (code != child)
            status = -1;
    }
    zio_signals_restore(mask);
    zio_pages_free(memory, 2 * REHEARSAL_STACK_BYTES + 4096);
    return status == 0 ? 0 : ZIO_EPERM;
}
