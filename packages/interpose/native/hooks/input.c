/* The input hooks: each states its call as a request, and issues it as it came when it is not
 * redirected. */
#include <stdint.h>

#include "../instance.h"
#include "../logged_files.h"
#include "../logged_io.h"
#include "../pushback.h"
#include "../redirect.h"
#include "hook_table.h"
#include "own_memory.h"
#include "readable.h"

void __chk_fail(void) __attribute__((noreturn));

enum { VECTOR_MAX = 16 };

static bool is_on(void) {
    return atomic_load_explicit(&zio__on, memory_order_acquire);
}

static bool is_candidate(const void *buffer, size_t length) {
    return (!zio__is_small(length) || zio_tracker_may_hold(&zio__tracker, buffer, length) ||
            zio__pushback_any()) &&
           is_on();
}

/* Small input while nothing is viewed or kept back: what most calls of most programs are. */
static inline bool is_idle(size_t length) {
    return zio__is_small(length) && !zio_tracker_has_views(&zio__tracker) && !zio__pushback_any();
}

/* A vector that may be worth redirecting and can be read without a fault. */
static bool is_candidate_vector(const struct iovec *iov, size_t count) {
    if (!is_on() || count == 0 || count > VECTOR_MAX || !zio__is_readable(iov, count * sizeof *iov))
        return false;
    for (size_t i = 0; i < count; i++)
        if (is_candidate(iov[i].iov_base, iov[i].iov_len))
            return true;
    return false;
}

enum { AT_POSITION = -1 };

/* read(2) and pread(2). */
static bool input_buffer(int fd, void *buffer, size_t length, int64_t offset, uintptr_t site,
                         ssize_t *result) {
    if (zio__follows()) {
        struct iovec piece = {buffer, length};
        if (zio__logged_read(fd, &piece, 1, offset, 0, result))
            return true;
    }
    if (!is_candidate(buffer, length))
        return false;
    struct iovec piece = {buffer, length};
    struct zio_io_request request = {.pieces = &piece, .piece_count = 1, .offset = offset};
    if (!zio__redirect(fd, ZIO__ANY_DESCRIPTOR, &request, site, result))
        return false;
    *result = zio__as_libc(*result);
    return true;
}

static ssize_t plain_read(int fd, void *buffer, size_t length) {
    ssize_t result = ZIO_REAL(read)(fd, buffer, length);
    return zio__reveal_at_position(result, fd, length) ? zio__real.read(fd, buffer, length) : result;
}

ZIO_SLOW static ssize_t read_slowly(int fd, void *buffer, size_t length, uintptr_t site) {
    ssize_t result;
    if (input_buffer(fd, buffer, length, AT_POSITION, site, &result))
        return result;
    return plain_read(fd, buffer, length);
}

ZIO_EXPORT ssize_t read(int fd, void *buffer, size_t length) {
    if (is_idle(length) && !zio__follows() && zio__real.read)
        return zio__real.read(fd, buffer, length);
    return read_slowly(fd, buffer, length, ZIO_SITE());
}

/* A negative offset is an error of the program's, for the kernel to find. */
#define ZIO_PREAD(name, room_parameter, room_check)                                                \
    ZIO_EXPORT ssize_t name(int fd, void *buffer, size_t length, off_t offset room_parameter) {    \
        ssize_t result;                                                                            \
        room_check;                                                                                \
        if (offset >= 0 && input_buffer(fd, buffer, length, offset, ZIO_SITE(), &result))          \
            return result;                                                                         \
        zio__reveal(offset, length);                                                               \
        return ZIO_REAL(pread64)(fd, buffer, length, offset);                                      \
    }
#define ZIO_ROOM , size_t room
#define ZIO_CHECK_ROOM                                                                             \
    if (length > room)                                                                             \
    __chk_fail()

ZIO_PREAD(pread, , (void)0)
ZIO_PREAD(pread64, , (void)0)
ZIO_PREAD(__pread_chk, ZIO_ROOM, ZIO_CHECK_ROOM)
ZIO_PREAD(__pread64_chk, ZIO_ROOM, ZIO_CHECK_ROOM)

ZIO_EXPORT ssize_t __read_chk(int fd, void *buffer, size_t length, size_t room) {
    ZIO_CHECK_ROOM;
    return read_slowly(fd, buffer, length, ZIO_SITE());
}

