/* Finds out whether a seccomp filter would kill the program for what we are about to do, by
 * letting a throw-away child do it first. The child shares the memory (a fork of a large
 * program is dear) but neither descriptors nor signal handlers, has no exit signal, and
 * the caller's thread waits for it, so the program notices nothing. */
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

/* The value of "Seccomp:" in /proc/self/status; 2 when that cannot be read. */
static int seccomp_mode(void) {
    long fd = zio_syscall(SYS_openat, AT_FDCWD, "/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 2;
    static const char wanted[] = "\nSeccomp:\t";
    char buffer[256];
    int matched = 0, mode = 2;
    for (bool found = false; !found;) {
        long have = zio_syscall(SYS_read, fd, buffer, sizeof buffer);
        if (have == -EINTR)
            continue;
        if (have <= 0)
            break;
        for (long i = 0; i < have && !found; i++) {
            if (wanted[matched] == '\0') {
                mode = buffer[i] - '0';
                found = true;
            } else {
                matched = buffer[i] == wanted[matched] ? matched + 1 : buffer[i] == '\n';
            }
        }
    }
    zio_syscall(SYS_close, fd);
    return mode;
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
    zio__close_all_but(-1);
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
    uint64_t unused[2];
    zio_syscall(SYS_prlimit64, 0, 7 /* RLIMIT_NOFILE */, 0, unused);
    zio_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3);
    zio_syscall(SYS_statx, fd, "", AT_EMPTY_PATH, 0, 0);
    long code =
        zio__clone(ZIO__CLONE_THREAD_FLAGS, rehearsal->thread_stack + REHEARSAL_STACK_BYTES,
                   &rehearsal->thread, &rehearsal->thread, rehearsal->page, thread_main, rehearsal);
    if (code > 0) {
        int32_t tid;
        while ((tid = atomic_load(&rehearsal->thread)) != 0)
            zio_syscall(SYS_futex, &rehearsal->thread, 0 /* FUTEX_WAIT */, tid, 0);
    }
    for (;;)
        zio_syscall(SYS_exit_group, atomic_load(&rehearsal->thread_survived) ? 0 : 1);
}

int zio__seccomp_rehearse(uint32_t disabled) {
    if (seccomp_mode() == 0)
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
