/* Input into origins. The hooks give the program's iovec and a way to issue the call with
 * another one; what comes back is what the plain call would have returned. */
#ifndef ZIO_REDIRECT_H
#define ZIO_REDIRECT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

/* Issues the call with these pieces; sets errno like libc. */
typedef ssize_t zio__issue(void *call, const struct iovec *iov, int count);

/* Receives through origins where the policy wants it, otherwise issues the call as it is.
 * fd >= 0: its kind must be checked first; -1: it is known to be a socket. */
ssize_t zio__redirect(int fd, const struct iovec *iov, int count, uintptr_t return_address,
                      zio__issue *issue, void *call);

/* The same for output: viewed memory is presented from its origins. */
ssize_t zio__present(int fd, const struct iovec *iov, int count, zio__issue *issue, void *call);

/* Sockets, pipes, and regular files without O_DIRECT: where [a, b, c] in three pieces means
 * what it means in one. */
bool zio__kind_takes_pieces(int fd);

#endif
