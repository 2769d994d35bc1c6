/* The input hooks: each states its call as pieces and a way to issue them. Calls that are
 * not redirected are issued exactly as they came. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "../instance.h"
#include "../redirect.h"
#include "hook_table.h"
#include "readable.h"

void __chk_fail(void) __attribute__((noreturn));

enum { VECTOR_MAX = 16 };

static bool is_on(void) {
    return atomic_load_explicit(&zio__on, memory_order_acquire);
}

/* Small input goes straight to libc, unless it lands in viewed memory: there the kernel's
 * stores would fault, and the bytes are better shown like those around them. */
static bool is_plain(const void *buffer, size_t length) {
    return zio__is_small(length) && !zio_tracker_may_hold(&zio__tracker, buffer, length);
}

/* A vector that may be worth redirecting and can be read without a fault. */
static bool is_candidate(const struct iovec *iov, int count) {
    if (!is_on() || count <= 0 || count > VECTOR_MAX || !iov)
        return false;
    if (!zio__is_readable(iov, (size_t)count * sizeof *iov))
        return false;
    for (int i = 0; i < count; i++)
        if (!is_plain(iov[i].iov_base, iov[i].iov_len))
            return true;
    return false;
}

enum file_input { FILE_READ, FILE_PREAD, FILE_READV, FILE_PREADV, FILE_PREADV2 };

struct file_call {
    enum file_input kind;
    int fd, flags;
    off_t offset;
    const struct iovec *program; /* the pieces as they came */
};

static ssize_t issue_file(void *arguments, const struct iovec *iov, int count) {
    const struct file_call *call = arguments;
    bool plain = iov == call->program;
    switch (call->kind) {
    case FILE_READ:
        return plain ? ZIO_REAL(read)(call->fd, iov->iov_base, iov->iov_len)
                     : ZIO_REAL(readv)(call->fd, iov, count);
    case FILE_PREAD:
        return plain ? ZIO_REAL(pread64)(call->fd, iov->iov_base, iov->iov_len, call->offset)
                     : ZIO_REAL(preadv64)(call->fd, iov, count, call->offset);
    case FILE_READV:
        return ZIO_REAL(readv)(call->fd, iov, count);
    case FILE_PREADV:
        return ZIO_REAL(preadv64)(call->fd, iov, count, call->offset);
    default:
        return ZIO_REAL(preadv64v2)(call->fd, iov, count, call->offset, call->flags);
    }
}

static ssize_t input_file(enum file_input kind, int fd, const struct iovec *iov, int count,
                          off_t offset, int flags, uintptr_t site) {
    struct file_call call = {kind, fd, flags, offset, iov};
    if (fd < 0 || !is_candidate(iov, count))
        return issue_file(&call, iov, count);
    return zio__redirect(fd, iov, count, site, issue_file, &call);
}

ZIO_EXPORT ssize_t read(int fd, void *buffer, size_t length) {
    if (is_plain(buffer, length) || !is_on())
        return ZIO_REAL(read)(fd, buffer, length);
    struct iovec piece = {buffer, length};
    return input_file(FILE_READ, fd, &piece, 1, 0, 0, ZIO_SITE());
}

ZIO_EXPORT ssize_t pread64(int fd, void *buffer, size_t length, off_t offset) {
    if (is_plain(buffer, length) || !is_on())
        return ZIO_REAL(pread64)(fd, buffer, length, offset);
    struct iovec piece = {buffer, length};
    return input_file(FILE_PREAD, fd, &piece, 1, offset, 0, ZIO_SITE());
}

ZIO_EXPORT ssize_t pread(int fd, void *buffer, size_t length, off_t offset) {
    if (is_plain(buffer, length) || !is_on())
        return ZIO_REAL(pread)(fd, buffer, length, offset);
    struct iovec piece = {buffer, length};
    return input_file(FILE_PREAD, fd, &piece, 1, offset, 0, ZIO_SITE());
}

ZIO_EXPORT ssize_t readv(int fd, const struct iovec *iov, int count) {
    return input_file(FILE_READV, fd, iov, count, 0, 0, ZIO_SITE());
}

ZIO_EXPORT ssize_t preadv64(int fd, const struct iovec *iov, int count, off_t offset) {
    return input_file(FILE_PREADV, fd, iov, count, offset, 0, ZIO_SITE());
}

ZIO_EXPORT ssize_t preadv(int fd, const struct iovec *iov, int count, off_t offset) {
    return input_file(FILE_PREADV, fd, iov, count, offset, 0, ZIO_SITE());
}

ZIO_EXPORT ssize_t preadv64v2(int fd, const struct iovec *iov, int count, off_t offset, int flags) {
    return input_file(FILE_PREADV2, fd, iov, count, offset, flags, ZIO_SITE());
}

ZIO_EXPORT ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags) {
    return input_file(FILE_PREADV2, fd, iov, count, offset, flags, ZIO_SITE());
}

