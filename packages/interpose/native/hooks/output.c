/* The output hooks: each states its call as pieces and a way to issue them. */
#include <errno.h>
#include <stdint.h>

#include "../instance.h"
#include "../redirect.h"
#include "hook_table.h"
#include "readable.h"

enum { LEAST_BYTES = 4096, VECTOR_MAX = 1024 };

static bool may_show_views(const void *buffer, size_t length) {
    return length >= LEAST_BYTES && zio_tracker_may_hold(&zio__tracker, buffer, length);
}

static bool has_views(void) {
    return atomic_load_explicit(&zio__tracker.map.count, memory_order_acquire) != 0;
}

static bool is_readable_vector(const struct iovec *iov, int count) {
    if (count <= 0 || count > VECTOR_MAX || !iov)
        return false;
    return zio__is_readable(iov, (size_t)count * sizeof *iov);
}

enum file_output { FILE_WRITE, FILE_PWRITE, FILE_WRITEV, FILE_PWRITEV, FILE_PWRITEV2 };

struct file_call {
    enum file_output kind;
    int fd, flags;
    off_t offset;
    const struct iovec *program;
};

static ssize_t issue_file(void *arguments, const struct iovec *iov, int count) {
    const struct file_call *call = arguments;
    bool plain = iov == call->program;
    switch (call->kind) {
    case FILE_WRITE:
        return plain ? ZIO_REAL(write)(call->fd, iov->iov_base, iov->iov_len)
                     : ZIO_REAL(writev)(call->fd, iov, count);
    case FILE_PWRITE:
        return plain ? ZIO_REAL(pwrite64)(call->fd, iov->iov_base, iov->iov_len, call->offset)
                     : ZIO_REAL(pwritev64)(call->fd, iov, count, call->offset);
    case FILE_WRITEV:
        return ZIO_REAL(writev)(call->fd, iov, count);
    case FILE_PWRITEV:
        return ZIO_REAL(pwritev64)(call->fd, iov, count, call->offset);
    default:
        return ZIO_REAL(pwritev64v2)(call->fd, iov, count, call->offset, call->flags);
    }
}

static ssize_t output_vector(enum file_output kind, int fd, const struct iovec *iov, int count,
                             off_t offset, int flags) {
    struct file_call call = {kind, fd, flags, offset, iov};
    if (fd < 0 || !has_views() || !is_readable_vector(iov, count))
        return issue_file(&call, iov, count);
    return zio__present(fd, iov, count, issue_file, &call);
}

static ssize_t output_buffer(enum file_output kind, int fd, const void *buffer, size_t length,
                             off_t offset) {
    struct iovec piece = {(void *)buffer, length};
    struct file_call call = {kind, fd, 0, offset, &piece};
    return zio__present(fd, &piece, 1, issue_file, &call);
}

ZIO_EXPORT ssize_t write(int fd, const void *buffer, size_t length) {
    if (!may_show_views(buffer, length))
        return ZIO_REAL(write)(fd, buffer, length);
    return output_buffer(FILE_WRITE, fd, buffer, length, 0);
}

ZIO_EXPORT ssize_t pwrite64(int fd, const void *buffer, size_t length, off_t offset) {
    if (!may_show_views(buffer, length))
        return ZIO_REAL(pwrite64)(fd, buffer, length, offset);
    return output_buffer(FILE_PWRITE, fd, buffer, length, offset);
}

ZIO_EXPORT ssize_t pwrite(int fd, const void *buffer, size_t length, off_t offset) {
    if (!may_show_views(buffer, length))
        return ZIO_REAL(pwrite)(fd, buffer, length, offset);
    return output_buffer(FILE_PWRITE, fd, buffer, length, offset);
}

ZIO_EXPORT ssize_t writev(int fd, const struct iovec *iov, int count) {
    return output_vector(FILE_WRITEV, fd, iov, count, 0, 0);
}

ZIO_EXPORT ssize_t pwritev64(int fd, const struct iovec *iov, int count, off_t offset) {
    return output_vector(FILE_PWRITEV, fd, iov, count, offset, 0);
}

ZIO_EXPORT ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset) {
    return output_vector(FILE_PWRITEV, fd, iov, count, offset, 0);
}

ZIO_EXPORT ssize_t pwritev64v2(int fd, const struct iovec *iov, int count, off_t offset,
                               int flags) {
    return output_vector(FILE_PWRITEV2, fd, iov, count, offset, flags);
}

ZIO_EXPORT ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags) {
    return output_vector(FILE_PWRITEV2, fd, iov, count, offset, flags);
}

struct message_call {
    int fd, flags;
    struct msghdr message;
};

static ssize_t issue_message(void *arguments, const struct iovec *iov, int count) {
    struct message_call *call = arguments;
    call->message.msg_iov = (struct iovec *)iov;
    call->message.msg_iovlen = (size_t)count;
    return ZIO_REAL(sendmsg)(call->fd, &call->message, call->flags);
}

/* With MSG_ZEROCOPY the kernel goes on reading after the call returned: it must read the
 * program's own pages, which the program promised not to change, never an origin. */
static bool flags_allow_views(int flags) {
    return (flags & MSG_ZEROCOPY) == 0;
}

static void materialise_vector(const struct iovec *iov, size_t count) {
    for (size_t i = 0; i < count; i++)
        zio_tracker_materialise(&zio__tracker, iov[i].iov_base, iov[i].iov_len);
}

static ssize_t send_buffer(int fd, const void *buffer, size_t length, int flags,
                           const struct sockaddr *address, socklen_t address_length) {
    struct iovec piece = {(void *)buffer, length};
    struct message_call call = {.fd = fd, .flags = flags};
    call.message.msg_name = (void *)address;
    call.message.msg_namelen = address ? address_length : 0;
    return zio__present(-1, &piece, 1, issue_message, &call);
}

ZIO_EXPORT ssize_t send(int fd, const void *buffer, size_t length, int flags) {
    if (!may_show_views(buffer, length))
        return ZIO_REAL(send)(fd, buffer, length, flags);
    if (flags_allow_views(flags))
        return send_buffer(fd, buffer, length, flags, NULL, 0);
    zio_tracker_materialise(&zio__tracker, buffer, length);
    return ZIO_REAL(send)(fd, buffer, length, flags);
}

ZIO_EXPORT ssize_t sendto(int fd, const void *buffer, size_t length, int flags,
                          const struct sockaddr *address, socklen_t address_length) {
    if (!may_show_views(buffer, length))
        return ZIO_REAL(sendto)(fd, buffer, length, flags, address, address_length);
    if (flags_allow_views(flags))
        return send_buffer(fd, buffer, length, flags, address, address_length);
    zio_tracker_materialise(&zio__tracker, buffer, length);
    return ZIO_REAL(sendto)(fd, buffer, length, flags, address, address_length);
}

ZIO_EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    if (!has_views() || !zio__is_readable(message, sizeof *message) ||
        message->msg_iovlen > VECTOR_MAX ||
        !is_readable_vector(message->msg_iov, (int)message->msg_iovlen))
        return ZIO_REAL(sendmsg)(fd, message, flags);
    if (!flags_allow_views(flags)) {
        materialise_vector(message->msg_iov, message->msg_iovlen);
        return ZIO_REAL(sendmsg)(fd, message, flags);
    }
    struct message_call call = {fd, flags, *message};
    return zio__present(-1, message->msg_iov, (int)message->msg_iovlen, issue_message, &call);
}

/* Datagrams in bulk: the kernel reads the program's memory, which is always right. */
ZIO_EXPORT int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
    return ZIO_REAL(sendmmsg)(fd, messages, count, flags);
}
