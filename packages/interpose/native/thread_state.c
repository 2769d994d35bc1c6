/* The origin that a thread fills. */
#include "thread_state.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <zio/error.h>
#include <zio/syscall.h>

#include "instance.h"
#include "ledger.h"
#include "nvm_origins.h"
#include "policy.h"

enum { SLOTS = 8, SAME_STACK_BYTES = 1 << 20, PAGE = 4096, LEAST_ORIGIN_BYTES = 64 << 10 };

/* An origin that a call has not given back yet. */
struct in_use {
    struct zio_origin *origin; /* NULL: free */
    uintptr_t frame;           /* of the function that took it */
    bool overwriting;
};

struct thread_state {
    _Atomic(struct zio_origin *) filling; /* the thread and its signal handlers take turns */
    struct in_use in_use[SLOTS];
    bool known; /* to the key's destructor */
    bool remembering;
    struct zio__viewed viewed;
};

static __thread struct thread_state state;
static pthread_key_t key;
static bool has_key;

/* The origin is nobody's to fill from here on. */
static void stop_filling(struct zio_origin *origin) {
    atomic_store_explicit(&origin->filling, 0, memory_order_release);
    zio_origin_release(origin);
}

static void give_up(struct in_use *slot) {
    struct zio_origin *origin = slot->origin;
    slot->origin = NULL;
    if (slot->overwriting)
        atomic_fetch_sub(&origin->overwriting, 1);
    zio_origin_release(origin);
}

static void give_up_all(struct thread_state *ending) {
    for (int i = 0; i < SLOTS; i++)
        if (ending->in_use[i].origin)
            give_up(&ending->in_use[i]);
}

static void thread_ends(void *value) {
    struct thread_state *ending = value;
    if (atomic_load(&zio__confined))
        return;
    give_up_all(ending);
    zio__ledger_thread_ends();
    zio__policy_receives(0);
    struct zio_origin *filling = atomic_exchange(&ending->filling, NULL);
    if (filling)
        stop_filling(filling);
    ending->known = false;
}

/* Calls that a longjmp abandoned: their frames lie below ours on this same stack. A frame of a
 * call that is still under way, interrupted by the signal whose handler we are, lies above; on an
 * alternate signal stack nothing can be told. */
static void reclaim(uintptr_t frame) {
    stack_t alternate;
    if (zio_syscall(SYS_sigaltstack, 0, &alternate) != 0 || (alternate.ss_flags & SS_ONSTACK))
        return;
    for (int i = 0; i < SLOTS; i++) {
        struct in_use *slot = &state.in_use[i];
        if (slot->origin && slot->frame <= frame && frame - slot->frame < SAME_STACK_BYTES)
            give_up(slot);
    }
}

/* A free slot, or SLOTS. */
static unsigned find_slot(uintptr_t frame) {
    for (int attempt = 0; attempt < 2; attempt++) {
        for (unsigned slot = 0; slot < SLOTS; slot++)
            if (!state.in_use[slot].origin)
                return slot;
        reclaim(frame);
    }
    return SLOTS;
}

static void use_slot(unsigned slot, struct zio_origin *origin, uintptr_t frame, bool overwriting) {
    if (!state.known && has_key)
        state.known = pthread_setspecific(key, &state) == 0;
    state.in_use[slot] = (struct in_use){origin, frame, overwriting};
}

int zio__note_overwriting(struct zio_origin *origin) {
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    unsigned slot = find_slot(frame);
    if (slot == SLOTS)
        return -1;
    use_slot(slot, origin, frame, true);
    return (int)slot;
}

void zio__unnote_overwriting(int slot) {
    state.in_use[slot].origin = NULL;
}

void zio__thread_set_up(void) {
    has_key = pthread_key_create(&key, thread_ends) == 0;
}

static size_t next_offset(size_t filled, uintptr_t address) {
    size_t phase = address % PAGE, base = filled & ~(size_t)(PAGE - 1);
    return base + phase >= filled ? base + phase : base + PAGE + phase;
}

static struct zio_origin *acquire(size_t bytes) {
    struct zio_origin *origin = zio__nvm_origin_acquire(bytes);
    if (!origin)
        origin = zio_origin_acquire(&zio__tracker.pool, bytes);
    if (origin)
        zio_tracker_compact_if_grown(&zio__tracker);
    else if (zio_tracker_relieve(&zio__tracker))
        origin = zio_origin_acquire(&zio__tracker.pool, bytes);
    return origin;
}

/* A signal handler may come between any two steps and use this thread's state as well: each
 * step leaves it usable, and what is taken is first removed. */
int zio__slice_take(struct zio__slice *slice, uintptr_t address, size_t bytes) {
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    unsigned slot = find_slot(frame);
    if (slot == SLOTS)
        return ZIO_EAGAIN;
    struct zio_origin *origin = atomic_exchange(&state.filling, NULL);
    size_t offset = 0;
    if (origin) {
        atomic_store_explicit(&origin->filling, 0, memory_order_release);
        offset = next_offset(atomic_load(&origin->filled), address);
    }
    if (origin && (offset > origin->capacity || origin->capacity - offset < bytes ||
                   !zio__nvm_origin_suits(origin))) {
        zio_origin_release(origin);
        origin = NULL;
    }
    if (!origin) {
        offset = address % PAGE;
        size_t least = offset + bytes;
        if (least < bytes)
            return ZIO_ENOMEM;
        origin = acquire(least < LEAST_ORIGIN_BYTES ? LEAST_ORIGIN_BYTES : least);
        if (!origin)
            return ZIO_ENOMEM;
    }
    use_slot(slot, origin, frame, false);
    *slice = (struct zio__slice){origin, offset, slot};
    return 0;
}

void zio__thread_stop_filling(void) {
    struct zio_origin *filling = atomic_exchange(&state.filling, NULL);
    if (filling)
        stop_filling(filling);
}

void zio__thread_gives_up(void) {
    give_up_all(&state);
    zio__thread_stop_filling();
}

void zio__slice_give_back(struct zio__slice *slice) {
    struct zio_origin *none = NULL;
    state.in_use[slice->slot].origin = NULL;
    atomic_store_explicit(&slice->origin->filling, 1, memory_order_release);
    if (!atomic_compare_exchange_strong(&state.filling, &none, slice->origin))
        stop_filling(slice->origin);
}

bool zio__recall_viewed(uintptr_t start, size_t length, struct zio__viewed *viewed) {
    if (state.remembering) /* a signal handler, in the middle of the other function */
        return false;
    *viewed = state.viewed;
    return start >= viewed->start && start < viewed->end && length <= viewed->end - start;
}

static bool continues(const struct zio__viewed *known, const struct zio__viewed *piece) {
    return known->end > known->start && piece->origin == known->origin &&
           piece->changes == known->changes && piece->start >= known->start &&
           piece->start <= known->end &&
           piece->offset - known->offset == piece->start - known->start;
}

void zio__remember_viewed(const struct zio__viewed *piece) {
    if (state.remembering)
        return;
    state.remembering = true;
    atomic_signal_fence(memory_order_seq_cst);
    struct zio__viewed *known = &state.viewed;
    if (!continues(known, piece))
        *known = *piece;
    else if (piece->end > known->end)
        known->end = piece->end;
    known->changes = piece->changes + 1; /* our own */
    known->cuts = piece->cuts;
    atomic_signal_fence(memory_order_seq_cst);
    state.remembering = false;
}
