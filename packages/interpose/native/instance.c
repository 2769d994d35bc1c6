/* Sets zIO up when the library is loaded, and keeps it right across fork. Nothing is opened
 * for views and no thread is started here: that waits for the first large input. */
#include "instance.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <zio/signals.h>
#include <zio/syscall.h>

#include "exec_target.h"
#include "heap.h"
#include "hooks/hook_table.h"
#include "hooks/process.h"
#include "kernel_storage.h"
#include "ledger.h"
#include "logged_files.h"
#include "policy.h"
#include "presence.h"
#include "pushback.h"
#include "signals.h"
#include "thread_state.h"

struct zio__settings zio__settings;
struct zio_tracker zio__tracker;
_Atomic size_t zio__threshold;
_Atomic bool zio__on;
_Atomic bool zio__confined;

static struct zio_stats_counter private_counters[ZIO_COUNTER_COUNT];

static void turn_off(const char *why) {
    atomic_store(&zio__threshold, SIZE_MAX);
    zio__stats_state(why);
    zio__log("zio is off: ", why);
}

static void turn_off_unavailable(const char *reason) {
    char text[sizeof zio__tracker.reason.text + 16];
    size_t length = 0;
    for (const char *from = "unavailable: "; *from; from++)
        text[length++] = *from;
    while (*reason && length < sizeof text - 1)
        text[length++] = *reason++;
    text[length] = 0;
    turn_off(text);
}

void zio__end_views(void) {
    atomic_store(&zio__on, false);
    atomic_store(&zio__threshold, SIZE_MAX);
    zio_tracker_shut_down(&zio__tracker);
}

void zio__turn_off(const char *why) {
    if (!zio_tracker_is_owner(&zio__tracker))
        return;
    zio__end_views();
    zio__signals_hand_back();
    turn_off(why);
}

void zio_materialise_all(void) {
    zio__turn_off("off: plain memory was asked for (zio_materialise_all)");
}

static _Atomic bool is_pinned;

static bool cannot_tell_pinned(void) {
    return atomic_load(&is_pinned) && zio__tracker.uffd.fd >= 0 && !zio__tracker.uffd.can_move;
}

static void end_for_pinned(void) {
    zio__turn_off("off: io_uring buffers are registered and UFFDIO_MOVE is missing (Linux 6.8)");
}

void zio__memory_is_pinned(void) {
    int saved = errno;
    atomic_store(&is_pinned, true);
    if (cannot_tell_pinned())
        end_for_pinned();
    errno = saved;
}

/* Below this the program may need the three that we use. */
enum { DESCRIPTORS_LEAST = 64 };

/* vm.overcommit_memory as it was when it was last to be seen; 0: never. */
static _Atomic char overcommit;

void zio__look_at_overcommit(void) {
    char mode;
    long fd =
        zio_syscall(SYS_openat, AT_FDCWD, "/proc/sys/vm/overcommit_memory", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (zio_syscall(SYS_read, fd, &mode, 1) == 1)
        atomic_store(&overcommit, mode);
    zio_syscall(SYS_close, fd);
}

/* Whether the machine lets us map memory without counting it against the program. */
static const char *refusal(void) {
    struct rlimit64 limit;
    if (zio_syscall(SYS_prlimit64, 0, RLIMIT_AS, 0, &limit) == 0 &&
        limit.rlim_cur != RLIM64_INFINITY)
        return "off: the address space is limited (RLIMIT_AS)";
    if (zio_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, &limit) == 0 &&
        limit.rlim_cur < DESCRIPTORS_LEAST)
        return "off: too few descriptors are allowed (RLIMIT_NOFILE)";
    zio__look_at_overcommit();
    return atomic_load(&overcommit) == '2'
               ? "off: memory is not overcommitted (vm.overcommit_memory=2)"
               : NULL;
}

bool zio__ready(void) {
    if (!atomic_load_explicit(&zio__on, memory_order_acquire) ||
        !zio_tracker_is_owner(&zio__tracker))
        return false;
    bool was_idle =
        atomic_load_explicit(&zio__tracker.state, memory_order_relaxed) == ZIO_TRACKER_IDLE;
    const char *why = was_idle ? refusal() : NULL;
    if (why) {
        zio__turn_off(why);
        return false;
    }
    if (zio_tracker_ready(&zio__tracker)) {
        if (was_idle) {
            zio__stats_state("active");
            zio__signals_take_over();
        }
        if (!cannot_tell_pinned())
            return true;
        end_for_pinned();
        return false;
    }
    if (atomic_load(&zio__tracker.state) == ZIO_TRACKER_UNAVAILABLE) {
        atomic_store(&zio__on, false);
        zio_tracker_count(&zio__tracker, ZIO_COUNT_unavailable, 1);
        turn_off_unavailable(zio__tracker.reason.text);
    }
    return false;
}

static bool tracks;     /* the tracker was initialised */
static bool files_fork; /* of the fork under way: files are followed */
static uint64_t fork_signals; /* and the mask: tracker and files each keep signals out, and the
                               * child puts them right in another order than that of taking */

/* `zio__confined` changes only while `lifecycle` is free, which prepare holds until the fork is
 * done: the three see the same. */
