/* The IO-stack ABI, version 0 (a draft: any release may change it): how a network or file stack is
 * a source and a sink of origins. A provider is a shared object that exports one table,
 * `const struct zio_io_stack zio_io_stack`; the kernel's own is compiled into the interposer
 * behind the same table. The host (the interposer) calls, the provider never calls back but for
 * completions.
 *
 * Results are what the plain system call would give: a count, 0, or -errno; the host passes them on
 * to the application unchanged. errno itself is not touched.
 * Threads: every function may be called from any thread at any time; two calls on one channel may
 * run at once, in the same combinations in which the kernel allows two system calls on one
 * descriptor. No function is async-signal-safe; the host blocks no signals around them.
 * Locks: the host holds none of its own. A function may block only as the plain call would.
 * Memory: a provider runs below the application's malloc and must not use it, nor call any libc
 * function that the host hooks.
 * Fork: the host calls before_fork, then after_fork in both processes. */
#ifndef ZIO_IO_STACK_H
#define ZIO_IO_STACK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <zio/error.h>

#define ZIO_IO_STACK_ABI_VERSION 0

enum zio_io_stack_capability {
  /* receive_held works: received bytes stay in the stack's memory until they are released. */
  ZIO_IO_HOLDS_RECEIVED = 1 << 0,
  /* Held pieces of a channel are reclaimed in the order of receipt only: one held for long pins
   * all that came after it. The host copies out of old pieces when held_max_bytes is near. */
  ZIO_IO_RELEASES_IN_ORDER = 1 << 1,
  /* transmit may return before the bytes have been read: see zio_io_completion. */
  ZIO_IO_TRANSMITS_BY_REFERENCE = 1 << 2,
  /* A peer can write to held memory: the host snapshots a piece before anyone looks at it twice. */
  ZIO_IO_PEER_WRITABLE = 1 << 3,
  /* Channels are descriptors of the kernel: poll, epoll and select stay the kernel's, and
   * readiness is NULL. */
  ZIO_IO_KERNEL_DESCRIPTORS = 1 << 4,
};

struct zio_io_instance; /* the provider's: one opened stack */
struct zio_io_channel;  /* the provider's: one connection, listener or file */

/* message->msg_flags of a receive, on the way in: nobody looks at what comes out. */
enum { ZIO_IO_FLAGS_UNREAD = -1 };

/* A receive or a transmit, as a superset of readv, preadv2 and recvmsg and their counterparts. */
struct zio_io_request {
  struct iovec *pieces; /* the caller's; memory of the application, or of origins */
  size_t piece_count;   /* may exceed IOV_MAX; a message or an append stays one all the same */
  struct msghdr *message; /* NULL, or address, control data and flags, in and out; its iovec is ignored */
  int flags;              /* MSG_*; RWF_* where message is NULL and the channel is a file */
  int64_t offset;         /* in the file; -1: at its position, or a stream */
};

/* A piece of received data in the stack's memory: readable by the host, written by nobody (but see
 * PEER_WRITABLE) until it is released. */
struct zio_io_held {
  const void *data;
  size_t length;
  uint64_t token; /* the provider's; names the piece in `release` */
};

/* Called once for each transmit that took bytes, when none of them will be read again: at the
 * latest when the channel is closed, at the earliest before transmit returns, on any thread. Must
 * return soon and call nothing of the stack. `copied`: the stack copied them after all. */
struct zio_io_completion {
  void (*done)(void *context, int copied);
  void *context;
};

struct zio_io_stack {
  uint32_t abi_version; /* ZIO_IO_STACK_ABI_VERSION */
  uint32_t table_bytes; /* sizeof(struct zio_io_stack): functions are only ever added at the end */
  uint64_t capabilities;
  const char *name; /* a word, for messages and `zio doctor` */

  /* Starts the stack in this process, or joins one that runs. `options` is the user's text, may be
   * empty, and is not kept. On failure *instance is untouched. */
  int (*open)(const char *options, struct zio_io_instance **instance);
  /* Ends it: channels must have been closed, held pieces released. */
  void (*close)(struct zio_io_instance *instance);

