/* Counters of threads, several, so that threads on different processors seldom share one. A thread
 * that leaves a hook by longjmp or cancellation stays counted: whoever waits does so for a bounded
 * time. */
#include "presence.h"

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>
#include <zio/syscall.h>

#include "instance.h"

enum {
    SHARDS = 16,
    STEP_NS = 200 * 1000,
    STEPS = 1000,    /* for what threads do themselves: 200 ms */
    WAIT_STEPS = 100 /* for those before a call that waits to be in it: 20 ms */
};

static struct shard {
    _Alignas(64) _Atomic int working;
    _Atomic int waiting;
} shards[SHARDS];

/* What of it is this thread's: who waits for all others may be a handler that interrupted a hook.
 */
static __thread struct { int working, waiting; } own;

static struct shard *shard(void) {
    return &shards[((uintptr_t)&own >> 12) % SHARDS];
}

bool zio__enter(void) {
    struct shard *mine = shard();
    own.working++;
    atomic_fetch_add(&mine->working, 1);
    /* After it was counted: who turns zIO off and waits then has seen one or the other. */
    if (zio__is_tracking())
        return true;
    zio__leave();
    return false;
}

void zio__leave(void) {
    if (own.working == 0) /* in a child that was forked in between */
        return;
    own.working--;
    atomic_fetch_sub(&shard()->working, 1);
}

void zio__begin_wait(void) {
    own.waiting++;
    atomic_fetch_add(&shard()->waiting, 1);
    zio__leave();
}

void zio__end_wait(void) {
    own.working++;
    atomic_fetch_add(&shard()->working, 1);
    if (own.waiting == 0)
        return;
    own.waiting--;
    atomic_fetch_sub(&shard()->waiting, 1);
}

void zio__await_absence(void) {
    for (int step = 0; step < STEPS; step++) {
        struct timespec pause = {.tv_nsec = STEP_NS};
        int working = -own.working, waiting = -own.waiting;
        for (int i = 0; i < SHARDS; i++) {
            working += atomic_load(&shards[i].working);
            waiting += atomic_load(&shards[i].waiting);
        }
        if (working <= 0 && (waiting <= 0 || step >= WAIT_STEPS))
            return;
        zio_syscall(SYS_nanosleep, &pause, NULL);
    }
}

void zio__presence_after_fork(void) {
    for (int i = 0; i < SHARDS; i++) {
        atomic_store(&shards[i].working, 0);
        atomic_store(&shards[i].waiting, 0);
    }
    own.working = own.waiting = 0;
}
