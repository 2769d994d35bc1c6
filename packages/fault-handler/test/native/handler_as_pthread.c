/* The handler as a thread that ThreadSanitizer knows: linked with --wrap, in place of the raw clone
 * whose thread has no thread-local storage for a sanitizer. What the thread does is the same; it
 * shares the descriptor table, and is never stopped. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <zio/syscall.h>

#include "internal.h"

long __real_zio__clone(unsigned long flags, void *stack_top, _Atomic int32_t *parent_tid,
                       _Atomic int32_t *child_tid, void *tls, void (*entry)(void *argument),
                       void *argument);
long __wrap_zio__clone(unsigned long flags, void *stack_top, _Atomic int32_t *parent_tid,
                       _Atomic int32_t *child_tid, void *tls, void (*entry)(void *argument),
                       void *argument);
void __wrap_zio__close_all_but(int fd, int other);

struct start {
    void (*entry)(void *argument);
    void *argument;
    _Atomic int32_t *tid;
};

static void *run(void *argument) {
    struct start start = *(struct start *)argument;
    free(argument);
    atomic_store(start.tid, (int32_t)zio_syscall(SYS_gettid));
    start.entry(start.argument);
    return NULL;
}

long __wrap_zio__clone(unsigned long flags, void *stack_top, _Atomic int32_t *parent_tid,
                       _Atomic int32_t *child_tid, void *tls, void (*entry)(void *argument),
                       void *argument) {
    if (flags != ZIO__CLONE_THREAD_FLAGS)
        return __real_zio__clone(flags, stack_top, parent_tid, child_tid, tls, entry, argument);
    struct start *start = malloc(sizeof *start);
    *start = (struct start){entry, argument, parent_tid};
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, start) != 0)
        return ZIO_EAGAIN;
    pthread_detach(thread);
    return 1;
}

void __wrap_zio__close_all_but(int fd, int other) {
    (void)fd, (void)other;
}
