/* The handler thread: reads, keeps faults until they are resolved, queues events. It has no
 * libc thread structure, so it calls no libc, touches no thread-local variable and no
 * application memory, and it never waits for a lock other than `reading`. */
#include <poll.h>
#include <sys/prctl.h>
#include <time.h>

#include <zio/syscall.h>

#include "internal.h"

enum {
    BATCH = 16,
    TURNS = 16,
    PENDING = 128, /* different pages; more than that many threads at once is rare */
    RETRY_FIRST_NS = 50 * 1000,
    RETRY_LAST_NS = 1000 * 1000,
    FOREVER = -1,
};

struct pending_fault {
    uint64_t page, flags;
    uint32_t thread;
};

struct loop {
    struct zio_handler *handler;
    struct zio_uffd uffd; /* as this thread's own descriptor table has it */
    struct pending_fault pending[PENDING];
    uint32_t pending_count;
    uint64_t dropped_start, dropped_end; /* pages of faults that found no room */
    long retry_ns;
    bool progress; /* something was read or resolved in this round */
    bool rung;     /* the doorbell's event has been read: whoever stops us waits for that */
};

static void keep_fault(struct loop *loop, uint64_t page, uint64_t flags, uint32_t thread) {
    for (uint32_t i = 0; i < loop->pending_count; i++) {
        if (loop->pending[i].page != page)
            continue;
        loop->pending[i].flags |= flags;
        return;
    }
    if (loop->pending_count == PENDING) {
        if (loop->dropped_end == 0 || page < loop->dropped_start)
            loop->dropped_start = page;
        if (page + 4096 > loop->dropped_end)
            loop->dropped_end = page + 4096;
        return;
    }
    loop->pending[loop->pending_count++] = (struct pending_fault){page, flags, thread};
}

static void take(struct loop *loop, const struct uffd_msg *message) {
    struct zio_handler *handler = loop->handler;
    struct zio_event event;
    switch (message->event) {
    case UFFD_EVENT_PAGEFAULT:
        keep_fault(
            loop, message->arg.pagefault.address & ~(uint64_t)4095, message->arg.pagefault.flags,
            loop->uffd.features & UFFD_FEATURE_THREAD_ID ? message->arg.pagefault.feat.ptid : 0);
        return;
    case UFFD_EVENT_UNMAP:
    case UFFD_EVENT_REMOVE:
        event = (struct zio_event){.kind = message->event == UFFD_EVENT_UNMAP ? ZIO_EVENT_UNMAP
                                                                              : ZIO_EVENT_REMOVE,
                                   .start = message->arg.remove.start,
                                   .length = message->arg.remove.end - message->arg.remove.start};
        if (event.start == (uintptr_t)handler->doorbell) {
            loop->rung = true;
            return;
        }
        break;
    case UFFD_EVENT_REMAP:
        event = (struct zio_event){.kind = ZIO_EVENT_REMAP,
                                   .start = message->arg.remap.from,
                                   .length = message->arg.remap.len,
                                   .target = message->arg.remap.to};
        break;
    default:
        return;
    }
    zio__queue_add(handler, &event);
}

/* Who is woken without a page faults again, and is read again. */
static void wake_dropped(struct loop *loop) {
    if (loop->dropped_end == 0)
        return;
    zio_uffd_wake(&loop->uffd, loop->dropped_start, loop->dropped_end - loop->dropped_start);
    loop->dropped_end = 0;
}

/* Reads until nothing is left, the queue is full, or the faults must have a turn. */
static void read_all(struct loop *loop) {
    struct zio_handler *handler = loop->handler;
    struct uffd_msg messages[BATCH];
    for (int turn = 0; turn < TURNS; turn++) {
        /* Beyond its limit no more than must be: whoever can should empty it. */
        if (turn > 0 && zio__queue_length(handler) >= ZIO_HANDLER_QUEUE)
            return;
        long count = zio__queue_room(handler, BATCH);
        if (count == 0)
            return;
        /* Whoever sees the lock free has seen every event that was read. */
        zio_lock_exclusive(&handler->reading);
        long bytes =
            zio_syscall(SYS_read, loop->uffd.fd, messages, (size_t)count * sizeof *messages);
        long have = bytes > 0 ? bytes / (long)sizeof *messages : 0;
        for (long i = 0; i < have; i++)
            take(loop, &messages[i]);
        zio_unlock_exclusive(&handler->reading);
        if (have > 0)
            loop->progress = true;
        if (have < count)
            return;
    }
}