/* readv(2), preadv(2), preadv2(2). */
static bool input_vector(int fd, const struct iovec *iov, int count, int64_t offset, int flags,
                         uintptr_t site, ssize_t *result) {
    if (zio__follows() && zio__logged_read(fd, iov, count, offset, flags, result))
        return true;
    if (count <= 0 || !is_candidate_vector(iov, (size_t)count))
        return false;
    struct zio_io_request request = {.pieces = (struct iovec *)iov,
                                     .piece_count = (size_t)count,
                                     .flags = flags,
                                     .offset = offset};
    if (!zio__redirect(fd, ZIO__ANY_DESCRIPTOR, &request, site, result))
        return false;
    *result = zio__as_libc(*result);
    return true;
}

ZIO_EXPORT ssize_t readv(int fd, const struct iovec *iov, int count) {
    ssize_t result;
    if (input_vector(fd, iov, count, AT_POSITION, 0, ZIO_SITE(), &result))
        return result;
    return ZIO_REAL(readv)(fd, iov, count);
}

#define ZIO_PREADV(name)                                                                           \
    ZIO_EXPORT ssize_t name(int fd, const struct iovec *iov, int count, off_t offset) {            \
        ssize_t result;                                                                            \
        if (offset >= 0 && input_vector(fd, iov, count, offset, 0, ZIO_SITE(), &result))           \
            return result;                                                                         \
        zio__reveal_vector(offset, iov, count);                                                    \
        return ZIO_REAL(preadv64)(fd, iov, count, offset);                                         \
    }
ZIO_PREADV(preadv)
ZIO_PREADV(preadv64)

/* Offset -1 means the position here too. */
#define ZIO_PREADV2(name)                                                                          \
    ZIO_EXPORT ssize_t name(int fd, const struct iovec *iov, int count, off_t offset, int flags) { \
        ssize_t result;                                                                            \
        if (offset >= -1 && input_vector(fd, iov, count, offset, flags, ZIO_SITE(), &result))      \
            return result;                                                                         \
        zio__reveal_vector(offset, iov, count);                                                    \
        return ZIO_REAL(preadv64v2)(fd, iov, count, offset, flags);                                \
    }
ZIO_PREADV2(preadv2)
ZIO_PREADV2(preadv64v2)

/* Flags whose meaning does not depend on where the bytes go. MSG_PEEK leaves them to be read
 * again, MSG_TRUNC on TCP writes nothing, MSG_ERRQUEUE and MSG_OOB are no stream. */
static bool flags_allow_redirection(int flags) {
    return (flags & ~(MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL | MSG_CMSG_CLOEXEC)) == 0;
}

static bool input_message(int fd, const struct iovec *iov, size_t count, struct msghdr *message,
                          int flags, uintptr_t site, ssize_t *result) {
    struct zio_io_request request = {.pieces = (struct iovec *)iov,
                                     .piece_count = count,
                                     .message = message,
                                     .flags = flags,
                                     .offset = AT_POSITION};
    if (!zio__redirect(fd, ZIO__SOCKET_DESCRIPTOR, &request, site, result))
        return false;
    *result = zio__as_libc(*result);
    return true;
}

/* Other flags than MSG_PEEK see only what is still in the socket. */
static bool peek_at_pushback(int fd, const struct iovec *iov, size_t count, int flags,
                             ssize_t *result) {
    struct msghdr message = {0};
    struct zio_io_request request = {.pieces = (struct iovec *)iov,
                                     .piece_count = count,
                                     .message = &message,
                                     .flags = flags,
                                     .offset = AT_POSITION};
    if (!(flags & MSG_PEEK) || !zio__pushback_take(fd, &request, result))
        return false;
    *result = zio__as_libc(*result);
    return true;
}

