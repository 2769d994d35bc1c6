/* What the files of this package share with each other and with nobody else. */
#ifndef ZIO_FAULT_HANDLER_INTERNAL_H
#define ZIO_FAULT_HANDLER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zio/handler.h>
#include <zio/signals.h>
#include <zio/uffd.h>

#include "clone.h"

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
