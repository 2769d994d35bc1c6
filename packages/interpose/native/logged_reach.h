/* How much of the program's memory a call may touch: where the kernel would say EFAULT we must not
 * crash, and what comes before a bad page is read or written. */
#ifndef ZIO_LOGGED_REACH_H
#define ZIO_LOGGED_REACH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

enum zio__access { ZIO__READS, ZIO__WRITES };

/* The bytes from the start of the pieces on, of at most `wanted`, that can be touched. */
size_t zio__reach(const struct iovec *pieces, size_t count, size_t wanted, enum zio__access access);

#endif
