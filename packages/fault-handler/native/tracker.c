/* The tracker's life: made idle, started by the first input that is to be redirected,
 * carried over fork and changes of credentials, and degraded when it must be. */
#include "tracker_internal.h"

#include <errno.h>
#include <limits.h>
#include <sys/mman.h>

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

/* How often to look whether the map has settled when nobody reads events any more. */
enum { WITHOUT_READER = 1000, DRAIN_WAIT_NS = 50000 };

static void view_added(void *context, zio_handle handle) {
    (void)context;
    zio_origin_add_view(zio__origin(handle));
}

static void view_removed(void *context, zio_handle handle) {
    (void)context;
    zio_origin_remove_view(zio__origin(handle));
}

static const struct zio_view_tree_hooks view_hooks = {view_added, view_removed, 0};

static void own(struct zio_tracker *tracker) {
    *tracker->sentinel = 1;
    tracker->owner_pid = (int)zio_syscall(SYS_getpid);
}

int zio_tracker_init(struct zio_tracker *tracker, size_t memory_limit, uint32_t disabled,
                     struct zio_stats_counter *counters) {
    tracker->counters = counters;
    tracker->disabled = disabled;
    tracker->memory_limit = memory_limit;
    tracker->uffd.fd = tracker->uffd.device_fd = -1;
    tracker->uffd.maps.number = tracker->uffd.proc.number = -1;
    tracker->sentinel = zio_pages_alloc(ZIO__PAGE);
    if (!tracker->sentinel)
        return ZIO_ENOMEM;
    zio_syscall(SYS_madvise, tracker->sentinel, ZIO__PAGE, MADV_WIPEONFORK);
    own(tracker);
    int code = zio_view_map_init(&tracker->map, &view_hooks);
    if (code == 0)
        code = zio_origin_pool_init(&tracker->pool, memory_limit);
    if (code != 0)
        atomic_store(&tracker->state, ZIO_TRACKER_UNAVAILABLE);
    return code;
}

void zio_tracker_set_counters(struct zio_tracker *tracker, struct zio_stats_counter *counters) {
    tracker->counters = counters;
    zio_lock_count_sleep(&counters[ZIO_COUNT_lock_sleep_ns].value);
}

static int map_pages(struct zio_tracker *tracker) {
    if (tracker->scratch)
        return 0;
    tracker->zeros = zio_pages_alloc(ZIO_TRACKER_ZEROS_BYTES);
    tracker->compose = zio_pages_alloc(ZIO__PAGE);
    tracker->compose_locked = zio_pages_alloc(ZIO__PAGE);
    tracker->scratch = zio_pages_alloc(ZIO__SCRATCH_BYTES);
    if (!tracker->zeros || !tracker->compose || !tracker->compose_locked || !tracker->scratch)
        return ZIO_ENOMEM;
    zio_tracker_after_mlockall(tracker);
    return 0;
}

void zio_tracker_after_mlockall(struct zio_tracker *tracker) {
    if (tracker->scratch)
        zio_syscall(SYS_munlock, tracker->scratch, ZIO__SCRATCH_BYTES);
}

/* Nobody else may come by to apply events: a program that only frees fills the queue. */
static void drain_now(void *context) {
    zio__drain_timed(context, DRAIN_WAIT_NS);
}

static bool is_waited_for(void *context) {
    struct zio_tracker *tracker = context;
    return atomic_load(&tracker->waiting) > 0;
}

static const struct zio_handler_ops *handler_ops(struct zio_tracker *tracker) {
    static struct zio_handler_ops ops = {
        .fault = zio__on_fault, .drain = drain_now, .must_read = is_waited_for};
    ops.context = tracker;
    return &ops;
}

static int start_handler(struct zio_tracker *tracker) {
    if (atomic_load(&tracker->handler.thread) != 0)
        return ZIO_EBUSY;
    tracker->served = tracker->uffd;
    return zio_handler_start(&tracker->handler, &tracker->uffd, handler_ops(tracker));
}

