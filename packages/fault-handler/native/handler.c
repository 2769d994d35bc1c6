/* The life of the handler thread as its owner sees it: start and stop. What the thread itself does
 * is in handler_thread.c. */
#include <sys/wait.h>
#include <time.h>

#include <zio/arena.h>
#include <zio/handler.h>
#include <zio/syscall.h>

#include "internal.h"

enum {
    DOORBELL_BYTES = 4096,
    HANDLER_STACK_BYTES = 128 * 1024,
    /* Room below the thread pointer, so that code which reads a thread-local variable by
     * mistake finds zeros, and above it for the canary at %fs:0x28. */
    HANDLER_TLS_BYTES = 64 * 1024,
    HANDLER_TLS_ABOVE = 4096,
};

enum { FUTEX_WAIT_SHARED = 0, FUTEX_WAKE_SHARED = 1 };

static void wait_until_changed(void *word, uint32_t seen) {
    zio_syscall(SYS_futex, word, FUTEX_WAIT_SHARED, seen, 0);
}

static int map_memory(struct zio_handler *handler) {
    if (!handler->stack)
        handler->stack = zio_pages_alloc(HANDLER_STACK_BYTES);
    if (!handler->tls)
        handler->tls = zio_pages_alloc(HANDLER_TLS_BYTES);
    if (!handler->doorbell)
        handler->doorbell = zio_pages_alloc(DOORBELL_BYTES);
    handler->stack_bytes = HANDLER_STACK_BYTES;
    if (!handler->stack || !handler->tls || !handler->doorbell)
        return ZIO_ENOMEM;
    /* A guard: an overflow must not run into the program's memory. */
    zio_syscall(SYS_mprotect, handler->stack, DOORBELL_BYTES, 0 /* PROT_NONE */);
    return 0;
}

void zio_handler_destroy(struct zio_handler *handler) {
    if (handler->stack)
        zio_pages_free(handler->stack, HANDLER_STACK_BYTES);
    if (handler->tls)
        zio_pages_free(handler->tls, HANDLER_TLS_BYTES);
    /* Unmapping it while it is registered would wait for a reader that is gone: then leak it. */
    if (handler->doorbell &&
        zio_uffd_unregister(handler->uffd, (uintptr_t)handler->doorbell, DOORBELL_BYTES) == 0)
        zio_pages_free(handler->doorbell, DOORBELL_BYTES);
    handler->stack = handler->tls = handler->doorbell = NULL;
}

static unsigned char *thread_pointer(struct zio_handler *handler) {
    unsigned char *pointer = handler->tls + HANDLER_TLS_BYTES - HANDLER_TLS_ABOVE;
    ((void **)pointer)[0] = pointer; /* x86-64: %fs:0 is the pointer itself */
    ((void **)pointer)[2] = pointer;
    return pointer;
}

/* In a forked child the stack is a copy of the one that the parent's thread was using, and so is what
 * AddressSanitizer knows of the frames on it. It sets that right for threads of libc only. */
static void forget_frames(struct zio_handler *handler) {
#ifdef __SANITIZE_ADDRESS__
    void __asan_unpoison_memory_region(const volatile void *start, size_t length);
    __asan_unpoison_memory_region(handler->stack, handler->stack_bytes);
#else
    (void)handler;
#endif
}

int zio_handler_start(struct zio_handler *handler, struct zio_uffd *uffd,
                      const struct zio_handler_ops *ops) {
    if (atomic_load(&handler->thread) != 0)
        return ZIO_EBUSY;
    handler->uffd = uffd;
    handler->thread_fd = uffd->fd;
    handler->thread_maps = uffd->maps;
    handler->ops = *ops;
    atomic_store(&handler->stop, 0);
    atomic_store(&handler->ready, 0);
    bool first = !handler->doorbell;
    int code = map_memory(handler);
    if (code == 0)
        code = zio_uffd_register(uffd, (uintptr_t)handler->doorbell, DOORBELL_BYTES);
    if (code == 0) {
        forget_frames(handler);
        uint64_t mask = zio_signals_block();
        long tid = zio__clone(ZIO__CLONE_THREAD_FLAGS, handler->stack + HANDLER_STACK_BYTES,
                              &handler->thread, &handler->thread, thread_pointer(handler),
                              zio__handler_main, handler);
        zio_signals_restore(mask);
        code = tid < 0 ? (int)tid : 0;
    }
    if (code != 0) {
        if (first)
            zio_handler_destroy(handler);
        return code;
    }
    while (atomic_load(&handler->ready) == 0)
        wait_until_changed(&handler->ready, 0);
    return 0;
}

#ifndef PIDFD_THREAD
#define PIDFD_THREAD 0200 /* O_EXCL; Linux 6.9 */
#endif

/* A number in this process's table for what has `number` in the thread's own, or a negative code. */
static int take_back(int32_t tid, int number) {
    long pidfd = zio_syscall(SYS_pidfd_open, tid, PIDFD_THREAD);
    if (pidfd < 0)
        return (int)pidfd;
    long fd = zio_syscall(SYS_pidfd_getfd, pidfd, number, 0);
    zio_syscall(SYS_close, pidfd);
    return fd < 0 ? (int)fd : zio__fd_move_away((int)fd);
}

int zio_handler_regain(struct zio_handler *handler) {
    int32_t tid = atomic_load(&handler->thread);
    if (zio_uffd_is_ours(handler->uffd))
        return 0;
    int fd = tid == 0 ? ZIO_EBADF : take_back(tid, handler->thread_fd);
    if (fd < 0)
        return fd;
    zio_uffd_set_number(handler->uffd, fd);
    /* Whoever closed one has closed both. Elsewhere they can be opened anew, as a rule. */
    struct zio_kept maps = handler->thread_maps;
    if (maps.identity != 0 && !zio_kept_is_ours(&handler->uffd->maps) &&
        (maps.number = take_back(tid, maps.number)) >= 0)
        handler->uffd->maps = maps;
    return 0;
}

/* The kernel clears `thread` while the task still counts as one of the process; unshare and
 * setns look at that count. */
static void wait_until_gone(int32_t tid) {
    struct timespec pause = {.tv_nsec = 20 * 1000};
    long process = zio_syscall(SYS_getpid, 0);
    for (int i = 0; i < 1000 && zio_syscall(SYS_tgkill, process, tid, 0) != -ESRCH; i++)
        zio_syscall(SYS_nanosleep, &pause, NULL);
    /* The number goes first, the count a moment later under the kernel's task list lock,
     * which this takes too; it reaps nobody. */
    zio_syscall(SYS_waitid, P_ALL, 0, NULL, WEXITED | WNOHANG | WNOWAIT, NULL);
}

int zio_handler_stop(struct zio_handler *handler) {
    int32_t first_seen = atomic_load(&handler->thread), tid = first_seen;
    if (tid == 0)
        return 0;
    int code = zio_handler_regain(handler);
    if (code != 0)
        return code;
    atomic_store(&handler->stop, 1);
    /* Raises a REMOVE event, which the thread reads: no descriptor is involved. */
    zio_syscall(SYS_madvise, handler->doorbell, DOORBELL_BYTES, 4 /* MADV_DONTNEED */);
    while ((tid = atomic_load(&handler->thread)) != 0)
        wait_until_changed(&handler->thread, (uint32_t)tid);
    wait_until_gone(first_seen);
    return 0;
}

void zio_handler_after_fork(struct zio_handler *handler) {
    atomic_store(&handler->thread, 0);
    atomic_store(&handler->stop, 0);
    zio__queue_after_fork(handler);
}
