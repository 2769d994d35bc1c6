/* The locked section and the event queue: when a thread may rely on the views it sees.
 *
 * The kernel drops its lock before it queues an UNMAP event, so an address can be mapped
 * anew, by anyone, while the event that says so is unread (TRAPS 5, 8). A section is
 * therefore entered in this order: apply the queued events; ask the kernel whether an event is
 * unread (zio_uffd_probe); lock the stripes; look whether the reader holds or has queued one that
 * came since. Only if all is quiet is the section entered. An event raised after the question
 * concerns memory that was still mapped when the section was asked for. */
#include "tracker_internal.h"

#include <time.h>

enum { FORK_ATTEMPTS = 200, ZIO__ATTEMPTS = 16, ZIO__STACK_BYTES = 6144 };

void zio__pause(uint64_t nanoseconds) {
    struct timespec time = {.tv_sec = (time_t)(nanoseconds / 1000000000u),
                            .tv_nsec = (long)(nanoseconds % 1000000000u)};
    zio_syscall(SYS_nanosleep, &time, 0);
}

__attribute__((noinline)) void zio__prefault_stack(void) {
    volatile unsigned char area[ZIO__STACK_BYTES];
    for (size_t i = 0; i < sizeof area; i += 1024)
        area[i] = 0;
    area[sizeof area - 1] = 0;
}

bool zio_tracker_is_owner(const struct zio_tracker *tracker) {
    if (!tracker->sentinel || *(volatile unsigned char *)tracker->sentinel != 1)
        return false;
    return (tracker->is_at_home && tracker->is_at_home()) ||
           (int)zio_syscall(SYS_getpid) == tracker->owner_pid;
}

bool zio__expect_event(struct zio_tracker *tracker, uint64_t start, uint64_t length) {
    bool found = false;
    zio_lock_exclusive(&tracker->self_lock);
    for (int i = 0; i < ZIO_TRACKER_SELF_EVENTS && !found; i++)
        if (tracker->self_events[i].length == 0) {
            tracker->self_events[i].start = start;
            tracker->self_events[i].length = length;
            found = true;
        }
    zio_unlock_exclusive(&tracker->self_lock);
    return found;
}

static bool withdraw(struct zio_tracker *tracker, uint64_t start, uint64_t length) {
    bool found = false;
    zio_lock_exclusive(&tracker->self_lock);
    for (int i = 0; i < ZIO_TRACKER_SELF_EVENTS && !found; i++)
        if (tracker->self_events[i].length == length && tracker->self_events[i].start == start) {
            tracker->self_events[i].length = 0;
            found = true;
        }
    zio_unlock_exclusive(&tracker->self_lock);
    return found;
}

void zio__expect_no_event(struct zio_tracker *tracker, uint64_t start, uint64_t length) {
    withdraw(tracker, start, length);
}

static bool is_expected(struct zio_tracker *tracker, const struct zio_event *event) {
    return event->kind == ZIO_EVENT_REMOVE && withdraw(tracker, event->start, event->length);
}

void zio__carve(struct zio_tracker *tracker, uint64_t start, uint64_t length) {
    atomic_fetch_add_explicit(&tracker->cuts, 1, memory_order_release);
    atomic_fetch_add_explicit(&tracker->changes, 1, memory_order_release);
    while (zio_view_map_carve(&tracker->map, start, length) == ZIO_ENOMEM)
        zio__pause(1000000);
}

static void move_views(struct zio_tracker *tracker, const struct zio_event *event) {
    struct zio_view view;
    uint64_t end = event->start + event->length;
    zio__carve(tracker, event->target, event->length);
    for (uint64_t at = event->start; at < end;) {
        if (!zio_view_map_next(&tracker->map, at, end - at, &view))
            break;
        /* The origin must survive the moment in which no view shows it. */
        if (view.handle)
            zio_origin_hold(zio__origin(view.handle));
        zio__carve(tracker, view.start, view.length);
        while (zio_view_map_insert(&tracker->map, view.start - event->start + event->target,
                                   view.length, view.handle, view.offset, view.tag) == ZIO_ENOMEM)
            zio__pause(1000000);
        if (view.handle) /* never the last: the handler thread may be here */
            zio_origin_release(zio__origin(view.handle));
        at = zio__view_end(&view);
    }
}

