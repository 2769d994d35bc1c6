/* The tracker: the views of one process together with the userfaultfd that makes them
 * true. It owns the one invariant everything rests on:
 *
 *   a page of the program that any view overlaps is missing, registered with our
 *   userfaultfd, and covered by views from its first byte to its last.
 *
 * So "present" implies "no view", whoever finds such a page missing waits for the handler,
 * and views may begin and end at any byte of a page that already is covered.
 *
 * Look-up, eviction, filling and cutting happen under the stripe locks of view_map.h; no
 * program memory is touched, and no blocking IO done, while one is held. Signals are
 * kept off there. docs/consistency-model.md has the argument.
 *
 * All functions are thread-safe unless said otherwise, leave errno alone, never allocate
 * with malloc and never abort. They are not async-signal-safe in the sense of POSIX, but a
 * signal handler may call them: it never interrupts a locked section. */
#ifndef ZIO_TRACKER_H
#define ZIO_TRACKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <zio/handler.h>
#include <zio/origin.h>
#include <zio/signals.h>
#include <zio/stats.h>
#include <zio/uffd.h>
#include <zio/view_map.h>

/* X(identifier, JSON path, kind). The fallbacks: why something was copied, or not redirected. */
#define ZIO_TRACKER_COUNTERS(X)                                                                    \
    X(redirected_bytes, "redirectedBytes", ZIO_STATS_COUNTER)                                      \
    X(elided_bytes, "elidedBytes", ZIO_STATS_COUNTER)                                              \
    X(copied_bytes, "copiedBytes", ZIO_STATS_COUNTER)                                              \
    X(kept_bytes, "keptBytes", ZIO_STATS_COUNTER)                                                  \
    X(materialised_bytes, "materialisedBytes", ZIO_STATS_COUNTER)                                  \
    X(moved_bytes, "movedBytes", ZIO_STATS_COUNTER)                                                \
    X(translated_bytes, "translatedBytes", ZIO_STATS_COUNTER)                                      \
    X(faults, "faults", ZIO_STATS_COUNTER)                                                         \
    X(zero_faults, "zeroFaults", ZIO_STATS_COUNTER)                                                \
    X(events, "events", ZIO_STATS_COUNTER)                                                         \
    X(evictions, "evictions", ZIO_STATS_COUNTER)                                                   \
    X(compactions, "compactions", ZIO_STATS_COUNTER)                                               \
    X(lock_sleep_ns, "lockSleepNs", ZIO_STATS_COUNTER)                                             \
    X(logged_bytes, "loggedBytes", ZIO_STATS_COUNTER)                                              \
    X(logged_by_reference_bytes, "loggedByReferenceBytes", ZIO_STATS_COUNTER)                      \
    X(logged_held_bytes, "loggedHeldBytes", ZIO_STATS_GAUGE)                                       \
    X(pool_bytes, "poolBytes", ZIO_STATS_GAUGE)                                                    \
    X(pool_used_bytes, "poolUsedBytes", ZIO_STATS_GAUGE)                                           \
    X(pool_logged_bytes, "poolLoggedBytes", ZIO_STATS_GAUGE)                                       \
    X(pool_digested_bytes, "poolDigestedBytes", ZIO_STATS_GAUGE)                                   \
    X(pool_undigested_bytes, "poolUndigestedBytes", ZIO_STATS_GAUGE)                               \
    X(pool_waits, "poolWaits", ZIO_STATS_GAUGE)                                                    \
    X(views, "views", ZIO_STATS_GAUGE)                                                             \
    X(origins, "origins", ZIO_STATS_GAUGE)                                                         \
    X(origin_bytes, "originBytes", ZIO_STATS_GAUGE)                                                \
    X(event_pending, "fallbacks.event-pending", ZIO_STATS_COUNTER)                                 \
    X(pinned_page, "fallbacks.pinned-page", ZIO_STATS_COUNTER)                                     \
    X(unsuitable_memory, "fallbacks.unsuitable-memory", ZIO_STATS_COUNTER)                         \
    X(memory_limit, "fallbacks.memory-limit", ZIO_STATS_COUNTER)                                   \
    X(out_of_memory, "fallbacks.out-of-memory", ZIO_STATS_COUNTER)                                 \
    X(too_many_pieces, "fallbacks.too-many-pieces", ZIO_STATS_COUNTER)                             \
    X(overlap, "fallbacks.overlap", ZIO_STATS_COUNTER)                                             \
    X(descriptor_lost, "fallbacks.descriptor-lost", ZIO_STATS_COUNTER)                             \
    X(descriptor_regained, "fallbacks.descriptor-regained", ZIO_STATS_COUNTER)                     \
    X(short_input, "fallbacks.short-input", ZIO_STATS_COUNTER)                                     \
    X(descriptor_kind, "fallbacks.descriptor-kind", ZIO_STATS_COUNTER)                             \
    X(backed_off, "fallbacks.backed-off", ZIO_STATS_COUNTER)                                       \
    X(unavailable, "fallbacks.unavailable", ZIO_STATS_COUNTER)                                     \
    X(not_preloaded, "fallbacks.not-preloaded", ZIO_STATS_COUNTER)                                 \
    X(nvm_left, "fallbacks.nvm-left", ZIO_STATS_COUNTER)                                           \
    X(nvm_pool_full, "fallbacks.nvm-pool-full", ZIO_STATS_COUNTER)

