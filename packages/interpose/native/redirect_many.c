/* recvmmsg: several messages, one system call. They cannot be received one by one, because the
 * kernel keeps an error that follows a message for the socket's next call. */
#include <errno.h>
#include <pthread.h>

#include "hooks/hook_table.h"
#include "instance.h"
#include "policy.h"
#include "presence.h"
#include "pushback.h"
#include "redirection.h"

enum { PLANS = 8, KERNEL_MAX = 1024 };

/* Lies in an origin's memory: the stack may be a coroutine's. */
struct many {
    struct zio_origin *memory;
    int plan_count;
    unsigned message_of[PLANS];
    uint16_t sites[PLANS];
    struct redirection plans[PLANS];
    struct mmsghdr copies[]; /* the program's, but for the pieces of those that have a plan */
};

static struct zio_io_request request_of(struct mmsghdr *message, int flags) {
    return (struct zio_io_request){.pieces = message->msg_hdr.msg_iov,
                                   .piece_count = message->msg_hdr.msg_iovlen,
                                   .message = &message->msg_hdr,
                                   .flags = flags,
                                   .offset = -1};
}

static void add_plan(struct many *many, unsigned index, int flags, uintptr_t return_address) {
    struct mmsghdr *copy = &many->copies[index];
    struct zio_io_request request = request_of(copy, flags);
    int next = many->plan_count;
    enum zio__wish wish = zio__wish_for(&request, return_address, &many->sites[next]);
    if (wish == ZIO__REFUSED)
        zio__materialise_pieces(&request);
    if (wish != ZIO__WANTED || !zio__redirection_plan(&many->plans[next], &request))
        return;
    zio__policy_receives(many->sites[next]);
    copy->msg_hdr.msg_iov = many->plans[next].pieces;
    copy->msg_hdr.msg_iovlen = (size_t)many->plans[next].count;
    many->message_of[many->plan_count++] = index;
}

static void release_memory(void *memory) {
    zio_origin_release(memory);
}

/* Publishes what the first `received` messages got, and gives the other slices back. */
static void publish(struct many *many, int fd, int received) {
    for (int i = 0; i < many->plan_count; i++) {
        struct mmsghdr *copy = &many->copies[many->message_of[i]];
        bool arrived = (int)many->message_of[i] < received;
        ssize_t shown = zio__redirection_publish(&many->plans[i], fd,
                                                 arrived ? (ssize_t)copy->msg_len : 0,
                                                 many->sites[i]);
        if (arrived) {
            copy->msg_len = shown > 0 ? (unsigned)shown : 0;
            zio__policy_received(many->sites[i], many->plans[i].copied);
        }
    }
    zio__stats_gauges();
}

static void hand_over(const struct many *many, struct mmsghdr *messages, int received) {
    for (int i = 0; i < received; i++) {
        struct iovec *pieces = messages[i].msg_hdr.msg_iov;
        size_t count = messages[i].msg_hdr.msg_iovlen;
        messages[i] = many->copies[i];
        messages[i].msg_hdr.msg_iov = pieces;
        messages[i].msg_hdr.msg_iovlen = count;
    }
}

static bool take_pushback(int fd, struct mmsghdr *messages, int flags, int *result) {
    struct zio_io_request request = request_of(messages, flags);
    ssize_t taken;
    if (!zio__pushback_any() || !zio__pushback_take(fd, &request, &taken))
        return false;
    *result = taken < 0 ? (int)zio__as_libc(taken) : 1;
    if (taken >= 0)
        messages->msg_len = (unsigned)taken;
    return true;
}

/* Receiving is a cancellation point. */
static int receive(struct many *many, int fd, unsigned count, int flags, struct timespec *timeout) {
    int result;
    pthread_cleanup_push(release_memory, many->memory);
    zio__begin_wait();
    result = ZIO_REAL(recvmmsg)(fd, many->copies, count, flags, timeout);
    zio__end_wait();
    pthread_cleanup_pop(0);
    return result;
}

static bool redirect_many(int fd, struct mmsghdr *messages, unsigned count, int flags,
                          struct timespec *timeout, uintptr_t return_address, int *result) {
    if (take_pushback(fd, messages, flags, result))
        return true;
    if (count > KERNEL_MAX)
        count = KERNEL_MAX; /* as the kernel does */
    if (!zio__may_redirect(fd, ZIO__SOCKET_DESCRIPTOR))
        return false;
    struct zio_origin *memory = zio_origin_acquire(
        &zio__tracker.pool, sizeof(struct many) + count * sizeof(struct mmsghdr));
    if (!memory)
        return false;
    struct many *many = (struct many *)memory->data;
    many->memory = memory;
    many->plan_count = 0;
    for (unsigned i = 0; i < count; i++)
        many->copies[i] = messages[i];
    for (unsigned i = 0; i < count && many->plan_count < PLANS; i++)
        add_plan(many, i, flags, return_address);
    bool done = many->plan_count > 0;
    if (done) {
        int saved = errno;
        *result = receive(many, fd, count, flags, timeout);
        int error = errno;
        publish(many, fd, *result);
        hand_over(many, messages, *result);
        /* Pieces can be refused where one buffer would not be; nothing was consumed then. */
        done = *result >= 0 || error != EINVAL;
        errno = done ? error : saved;
    }
    zio_origin_release(memory);
    return done;
}

bool zio__redirect_many(int fd, struct mmsghdr *messages, unsigned count, int flags,
                        struct timespec *timeout, uintptr_t return_address, int *result) {
    if (!zio__enter())
        return false;
    bool done = redirect_many(fd, messages, count, flags, timeout, return_address, result);
    zio__leave();
    return done;
}