/* Always under the locks: a section that is about to insert views where none are now must be over
 * before its range is cut. False: the locks could not be had in time (timeout_ns > 0). */
static bool apply(struct zio_tracker *tracker, const struct zio_event *event, uint64_t timeout_ns) {
    zio_stripes stripes = zio_view_map_stripes(event->start, event->length);
    bool remap = event->kind == ZIO_EVENT_REMAP;
    if (remap)
        stripes |= zio_view_map_stripes(event->target, event->length);
    if (timeout_ns == 0)
        zio_view_map_lock(&tracker->map, 0, stripes);
    else if (!zio_view_map_lock_timed(&tracker->map, stripes, timeout_ns))
        return false;
    if (!is_expected(tracker, event)) {
        if (remap)
            move_views(tracker, event);
        else if (zio_view_map_may_hold(&tracker->map, event->start, event->length))
            zio__carve(tracker, event->start, event->length);
        /* Threads that advise memory all the time leave the kernel no moment to fill a page. Now
         * that no view is there their memory need not be registered, and they raise no event. */
        if (event->kind == ZIO_EVENT_REMOVE && atomic_load(&tracker->stalled) > ZIO__STALLED)
            zio_uffd_unregister(&tracker->uffd, event->start, event->length);
    }
    zio_view_map_unlock(&tracker->map, 0, stripes);
    zio_tracker_count(tracker, ZIO_COUNT_events, 1);
    return true;
}

static bool drain_locked(struct zio_tracker *tracker, uint64_t timeout_ns) {
    struct zio_event event;
    while (zio_handler_peek_event(&tracker->handler, &event)) {
        if (!apply(tracker, &event, timeout_ns))
            return false;
        zio_handler_pop_event(&tracker->handler);
    }
    return true;
}

void zio__drain(struct zio_tracker *tracker) {
    if (zio_handler_is_quiet(&tracker->handler))
        return;
    zio_lock_exclusive(&tracker->draining);
    drain_locked(tracker, 0);
    zio_unlock_exclusive(&tracker->draining);
}

bool zio__drain_timed(struct zio_tracker *tracker, uint64_t timeout_ns) {
    if (zio_handler_is_quiet(&tracker->handler))
        return true;
    if (!zio_lock_exclusive_timed(&tracker->draining, timeout_ns))
        return false;
    bool drained = drain_locked(tracker, timeout_ns);
    zio_unlock_exclusive(&tracker->draining);
    return drained;
}

/* The program closed the descriptor's number, or put a file of its own there. The handler still has
 * it in its own table. ZIO_EAGAIN: somebody starts, stops or forks at this moment. */
static int regain(struct zio_tracker *tracker) {
    if (!zio_lock_exclusive_timed(&tracker->lifecycle, 0))
        return ZIO_EAGAIN;
    int code = zio__regain_descriptor(tracker);
    zio_unlock_exclusive(&tracker->lifecycle);
    return code;
}

/* An event is unread, or whoever raised it has not run again since: usually a matter of microseconds.
 * Whether to try again; not where the last wait was in vain. */
static bool await_event(struct zio_tracker *tracker, int attempt) {
    if (atomic_load_explicit(&tracker->restless, memory_order_relaxed))
        return false;
    if (attempt + 1 >= ZIO__ATTEMPTS) {
        atomic_store_explicit(&tracker->restless, true, memory_order_relaxed);
        return false;
    }
    if (attempt >= ZIO__ATTEMPTS / 2)
        zio__pause(20000);
    return true;
}