enum zio_counter {
#define ZIO_COUNTER_ENUM(id, path, kind) ZIO_COUNT_##id,
    ZIO_TRACKER_COUNTERS(ZIO_COUNTER_ENUM)
#undef ZIO_COUNTER_ENUM
        ZIO_COUNTER_COUNT
};

enum zio_tracker_state {
    ZIO_TRACKER_IDLE, /* nothing tracked yet: no descriptor, no thread */
    ZIO_TRACKER_ACTIVE,
    ZIO_TRACKER_UNAVAILABLE, /* no usable userfaultfd; see reason */
    ZIO_TRACKER_LOST, /* the program closed our descriptor: views are served, none are added */
};

/* What became of the bytes that an input site published: copied as views, or touched ([start,
 * +filled_bytes) was filled), and how many bytes of memory were taken from the program for them.
 * `overwritten`: whole pages that showed views are the program's again, because it overwrites them.
 * `elides` is asked before a copy of so many bytes: false, and the caller copies them. Views keep the site of
 * their input through every copy; 0 is none: freed memory that showed zeros, or registered memory
 * that showed nothing. `touched` runs on the handler thread; all run with stripes locked, or may,
 * and must only count.
 * `is_given_up` is asked on the handler thread when a view was touched: then all around it that is
 * viewed becomes memory too.
 * `keep` is asked of whole pages [start, end) that are about to become views, and gives the length
 * of the run from start on that all shall (*kept false), or that all is better copied to (true). */
struct zio_tracker_listener {
    bool (*elides)(void *context, uint16_t site, uint64_t bytes);
    void (*elided)(void *context, uint16_t site, uint64_t bytes);
    void (*evicted)(void *context, uint16_t site, uint64_t bytes);
    void (*overwritten)(void *context, uint64_t start, uint64_t bytes);
    void (*touched)(void *context, uint16_t site, uint64_t start, uint64_t filled_bytes);
    bool (*is_given_up)(void *context, uint16_t site);
    uint64_t (*keep)(void *context, uint64_t start, uint64_t end, bool *kept);
    void *context;
};

/* What a call holds while it copies or sends. It lies in a frame that lives as long as the holds,
 * zeroed at first. */
struct zio_tracker_holds {
    uint64_t id; /* never twice in a thread; 0: nothing was noted */
    uint32_t noted;
};

/* Whoever knows threads can keep account of holds, so that a call which never comes back (a handler
 * left it by longjmp) does not hold for ever. `note` runs with signals blocked, in the section that
 * took the holds; it may be called again with the same holder. `forget` runs before they are
 * dropped. Functions may be NULL. */
struct zio_tracker_ledger {
    void (*note)(void *context, struct zio_tracker_holds *holder, struct zio_origin *const *origins,
                 int count);
    void (*forget)(void *context, struct zio_tracker_holds *holder);
    void *context;
};

enum { ZIO_TRACKER_SELF_EVENTS = 16, ZIO_TRACKER_STREAMS = 8 };

struct zio_fault_stream {
    uint64_t next; /* where the window of the last fault ended */
    uint64_t window;
};

enum { ZIO_TRACKER_SCRATCH_PARTS = 4 };

struct zio_scratch_part {
    _Alignas(64) struct zio_lock lock; /* leaf */
    _Atomic uint64_t used;             /* bytes from its start on; written with the lock held */
};