  /* Takes over a descriptor that the application just got from socket, accept or open. 0 and a
   * channel; ZIO_ENOTSUP: not of this stack, the kernel keeps it. The descriptor stays the
   * application's: it is closed after close_channel. */
  int (*attach)(struct zio_io_instance *instance, int descriptor, struct zio_io_channel **channel);
  /* The last descriptor of the channel is going. Unsent bytes and completions are dealt with as
   * close(2) would; held pieces stay valid until they are released. */
  int (*close_channel)(struct zio_io_channel *channel);

  /* As connect, bind, listen, accept4 and shutdown. NULL with KERNEL_DESCRIPTORS: the calls go to
   * the kernel. accept gives a channel that the host binds to a descriptor of its own making. */
  int (*connect)(struct zio_io_channel *channel, const struct sockaddr *address, socklen_t bytes);
  int (*bind)(struct zio_io_channel *channel, const struct sockaddr *address, socklen_t bytes);
  int (*listen)(struct zio_io_channel *channel, int backlog);
  int (*accept)(struct zio_io_channel *channel, struct sockaddr *address, socklen_t *bytes,
                int flags, struct zio_io_channel **accepted);
  int (*shutdown)(struct zio_io_channel *channel, int how);

  /* Receives into the pieces of the request. Always present. */
  ssize_t (*receive)(struct zio_io_channel *channel, struct zio_io_request *request);
  /* Receives at most max_bytes without copying: fills held[0..*count) and sets *count to the pieces
   * used; request->pieces is ignored. Each piece is the host's until it releases it. A stream may
   * give less than there is; a message comes whole or, as MSG_TRUNC says, cut. */
  ssize_t (*receive_held)(struct zio_io_channel *channel, struct zio_io_request *request,
                          size_t max_bytes, struct zio_io_held *held, size_t *count);
  /* Gives a piece back; any thread, any order, also after close_channel. Never fails. */
  void (*release)(struct zio_io_instance *instance, uint64_t token);
  /* Bytes that may be held at once, all channels together. */
  size_t (*held_max_bytes)(struct zio_io_instance *instance);

  /* Sends the pieces of the request. With `completion` (only where TRANSMITS_BY_REFERENCE) the
   * bytes taken stay unchanged until it is called; without, they have been read on return. The
   * iovec itself is free on return in either case. No completion follows a result <= 0. */
  ssize_t (*transmit)(struct zio_io_channel *channel, struct zio_io_request *request,
                      const struct zio_io_completion *completion);

  /* The poll events that hold now (POLLIN, ...), or -errno; and one descriptor of the instance
   * that becomes readable when they may have changed for any channel. */
  int (*readiness)(struct zio_io_channel *channel);
  int (*readiness_descriptor)(struct zio_io_instance *instance);

  /* Around fork: `child` is 0 in the parent. In the child held pieces must read as before. */
  void (*before_fork)(struct zio_io_instance *instance);
  void (*after_fork)(struct zio_io_instance *instance, int child);
};

/* 0, or ZIO_EINVAL for another version or a table that is too short, ZIO_ENOTSUP where a function
 * is missing that its capabilities promise. */
static inline int zio_io_stack_check(const struct zio_io_stack *stack) {
  if (stack->abi_version != ZIO_IO_STACK_ABI_VERSION || stack->table_bytes < sizeof *stack)
    return ZIO_EINVAL;
  if (!stack->name || !stack->open || !stack->close || !stack->attach || !stack->close_channel ||
      !stack->receive || !stack->transmit || !stack->before_fork || !stack->after_fork)
    return ZIO_ENOTSUP;
  if ((stack->capabilities & ZIO_IO_HOLDS_RECEIVED) &&
      (!stack->receive_held || !stack->release || !stack->held_max_bytes))
    return ZIO_ENOTSUP;
  if (!(stack->capabilities & ZIO_IO_KERNEL_DESCRIPTORS) &&
      (!stack->readiness || !stack->readiness_descriptor))
    return ZIO_ENOTSUP;
  return 0;
}

#endif