/* Flags whose meaning does not depend on where the bytes go. MSG_PEEK leaves them to be read
 * again, MSG_TRUNC on TCP writes nothing, MSG_ERRQUEUE and MSG_OOB are no stream. */
static bool flags_allow_redirection(int flags) {
    return (flags & ~(MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL | MSG_CMSG_CLOEXEC)) == 0;
}

struct message_call {
    int fd, flags;
    struct msghdr message;
};

static ssize_t issue_message(void *arguments, const struct iovec *iov, int count) {
    struct message_call *call = arguments;
    call->message.msg_iov = (struct iovec *)iov;
    call->message.msg_iovlen = (size_t)count;
    return ZIO_REAL(recvmsg)(call->fd, &call->message, call->flags);
}

static ssize_t input_buffer(int fd, void *buffer, size_t length, int flags,
                            struct sockaddr *address, socklen_t *address_length, uintptr_t site) {
    struct iovec piece = {buffer, length};
    struct message_call call = {.fd = fd, .flags = flags};
    if (is_plain(buffer, length) || !is_on() || !flags_allow_redirection(flags) ||
        (address && (!address_length || !zio__is_readable_word((uintptr_t)address_length & ~7ul))))
        return ZIO_REAL(recvfrom)(fd, buffer, length, flags, address, address_length);
    call.message.msg_name = address;
    call.message.msg_namelen = address ? *address_length : 0;
    ssize_t received = zio__redirect(-1, &piece, 1, site, issue_message, &call);
    if (received >= 0 && address)
        *address_length = call.message.msg_namelen;
    return received;
}

ZIO_EXPORT ssize_t recv(int fd, void *buffer, size_t length, int flags) {
    if (is_plain(buffer, length))
        return ZIO_REAL(recv)(fd, buffer, length, flags);
    return input_buffer(fd, buffer, length, flags, NULL, NULL, ZIO_SITE());
}

ZIO_EXPORT ssize_t recvfrom(int fd, void *buffer, size_t length, int flags,
                            struct sockaddr *address, socklen_t *address_length) {
    return input_buffer(fd, buffer, length, flags, address, address_length, ZIO_SITE());
}

ZIO_EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    if (!is_on() || !flags_allow_redirection(flags) ||
        !zio__is_readable(message, sizeof *message) || message->msg_iovlen > VECTOR_MAX ||
        !is_candidate(message->msg_iov, (int)message->msg_iovlen))
        return ZIO_REAL(recvmsg)(fd, message, flags);
    struct message_call call = {fd, flags, *message};
    ssize_t received = zio__redirect(-1, message->msg_iov, (int)message->msg_iovlen, ZIO_SITE(),
                                     issue_message, &call);
    if (received >= 0) {
        message->msg_namelen = call.message.msg_namelen;
        message->msg_controllen = call.message.msg_controllen;
        message->msg_flags = call.message.msg_flags;
    }
    return received;
}

/* Datagrams in bulk: the kernel writes to the program's memory, which is always right. */
ZIO_EXPORT int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags,
                        struct timespec *timeout) {
    return ZIO_REAL(recvmmsg)(fd, messages, count, flags, timeout);
}

ZIO_EXPORT ssize_t __read_chk(int fd, void *buffer, size_t length, size_t room) {
    if (length > room)
        __chk_fail();
    if (is_plain(buffer, length) || !is_on())
        return ZIO_REAL(read)(fd, buffer, length);
    struct iovec piece = {buffer, length};
    return input_file(FILE_READ, fd, &piece, 1, 0, 0, ZIO_SITE());
}

ZIO_EXPORT ssize_t __pread64_chk(int fd, void *buffer, size_t length, off_t offset, size_t room) {
    if (length > room)
        __chk_fail();
    if (is_plain(buffer, length) || !is_on())
        return ZIO_REAL(pread64)(fd, buffer, length, offset);
    struct iovec piece = {buffer, length};
    return input_file(FILE_PREAD, fd, &piece, 1, offset, 0, ZIO_SITE());
}

ZIO_EXPORT ssize_t __pread_chk(int fd, void *buffer, size_t length, off_t offset, size_t room) {
    if (length > room)
        __chk_fail();
    if (is_plain(buffer, length) || !is_on())
        return ZIO_REAL(pread64)(fd, buffer, length, offset);
    struct iovec piece = {buffer, length};
    return input_file(FILE_PREAD, fd, &piece, 1, offset, 0, ZIO_SITE());
}

ZIO_EXPORT ssize_t __recv_chk(int fd, void *buffer, size_t length, size_t room, int flags) {
    if (length > room)
        __chk_fail();
    return input_buffer(fd, buffer, length, flags, NULL, NULL, ZIO_SITE());
}

ZIO_EXPORT ssize_t __recvfrom_chk(int fd, void *buffer, size_t length, size_t room, int flags,
                                  struct sockaddr *address, socklen_t *address_length) {
    if (length > room)
        __chk_fail();
    return input_buffer(fd, buffer, length, flags, address, address_length, ZIO_SITE());
}