static void set_reason(struct zio_tracker *tracker, const char *text) {
    size_t i = 0;
    for (; text[i] != '\0' && i + 1 < sizeof tracker->reason.text; i++)
        tracker->reason.text[i] = text[i];
    tracker->reason.text[i] = '\0';
}

/* Where userfaultfd itself was not what failed. */
static void explain_failure(struct zio_tracker *tracker, int code) {
    if (code == 0 || tracker->reason.text[0] != '\0')
        return;
    set_reason(tracker, code == ZIO_EAGAIN
                            ? "no thread may be started to serve faults (RLIMIT_NPROC, or the "
                              "cgroup's pids.max); raise the limit"
                        : code == ZIO_EINVAL
                            ? "a process that has unshared its pid namespace can start no thread; "
                              "its children can"
                            : zio_error_message(code));
}

/* Without them no buffer can be known to be suitable. */
static int keep_maps(struct zio_tracker *tracker) {
    int code = zio_uffd_keep_maps(&tracker->uffd);
    if (code == -ENOENT)
        set_reason(tracker, "/proc is not to be seen here, which tells what memory a buffer is; mount "
                         "it (in a chroot directory or container too)");
    else if (code != 0)
        set_reason(tracker, "/proc/self/maps cannot be opened (a shortage of descriptors, or a "
                         "security module)");
    return code;
}

static int open_and_serve(struct zio_tracker *tracker) {
    int code = map_pages(tracker);
    if (code != 0)
        return code;
    code =
        zio_uffd_open(&tracker->uffd, &tracker->uffd, tracker->disabled, &tracker->reason);
    if (code != 0)
        return code;
    code = zio_uffd_register(&tracker->uffd, zio__address(tracker->scratch), ZIO__SCRATCH_BYTES);
    if (code == 0)
        code = keep_maps(tracker);
    if (code == 0)
        code = start_handler(tracker);
    if (code != 0)
        zio_uffd_close(&tracker->uffd);
    tracker->handler_runs = code == 0;
    tracker->ends_at_fork = code == ZIO_EINVAL;
    return code;
}

static int start(struct zio_tracker *tracker) {
    int code = open_and_serve(tracker);
    explain_failure(tracker, code);
    return code;
}

bool zio_tracker_ready(struct zio_tracker *tracker) {
    int state = atomic_load_explicit(&tracker->state, memory_order_acquire);
    if (state == ZIO_TRACKER_ACTIVE)
        return zio_tracker_is_owner(tracker);
    if (state != ZIO_TRACKER_IDLE || !zio_tracker_is_owner(tracker))
        return false;
    uint64_t signals = zio_signals_block();
    /* Not waited for: its holder may be forking, and we may hold what it waits for. */
    if (zio_lock_exclusive_timed(&tracker->lifecycle, 0)) {
        state = atomic_load(&tracker->state);
        if (state == ZIO_TRACKER_IDLE) {
            state = start(tracker) == 0 ? ZIO_TRACKER_ACTIVE : ZIO_TRACKER_UNAVAILABLE;
            atomic_store_explicit(&tracker->state, state, memory_order_release);
        }
        zio_unlock_exclusive(&tracker->lifecycle);
    }
    zio_signals_restore(signals);
    return state == ZIO_TRACKER_ACTIVE;
}

/* Every page that shows an origin becomes memory. All stripes are locked for writing. */
static int fill_everything(struct zio_tracker *tracker) {
    for (int i = 0; i < ZIO_VIEW_MAP_STRIPES; i++) {
        struct zio_view view;
        for (uint64_t at = 0; zio_view_tree_next(&tracker->map.stripes[i].tree, at, &view);) {
            at = zio__view_end(&view); /* the next one may begin in the same page */
            if (view.handle == 0)
                continue;
            int code = zio__fill_all(tracker, view.start, zio__view_end(&view));
            if (code != 0)
                return code;
        }
    }
    return 0;
}

