/* Holding signals off without a system call. A handler that comes meanwhile needs a frame on the
 * thread's stack, and the kernel writes it: that memory may be registered, and missing, and its fault
 * would wait for the lock that we hold. So it is made resident first, by a call that cannot crash,
 * and remembered; while no page is taken away it stays. */
#include "signal_hold.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <zio/syscall.h>

#include "instance.h"
#include "signals.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

enum {
    PAGE = 4096,
    SECTION_BYTES = 8 << 10,  /* of stack, below whoever holds */
    HANDLER_BYTES = 1 << 10,  /* of ours, and of libc's */
    FRAME_BYTES = 4 << 10,    /* where the kernel does not say */
    SLACK_BYTES = 16 << 10,   /* more, so that deeper calls need not ask again */
    REST = 16,                /* holds that are refused after a stack that was not known, */
    LONG_REST = 4096,         /* and after one that is too small */
    LIBC_FRAMES = 2,          /* of signals that are not put off */
    LOOK_AGAIN = 1 << 16,     /* holds, before the kernel's table is looked at again */
};

static __thread struct {
    int depth;
    bool is_put_off;
    uint64_t mask;
    bool may_be_cancelled;
    uintptr_t low, high; /* of the stack: resident */
    uint64_t vacancies;  /* when it was seen */
    int rest;
    uint32_t holds;
} own;

static _Atomic bool may_hold;
static _Atomic size_t frame_bytes;
static _Atomic uint64_t expected; /* signals that have had a handler of ours */

void zio__expect_frame_of(int number) {
    atomic_fetch_or(&expected, UINT64_C(1) << (number - 1));
}

void zio__may_hold(bool may) {
    size_t bytes = getauxval(AT_MINSIGSTKSZ);
    atomic_store(&frame_bytes, bytes > FRAME_BYTES ? bytes : FRAME_BYTES);
    atomic_store(&may_hold, may);
}

bool zio__is_holding(void) {
    return own.depth > 0;
}

void zio__hold_until_end(uint64_t *interrupted) {
    own.mask = *interrupted;
    own.is_put_off = true;
    *interrupted = ~UINT64_C(0);
}

void zio__signals_may_be_cancelled(void) {
    own.may_be_cancelled = true;
}

void zio__signals_stack_changed(void) {
    own.low = own.high = 0;
}

/* Each signal has one frame at most before all are blocked. */
static size_t room_below(void) {
    size_t frames = LIBC_FRAMES;
    for (uint64_t signals = atomic_load_explicit(&expected, memory_order_relaxed); signals;
         signals &= signals - 1)
        frames++;
    size_t each = atomic_load_explicit(&frame_bytes, memory_order_relaxed) + HANDLER_BYTES;
    return SECTION_BYTES + frames * each;
}

static bool populate(uintptr_t from, uintptr_t to) {
    from &= ~(uintptr_t)(PAGE - 1);
    to = (to + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
    return from < to && zio_syscall(SYS_madvise, from, to - from, MADV_POPULATE_WRITE) == 0;
}

static bool populate_alternate(void) {
    size_t bytes, room = room_below();
    uintptr_t start = zio__signal_stack(&bytes);
    return bytes == 0 || populate(start + (bytes > room ? bytes - room : 0), start + bytes);
}

/* At most once in a while: a program that changes stacks all the time, or whose memory is taken
 * away all the time, blocks signals instead. */
static bool make_resident(uintptr_t frame, uint64_t vacancies) {
    if (own.rest > 0) {
        own.rest--;
        return false;
    }
    own.rest = LONG_REST;
    uintptr_t low = frame - room_below() - SLACK_BYTES, high = frame;
    if (!populate(low, high)) {
        low += SLACK_BYTES;
        if (!populate(low, high))
            return false;
    }
    if (!populate_alternate())
        return false;
    own.rest = REST;
    bool adjoins = own.vacancies == vacancies && low <= own.high && own.low <= high;
    own.low = adjoins && own.low < low ? own.low : low;
    own.high = adjoins && own.high > high ? own.high : high;
    own.vacancies = vacancies;
    return true;
}

static bool is_resident(uintptr_t frame) {
    uint64_t vacancies = zio_tracker_vacancies(&zio__tracker);
    if (own.vacancies == vacancies && frame <= own.high && frame - own.low >= room_below() &&
        frame >= own.low)
        return true;
    return make_resident(frame, vacancies);
}

static bool hold(void) {
    if (own.depth == 0) {
        if (!atomic_load_explicit(&may_hold, memory_order_relaxed) || own.may_be_cancelled ||
            !is_resident((uintptr_t)__builtin_frame_address(0)))
            return false;
        if (++own.holds % LOOK_AGAIN == 0) {
            zio__signals_take_over();
            if (!atomic_load(&may_hold))
                return false;
        }
    }
    own.depth++;
    atomic_signal_fence(memory_order_seq_cst);
    return true;
}

static void let_go(void) {
    atomic_signal_fence(memory_order_seq_cst);
    own.depth--;
    atomic_signal_fence(memory_order_seq_cst);
    if (own.depth > 0 || !own.is_put_off)
        return;
    /* All signals are blocked until the last call. */
    own.is_put_off = false;
    atomic_signal_fence(memory_order_seq_cst);
    zio_signals_restore(own.mask);
}

const struct zio_signal_keeper zio__signal_keeper = {.hold = hold, .let_go = let_go};
