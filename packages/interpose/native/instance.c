/* Sets zIO up when the library is loaded, and keeps it right across fork. Nothing is opened
 * for views and no thread is started here: that waits for the first large input. */
#include "instance.h"

#include <pthread.h>

#include "hooks/hook_table.h"
#include "policy.h"
#include "thread_state.h"

struct zio__settings zio__settings;
struct zio_tracker zio__tracker;
_Atomic size_t zio__threshold;
_Atomic bool zio__on;

static struct zio_stats_counter private_counters[ZIO_COUNTER_COUNT];

static void turn_off(const char *why) {
    atomic_store(&zio__threshold, SIZE_MAX);
    zio__stats_state(why);
    zio__log("zio is off: ", why);
}

bool zio__ready(void) {
    if (!atomic_load_explicit(&zio__on, memory_order_acquire))
        return false;
    bool was_idle =
        atomic_load_explicit(&zio__tracker.state, memory_order_relaxed) == ZIO_TRACKER_IDLE;
    if (zio_tracker_ready(&zio__tracker)) {
        if (was_idle)
            zio__stats_state("active");
        return true;
    }
    if (atomic_load(&zio__tracker.state) == ZIO_TRACKER_UNAVAILABLE) {
        atomic_store(&zio__on, false);
        turn_off(zio__tracker.reason.text[0] ? zio__tracker.reason.text
                                             : "unavailable: out of memory");
    }
    return false;
}

static void before_fork(void) {
    zio_tracker_fork_prepare(&zio__tracker);
}

static void after_fork_in_parent(void) {
    zio_tracker_fork_parent(&zio__tracker);
}

static void after_fork_in_child(void) {
    zio_tracker_fork_child(&zio__tracker);
    zio__stats_open();
}

void zio__around_fork_before(void) {
    before_fork();
}

void zio__around_fork_after(bool child) {
    if (child)
        after_fork_in_child();
    else
        after_fork_in_parent();
}

__attribute__((constructor(101))) static void set_up(void) {
    zio__resolve_real();
    zio__settings_read(&zio__settings);
    if (zio__missing_real() || zio__settings.policy == ZIO_POLICY_OFF) {
        turn_off(zio__missing_real() ? "unavailable: libc lacks a required function" : "off");
        return;
    }
    if (zio_tracker_init(&zio__tracker, zio__settings.memory_limit, zio__settings.disabled,
                         private_counters) != 0 ||
        pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) != 0) {
        turn_off("unavailable: out of memory");
        return;
    }
    zio__policy_set_up();
    zio__thread_set_up();
    zio__stats_open();
    zio__stats_state("idle");
    atomic_store(&zio__threshold, zio__policy_threshold());
    atomic_store_explicit(&zio__on, true, memory_order_release);
}

__attribute__((destructor(101))) static void tear_down(void) {
    zio__stats_gauges();
    zio__stats_close();
}
