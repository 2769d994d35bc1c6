/* System calls by the instruction itself, as liburing, Go and others make them: no hook can see
 * these, not even one of syscall(3). Other machines than the two below fall back on it. */
#ifndef DIRECT_CALL_H
#define DIRECT_CALL_H
#include <errno.h>
#include <unistd.h>

static inline long direct_call(long number, const long *arguments) {
#if defined __x86_64__
    long result;
    register long r10 __asm__("r10") = arguments[3];
    register long r8 __asm__("r8") = arguments[4];
    register long r9 __asm__("r9") = arguments[5];
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(arguments[0]), "S"(arguments[1]), "d"(arguments[2]),
                       "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
#elif defined __aarch64__
    register long result __asm__("x0") = arguments[0];
    register long x1 __asm__("x1") = arguments[1];
    register long x2 __asm__("x2") = arguments[2];
    register long x3 __asm__("x3") = arguments[3];
    register long x4 __asm__("x4") = arguments[4];
    register long x5 __asm__("x5") = arguments[5];
    register long x8 __asm__("x8") = number;
    __asm__ volatile("svc 0"
                     : "+r"(result)
                     : "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5), "r"(x8)
                     : "memory");
#else
    return syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                   arguments[5]);
#endif
#if defined __x86_64__ || defined __aarch64__
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return -1;
    }
    return result;
#endif
}

/* As syscall(3); arguments are numbers or pointers. */
#define LONG_(x)                          ((long)(x))
#define ARGUMENTS_(a, b, c, d, e, f, ...) LONG_(a), LONG_(b), LONG_(c), LONG_(d), LONG_(e), LONG_(f)
#define DIRECT(number, ...)                                                                        \
    direct_call(number, (const long[6]){ARGUMENTS_(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)})

#endif
