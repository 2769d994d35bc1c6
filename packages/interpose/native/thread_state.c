/* The origin that a thread fills. */
#include "thread_state.h"

#include <pthread.h>
#include <stdbool.h>
#include <zio/error.h>

#include "instance.h"

enum { SLOTS = 8, PAGE = 4096, LEAST_ORIGIN_BYTES = 64 << 10 };

struct thread_state {
    struct zio_origin *filling;
    size_t filled;
    struct zio_origin *in_use[SLOTS];
    bool known; /* to the key's destructor */
};

static __thread struct thread_state state;
static pthread_key_t key;
static bool has_key;

static void thread_ends(void *value) {
    struct thread_state *ending = value;
    for (int i = 0; i < SLOTS; i++)
        if (ending->in_use[i])
            zio_origin_release(ending->in_use[i]);
    if (ending->filling)
        zio_origin_release(ending->filling);
    *ending = (struct thread_state){.known = false};
}

void zio__thread_set_up(void) {
    has_key = pthread_key_create(&key, thread_ends) == 0;
}

static size_t next_offset(size_t filled, uintptr_t address) {
    size_t phase = address % PAGE, base = filled & ~(size_t)(PAGE - 1);
    return base + phase >= filled ? base + phase : base + PAGE + phase;
}

/* A signal handler may come between any two steps and use this thread's state as well: each
 * step leaves it usable, and what is taken is first removed. */
int zio__slice_take(struct zio__slice *slice, uintptr_t address, size_t bytes) {
    unsigned slot = 0;
    while (slot < SLOTS && state.in_use[slot])
        slot++;
    if (slot == SLOTS)
        return ZIO_EAGAIN;
    if (!state.known && has_key)
        state.known = pthread_setspecific(key, &state) == 0;
    struct zio_origin *origin = state.filling;
    state.filling = NULL;
    size_t offset = origin ? next_offset(state.filled, address) : 0;
    if (origin && (offset > origin->capacity || origin->capacity - offset < bytes)) {
        zio_origin_release(origin);
        origin = NULL;
    }
    if (!origin) {
        offset = address % PAGE;
        size_t least = offset + bytes;
        if (least < bytes)
            return ZIO_ENOMEM;
        origin = zio_origin_acquire(&zio__tracker.pool,
                                    least < LEAST_ORIGIN_BYTES ? LEAST_ORIGIN_BYTES : least);
        if (!origin)
            return ZIO_ENOMEM;
    }
    state.in_use[slot] = origin;
    *slice = (struct zio__slice){origin, offset, slot};
    return 0;
}

void zio__slice_give_back(struct zio__slice *slice, size_t used) {
    size_t end = slice->offset + used;
    state.in_use[slice->slot] = NULL;
    if (state.filling) {
        zio_origin_release(slice->origin);
        return;
    }
    state.filled = end;
    state.filling = slice->origin;
}
