/* The table of the program's handlers, and the handler that stands before all of them. The kernel's
 * table is the truth; ours says only whom the handler in front stands for. */
#include "signals.h"

#include <errno.h>
#include <stdatomic.h>
#include <ucontext.h>
#include <zio/lock.h>
#include <zio/syscall.h>

#include "instance.h"
#include "signal_hold.h"

enum { SIGNALS = 65, LIBC_FIRST = 32, LIBC_LAST = 33, WAITS = 64, SENDS = 3 };

#define KEPT_NODEFER 0x100UL /* of our flags: the signal is to be let through in its handler */

/* As rt_sigaction(2) has it. */
struct kernel_action {
    uintptr_t handler;
    unsigned long flags;
    uintptr_t restorer;
    uint64_t mask;
};

/* What the handler in front stands for; read without a lock, in any order. */
static struct entry {
    _Atomic uintptr_t handler;
    _Atomic unsigned long flags;
} entries[SIGNALS];

static struct zio_lock changing; /* the entries together with the kernel's table */
static _Atomic bool stands_before;
static _Atomic int passing; /* calls that go to the kernel as the program made them */
static _Atomic bool never;

static void arrive(int number, siginfo_t *info, void *context);

static bool is_function(uintptr_t handler) {
    return handler != (uintptr_t)SIG_DFL && handler != (uintptr_t)SIG_IGN;
}

/* Those of one real-time number queue in order; one that is sent again would come last. */
static bool is_queued(int number) {
    return number > LIBC_LAST;
}

static bool is_ours(uintptr_t handler) {
    return handler == (uintptr_t)arrive;
}

static long kernel_action(int number, const struct kernel_action *next,
                          struct kernel_action *previous) {
    return zio_syscall(SYS_rt_sigaction, number, next, previous, sizeof(uint64_t));
}

static void write_entry(int number, const struct zio__action *action) {
    atomic_store(&entries[number].flags, action->flags);
    atomic_store(&entries[number].handler, action->handler);
}

static struct zio__action read_entry(int number) {
    return (struct zio__action){.handler = atomic_load(&entries[number].handler),
                                .flags = atomic_load(&entries[number].flags)};
}

static uint64_t *interrupted_mask(void *context) {
    return (uint64_t *)(void *)&((ucontext_t *)context)->uc_sigmask;
}

/* What the thread did itself, and what would come at once again. In a section only zIO's own memory
 * can be at fault: nothing is left to be saved then. */
static bool is_of_instruction(int number, const siginfo_t *info) {
    if (number != SIGSEGV && number != SIGBUS && number != SIGILL && number != SIGFPE)
        return false;
    return info->si_code > 0 && !(number == SIGBUS && info->si_code == BUS_MCEERR_AO);
}

/* The kernel forgets a handler that asked for it (SA_RESETHAND) when it calls it: it has not been
 * called. */
static void install_again(int number) {
    struct kernel_action action;
    if (kernel_action(number, NULL, &action) != 0 || is_function(action.handler))
        return;
    action.handler = (uintptr_t)arrive;
    kernel_action(number, &action, NULL);
}

static void send_again(int number, const siginfo_t *info) {
    long process = zio_syscall(SYS_getpid), thread = zio_syscall(SYS_gettid);
    for (int i = 0; i < SENDS; i++)
        if (zio_syscall(SYS_rt_tgsigqueueinfo, process, thread, number, info) == 0)
            return;
    zio_syscall(SYS_tgkill, process, thread, number); /* no room for what it carries */
}

/* In a section. Other signals may come on top of us, each once, until all are blocked; after that the
 * mask is noted, so that it is the one that was interrupted first. */
static void put_off(int number, const siginfo_t *info, void *context) {
    static const struct kernel_action by_default;
    if (is_of_instruction(number, info)) {
        kernel_action(number, &by_default, NULL);
        return;
    }
    if (atomic_load(&entries[number].flags) & SA_RESETHAND)
        install_again(number);
    zio_signals_block();
    zio__hold_until_end(interrupted_mask(context));
    send_again(number, info);
}

static void arrive(int number, siginfo_t *info, void *context) {
    if (zio__is_holding()) {
        put_off(number, info, context);
        return;
    }
    uint64_t self = UINT64_C(1) << (number - 1);
    if (atomic_load(&entries[number].flags) & KEPT_NODEFER)
        zio_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &self, NULL, sizeof self);
    uintptr_t handler = atomic_load(&entries[number].handler);
    if (is_function(handler))
        ((void (*)(int, siginfo_t *, void *))handler)(number, info, context);
}

/* What the kernel is told for a handler of the program's: what the program says, but the signal
 * itself is blocked at first, so that in a section there is one frame of each at most. */
static void stand_before(struct zio__action *action) {
    action->handler = (uintptr_t)arrive;
    action->flags = (action->flags & ~(unsigned long)SA_NODEFER) | SA_SIGINFO;
}

