/* The kernel as an IO stack: each request becomes the one system call that means the same, by
 * way of libc, because these calls are cancellation points. */
#include "kernel_stack.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>

#include "hooks/hook_table.h"

static int descriptor_of(const struct zio_io_channel *channel) {
    return (int)((uintptr_t)channel - 1);
}

/* A result of libc as the table wants it, with errno as it was. */
static ssize_t plain(ssize_t result, int saved) {
    if (result < 0) {
        result = -errno;
        errno = saved;
    }
    return result;
}

static int open_kernel(const char *options, struct zio_io_instance **instance) {
    static char kernel; /* only its address matters */
    (void)options;
    *instance = (struct zio_io_instance *)&kernel;
    return 0;
}

static void close_kernel(struct zio_io_instance *instance) {
    (void)instance;
}

static int attach(struct zio_io_instance *instance, int descriptor,
                  struct zio_io_channel **channel) {
    (void)instance;
    *channel = zio__kernel_channel(descriptor);
    return 0;
}

static int close_channel(struct zio_io_channel *channel) {
    (void)channel; /* the descriptor is the program's */
    return 0;
}

/* One piece and nothing beside it: what recv and send are for, which the kernel does quicker. */
static bool is_simple(const struct zio_io_request *request) {
    const struct msghdr *message = request->message;
    return request->piece_count == 1 && !message->msg_name && !message->msg_control &&
           message->msg_controllen == 0;
}

static ssize_t receive(struct zio_io_channel *channel, struct zio_io_request *request) {
    int fd = descriptor_of(channel), saved = errno, count = (int)request->piece_count;
    if (request->message && is_simple(request) &&
        request->message->msg_flags == ZIO_IO_FLAGS_UNREAD)
        return plain(ZIO_REAL(recv)(fd, request->pieces->iov_base, request->pieces->iov_len,
                                    request->flags),
                     saved);
    if (request->message) {
        request->message->msg_iov = request->pieces;
        request->message->msg_iovlen = request->piece_count;
        return plain(ZIO_REAL(recvmsg)(fd, request->message, request->flags), saved);
    }
    if (request->flags)
        return plain(
            ZIO_REAL(preadv64v2)(fd, request->pieces, count, request->offset, request->flags),
            saved);
    if (request->offset >= 0)
        return plain(ZIO_REAL(preadv64)(fd, request->pieces, count, request->offset), saved);
    return plain(ZIO_REAL(readv)(fd, request->pieces, count), saved);
}

static ssize_t transmit(struct zio_io_channel *channel, struct zio_io_request *request,
                        const struct zio_io_completion *completion) {
    int fd = descriptor_of(channel), saved = errno, count = (int)request->piece_count;
    (void)completion; /* TRANSMITS_BY_REFERENCE is not claimed: nobody passes one */
    if (request->message && is_simple(request))
        return plain(ZIO_REAL(send)(fd, request->pieces->iov_base, request->pieces->iov_len,
                                    request->flags),
                     saved);
    if (request->message) {
        request->message->msg_iov = request->pieces;
        request->message->msg_iovlen = request->piece_count;
        return plain(ZIO_REAL(sendmsg)(fd, request->message, request->flags), saved);
    }
    if (request->flags)
        return plain(
            ZIO_REAL(pwritev64v2)(fd, request->pieces, count, request->offset, request->flags),
            saved);
    if (request->offset >= 0)
        return plain(ZIO_REAL(pwritev64)(fd, request->pieces, count, request->offset), saved);
    return plain(ZIO_REAL(writev)(fd, request->pieces, count), saved);
}

static void before_fork(struct zio_io_instance *instance) {
    (void)instance;
}

static void after_fork(struct zio_io_instance *instance, int child) {
    (void)instance;
    (void)child;
}

const struct zio_io_stack zio__kernel_stack = {
    .abi_version = ZIO_IO_STACK_ABI_VERSION,
    .table_bytes = sizeof(struct zio_io_stack),
    .capabilities = ZIO_IO_KERNEL_DESCRIPTORS,
    .name = "kernel",
    .open = open_kernel,
    .close = close_kernel,
    .attach = attach,
    .close_channel = close_channel,
    .receive = receive,
    .transmit = transmit,
    .before_fork = before_fork,
    .after_fork = after_fork,
};