static void touch_everything(struct zio_tracker *tracker) {
    for (int i = 0; i < ZIO_VIEW_MAP_STRIPES; i++) {
        zio_stripes stripe = UINT64_C(1) << i;
        struct zio_view view;
        uint64_t at = 0;
        for (;;) {
            zio_view_map_lock(&tracker->map, stripe, 0);
            int found = zio_view_tree_next(&tracker->map.stripes[i].tree, at, &view);
            zio_view_map_unlock(&tracker->map, stripe, 0);
            if (!found)
                break;
            at = zio__page_up(zio__view_end(&view));
            zio_syscall(SYS_madvise, zio__page_down(view.start), at - zio__page_down(view.start),
                        22 /* MADV_POPULATE_READ, Linux 5.14 */);
        }
    }
}

static bool settle_and_lock(struct zio_tracker *tracker, int attempts);

/* The kernel forgets the registrations when the descriptor goes, and wakes whoever waits. */
static void close_down(struct zio_tracker *tracker, bool children_may_start) {
    zio_uffd_close(&tracker->uffd);
    tracker->handler_runs = false;
    tracker->ends_at_fork = children_may_start;
    atomic_store(&tracker->state, ZIO_TRACKER_UNAVAILABLE);
    if (children_may_start)
        return;
    if (zio_uffd_owns_device(&tracker->uffd))
        zio_syscall(SYS_close, tracker->uffd.device_fd);
    tracker->uffd.device_fd = -1;
    zio_kept_close(&tracker->uffd.maps);
    zio_kept_close(&tracker->uffd.proc);
}

/* Where the handler cannot be started again, views become memory as far as that is possible and the
 * tracker is closed. */
static int restart_handler(struct zio_tracker *tracker) {
    int code = start_handler(tracker);
    if (code == 0)
        return 0;
    explain_failure(tracker, code);
    /* It still runs where it could not be stopped because the descriptor is lost. */
    tracker->handler_runs = code == ZIO_EBUSY;
    settle_and_lock(tracker, WITHOUT_READER);
    /* Before the stripes are unlocked: whoever waits for one must make no view any more. */
    atomic_store(&tracker->state, ZIO_TRACKER_UNAVAILABLE);
    zio_view_map_unlock(&tracker->map, 0, ~UINT64_C(0));
    close_down(tracker, code == ZIO_EINVAL);
    return code;
}

int zio__regain_descriptor(struct zio_tracker *tracker) {
    if (zio_uffd_is_ours(&tracker->uffd))
        return 0;
    if (!tracker->handler_runs)
        return ZIO_EBADF;
    int code = zio_handler_regain(&tracker->handler);
    if (code == 0)
        zio_tracker_count(tracker, ZIO_COUNT_descriptor_regained, 1);
    return code;
}

/* Whether every view became memory, with all stripes locked then. The descriptor may turn out to
 * be lost; then the handler, which is not, serves what we touch. `attempts` bounds the wait for a
 * map that changes. */
static bool settle_and_lock(struct zio_tracker *tracker, int attempts) {
    for (int attempt = 0;; attempt++) {
        int state = atomic_load(&tracker->state), code = 0;
        if (state == ZIO_TRACKER_LOST && tracker->handler_runs)
            touch_everything(tracker);
        zio__drain(tracker);
        zio_view_map_lock(&tracker->map, 0, ~UINT64_C(0));
        if (tracker->uffd.fd < 0 || atomic_load(&tracker->map.count) == 0)
            return true;
        code = zio_uffd_probe(&tracker->uffd);
        if (code == ZIO_EBADF && state == ZIO_TRACKER_LOST)
            return true;
        if (code == 0 && zio_handler_is_quiet(&tracker->handler) &&
                 fill_everything(tracker) == 0)
            return true;
        if (attempt >= attempts)
            return false;
        zio_view_map_unlock(&tracker->map, 0, ~UINT64_C(0));
        atomic_fetch_add(&tracker->stalled, 1);
        if (code != ZIO_EBADF)
            zio__pause(50000);
        else if (zio__regain_descriptor(tracker) != 0)
            atomic_store(&tracker->state, ZIO_TRACKER_LOST);
    }
}