struct zio_tracker {
    _Atomic int state;
    struct zio_lock lifecycle; /* start, stop, fork */
    uint64_t fork_signals;     /* what prepare and quiesce blocked; with lifecycle held */
    bool let_go_maps, let_go_device; /* likewise: what is to be opened again */
    bool fork_ours;            /* the forking process owns the tracker */
    _Atomic int forking;       /* not 0: no section is entered; memory stays what it was made */
    int owner_pid;
    /* Whether the calling thread surely runs in the process that it was started in, so that
     * getpid(2) need not be asked at every step. NULL: it is asked. Async-signal-safe. */
    bool (*is_at_home)(void);
    unsigned char *sentinel; /* MADV_WIPEONFORK page: 1 in the owner and its vfork children */
    uint32_t disabled;
    size_t memory_limit;

    struct zio_view_map map;
    struct zio_origin_pool pool;
    struct zio_origin_pool *other_pool; /* views may show origins of this one too; or NULL */
    struct zio_uffd uffd;
    struct zio_uffd served; /* the handler's: the number in its own descriptor table stays */
    struct zio_uffd_reason reason;
    struct zio_handler handler;
    bool handler_runs;
    bool ends_at_fork; /* unavailable here, not in a child: no thread may be started in this process */

    _Atomic uint64_t cuts; /* counts whatever may have ended a view without putting another there */
    _Atomic uint64_t changes; /* counts whatever made or ended a view */

    struct zio_lock draining;  /* the one consumer of events; taken before stripes */
    struct zio_lock self_lock; /* leaf: self_events */
    struct {
        uint64_t start, length;
    } self_events[ZIO_TRACKER_SELF_EVENTS];
    _Atomic uint32_t waiting; /* for an event of theirs to be read, with stripes locked */

    unsigned char *scratch; /* where evicted pages go */
    struct zio_scratch_part scratch_parts[ZIO_TRACKER_SCRATCH_PARTS];

    unsigned char *zeros;   /* ZIO_TRACKER_ZEROS_BYTES of zeros, to send from and to fill with */
    unsigned char *compose; /* one page, the handler's: a page made of several views */
    unsigned char *compose_locked; /* one page, of whoever holds compose_lock */
    struct zio_lock compose_lock;  /* leaf */
    struct zio_fault_stream streams[ZIO_TRACKER_STREAMS]; /* the handler's */
    uint32_t stream_turn;
    _Atomic bool has_guards; /* the program has guard regions (Linux 6.13), which no question shows */
    _Atomic uint32_t stalled; /* fills in a row that found the map changing */
    _Atomic bool restless; /* a section waited for that in vain; none has been entered since */

    struct zio_lock compacting;    /* taken before stripes; nobody waits for it */
    _Atomic size_t compact_above;  /* bytes of origins in use; 0: no scan yet */
    _Atomic uint32_t relief_pause; /* requests to let pass */
    _Atomic uint32_t last_pause;

    struct zio_stats_counter *counters;   /* ZIO_COUNTER_COUNT entries */
    struct zio_tracker_listener listener; /* functions may be NULL */
    struct zio_tracker_ledger ledger;
    struct zio_signal_keeper keeper; /* of the sections */
    _Atomic uint64_t evicted;        /* counts evictions, before they happen */
};

enum { ZIO_TRACKER_ZEROS_BYTES = 256 << 10 };

/* Nothing is opened or started. counters: ZIO_COUNTER_COUNT entries that outlive the
 * tracker (zio_tracker_set_counters replaces them). The struct is large (> 64 KiB): static,
 * zero-initialised. 0 or ZIO_ENOMEM. */
int zio_tracker_init(struct zio_tracker *tracker, size_t memory_limit, uint32_t disabled,
                     struct zio_stats_counter *counters);
void zio_tracker_set_counters(struct zio_tracker *tracker, struct zio_stats_counter *counters);

/* Opens the userfaultfd and starts the handler on first use. True when views may be made
 * by the calling thread now; false in a child that shares or copied the memory without our
 * fork hooks (vfork, raw clone), when unavailable, or when the descriptor was lost. */
bool zio_tracker_ready(struct zio_tracker *tracker);
/* True when this process is the one whose memory the tracker describes. */
bool zio_tracker_is_owner(const struct zio_tracker *tracker);

static inline bool zio_tracker_may_hold(const struct zio_tracker *tracker, const void *address,
                                        size_t length) {
    return zio_view_map_may_hold(&tracker->map, (uint64_t)(uintptr_t)address, length);
}
/* False: nothing is viewed, seen from this thread. */
static inline bool zio_tracker_has_views(const struct zio_tracker *tracker) {
    return __builtin_expect(
        atomic_load_explicit(&tracker->map.count, memory_order_acquire) != 0, 0);
}
static inline void zio_tracker_count(struct zio_tracker *tracker, enum zio_counter counter,
                                     uint64_t amount) {
    atomic_fetch_add_explicit(&tracker->counters[counter].value, amount, memory_order_relaxed);
}