/* Of the program's flags, the one that says what remains to be done. */
static struct zio__action to_keep(int number, const struct zio__action *asked) {
    struct zio__action kept = *asked;
    if (kept.flags & SA_NODEFER && !(kept.mask >> (number - 1) & 1))
        kept.flags |= KEPT_NODEFER;
    return kept;
}

static void as_program_knows(struct zio__action *action, const struct zio__action *own) {
    const unsigned long changed = SA_SIGINFO | SA_NODEFER;
    if (!is_ours(action->handler))
        return;
    action->handler = own->handler;
    action->flags = (action->flags & ~changed) | (own->flags & changed);
}

static long change_in_front(int number, const struct zio__action *next,
                            struct zio__action *previous, zio__issue_action issue, void *context) {
    if (is_queued(number)) {
        zio__signals_never_put_off();
        return issue(context, number, next, previous);
    }
    uint64_t signals = zio_signals_block();
    zio_lock_exclusive(&changing);
    struct zio__action before = read_entry(number), ours = *next, kept = to_keep(number, next);
    write_entry(number, &kept);
    stand_before(&ours);
    zio__expect_frame_of(number);
    long result = issue(context, number, &ours, previous);
    if (result != 0)
        write_entry(number, &before);
    zio_unlock_exclusive(&changing);
    zio_signals_restore(signals);
    if (result == 0)
        as_program_knows(previous, &before);
    return result;
}

/* A child that runs in our memory has handlers of its own, but not a table. */
static bool is_lodger(void) {
    return zio__tracker.sentinel && !zio_tracker_is_owner(&zio__tracker);
}

long zio__signal_action(int number, const struct zio__action *next, struct zio__action *previous,
                        zio__issue_action issue, void *context) {
    if (number < 1 || number >= SIGNALS || (number >= LIBC_FIRST && number <= LIBC_LAST))
        return issue(context, number, next, previous);
    bool lodger = is_lodger();
    atomic_fetch_add(&passing, 1);
    if (atomic_load(&stands_before) && !lodger && next && is_function(next->handler)) {
        atomic_fetch_sub(&passing, 1);
        return change_in_front(number, next, previous, issue, context);
    }
    struct zio__action before = read_entry(number);
    long result = issue(context, number, next, previous);
    if (result == 0 && !lodger && next && is_function(next->handler))
        write_entry(number, next);
    atomic_fetch_sub(&passing, 1);
    if (result == 0)
        as_program_knows(previous, &before);
    return result;
}

/* One signal; false: its handler came in a way that we do not know, or must not be put off. */
static bool take_over(int number) {
    struct kernel_action action;
    if (kernel_action(number, NULL, &action) != 0 || !is_function(action.handler) ||
        is_ours(action.handler))
        return true;
    if (is_queued(number) || action.handler != atomic_load(&entries[number].handler))
        return false;
    struct zio__action ours = {action.handler, action.mask, action.flags};
    struct zio__action kept = to_keep(number, &ours);
    write_entry(number, &kept);
    stand_before(&ours);
    zio__expect_frame_of(number);
    action.handler = ours.handler, action.flags = ours.flags;
    return kernel_action(number, &action, NULL) == 0;
}

/* Calls that were under way when `stands_before` was set. One that this very call interrupted will
 * not end before it. */
static bool await_passing(void) {
    for (int i = 0; i < WAITS && atomic_load(&passing) != 0; i++)
        zio_syscall(SYS_sched_yield);
    return atomic_load(&passing) == 0;
}

void zio__signals_take_over(void) {
    if (atomic_load(&never))
        return;
    bool known = atomic_exchange(&stands_before, true) || await_passing();
    uint64_t signals = zio_signals_block();
    zio_lock_exclusive(&changing);
    for (int number = 1; number < SIGNALS; number++)
        if (number < LIBC_FIRST || number > LIBC_LAST)
            known = take_over(number) && known;
    zio_unlock_exclusive(&changing);
    zio_signals_restore(signals);
    if (!known)
        zio__signals_never_put_off();
    zio__may_hold(known && !atomic_load(&never));
}

void zio__signals_hand_back(void) {
    uint64_t signals = zio_signals_block();
    zio_lock_exclusive(&changing);
    atomic_store(&stands_before, false);
    zio__may_hold(false);
    for (int number = 1; number < SIGNALS; number++) {
        struct kernel_action action;
        if (kernel_action(number, NULL, &action) != 0 || !is_ours(action.handler))
            continue;
        struct zio__action known = {action.handler, action.mask, action.flags},
                           own = read_entry(number);
        as_program_knows(&known, &own);
        action.handler = known.handler, action.flags = known.flags;
        kernel_action(number, &action, NULL);
    }
    zio_unlock_exclusive(&changing);
    zio_signals_restore(signals);
}

void zio__signals_after_fork(void) {
    changing = (struct zio_lock){0};
    atomic_store(&passing, 0);
    zio__may_hold(false);
    zio__signals_stack_changed();
}

void zio__signals_never_put_off(void) {
    atomic_store(&never, true);
    zio__may_hold(false);
}
