/* The one instance of zIO in a process: its settings, its tracker, its counters. Only the
 * preload library owns process-wide state; everything below takes handles. */
#ifndef ZIO_INSTANCE_H
#define ZIO_INSTANCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zio/tracker.h>

#include "config_table.h"
#include "costs.h"

/* Longer paths and texts than these count as unset. */
enum { ZIO__PATH_BYTES = 512, ZIO__TEXT_BYTES = 4096 };

struct zio__settings {
    enum zio_policy policy;
    uint64_t threshold;    /* bytes */
    uint64_t memory_limit; /* bytes; never 0 here */
    const char *stats;     /* a directory, or NULL */
    const char *log;       /* a file, "stderr", or NULL */
    uint32_t disabled;     /* enum zio_kernel_feature */
    struct zio__costs costs;
    bool follow;           /* programs that this one executes are under zIO too */
    bool keep_heap;        /* the allocator shall keep what is freed (heap.h) */
    uint64_t seccomp;      /* filters that are known to let zIO work */
    const char *nvm;       /* the pool that files are logged in, or NULL */
    const char *nvm_files; /* patterns, separated by colons, or NULL */
    uint64_t nvm_size;     /* bytes, of a pool that is not there yet */
    bool nvm_checksum;     /* of such a pool */
    const char *nvm_tree;  /* names the processes that share the pool, or NULL */
    const char *nvm_provider; /* a library, or NULL */
};

/* Reads the environment; a value that makes no sense is replaced by its default. Makes no system
 * call. */
void zio__settings_read(struct zio__settings *settings);
/* Finds out what was left to zIO. */
void zio__settings_complete(struct zio__settings *settings);

/* Reads what fits of a file such as those of /proc and ends it by a zero. Returns its length: 0 where
 * there is no file. */
size_t zio__read_small_file(const char *path, char *text, size_t room);

/* A quarter of what the cgroup allows or the machine has, in bytes. */
uint64_t zio__default_memory_limit(void);

/* Takes the library and its settings out of the environment, in place: what this program executes
 * is not under zIO. From the constructor, before there can be a second thread. */
void zio__leave_environment(void);

extern struct zio__settings zio__settings;
extern struct zio_tracker zio__tracker;

/* Calls of fewer bytes go straight to libc: 0 until the instance is set up (the slow path
 * then finds out that it is early), SIZE_MAX when zIO is off. */
extern _Atomic size_t zio__threshold;
/* Set once the constructor has run and zIO is on. */
extern _Atomic bool zio__on;

static inline bool zio__is_small(size_t length) {
    return __builtin_expect(length < atomic_load_explicit(&zio__threshold, memory_order_relaxed),
                            1);
}

/* Set for good once a seccomp filter is there that may kill for our system calls: none is made any
 * more, not even at exit. */
extern _Atomic bool zio__confined;

/* Whether anything is tracked, or may be: also while zIO is ending. */
static inline bool zio__is_tracking(void) {
    return atomic_load_explicit(&zio__on, memory_order_acquire) ||
           atomic_load_explicit(&zio__tracker.map.count, memory_order_acquire) != 0;
}

/* False on a signal stack with little room left: what zIO does there would overflow it, while the
 * plain call, which is always right, does not. */
bool zio__has_stack(void);

/* False in a child that runs in our memory, and in the parent until it has looked once. Knows of
 * children that were made through libc. */
bool zio__is_at_home(void);

/* Whether views may be made now by this thread; starts the tracker. When userfaultfd turns
 * out to be unusable, every hook becomes a plain call from then on. */
bool zio__ready(void);

/* Notes how memory is counted, for a time when /proc is not to be seen. */
void zio__look_at_overcommit(void);

/* The process is ending: views become memory, and no further one is made. */
void zio__end_views(void);

/* Ends zIO in this process: views become memory, every hook becomes a plain call. */
void zio__turn_off(const char *why);

/* For debuggers, by name: `call (void)zio_materialise_all()`. They read memory by calls that give EIO
 * for a view. Every view becomes memory, and zIO ends in this process. Not while all other threads
 * are held back: the handler thread must run. */
__attribute__((visibility("default"))) void zio_materialise_all(void);

/* The program pins memory for long (io_uring's registered buffers). UFFDIO_MOVE refuses pinned
 * pages; without it eviction would strand them, so zIO ends then. */
void zio__memory_is_pinned(void);

/* stats.c: the shared page. open: in the constructor and in a forked child. */
void zio__stats_open(void);
void zio__stats_close(void);
void zio__stats_state(const char *state);
/* Gauges are written when they have changed. */
void zio__stats_gauges(void);
/* What the pool of logged files holds, while it is open. Within a visit. */
void zio__stats_pool(void);
/* The same, now and then: after each call that logged something. */
void zio__stats_logged(void);
/* The last process has closed it: nothing is left in the log. */
void zio__stats_pool_applied(void);

/* log.c: one line to ZIO_LOG, if set. Async-signal-safe, no malloc. */
void zio__log(const char *text, const char *detail);

#endif
