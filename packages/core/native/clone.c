/* A raw clone with a start function, and the few process-wide odds and ends that the new
 * thread needs before anything else. No libc: the thread has no thread structure. */
#include "clone.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/resource.h>

#include <zio/syscall.h>

#if defined(__x86_64__)
/* rdi flags, rsi stack, rdx parent_tid, rcx child_tid, r8 tls, r9 entry, 8(%rsp) argument.
 * The kernel wants r10 child_tid and leaves everything but rax, rcx, r11 alone. */
__asm__(".text\n"
        ".hidden zio__clone\n"
        ".globl zio__clone\n"
        ".type zio__clone, @function\n"
        "zio__clone:\n"
        ".cfi_startproc\n"
        "  movq 8(%rsp), %rax\n"
        "  andq $-16, %rsi\n"
        "  subq $16, %rsi\n"
        "  movq %r9, 0(%rsi)\n"
        "  movq %rax, 8(%rsi)\n"
        "  movq %rcx, %r10\n"
        "  movl $56, %eax\n"
        "  syscall\n"
        "  testq %rax, %rax\n"
        "  jz 1f\n"
        "  ret\n"
        "1:\n"
        ".cfi_undefined rip\n"
        "  xorl %ebp, %ebp\n"
        "  popq %rax\n"
        "  popq %rdi\n"
        "  call *%rax\n"
        "  ud2\n"
        ".cfi_endproc\n"
        ".size zio__clone, .-zio__clone\n");
#elif defined(__aarch64__)
/* x0 flags, x1 stack, x2 parent_tid, x3 child_tid, x4 tls, x5 entry, x6 argument. The
 * kernel wants x3 tls, x4 child_tid and keeps all registers but x0. */
__asm__(".text\n"
        ".hidden zio__clone\n"
        ".globl zio__clone\n"
        ".type zio__clone, %function\n"
        "zio__clone:\n"
        ".cfi_startproc\n"
        "  and x1, x1, #-16\n"
        "  mov x7, x3\n"
        "  mov x3, x4\n"
        "  mov x4, x7\n"
        "  mov x8, #220\n"
        "  svc #0\n"
        "  cbz x0, 1f\n"
        "  ret\n"
        "1:\n"
        ".cfi_undefined x30\n"
        "  mov x29, #0\n"
        "  mov x30, #0\n"
        "  mov x0, x6\n"
        "  blr x5\n"
        "  brk #1\n"
        ".cfi_endproc\n"
        ".size zio__clone, .-zio__clone\n");
#else
#error "zIO supports x86-64 and aarch64"
#endif

enum { SIG_SET_BYTES = 8, SET_MASK = 2 /* SIG_SETMASK */ };

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* Linux before 5.9: by the names in the directory, last resort by number. */
static void close_one_by_one(int kept, int other) {
    long directory = zio_syscall(SYS_openat, AT_FDCWD, "/proc/thread-self/fd",
                                 O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        struct rlimit limit = {1024, 1024};
        zio_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, &limit);
        uint64_t end = limit.rlim_max < 1048576 ? limit.rlim_max : 1048576;
        for (uint64_t fd = 0; fd < end; fd++)
            if ((int)fd != kept && (int)fd != other)
                zio_syscall(SYS_close, fd);
        return;
    }
    struct entry {
        uint64_t inode;
        int64_t offset;
        uint16_t bytes;
        uint8_t type;
        char name[];
    };
    _Alignas(struct entry) char buffer[1024];
    long have;
    while ((have = zio_syscall(SYS_getdents64, directory, buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < have;) {
            const struct entry *entry = (const struct entry *)(buffer + at);
            at += entry->bytes;
            if (entry->name[0] < '0' || entry->name[0] > '9')
                continue;
            int fd = 0;
            for (const char *digit = entry->name; *digit != '\0'; digit++)
                fd = fd * 10 + (*digit - '0');
            if (fd != kept && fd != other && fd != (int)directory)
                zio_syscall(SYS_close, fd);
        }
    }
    zio_syscall(SYS_close, directory);
}

static bool close_range_of(long first, long last) {
    return first > last || zio_syscall(SYS_close_range, first, last, 0) >= 0;
}

void zio__close_all_but(int fd, int other) {
    long low = fd < other ? fd : other, high = fd < other ? other : fd;
    if (!close_range_of(0, low - 1) || !close_range_of(low + 1, high - 1) ||
        !close_range_of(high + 1, 0xffffffffL))
        close_one_by_one(fd, other);
}
