/* What the files of this package share with each other and with nobody else. */
#ifndef ZIO_FAULT_HANDLER_INTERNAL_H
#define ZIO_FAULT_HANDLER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zio/handler.h>
#include <zio/signals.h>
#include <zio/uffd.h>

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

/* Moves a descriptor out of the program's way, close-on-exec: beyond the limit of descriptors if
 * possible, never 0-2. Consumes fd; returns the new number or a negative code. */
int zio__fd_move_away(int fd);
/* The same for a copy of it: fd stays open, and on failure there is none. */
int zio__fd_copy_away(int fd);
/* What tells the file behind a number from any other, or 0 where nothing is there. */
uint64_t zio__descriptor_identity(int fd);

/* The program is about to put another file under `number`. */
int zio__kept_leave_number(struct zio_kept *kept, int number);
/* A descriptor of this process's mappings, or a negative code. */
long zio__maps_open(const struct zio_uffd *uffd);

/* When a seccomp filter is installed: does everything once in a throw-away child, so that a
 * filter that kills kills only that (TRAPS: probing userfaultfd(2) under a kill filter
 * dies with SIGSYS). 0: go ahead; ZIO_EPERM: a filter kills one of our system calls. */
int zio__seccomp_rehearse(uint32_t disabled);

/* The event queue's side of the thread that reads, which alone calls these. */
uint32_t zio__queue_length(const struct zio_handler *handler);
/* How many events may be read now, `batch` at most. A queue of ZIO_HANDLER_QUEUE is full, unless its
 * owner says that one must be read (ops.must_read): then it grows. */
uint32_t zio__queue_room(struct zio_handler *handler, uint32_t batch);
/* There must be room; with `reading` held. */
void zio__queue_add(struct zio_handler *handler, const struct zio_event *event);
void zio__queue_after_fork(struct zio_handler *handler);

/* The main function of the handler thread; the argument is a struct zio_handler. */
ZIO__NEVER_RETURNS void zio__handler_main(void *handler);

#endif
