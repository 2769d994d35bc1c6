/* Threads and processes that libc knows nothing of: a raw clone with a start function, and what such a
 * thread needs before anything else. No libc: it has no thread structure. */
#ifndef ZIO_NATIVE_CLONE_H
#define ZIO_NATIVE_CLONE_H

#include <stdint.h>

/* Runs entry(argument) as a new thread or process on the given stack (`stack_top` is the
 * end of the memory, 16-byte aligned). entry must not return. Returns what clone(2)
 * returned in the caller. tls, parent_tid and child_tid mean what the flags say. */
long zio__clone(unsigned long flags, void *stack_top, _Atomic int32_t *parent_tid,
                _Atomic int32_t *child_tid, void *tls, void (*entry)(void *argument),
                void *argument);

enum {
    ZIO__CLONE_THREAD_FLAGS = 0x00000100 /* VM */ | 0x00000800 /* SIGHAND */ |
                              0x00010000 /* THREAD */ | 0x00040000 /* SYSVSEM */ |
                              0x00080000 /* SETTLS */ | 0x00100000 /* PARENT_SETTID */ |
                              0x00200000 /* CHILD_CLEARTID */
};

/* For functions that never return: AddressSanitizer would never forget their frames, and the
 * stack is given back to the kernel and comes again as something else. */
#define ZIO__NEVER_RETURNS __attribute__((no_sanitize("address"), noreturn))

/* Closes every descriptor of the calling thread's own table but two (-1: none). */
void zio__close_all_but(int fd, int other);

#endif
