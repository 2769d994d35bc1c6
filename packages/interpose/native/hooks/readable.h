/* The vector calls read the program's msghdr and iovec before the kernel does; where the
 * kernel would say EFAULT we must not crash. */
#ifndef ZIO_READABLE_H
#define ZIO_READABLE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zio/syscall.h>

/* rt_sigprocmask reads its set before it rejects an unknown `how`: EFAULT tells. */
static inline bool zio__is_readable_word(uintptr_t address) {
    return zio_syscall(SYS_rt_sigprocmask, 99, address, 0, 8) != -14 /* EFAULT */;
}

/* The page of the stack that we run on needs no system call: most callers' vectors lie there. */
static inline bool zio__is_on_our_page(uintptr_t first, uintptr_t last) {
    uintptr_t page = (uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)4095;
    return first - page < 4096 && last - page <= 4096 - 8;
}

/* length <= 4096 + 8: the first and the last word lie on all its pages, at most three. */
static inline bool zio__is_readable(const void *start, size_t length) {
    uintptr_t first = (uintptr_t)start, last = first + length - 8;
    if (length < 8 || last < first)
        return false;
    if (zio__is_on_our_page(first, last))
        return true;
    for (uintptr_t at = first; at < last; at += 4096)
        if (!zio__is_readable_word(at))
            return false;
    return zio__is_readable_word(last);
}

#endif