/* recv(2) and recvfrom(2). */
ZIO_SLOW static ssize_t receive_from(int fd, void *buffer, size_t length, int flags,
                            struct sockaddr *address, socklen_t *address_length, uintptr_t site) {
    struct iovec piece = {buffer, length};
    struct msghdr message = {.msg_name = address, .msg_flags = ZIO_IO_FLAGS_UNREAD};
    ssize_t result;
    if (zio__pushback_any() && is_on() && peek_at_pushback(fd, &piece, 1, flags, &result))
        return result;
    bool ours = is_candidate(buffer, length) && flags_allow_redirection(flags);
    if (ours && address) {
        ours = address_length && zio__is_readable_word((uintptr_t)address_length & ~(uintptr_t)7);
        message.msg_namelen = ours ? *address_length : 0;
    }
    if (!ours || !input_message(fd, &piece, 1, &message, flags, site, &result))
        return ZIO_REAL(recvfrom)(fd, buffer, length, flags, address, address_length);
    if (result >= 0 && address)
        *address_length = message.msg_namelen;
    return result;
}

ZIO_EXPORT ssize_t recv(int fd, void *buffer, size_t length, int flags) {
    if (is_idle(length) && zio__real.recv)
        return zio__real.recv(fd, buffer, length, flags);
    return receive_from(fd, buffer, length, flags, NULL, NULL, ZIO_SITE());
}

ZIO_EXPORT ssize_t recvfrom(int fd, void *buffer, size_t length, int flags,
                            struct sockaddr *address, socklen_t *address_length) {
    if (is_idle(length) && zio__real.recvfrom)
        return zio__real.recvfrom(fd, buffer, length, flags, address, address_length);
    return receive_from(fd, buffer, length, flags, address, address_length, ZIO_SITE());
}

ZIO_EXPORT ssize_t __recv_chk(int fd, void *buffer, size_t length, size_t room, int flags) {
    ZIO_CHECK_ROOM;
    return receive_from(fd, buffer, length, flags, NULL, NULL, ZIO_SITE());
}

ZIO_EXPORT ssize_t __recvfrom_chk(int fd, void *buffer, size_t length, size_t room, int flags,
                                  struct sockaddr *address, socklen_t *address_length) {
    ZIO_CHECK_ROOM;
    return receive_from(fd, buffer, length, flags, address, address_length, ZIO_SITE());
}

/* Descriptors came with a message: what their numbers stood for before is over. */
static void note_descriptors(const struct msghdr *message) {
    struct msghdr *header = (struct msghdr *)message;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        const int *numbers = (const int *)(const void *)CMSG_DATA(part);
        for (size_t i = 0; i < (part->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++)
            zio__descriptor_forget(numbers[i]);
    }
}

static ssize_t receive_message(int fd, struct msghdr *message, int flags, uintptr_t site) {
    ssize_t result;
    if (!is_on() || !flags_allow_redirection(flags) ||
        !zio__is_readable(message, sizeof *message) ||
        !is_candidate_vector(message->msg_iov, message->msg_iovlen))
        return ZIO_REAL(recvmsg)(fd, message, flags);
    struct msghdr copy = *message;
    copy.msg_flags = 0;
    if (!input_message(fd, message->msg_iov, message->msg_iovlen, &copy, flags, site, &result))
        return ZIO_REAL(recvmsg)(fd, message, flags);
    if (result >= 0) {
        message->msg_namelen = copy.msg_namelen;
        message->msg_controllen = copy.msg_controllen;
        message->msg_flags = copy.msg_flags;
    }
    return result;
}

ZIO_EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    ssize_t result = receive_message(fd, message, flags, ZIO_SITE());
    if (zio__follows() && result >= 0)
        note_descriptors(message);
    return result;
}

/* Whether all of them can be read without a fault, and one may be worth redirecting. */
static bool are_candidates(const struct mmsghdr *messages, unsigned count) {
    bool any = false;
    for (unsigned i = 0; i < count; i++) {
        if (!zio__is_readable(&messages[i], sizeof messages[i]))
            return false;
        const struct msghdr *message = &messages[i].msg_hdr;
        any = any || is_candidate_vector(message->msg_iov, message->msg_iovlen);
    }
    return any;
}

ZIO_EXPORT int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags,
                        struct timespec *timeout) {
    int result;
    if (!is_on() || !flags_allow_redirection(flags & ~MSG_WAITFORONE) ||
        !are_candidates(messages, count) ||
        !zio__redirect_many(fd, messages, count, flags, timeout, ZIO_SITE(), &result))
        result = ZIO_REAL(recvmmsg)(fd, messages, count, flags, timeout);
    for (int i = 0; zio__follows() && i < result; i++)
        note_descriptors(&messages[i].msg_hdr);
    return result;
}
