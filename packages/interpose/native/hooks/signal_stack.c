/* The alternate signal stack of a thread, which the kernel is asked for once. */
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <zio/syscall.h>

#include "../instance.h"
#include "../signals.h"
#include "hook_table.h"

/* A pass over views, its prefaulted stack, and the real call behind it. */
enum { LEAST_BYTES = 16 << 10 };

static __thread struct {
    bool known;
    uintptr_t start;
    size_t bytes; /* 0: there is none */
} stack;

/* A handler that comes between sees it unknown, or whole. */
static void ask(void) {
    stack_t found;
    bool any = zio_syscall(SYS_sigaltstack, 0, &found) == 0 && !(found.ss_flags & SS_DISABLE);
    stack.start = any ? (uintptr_t)found.ss_sp : 0;
    stack.bytes = any ? found.ss_size : 0;
    atomic_signal_fence(memory_order_seq_cst);
    stack.known = true;
}

bool zio__has_stack(void) {
    if (!stack.known)
        ask();
    uintptr_t above = (uintptr_t)__builtin_frame_address(0) - stack.start;
    return above >= stack.bytes || above >= LEAST_BYTES;
}

uintptr_t zio__signal_stack(size_t *bytes) {
    if (!stack.known)
        ask();
    *bytes = stack.bytes;
    return stack.start;
}

static void forget(void) {
    stack.known = false;
    zio__signals_stack_changed();
    atomic_signal_fence(memory_order_seq_cst);
}

/* Forgotten last: a handler may come just before the call. */
ZIO_EXPORT int sigaltstack(const stack_t *restrict next, stack_t *restrict previous) {
    int result = ZIO_REAL(sigaltstack)(next, previous);
    forget();
    return result;
}
