/* Blocking signals around a lock: a handler that came meanwhile and wanted the same lock would wait
 * for itself. Raw system calls: libc's functions refuse to block its own signals 32 and 33. They
 * touch neither errno nor thread-local storage. Async-signal-safe; per thread; kept by fork. */
#ifndef ZIO_SIGNALS_H
#define ZIO_SIGNALS_H

#include <signal.h>
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

#endif
