/* A reader-writer lock on a futex, for the data plane: needs no thread-local storage and
 * no libc, so that the handler thread can take it; writers are preferred, so that a
 * waiting handler is not starved by readers. Not recursive in either mode. The owner is
 * not recorded. Zero-initialised memory is an unlocked lock; after fork the child resets
 * it by zeroing. Not async-signal-safe: callers block signals around locked sections. */
#ifndef ZIO_LOCK_H
#define ZIO_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct zio_lock {
  _Atomic uint32_t state;   /* readers, or held exclusively; whether a reader sleeps */
  _Atomic uint32_t writers; /* writers that wait */
};

void zio_lock_shared(struct zio_lock *lock);
void zio_unlock_shared(struct zio_lock *lock);
void zio_lock_exclusive(struct zio_lock *lock);
void zio_unlock_exclusive(struct zio_lock *lock);
/* Waits at most timeout_ns (0: only tries). Returns whether the lock is held. */
bool zio_lock_exclusive_timed(struct zio_lock *lock, uint64_t timeout_ns);

/* Whether somebody holds the lock exclusively, seen from this thread. Nothing else can be read from
 * `state`: the mark that a reader sleeps may be left there by one that did not have to. */
#define ZIO_LOCK_EXCLUSIVE UINT32_C(0x80000000)
static inline bool zio_lock_is_exclusive(const struct zio_lock *lock) {
  return atomic_load_explicit(&lock->state, memory_order_acquire) & ZIO_LOCK_EXCLUSIVE;
}

/* Where the nanoseconds that threads sleep for locks are added up, for all locks of this copy of
 * the code; NULL: nowhere, as at first. What it points to must not go away. */
void zio_lock_count_sleep(_Atomic uint64_t *nanoseconds);

#endif
