/* The output hooks: each states its call as a request, and issues it as it came when no view is
 * to be presented. */
#include <errno.h>
#include <stdint.h>

#include "../instance.h"
#include "../logged_files.h"
#include "../logged_io.h"
#include "../redirect.h"
#include "hook_table.h"
#include "own_memory.h"
#include "readable.h"

enum { LEAST_BYTES = 4096, VECTOR_MAX = 1024, AT_POSITION = -1 };

static bool may_show_views(const void *buffer, size_t length) {
    return length >= LEAST_BYTES && zio_tracker_may_hold(&zio__tracker, buffer, length);
}

static bool is_candidate_vector(const struct iovec *iov, size_t count) {
    return zio_tracker_has_views(&zio__tracker) && count > 0 && count <= VECTOR_MAX && zio__is_readable(iov, count * sizeof *iov);
}

static bool output(int fd, const struct iovec *iov, size_t count, int64_t offset, int flags,
                   ssize_t *result) {
    struct zio_io_request request = {
        .pieces = (struct iovec *)iov, .piece_count = count, .flags = flags, .offset = offset};
    if (!zio__present(fd, ZIO__ANY_DESCRIPTOR, &request, result))
        return false;
    *result = zio__as_libc(*result);
    return true;
}

static bool output_buffer(int fd, const void *buffer, size_t length, int64_t offset,
                          ssize_t *result) {
    struct iovec piece = {(void *)buffer, length};
    if (zio__follows() && zio__logged_write(fd, &piece, 1, offset, 0, result))
        return true;
    return may_show_views(buffer, length) && output(fd, &piece, 1, offset, 0, result);
}

static bool output_vector(int fd, const struct iovec *iov, int count, int64_t offset, int flags,
                          ssize_t *result) {
    if (zio__follows() && zio__logged_write(fd, iov, count, offset, flags, result))
        return true;
    return count > 0 && is_candidate_vector(iov, (size_t)count) &&
           output(fd, iov, (size_t)count, offset, flags, result);
}

/* While nothing is viewed there is nothing to present. */
static inline bool is_idle(void) {
    return !zio_tracker_has_views(&zio__tracker);
}

ZIO_SLOW static ssize_t write_slowly(int fd, const void *buffer, size_t length) {
    ssize_t result;
    if (output_buffer(fd, buffer, length, AT_POSITION, &result))
        return result;
    result = ZIO_REAL(write)(fd, buffer, length);
    return zio__reveal_at_position(result, fd, length) ? zio__real.write(fd, buffer, length) : result;
}

ZIO_EXPORT ssize_t write(int fd, const void *buffer, size_t length) {
    if (is_idle() && !zio__follows() && zio__real.write)
        return zio__real.write(fd, buffer, length);
    return write_slowly(fd, buffer, length);
}

/* A negative offset is an error of the program's, for the kernel to find. */
#define ZIO_PWRITE(name)                                                                           \
    ZIO_EXPORT ssize_t name(int fd, const void *buffer, size_t length, off_t offset) {             \
        ssize_t result;                                                                            \
        zio__reveal(offset, length);                                                               \
        if (offset >= 0 && output_buffer(fd, buffer, length, offset, &result))                     \
            return result;                                                                         \
        return ZIO_REAL(pwrite64)(fd, buffer, length, offset);                                     \
    }
ZIO_PWRITE(pwrite)
ZIO_PWRITE(pwrite64)

ZIO_SLOW static ssize_t writev_slowly(int fd, const struct iovec *iov, int count) {
    ssize_t result;
    if (output_vector(fd, iov, count, AT_POSITION, 0, &result))
        return result;
    return ZIO_REAL(writev)(fd, iov, count);
}

ZIO_EXPORT ssize_t writev(int fd, const struct iovec *iov, int count) {
    if (is_idle() && !zio__follows() && zio__real.writev)
        return zio__real.writev(fd, iov, count);
    return writev_slowly(fd, iov, count);
}

#define ZIO_PWRITEV(name)                                                                          \
    ZIO_EXPORT ssize_t name(int fd, const struct iovec *iov, int count, off_t offset) {            \
        ssize_t result;                                                                            \
        zio__reveal_vector(offset, iov, count);                                                    \
        if (offset >= 0 && output_vector(fd, iov, count, offset, 0, &result))                      \
            return result;                                                                         \
        return ZIO_REAL(pwritev64)(fd, iov, count, offset);                                        \
    }
ZIO_PWRITEV(pwritev)
ZIO_PWRITEV(pwritev64)

/* Offset -1 means the position here too. */
#define ZIO_PWRITEV2(name)                                                                         \
    ZIO_EXPORT ssize_t name(int fd, const struct iovec *iov, int count, off_t offset, int flags) { \
        ssize_t result;                                                                            \
        zio__reveal_vector(offset, iov, count);                                                    \
        if (offset >= -1 && output_vector(fd, iov, count, offset, flags, &result))                 \
            return result;                                                                         \
        return ZIO_REAL(pwritev64v2)(fd, iov, count, offset, flags);                               \
    }
