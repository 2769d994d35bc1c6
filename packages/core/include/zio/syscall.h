/* Raw system calls: return the result or -errno, touch neither errno nor any other
 * thread-local variable. The handler thread has no libc thread structure, and hooks
 * must leave errno alone, so nothing in the data plane goes through libc's syscall().
 * Thread-safe, async-signal-safe, fork-safe. */
#ifndef ZIO_SYSCALL_H
#define ZIO_SYSCALL_H

#include <stdint.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
static inline long zio_syscall6(long nr, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
static inline long zio_syscall6(long nr, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = nr;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                   : "memory", "cc");
  return x0;
}
#else
#error "zIO supports x86-64 and aarch64"
#endif

#define zio_syscall(nr, ...) ZIO__SYSCALL(nr, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define ZIO__SYSCALL(nr, a, b, c, d, e, f, ...)                                          \
  zio_syscall6((long)(nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

#endif