/* While this number stays the same, memory seen to be covered by views still is. */
static inline uint64_t zio_tracker_cuts(const struct zio_tracker *tracker) {
    return atomic_load_explicit(&tracker->cuts, memory_order_acquire);
}

/* While this number stays the same, no view has been made or ended. */
static inline uint64_t zio_tracker_changes(const struct zio_tracker *tracker) {
    return atomic_load_explicit(&tracker->changes, memory_order_acquire);
}

/* While this number stays the same, a page that was made present is: nobody has taken it away, and
 * the kernel has reported no change of registered memory. */
static inline uint64_t zio_tracker_vacancies(const struct zio_tracker *tracker) {
    return atomic_load_explicit(&tracker->evicted, memory_order_acquire) << 32 |
           atomic_load_explicit(&tracker->handler.tail, memory_order_acquire);
}

/* The one exception to "an origin is never written again": the next message into the same buffer.
 * [buffer, +length) is known to show the origin from `offset` on, as of `changes`. When nobody else
 * shows or uses the origin, the input may go to those very bytes: they are what the program
 * overwrites, and no view has to change. Begins it (the origin is held, and copies of its views
 * made meanwhile copy bytes) or returns false. */
bool zio_tracker_overwrite_begin(struct zio_tracker *tracker, struct zio_origin *origin,
                                 uint64_t views, uint64_t changes);
/* Ends it: `received` bytes came. If views changed meanwhile they are published again.
 * *delivered as in zio_tracker_publish. The caller drops the hold. */
void zio_tracker_overwrite_end(struct zio_tracker *tracker, void *buffer, size_t received,
                               struct zio_origin *origin, uint64_t offset, uint16_t site,
                               uint64_t changes, size_t *delivered);

/* How an input buffer can be received into an origin: bytes [head, length - tail) may be
 * directed there; head and tail are the program's own memory, to be filled by the kernel.
 * Returns false when nothing can (not private anonymous writable memory, or too small), with
 * viewed_only also when a byte of the range is no view now. */
struct zio_input_plan {
    size_t head, middle, tail;
};
bool zio_tracker_plan_input(struct zio_tracker *tracker, void *buffer, size_t length,
                            bool viewed_only, struct zio_input_plan *plan);

/* Makes [destination, +length) show origin bytes [offset, +length): views where pages
 * allow, real copies elsewhere. The caller holds the origin. Returns the bytes that became views.
 * *delivered < length: the program took the memory away meanwhile; the bytes from there on are in
 * the origin only. */
size_t zio_tracker_publish(struct zio_tracker *tracker, void *destination, size_t length,
                           struct zio_origin *origin, uint64_t offset, uint16_t site,
                           size_t *delivered);

/* memmove(destination, source, length) where the source has views: true when done (by
 * views, real copies at the edges), false when the caller must copy. Nothing was changed then. */
bool zio_tracker_copy(struct zio_tracker *tracker, void *destination, const void *source,
                      size_t length);

/* [start, +length) is about to be overwritten by ordinary stores from its first byte to its
 * last: whole pages lose their views and are populated in bulk. */
void zio_tracker_overwrite(struct zio_tracker *tracker, void *start, size_t length);
/* The same where that is not the program's doing, but follows from a decision not to make views:
 * the listener is not told. */
void zio_tracker_make_room(struct zio_tracker *tracker, void *start, size_t length);
/* The contents of the range no longer matter (free): whole viewed pages become views of
 * zeros, which keep no origin alive. */
void zio_tracker_discard(struct zio_tracker *tracker, void *start, size_t length);
/* memset(start, 0, length): whole viewed pages become views of zeros, the rest is stored. */
void zio_tracker_zero(struct zio_tracker *tracker, void *start, size_t length);
/* Every view in the range becomes memory. False when that was impossible. */
bool zio_tracker_materialise(struct zio_tracker *tracker, const void *start, size_t length);
/* Whether the whole range is private anonymous memory, readable and writable. */
bool zio_tracker_is_suitable(struct zio_tracker *tracker, const void *start, size_t length);
/* As materialise, then gives the range back to ordinary paging (before mlock, mremap, mprotect). */
bool zio_tracker_yield_range(struct zio_tracker *tracker, const void *start, size_t length);
/* A system call that ends the contents of whole pages: munmap, mmap with MAP_FIXED, madvise
 * with MADV_DONTNEED. */
