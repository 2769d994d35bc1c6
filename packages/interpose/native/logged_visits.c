/* Visits are counted, so that whoever closes the pool knows that nobody is in it. Threads on different
 * processors seldom share a counter. */
#include "logged_files.h"
#include "logged_table.h"

#include <sys/mman.h>
#include <time.h>
#include <zio/arena.h>
#include <zio/signals.h>
#include <zio/syscall.h>

#include "instance.h"

_Atomic bool zio__follows_files;

static int home;                       /* the process whose memory this is */
static volatile unsigned char *sentinel; /* 0 in a copy of it whose making nobody saw, */
static bool wiped;                       /* if the kernel does that; else always */

enum { SENTINEL_BYTES = 4096, SHARDS = 16, STOP_STEPS = 1000, STEP_NS = 200 * 1000 };

static struct {
    _Alignas(64) _Atomic int visitors;
} shards[SHARDS];
static __thread int own_visits;
static _Atomic bool closing;

static _Atomic int *shard(void) {
    return &shards[((uintptr_t)&own_visits >> 12) % SHARDS].visitors;
}

static void pause_briefly(void) {
    struct timespec pause = {.tv_nsec = STEP_NS};
    zio_syscall(SYS_nanosleep, &pause, NULL);
}

/* Without a system call where no child can be in our memory. */
static bool is_at_home(void) {
    return (*sentinel == 1 && zio__is_at_home()) || (int)zio_syscall(SYS_getpid) == home;
}

bool zio__visit_begin(struct zio__visit *visit) {
    if (!is_at_home())
        return false;
    visit->signals = zio_signals_block();
    for (;;) {
        own_visits++;
        atomic_fetch_add(shard(), 1);
        if (!atomic_load(&zio__follows_files)) {
            zio__visit_end(visit);
            return false;
        }
        if (own_visits > 1 || !atomic_load(&closing))
            return true;
        own_visits--;
        atomic_fetch_sub(shard(), 1);
        pause_briefly();
    }
}

void zio__visit_end(struct zio__visit *visit) {
    own_visits--;
    atomic_fetch_sub(shard(), 1);
    zio_signals_restore(visit->signals);
}

static int others(void) {
    int count = -own_visits;
    for (int i = 0; i < SHARDS; i++)
        count += atomic_load(&shards[i].visitors);
    return count;
}

bool zio__visits_stop(void) {
    atomic_store(&closing, true);
    for (int step = 0; step < STOP_STEPS && others() > 0; step++)
        pause_briefly();
    return others() <= 0;
}

void zio__visits_go_on(void) {
    atomic_store(&closing, false);
}

bool zio__visits_set_up(void) {
    sentinel = zio_pages_alloc(SENTINEL_BYTES);
    if (!sentinel)
        return false;
    wiped = zio_syscall(SYS_madvise, sentinel, SENTINEL_BYTES, MADV_WIPEONFORK) == 0;
    zio__visits_begin_anew();
    return true;
}

void zio__visits_begin_anew(void) {
    home = (int)zio_syscall(SYS_getpid);
    *sentinel = wiped;
    atomic_store(&closing, false);
    for (int i = 0; i < SHARDS; i++)
        atomic_store(&shards[i].visitors, 0);
    own_visits = 0;
}