ZIO_PWRITEV2(pwritev2)
ZIO_PWRITEV2(pwritev64v2)

/* With MSG_ZEROCOPY the kernel goes on reading after the call returned: it must read the
 * program's own pages, which the program promised not to change, never an origin. */
static bool must_be_memory(int flags, const struct iovec *iov, size_t count) {
    if (!(flags & MSG_ZEROCOPY))
        return false;
    for (size_t i = 0; i < count; i++)
        zio_tracker_materialise(&zio__tracker, iov[i].iov_base, iov[i].iov_len);
    return true;
}

static bool output_message(int fd, const struct iovec *iov, size_t count, struct msghdr *message,
                           int flags, ssize_t *result) {
    struct zio_io_request request = {.pieces = (struct iovec *)iov,
                                     .piece_count = count,
                                     .message = message,
                                     .flags = flags,
                                     .offset = AT_POSITION};
    if (must_be_memory(flags, iov, count) ||
        !zio__present(fd, ZIO__SOCKET_DESCRIPTOR, &request, result))
        return false;
    *result = zio__as_libc(*result);
    return true;
}

static bool send_to(int fd, const void *buffer, size_t length, int flags,
                    const struct sockaddr *address, socklen_t address_length, ssize_t *result) {
    struct iovec piece = {(void *)buffer, length};
    struct msghdr message = {.msg_name = (void *)address,
                             .msg_namelen = address ? address_length : 0};
    return may_show_views(buffer, length) && output_message(fd, &piece, 1, &message, flags, result);
}

ZIO_SLOW static ssize_t send_slowly(int fd, const void *buffer, size_t length, int flags) {
    ssize_t result;
    if (send_to(fd, buffer, length, flags, NULL, 0, &result))
        return result;
    return ZIO_REAL(send)(fd, buffer, length, flags);
}

ZIO_EXPORT ssize_t send(int fd, const void *buffer, size_t length, int flags) {
    if (is_idle() && zio__real.send)
        return zio__real.send(fd, buffer, length, flags);
    return send_slowly(fd, buffer, length, flags);
}

ZIO_EXPORT ssize_t sendto(int fd, const void *buffer, size_t length, int flags,
                          const struct sockaddr *address, socklen_t address_length) {
    ssize_t result;
    if (send_to(fd, buffer, length, flags, address, address_length, &result))
        return result;
    return ZIO_REAL(sendto)(fd, buffer, length, flags, address, address_length);
}

ZIO_SLOW static ssize_t sendmsg_slowly(int fd, const struct msghdr *message, int flags) {
    ssize_t result;
    if (!zio__is_readable(message, sizeof *message) ||
        !is_candidate_vector(message->msg_iov, message->msg_iovlen))
        return ZIO_REAL(sendmsg)(fd, message, flags);
    struct msghdr copy = *message;
    if (output_message(fd, message->msg_iov, message->msg_iovlen, &copy, flags, &result))
        return result;
    return ZIO_REAL(sendmsg)(fd, message, flags);
}

ZIO_EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    if (is_idle() && zio__real.sendmsg)
        return zio__real.sendmsg(fd, message, flags);
    return sendmsg_slowly(fd, message, flags);
}

static bool shows_views(const struct mmsghdr *message) {
    const struct msghdr *header = &message->msg_hdr;
    if (!zio__is_readable(message, sizeof *message) ||
        !is_candidate_vector(header->msg_iov, header->msg_iovlen))
        return false;
    for (size_t i = 0; i < header->msg_iovlen; i++)
        if (may_show_views(header->msg_iov[i].iov_base, header->msg_iov[i].iov_len))
            return true;
    return false;
}

static bool any_shows_views(const struct mmsghdr *messages, unsigned count) {
    if (!zio_tracker_has_views(&zio__tracker))
        return false;
    for (unsigned i = 0; i < count && i < VECTOR_MAX; i++)
        if (shows_views(&messages[i]))
            return true;
    return false;
}

static size_t length_of(const struct msghdr *message) {
    size_t length = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++)
        length += message->msg_iov[i].iov_len;
    return length;
}

/* The kernel too sends one after the other, stops at an error or a short count, and forgets an
 * error that follows a message. */
ZIO_EXPORT int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
    if (!any_shows_views(messages, count))
        return ZIO_REAL(sendmmsg)(fd, messages, count, flags);
    int saved = errno;
    unsigned sent = 0;
    while (sent < count && sent < VECTOR_MAX) {
        struct mmsghdr *message = &messages[sent];
        ssize_t result = sendmsg(fd, &message->msg_hdr, flags);
        if (result < 0)
            break;
        message->msg_len = (unsigned)result;
        sent++;
        if ((size_t)result < length_of(&message->msg_hdr))
            break;
    }
    if (sent == 0)
        return -1;
    errno = saved;
    return (int)sent;
}