struct zio_map_call {
    long number, arguments[6];
    bool keeps_mapping; /* the memory stays mapped (madvise) */
    bool skips_gaps;    /* -ENOMEM: done, but for the unmapped parts (madvise) */
};
/* Runs it on [start, +length) so that it raises no event: unregisters, calls, cuts the
 * views. If the call fails the views stay. Returns its result or -errno. */
long zio_tracker_retire(struct zio_tracker *tracker, void *start, size_t length,
                        const struct zio_map_call *call);

/* No origin can be had: empties those of which little is still shown. True when memory came free;
 * where that was in vain the next requests are refused without a look. */
bool zio_tracker_relieve(struct zio_tracker *tracker);
/* The same when origins in use have doubled since the last time. After acquiring one. */
void zio_tracker_compact_if_grown(struct zio_tracker *tracker);

/* Where zio_tracker_settle goes on; zeroed at first. */
struct zio_tracker_place {
    uint32_t stripe;
    uint64_t address;
};
/* Nothing is gained any more by the views of a site: makes up to about `bytes` of them memory, and
 * ends views of zeros on the way, whose pages then read zeros by themselves. For what a site has
 * left of late: it does not look at more than some thousand views. Moves *from on. */
void zio_tracker_settle(struct zio_tracker *tracker, uint16_t site, size_t bytes,
                        struct zio_tracker_place *from);

/* Output: describes [start, +length) by at most max pieces of origins and program memory,
 * appended to iov. A hold is taken for each origin piece (origins[i], or NULL), noted in *holds, and
 * must be dropped with zio_tracker_release. Returns the number of pieces, 0 when the range has no
 * view (nothing was written), ZIO_EINVAL when max did not suffice, or ZIO_EAGAIN when the map was
 * changing: the caller then may use the memory itself, which is always right. */
int zio_tracker_translate(struct zio_tracker *tracker, const void *start, size_t length,
                          struct iovec *iov, struct zio_origin **origins, int max,
                          struct zio_tracker_holds *holds);
static inline void zio_tracker_release(struct zio_tracker *tracker, struct zio_origin **origins,
                                       int count, struct zio_tracker_holds *holds) {
    if (tracker->ledger.forget)
        tracker->ledger.forget(tracker->ledger.context, holds);
    for (int i = 0; i < count; i++)
        if (origins[i])
            zio_origin_release(origins[i]);
}

/* fork: prepare materialises every view and lets no further one be made until exactly one of the
 * others follows, in the parent or in the child. It holds no lock that a hook waits for: the
 * handlers of the program's own locks run after it, and their owners may be in a hook. In the child
 * the tracker is idle again. */
void zio_tracker_fork_prepare(struct zio_tracker *tracker);
void zio_tracker_fork_parent(struct zio_tracker *tracker);
/* shares_descriptors: the child has the parent's descriptor table (CLONE_FILES), not a copy. */
void zio_tracker_fork_child(struct zio_tracker *tracker, bool shares_descriptors);

/* Ends everything for good in this process: every view becomes memory, the handler ends, the
 * descriptor is closed. For programs about to run under limits that we would break. */
void zio_tracker_shut_down(struct zio_tracker *tracker);
/* Whether a descriptor number is one of ours at this moment: false after the program put another
 * file there. The caller has compared it with the numbers in uffd first: this is dear. */
bool zio_tracker_owns_number(const struct zio_tracker *tracker, int number);
/* The program is about to put another file under a number of ours: we go on under another one. */
void zio_tracker_leave_number(struct zio_tracker *tracker, int number);
/* mlockall(2) has locked our scratch pages as well; eviction tells locked memory by the
 * difference. Call after it. */
void zio_tracker_after_mlockall(struct zio_tracker *tracker);

/* Call before the process gives up privileges, or (paths_change) another root directory or other
 * mounts take the paths away: keeps what this process and its children need then. */
void zio_tracker_keep(struct zio_tracker *tracker, bool paths_change);
/* Ends the handler thread and starts it again in the caller's new credentials or
 * namespaces. Between the two nobody may touch a missing page except by waiting. When the
 * thread cannot be started again every view is materialised and the tracker is lost. */
void zio_tracker_quiesce(struct zio_tracker *tracker);
void zio_tracker_resume(struct zio_tracker *tracker);
/* Between the two: closes what would keep a file system busy, and opens it again where it can be. */
void zio_tracker_let_go(struct zio_tracker *tracker);
void zio_tracker_take_back(struct zio_tracker *tracker);

#endif
