/* The hooks on the installation of signal handlers, so that the kernel knows ours only (signals.h).
 * glibc's older functions do not pass by its sigaction: they are made of ours. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <zio/syscall.h>

#include "../signals.h"
#include "hook_table.h"
#include "process.h"

enum { SIGNALS = 65 };

static struct zio__action of_libc(const struct sigaction *action) {
    return (struct zio__action){(uintptr_t)action->sa_sigaction,
                                *(const uint64_t *)(const void *)&action->sa_mask,
                                (unsigned)action->sa_flags};
}

static void to_libc(struct sigaction *action, const struct zio__action *from) {
    action->sa_sigaction = (void (*)(int, siginfo_t *, void *))from->handler;
    *(uint64_t *)(void *)&action->sa_mask = from->mask;
    action->sa_flags = (int)from->flags;
}

/* context: where libc writes the previous action. */
static long issue_by_libc(void *context, int number, const struct zio__action *next,
                          struct zio__action *previous) {
    struct sigaction asked = {0}, *found = context;
    int saved = errno;
    if (next)
        to_libc(&asked, next);
    if (ZIO_REAL(sigaction)(number, next ? &asked : NULL, found) == 0) {
        *previous = of_libc(found);
        return 0;
    }
    long code = -errno;
    errno = saved;
    return code;
}

static int as_libc(long result) {
    if (result == 0)
        return 0;
    errno = (int)-result;
    return -1;
}

ZIO_EXPORT int sigaction(int number, const struct sigaction *restrict next,
                         struct sigaction *restrict previous) {
    struct sigaction found;
    struct zio__action asked, known;
    if (next)
        asked = of_libc(next);
    long result =
        zio__signal_action(number, next ? &asked : NULL, &known, issue_by_libc, &found);
    if (result == 0 && previous) {
        to_libc(&found, &known);
        *previous = found;
    }
    return as_libc(result);
}

/* rt_sigaction(2)'s own form. */
struct raw_action {
    uintptr_t handler;
    unsigned long flags;
    uintptr_t restorer;
    uint64_t mask;
};

/* context: the restorer to set; becomes that of before. */
static long issue_raw(void *context, int number, const struct zio__action *next,
                      struct zio__action *previous) {
    uintptr_t *restorer = context;
    struct raw_action asked = {0}, found;
    if (next)
        asked = (struct raw_action){next->handler, next->flags, *restorer, next->mask};
    long result =
        zio_syscall(SYS_rt_sigaction, number, next ? &asked : NULL, &found, sizeof found.mask);
    if (result == 0) {
        *previous = (struct zio__action){found.handler, found.mask, found.flags};
        *restorer = found.restorer;
    }
    return result;
}

long zio__raw_sigaction(const long *a) {
    const struct raw_action *next = (const void *)a[1];
    struct raw_action *previous = (void *)a[2];
    struct zio__action asked, known;
    uintptr_t restorer = 0;
    /* Only the kernel can say that an address is bad. */
    if (a[3] != sizeof asked.mask ||
        (next && zio_syscall(SYS_rt_sigprocmask, -1, next, NULL, sizeof asked.mask) == -EFAULT) ||
        (previous && zio_syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, previous,
                                 sizeof asked.mask) == -EFAULT))
        return zio_syscall(SYS_rt_sigaction, a[0], a[1], a[2], a[3]);
    if (next) {
        asked = (struct zio__action){next->handler, next->mask, next->flags};
        restorer = next->restorer;
    }
    long result =
        zio__signal_action((int)a[0], next ? &asked : NULL, &known, issue_raw, &restorer);
    if (result == 0 && previous)
        *previous = (struct raw_action){known.handler, known.flags, restorer, known.mask};
    return result;
}

static sighandler_t install(int number, sighandler_t handler, uint64_t mask, int flags) {
    struct sigaction next = {.sa_handler = handler, .sa_flags = flags}, previous;
    *(uint64_t *)(void *)&next.sa_mask = mask;
    if (handler == SIG_ERR || number < 1 || number >= SIGNALS) {
        errno = EINVAL;
        return SIG_ERR;
    }
    return sigaction(number, &next, &previous) == 0 ? previous.sa_handler : SIG_ERR;
}

static _Atomic uint64_t interrupting; /* as siginterrupt(3) was told */

static uint64_t bit(int number) {
    return UINT64_C(1) << ((number - 1) & 63);
}

static sighandler_t install_as_bsd(int number, sighandler_t handler) {
    bool interrupts = atomic_load(&interrupting) & bit(number);
    return install(number, handler, bit(number), interrupts ? 0 : SA_RESTART);
}

ZIO_EXPORT sighandler_t signal(int number, sighandler_t handler) {
    return install_as_bsd(number, handler);
}

ZIO_EXPORT sighandler_t bsd_signal(int number, sighandler_t handler) {
    return install_as_bsd(number, handler);
}

ZIO_EXPORT sighandler_t ssignal(int number, sighandler_t handler) {
    return install_as_bsd(number, handler);
}

static sighandler_t install_as_system_v(int number, sighandler_t handler) {
    return install(number, handler, 0, (int)(SA_RESETHAND | SA_NODEFER | 0x20000000 /* SA_INTERRUPT */));
}

ZIO_EXPORT sighandler_t sysv_signal(int number, sighandler_t handler) {
    return install_as_system_v(number, handler);
}

ZIO_EXPORT sighandler_t __sysv_signal(int number, sighandler_t handler) {
    return install_as_system_v(number, handler);
}

ZIO_EXPORT int siginterrupt(int number, int flag) {
    int result = ZIO_REAL(siginterrupt)(number, flag);
    if (result == 0 && flag)
        atomic_fetch_or(&interrupting, bit(number));
    else if (result == 0)
        atomic_fetch_and(&interrupting, ~bit(number));
    return result;
}

/* SIG_HOLD blocks the signal instead, and says so of one that was blocked. */
ZIO_EXPORT sighandler_t sigset(int number, sighandler_t handler) {
    sigset_t set, before;
    sighandler_t previous;
    sigemptyset(&set);
    if (sigaddset(&set, number) != 0)
        return SIG_ERR;
    if (handler == SIG_HOLD) {
        struct sigaction known;
        if (sigprocmask(SIG_BLOCK, &set, &before) != 0 || sigaction(number, NULL, &known) != 0)
            return SIG_ERR;
        previous = known.sa_handler;
    } else {
        previous = install(number, handler, 0, 0);
        if (previous == SIG_ERR || sigprocmask(SIG_UNBLOCK, &set, &before) != 0)
            return SIG_ERR;
    }
    return sigismember(&before, number) ? SIG_HOLD : previous;
}

ZIO_EXPORT int pthread_setcanceltype(int type, int *previous) {
    if (type == PTHREAD_CANCEL_ASYNCHRONOUS)
        zio__signals_may_be_cancelled();
    return ZIO_REAL(pthread_setcanceltype)(type, previous);
}