/* Locks the stripes, if then no fork is under way, nothing has ended and no event is known. */
static bool lock_if_quiet(struct zio_tracker *tracker, const struct zio__section *section,
                          int *forking) {
    zio_view_map_lock(&tracker->map, section->shared, section->exclusive);
    *forking = atomic_load(&tracker->forking);
    if (*forking == ZIO__NOT_FORKING && atomic_load(&tracker->state) == ZIO_TRACKER_ACTIVE &&
        zio_handler_is_quiet(&tracker->handler)) {
        if (atomic_load_explicit(&tracker->restless, memory_order_relaxed))
            atomic_store_explicit(&tracker->restless, false, memory_order_relaxed);
        return true;
    }
    zio_view_map_unlock(&tracker->map, section->shared, section->exclusive);
    return false;
}

bool zio__begin(struct zio_tracker *tracker, struct zio__section *section, zio_stripes shared,
                zio_stripes exclusive, enum zio__patience patience) {
    bool patient = patience == ZIO__PATIENT;
    if (atomic_load_explicit(&tracker->state, memory_order_acquire) != ZIO_TRACKER_ACTIVE ||
        !zio_tracker_is_owner(tracker))
        return false;
    section->shared = shared;
    section->exclusive = exclusive;
    section->signals = zio_signals_hold(&tracker->keeper);
    if (!section->signals.is_kept) /* the keeper has seen to it */
        zio__prefault_stack();
    int code = 0;
    int forking = ZIO__NOT_FORKING;
    int most = ZIO__ATTEMPTS;
    for (int attempt = 0; patient || attempt < most; attempt++) {
        zio__drain(tracker);
        /* Asked before the stripes are locked, so that they are held no longer than need be. */
        forking = atomic_load(&tracker->forking);
        code = forking ? 0 : zio_uffd_probe(&tracker->uffd);
        if (code == 0 && lock_if_quiet(tracker, section, &forking))
            return true;
        bool ended = atomic_load(&tracker->state) != ZIO_TRACKER_ACTIVE;
        /* A fork is waited for, but not for ever: whoever forks may wait for a lock that we hold.
         * And by the first that meets it only: a signal handler that waited each time it is called
         * would never let the thread under it give up that lock. */
        bool too_long = forking == ZIO__FORKING_FOR_LONG;
        if (forking && !too_long) {
            most = FORK_ATTEMPTS;
            too_long = attempt + 1 >= FORK_ATTEMPTS;
            if (too_long)
                atomic_compare_exchange_strong(&tracker->forking, &forking, ZIO__FORKING_FOR_LONG);
        }
        if (ended || too_long)
            break;
        if (code == ZIO_EBADF) {
            code = regain(tracker);
            if (code == 0)
                continue;
            if (code != ZIO_EAGAIN) {
                code = ZIO_EBADF;
                break;
            }
        }
        if (code != 0 && !patient) {
            if (code == ZIO_EAGAIN && patience == ZIO__WILLING && await_event(tracker, attempt))
                continue;
            break;
        }
        if (code != 0)
            atomic_fetch_add(&tracker->stalled, 1);
        if (code != 0 || forking)
            zio__pause(50000);
    }
    zio_signals_let_go(&tracker->keeper, &section->signals);
    if (code == ZIO_EBADF) {
        int active = ZIO_TRACKER_ACTIVE;
        atomic_compare_exchange_strong(&tracker->state, &active, ZIO_TRACKER_LOST);
        zio_tracker_count(tracker, ZIO_COUNT_descriptor_lost, 1);
    } else {
        zio_tracker_count(tracker, ZIO_COUNT_event_pending, 1);
    }
    return false;
}

void zio__end(struct zio_tracker *tracker, struct zio__section *section) {
    zio_view_map_unlock(&tracker->map, section->shared, section->exclusive);
    zio_signals_let_go(&tracker->keeper, &section->signals);
}