void zio__before_fork(void) {
    if (atomic_load(&zio__confined))
        return;
    uint64_t signals = zio_signals_block();
    if (tracks)
        zio_tracker_fork_prepare(&zio__tracker);
    files_fork = zio__follows();
    if (files_fork)
        zio__files_before_fork();
    fork_signals = signals;
}

static void after_fork_in_parent(void) {
    if (atomic_load(&zio__confined))
        return;
    uint64_t signals = fork_signals;
    if (files_fork)
        zio__files_after_fork(false);
    if (tracks)
        zio_tracker_fork_parent(&zio__tracker);
    zio_signals_restore(signals);
}

static void become_child(bool shares_descriptors) {
    if (atomic_load(&zio__confined))
        return;
    uint64_t signals = fork_signals;
    if (tracks)
        zio_tracker_fork_child(&zio__tracker, shares_descriptors);
    if (files_fork)
        zio__files_after_fork(true);
    zio__pushback_after_fork();
    zio__presence_after_fork();
    zio__policy_after_fork();
    zio__signals_after_fork();
    zio__stats_open();
    zio_signals_restore(signals);
}

static void after_fork_in_child(void) {
    become_child(false);
}

void zio__after_fork(bool child, bool shares_descriptors) {
    if (child)
        become_child(shares_descriptors);
    else
        after_fork_in_parent();
}

/* The runtimes of sanitizers keep shadow memory by hooking what we hook, and know every thread.
 * Weak, not dlsym: looking up what is not there would allocate and free, in other libraries' hooks
 * too. */
extern char __asan_init __attribute__((weak)), __tsan_init __attribute__((weak)),
    __msan_init __attribute__((weak)), __hwasan_init __attribute__((weak)),
    __lsan_ignore_object __attribute__((weak));
/* Likewise: of a library that valgrind preloads into what it runs. */
extern char _vgnU_freeres __attribute__((weak));

static bool is_sanitised(void) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return false; /* the library itself is being tested */
#endif
    if (&__asan_init || &__tsan_init || &__msan_init || &__hwasan_init || &__lsan_ignore_object)
        return true;
    /* Linked statically they export only what they hook; nobody else hooks this. */
    return dlsym(RTLD_DEFAULT, "__cxa_atexit") != dlsym(RTLD_NEXT, "__cxa_atexit");
}

/* Files are logged even where nothing else is done: forks are followed, and bytes counted. */
static void begin_without_views(void) {
    if (!zio__follows())
        return;
    zio_tracker_set_counters(&zio__tracker, private_counters);
    zio__stats_open();
    pthread_atfork(zio__before_fork, after_fork_in_parent, after_fork_in_child);
}

/* quick_exit(3) runs these handlers, the last one first, and no destructors. */
static void end_quickly(void) {
    zio__files_end(false);
}

__attribute__((constructor(101))) static void set_up(void) {
    zio__resolve_real();
    zio__settings_read(&zio__settings);
    zio__heap_set_up();
    zio__exec_set_up();
    if (!zio__settings.follow)
        zio__leave_environment();
    int filters = zio_seccomp_filters();
    if (filters != 0 && (filters < 0 || (uint64_t)filters != zio__settings.seccomp)) {
        /* Nothing is known of it: not even a message may be written. */
        atomic_store(&zio__confined, true);
        atomic_store(&zio__threshold, SIZE_MAX);
        return;
    }
    zio__settings_complete(&zio__settings);
    if (&_vgnU_freeres) {
        /* It plays the kernel, refuses threads that are not libc's and ends the program. */
        turn_off("off: the program runs under valgrind");
        return;
    }
    zio__files_set_up();
    if (zio__follows())
        at_quick_exit(end_quickly);
    if (is_sanitised()) {
        begin_without_views();
        turn_off("off: the program runs under a sanitizer");
        return;
    }
    if (zio__missing_real() || zio__settings.policy == ZIO_POLICY_OFF) {
        begin_without_views();
        turn_off(zio__missing_real() ? "unavailable: libc lacks a required function" : "off");
        return;
    }
    if (zio_tracker_init(&zio__tracker, zio__settings.memory_limit, zio__settings.disabled,
                         private_counters) != 0 ||
        pthread_atfork(zio__before_fork, after_fork_in_parent, after_fork_in_child) != 0) {
        begin_without_views();
        turn_off("unavailable: out of memory");
        return;
    }
    tracks = true;
    zio_origin_pool_use_memory(&zio__tracker.pool, &zio__origin_memory);
    zio__tracker.is_at_home = zio__is_at_home;
    zio__tracker.ledger = zio__ledger;
    zio__tracker.keeper = zio__tracker.pool.keeper = zio__signal_keeper;
    zio__policy_set_up();
    zio__thread_set_up();
    zio__stats_open();
    zio__stats_state("idle");
    atomic_store(&zio__threshold, zio__policy_threshold());
    atomic_store_explicit(&zio__on, true, memory_order_release);
}

__attribute__((destructor(101))) static void tear_down(void) {
    if (atomic_load(&zio__confined))
        return;
    zio__files_end(false);
    zio__stats_gauges();
    zio__stats_close();
}
