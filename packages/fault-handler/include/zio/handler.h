/* The handler thread: reads faults and events from a userfaultfd and gives them to its
 * owner. It is a raw clone (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM,
 * CLONE_SETTLS to a block of its own) WITHOUT CLONE_FILES and CLONE_FS: libc does not know
 * it; it has its own descriptor table, in which everything but the userfaultfd is closed
 * at once, and its own working directory (/), so it pins no descriptor and no mount of the
 * program and survives close_range. All signals are blocked in it.
 *
 * Ground rules for the code that runs on it: no libc function that may touch errno or
 * thread-local storage, no malloc, no application memory; built without stack protector.
 *
 * The reader must always be able to read, because a thread in munmap or madvise waits for
 * that. So a fault callback never waits long: it returns ZIO_EAGAIN ("not now") and the
 * fault is kept, events are read, and the callback is called again. */
#ifndef ZIO_HANDLER_H
#define ZIO_HANDLER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <zio/lock.h>
#include <zio/uffd.h>

enum zio_event_kind { ZIO_EVENT_UNMAP, ZIO_EVENT_REMOVE, ZIO_EVENT_REMAP };

struct zio_event {
    enum zio_event_kind kind;
    uint64_t start, length; /* UNMAP, REMOVE: the range; REMAP: the old range */
    uint64_t target;        /* REMAP: the new address of the whole range */
};

struct zio_handler_ops {
    /* A touch of a missing page. flags: UFFD_PAGEFAULT_FLAG_*. thread: the faulting thread's
     * id, or 0. Returns 0 when the page is resolved (or the fault is moot), ZIO_EAGAIN or any
     * other code to be called again after pending events have been read. Must not block longer than
     * about 100 us. */
    int (*fault)(void *context, uint64_t page, uint64_t flags, uint32_t thread);
    void *context;
    /* Called on the handler thread while events are queued: at once when the queue is half
     * full, else after a millisecond without news. Applies them (peek, pop) if its locks are
     * to be had soon, else does nothing and is called again. NULL: then the program's own
     * threads must consume, or a program that only unmaps would wait for ever on a full
     * queue. */
    void (*drain)(void *context);
    /* Whether somebody waits, or is about to, for an event to be read, and holds what `drain` needs:
     * then a full queue grows, or both would wait for ever. NULL: never. On the handler thread. */
    bool (*must_read)(void *context);
};

/* Unread-event protocol. The reader holds `reading` while it reads and enqueues; a thread
 * that wants to rely on views calls zio_handler_next_event until it returns 0 and knows
 * then that every event whose thread has run again (zio_uffd_probe == 0 before) has been
 * seen. When the queue is full the reader stops reading events until it is drained, or must_read
 * says that it has to go on. While it does not read, the raising thread waits, and the kernel
 * fills nothing (EAGAIN), so faults wait too: correct, but for the `drain` callback to prevent. */
enum { ZIO_HANDLER_QUEUE = 1024 };

struct zio_handler {
    struct zio_uffd *uffd;
    int thread_fd; /* its number in the thread's descriptor table */
    struct zio_kept thread_maps; /* likewise of the mappings */
    struct zio_handler_ops ops;
    struct zio_lock reading; /* leaf lock */
    struct zio_event queue[ZIO_HANDLER_QUEUE];
    struct zio_event *large_queue; /* or NULL: instead of `queue` */
    uint32_t large_capacity;
    _Atomic uint32_t head, tail; /* free-running; head: next to pop, tail: next to fill */
    _Atomic int32_t thread; /* tid while it runs; cleared by the kernel at its end (CLEARTID) */
    _Atomic uint32_t stop;
    _Atomic uint32_t ready; /* futex: the thread has closed what it inherited */
    unsigned char
        *doorbell; /* own registered page: madvise on it wakes the reader without a descriptor */
    unsigned char *stack;
    size_t stack_bytes;
    unsigned char *tls;
};

/* Maps stack, TLS block and doorbell (zio_pages_alloc), registers the doorbell, starts the
 * thread and waits until that has closed the descriptors it inherited. The handler must be
 * zeroed memory the first time, and nobody else may start or stop it meanwhile. The uffd
 * must be open and outlive the handler. Blocks all signals of the caller around clone. 0 or
 * a negative code; on failure nothing is left behind. ZIO_EBUSY: it runs already.
 * ZIO_EINVAL: the caller has unshared its pid namespace; no thread can be started
 * in this process any more. ZIO_EAGAIN: the user's process limit. */
int zio_handler_start(struct zio_handler *handler, struct zio_uffd *uffd,
                      const struct zio_handler_ops *ops);
/* Ends the thread and waits for it; the uffd stays open, registered ranges stay
 * registered, and zio_handler_start may follow (set*id, unshare and setns need that: the
 * new thread has the caller's credentials and namespaces). Nobody may touch a missing
 * page meanwhile except by waiting. Must be called without stripe locks. Keeps queued events.
 * When the program has closed the descriptor (ZIO_EBADF from the ioctls), only the thread
 * still holds it: stop then takes it back under a new number in uffd->fd, so that stop and
 * start repair the loss (Linux 6.9). If that fails the thread goes on serving and an error
 * is returned. 0: no thread runs any more, the kernel has forgotten it. With a full queue
 * it waits until somebody consumes. */
int zio_handler_stop(struct zio_handler *handler);
/* Where the program has closed the descriptor's number or put another file there, takes the
 * descriptor back from the thread, which goes on under its own number (Linux 6.9). 0: uffd->fd is
 * ours. Nobody else may start, stop or regain meanwhile. */
int zio_handler_regain(struct zio_handler *handler);
/* Unregisters the doorbell and unmaps the memory of a stopped handler; call it before
 * zio_uffd_close. */
void zio_handler_destroy(struct zio_handler *handler);
/* In a forked child: forgets the thread and the queue, keeps the memory for reuse. */
void zio_handler_after_fork(struct zio_handler *handler);

/* True when no event is queued or being read at this moment: two loads. */
static inline bool zio_handler_is_quiet(const struct zio_handler *handler) {
    return !zio_lock_is_exclusive(&handler->reading) &&
           atomic_load_explicit(&handler->head, memory_order_acquire) ==
               atomic_load_explicit(&handler->tail, memory_order_acquire);
}
/* Copies the oldest queued event without removing it: 1, or 0 when there is none. The
 * caller must hold its own lock against other consumers. While the reader is in the middle
 * of reading it waits for the reader. */
int zio_handler_peek_event(struct zio_handler *handler, struct zio_event *event);
/* Removes the event peeked at last; call after it has been applied. */
void zio_handler_pop_event(struct zio_handler *handler);

#endif