void zio_tracker_fork_prepare(struct zio_tracker *tracker) {
    zio__prefault_stack();
    uint64_t signals = zio_signals_block();
    zio_lock_exclusive(&tracker->lifecycle);
    tracker->fork_signals = signals;
    tracker->fork_ours = zio_tracker_is_owner(tracker);
    if (!tracker->fork_ours)
        return;
    atomic_store(&tracker->forking, ZIO__FORKING);
    settle_and_lock(tracker, INT_MAX);
    zio_view_map_unlock(&tracker->map, 0, ~UINT64_C(0));
}

void zio_tracker_fork_parent(struct zio_tracker *tracker) {
    uint64_t signals = tracker->fork_signals;
    atomic_store(&tracker->forking, ZIO__NOT_FORKING);
    zio_unlock_exclusive(&tracker->lifecycle);
    zio_signals_restore(signals);
}

static void forget_lock(struct zio_lock *lock) {
    atomic_store(&lock->state, 0);
    atomic_store(&lock->writers, 0);
}

void zio_tracker_fork_child(struct zio_tracker *tracker, bool shares_descriptors) {
    uint64_t signals = tracker->fork_signals;
    atomic_store(&tracker->forking, ZIO__NOT_FORKING);
    if (tracker->fork_ours) {
        own(tracker);
        atomic_fetch_add(&tracker->cuts, 1);
        zio_view_map_after_fork(&tracker->map);
        zio_origin_pool_after_fork(&tracker->pool);
        zio_handler_after_fork(&tracker->handler);
        zio_uffd_abandon(&tracker->uffd, shares_descriptors);
        tracker->handler_runs = false;
        forget_lock(&tracker->draining);
        forget_lock(&tracker->self_lock);
        forget_lock(&tracker->compose_lock);
        forget_lock(&tracker->compacting);
        for (int i = 0; i < ZIO_TRACKER_SELF_EVENTS; i++)
            tracker->self_events[i].length = 0;
        atomic_store(&tracker->waiting, 0);
        zio__scratch_after_fork(tracker);
        if (atomic_load(&tracker->state) != ZIO_TRACKER_UNAVAILABLE || tracker->ends_at_fork)
            atomic_store(&tracker->state, ZIO_TRACKER_IDLE);
    }
    forget_lock(&tracker->lifecycle);
    zio_signals_restore(signals);
}

void zio_tracker_quiesce(struct zio_tracker *tracker) {
    zio__prefault_stack();
    tracker->fork_signals = zio_signals_block();
    zio_lock_exclusive(&tracker->lifecycle);
    if (tracker->handler_runs && zio_tracker_is_owner(tracker))
        zio_handler_stop(&tracker->handler);
}

void zio_tracker_resume(struct zio_tracker *tracker) {
    uint64_t signals = tracker->fork_signals;
    if (tracker->handler_runs && zio_tracker_is_owner(tracker))
        restart_handler(tracker);
    zio_unlock_exclusive(&tracker->lifecycle);
    zio_signals_restore(signals);
}

void zio_tracker_shut_down(struct zio_tracker *tracker) {
    if (!zio_tracker_is_owner(tracker))
        return;
    zio__prefault_stack();
    zio_lock_count_sleep(NULL); /* who wakes after this makes no system call for it */
    uint64_t signals = zio_signals_block();
    zio_lock_exclusive(&tracker->lifecycle);
    if (tracker->handler_runs) {
        /* No view is added from here on; the handler serves and reads until the last is gone. */
        settle_and_lock(tracker, INT_MAX);
        bool lost = atomic_exchange(&tracker->state, ZIO_TRACKER_LOST) == ZIO_TRACKER_LOST;
        zio_view_map_unlock(&tracker->map, 0, ~UINT64_C(0));
        if (!lost) {
            zio_handler_stop(&tracker->handler);
            close_down(tracker, false);
        }
    } else {
        close_down(tracker, false);
    }
    zio_unlock_exclusive(&tracker->lifecycle);
    zio_signals_restore(signals);
}