static void serve_faults(struct loop *loop) {
    struct zio_handler *handler = loop->handler;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < loop->pending_count; i++) {
        struct pending_fault *fault = &loop->pending[i];
        int code =
            handler->ops.fault(handler->ops.context, fault->page, fault->flags, fault->thread);
        if (code != 0)
            loop->pending[kept++] = *fault;
        else
            loop->progress = true;
    }
    loop->pending_count = kept;
    if (kept < PENDING / 2)
        wake_dropped(loop);
}

/* How long to sleep when nothing comes in. */
static long pause_ns(struct loop *loop, bool readable) {
    if (loop->progress)
        loop->retry_ns = RETRY_FIRST_NS;
    else if (loop->retry_ns < RETRY_LAST_NS)
        loop->retry_ns = loop->retry_ns * 2 < RETRY_LAST_NS ? loop->retry_ns * 2 : RETRY_LAST_NS;
    if (loop->pending_count > 0 || !readable)
        return loop->retry_ns;
    bool queued = zio__queue_length(loop->handler) > 0;
    return queued && loop->handler->ops.drain ? RETRY_LAST_NS : FOREVER;
}

/* Returns whether it woke by itself, without news. With a full queue nothing may be read,
 * so there is nothing to poll for. */
static bool sleep_for(struct loop *loop, long ns, bool readable) {
    struct pollfd poll = {.fd = loop->uffd.fd, .events = POLLIN};
    struct timespec time = {.tv_sec = 0, .tv_nsec = ns};
    long ready =
        zio_syscall(SYS_ppoll, &poll, readable ? 1 : 0, ns == FOREVER ? NULL : &time, NULL, 0);
    if (ready < 0 || (ready > 0 && !(poll.revents & POLLIN))) { /* must not spin, whatever it is */
        time.tv_nsec = RETRY_LAST_NS;
        zio_syscall(SYS_nanosleep, &time, NULL);
    }
    return ready == 0;
}

static void prepare(struct loop *loop) {
    zio_syscall(SYS_prctl, PR_SET_NAME, "zio-handler");
    zio_syscall(SYS_prctl, PR_SET_TIMERSLACK, 1);
    const struct zio_kept *maps = &loop->uffd.maps;
    zio__close_all_but(loop->uffd.fd, zio_kept_is_ours(maps) ? maps->number : -1);
    zio_syscall(SYS_chdir, "/");
    atomic_store(&loop->handler->ready, 1);
    zio_syscall(SYS_futex, &loop->handler->ready, 1 /* FUTEX_WAKE */, 1);
}

void zio__handler_main(void *argument) {
    struct zio_handler *handler = argument;
    struct loop loop;
    loop.handler = handler;
    loop.uffd = *handler->uffd;
    loop.pending_count = 0;
    loop.dropped_end = 0;
    loop.retry_ns = RETRY_FIRST_NS;
    loop.rung = false;
    prepare(&loop);

    for (;;) {
        loop.progress = false;
        read_all(&loop);
        if (loop.rung && atomic_load(&handler->stop) != 0)
            break;
        serve_faults(&loop);
        bool half_full = zio__queue_length(handler) > ZIO_HANDLER_QUEUE / 2;
        if (half_full && handler->ops.drain)
            handler->ops.drain(handler->ops.context);
        bool readable = zio__queue_room(handler, BATCH) > 0;
        bool idle = sleep_for(&loop, pause_ns(&loop, readable), readable);
        if (idle && handler->ops.drain && zio__queue_length(handler) > 0)
            handler->ops.drain(handler->ops.context);
    }
    /* Those who wait fault again and are read by the next handler. */
    wake_dropped(&loop);
    for (uint32_t i = 0; i < loop.pending_count; i++)
        zio_uffd_wake(&loop.uffd, loop.pending[i].page, 4096);
    for (;;)
        zio_syscall(SYS_exit, 0);
}
