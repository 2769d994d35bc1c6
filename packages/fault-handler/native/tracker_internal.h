/* Shared by the tracker's files only: the locked section and the steps that happen in it. */
#ifndef ZIO_TRACKER_INTERNAL_H
#define ZIO_TRACKER_INTERNAL_H

#include <zio/syscall.h>
#include <zio/tracker.h>

#include "internal.h"
#include "bytes.h" /* @zio/core's: the only byte moves allowed below the hooks */

/* tracker->forking. For long: nobody waits for its end any more. */
enum { ZIO__NOT_FORKING, ZIO__FORKING, ZIO__FORKING_FOR_LONG };

enum {
    ZIO__PAGE = 4096,
    /* Views looked at in one pass. With the deferred copies it stays below the 4 KiB of stack
     * that zio__begin makes resident. */
    ZIO__PASS_VIEWS = 12,
    ZIO__PASS_DEFERRED = 96,
    ZIO__KEPT_RUNS = 24, /* in a pass: what is sent then still has few enough pieces (present.c) */
    ZIO__REFUSALS = 6, /* pages that may refuse eviction before a pass copies the rest */
    ZIO__SCRATCH_BYTES = 4 << 20,
    ZIO__WINDOW_MAX = 256 << 10,
    ZIO__STALLED = 64, /* fills that found the map changing, before something is done about it */
};

static inline uint64_t zio__page_down(uint64_t address) {
    return address & ~(uint64_t)(ZIO__PAGE - 1);
}
static inline uint64_t zio__page_up(uint64_t address) {
    return zio__page_down(address + ZIO__PAGE - 1);
}
static inline uint64_t zio__min(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}
static inline uint64_t zio__max(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}
static inline uint64_t zio__address(const void *pointer) {
    return (uint64_t)(uintptr_t)pointer;
}
static inline struct zio_origin *zio__origin(zio_handle handle) {
    return (struct zio_origin *)(uintptr_t)handle;
}
static inline uint64_t zio__view_end(const struct zio_view *view) {
    return view->start + view->length;
}

static inline void zio__note(struct zio_tracker *tracker, struct zio_tracker_holds *holds,
                             struct zio_origin *const *origins, int count) {
    if (tracker->ledger.note)
        tracker->ledger.note(tracker->ledger.context, holds, origins, count);
}

/* A locked section: signals kept off, stripes locked, every event known that matters. */
struct zio__section {
    struct zio_signals_held signals;
    zio_stripes shared, exclusive;
};

/* How long a section waits while the map is changing. Willing: a little, because to do without it
 * costs more, as where bytes are copied instead: that would touch views, and those touches wait for
 * the same. */
enum zio__patience { ZIO__HURRIED, ZIO__WILLING, ZIO__PATIENT };

/* Enters a section in which the views of the stripes may be relied upon, or returns false
 * with nothing held (counted): the map is changing (and who is patient waits for it instead), this is
 * not the owner, or the descriptor is lost. */
bool zio__begin(struct zio_tracker *tracker, struct zio__section *section, zio_stripes shared,
                zio_stripes exclusive, enum zio__patience patience);
void zio__end(struct zio_tracker *tracker, struct zio__section *section);

/* Where the program closed the descriptor's number or put another file there, takes the descriptor
 * back from the handler, which has it in a table of its own. 0: uffd.fd is ours. With `lifecycle` held and no stripe. */
int zio__regain_descriptor(struct zio_tracker *tracker);

/* Applies every queued event. No stripe lock may be held. */
void zio__drain(struct zio_tracker *tracker);
/* The handler's form: gives up (false) rather than wait for a lock. */
bool zio__drain_timed(struct zio_tracker *tracker, uint64_t timeout_ns);
/* Announces a madvise of our own, whose REMOVE event must not cut. False: no room. */
bool zio__expect_event(struct zio_tracker *tracker, uint64_t start, uint64_t length);
/* Withdraws it: the madvise failed before it raised one. */
void zio__expect_no_event(struct zio_tracker *tracker, uint64_t start, uint64_t length);
void zio__pause(uint64_t nanoseconds);

/* Around a system call that may raise an event, with stripes locked: the handler must read it even
 * if it has nowhere to put it, because the events before it may be for us to let pass. */
static inline void zio__begin_waiting(struct zio_tracker *tracker) {
    atomic_fetch_add(&tracker->waiting, 1);
}
static inline void zio__end_waiting(struct zio_tracker *tracker) {
    atomic_fetch_sub(&tracker->waiting, 1);
}

/* All below: the stripes of the range are locked for writing. */

/* Cuts; waits for memory if even the slab's reserve is gone, because a view left over a
 * present page would be wrong for ever. */
void zio__carve(struct zio_tracker *tracker, uint64_t start, uint64_t length);
/* Fills the viewed pages from `start` (page-aligned) up to `end` or the first page without
 * view, and cuts them. uffd: as the caller's descriptor table has it. *filled: bytes made present. 0 or the code of the page that failed. */
int zio__fill(struct zio_tracker *tracker, const struct zio_uffd *uffd, uint64_t start,
              uint64_t end, unsigned char *compose, uint64_t *filled);
/* As zio__fill for every viewed page in the range. 0, or the code that stopped it. */
int zio__fill_all(struct zio_tracker *tracker, uint64_t start, uint64_t end);
/* Makes the pages [start, end) missing where they are not viewed already, registering
 * their mapping. Returns the length of the prefix that is missing now; its bytes are gone
 * and the caller inserts views over all of it. *refusals counts down. *is_strange: set where the page
 * that ended the prefix may be one that no access reaches (a guard region). */
uint64_t zio__claim(struct zio_tracker *tracker, uint64_t start, uint64_t end, int *refusals,
                    uint64_t *evicted, bool *is_strange);

/* Moves [start, +length), with its holes, out to where nobody reads it. *done: bytes from start on
 * that are missing now. 0, or the code of the page that refused. */
int zio__move_to_scratch(struct zio_tracker *tracker, uint64_t start, uint64_t length,
                         uint64_t *done);

/* What is registered for views in [start, end): small mappings whole, large ones in granules. */
void zio__registration_range(const struct zio_mapping *mapping, uint64_t start, uint64_t end,
                             uint64_t *first, uint64_t *last);

/* After a section that evicted, with no stripe locked: gives what has gathered back to the kernel, so
 * that no later section has to. */
void zio__tidy_scratch(struct zio_tracker *tracker);
void zio__scratch_after_fork(struct zio_tracker *tracker);

/* A coroutine's stack may lie in memory that we serve: makes what a locked section can use of it
 * resident. Before any stripe is locked. */
void zio__prefault_stack(void);

/* The fault callback of the handler thread. */
int zio__on_fault(void *context, uint64_t page, uint64_t flags, uint32_t thread);

#endif
