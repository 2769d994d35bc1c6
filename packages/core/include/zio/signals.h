/* Keeping signals off around a lock: a handler that came meanwhile and wanted the same lock would
 * wait for itself. Blocking them takes two raw system calls, for libc's functions refuse to block its
 * own signals 32 and 33; whoever installs the handlers can do it cheaper (struct zio_signal_keeper).
 * Touches neither errno nor, but in a keeper, thread-local storage. Async-signal-safe; per thread;
 * kept by fork. */
#ifndef ZIO_SIGNALS_H
#define ZIO_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <zio/syscall.h>

/* Blocks every signal of the calling thread. Returns the mask to restore. */
static inline uint64_t zio_signals_block(void) {
  uint64_t all = ~UINT64_C(0), old = 0;
  zio_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, sizeof old);
  return old;
}

static inline void zio_signals_restore(uint64_t mask) {
  zio_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, sizeof mask);
}

/* Puts handlers off until the calling thread lets go, on a stack of which the next 8 KiB are resident.
 * `hold` may refuse (false): then signals are to be blocked. Holds nest. Both are async-signal-safe;
 * functions may be NULL: signals are blocked. Not for the handler thread. */
struct zio_signal_keeper {
  bool (*hold)(void);
  void (*let_go)(void);
};

struct zio_signals_held {
  bool is_kept; /* by the keeper */
  uint64_t mask;
};

static inline struct zio_signals_held zio_signals_hold(const struct zio_signal_keeper *keeper) {
  if (keeper->hold && keeper->hold()) return (struct zio_signals_held){.is_kept = true};
  return (struct zio_signals_held){.mask = zio_signals_block()};
}

static inline void zio_signals_let_go(const struct zio_signal_keeper *keeper,
                                      const struct zio_signals_held *held) {
  if (held->is_kept)
    keeper->let_go();
  else
    zio_signals_restore(held->mask);
}

#endif
