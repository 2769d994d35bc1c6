/* Input into origins and output from them. A hook states its call as a request; both functions
 * return false, with nothing done and errno as it was, when the call is to be issued as it came. */
#ifndef ZIO_REDIRECT_H
#define ZIO_REDIRECT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>
#include <zio/io_stack.h>

enum zio__direction { ZIO__INPUT, ZIO__OUTPUT };
enum zio__descriptor { ZIO__ANY_DESCRIPTOR, ZIO__SOCKET_DESCRIPTOR };

/* Receives through origins where the policy wants it. The request's pieces are the program's;
 * message (if any) is the caller's copy, whose address, control data and flags are filled in. */
bool zio__redirect(int fd, enum zio__descriptor known, const struct zio_io_request *request,
                   uintptr_t return_address, ssize_t *result);

/* As zio__redirect for recvmmsg(2), with libc's result and errno. The array and the vectors can be
 * read; only messages that arrived are changed. */
bool zio__redirect_many(int fd, struct mmsghdr *messages, unsigned count, int flags,
                        struct timespec *timeout, uintptr_t return_address, int *result);

/* Presents viewed memory to the stack from its origins, each held while the call runs. */
bool zio__present(int fd, enum zio__descriptor known, const struct zio_io_request *request,
                  ssize_t *result);

/* Sockets, pipes, and regular files without O_DIRECT: where [a, b, c] in three pieces means
 * what it means in one. */
bool zio__kind_takes_pieces(int fd, enum zio__direction direction);

/* The result of a call as libc gives it. */
ssize_t zio__as_libc(ssize_t result);

#endif
