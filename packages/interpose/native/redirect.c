/* Input into origins: [head, origin, tail] instead of the program's buffer, so that the
 * kernel itself fills the fringes and finds bad pointers there (TRAPS 19); then the origin's
 * bytes are published as views. */
#include "redirection.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <zio/syscall.h>

#include "instance.h"
#include "kernel_stack.h"
#include "policy.h"
#include "presence.h"
#include "pushback.h"
#include "thread_state.h"

bool zio__kind_takes_pieces(int fd, enum zio__direction direction) {
    struct stat status;
    /* zIO may have ended while this thread waited for a lock, and a filter may kill for the call. */
    if (!atomic_load(&zio__on) || zio_syscall(SYS_fstat, fd, &status) != 0)
        return false;
    if (S_ISSOCK(status.st_mode) || S_ISFIFO(status.st_mode))
        return true;
    /* Empty files that give something are /proc's and their like, read record by record. */
    if (!S_ISREG(status.st_mode) || (direction == ZIO__INPUT && status.st_size == 0))
        return false;
    long flags = zio_syscall(SYS_fcntl, fd, F_GETFL);
    return flags >= 0 && !(flags & O_DIRECT);
}

static void add_piece(struct redirection *plan, void *base, size_t length) {
    if (length > 0)
        plan->pieces[plan->count++] = (struct iovec){base, length};
}

/* False: this piece stays the program's. */
static bool add_redirected(struct redirection *plan, const struct iovec *piece) {
    struct zio_input_plan layout;
    unsigned char *base = piece->iov_base;
    if (plan->slice_count == ZIO__REDIRECTED_MAX)
        return false;
    struct zio__viewed known;
    if (zio__recall_viewed((uintptr_t)base, piece->iov_len, &known) &&
        known.cuts == zio_tracker_cuts(&zio__tracker))
        layout = (struct zio_input_plan){.middle = piece->iov_len};
    else if (!zio_tracker_plan_input(&zio__tracker, base, piece->iov_len,
                                     zio__is_small(piece->iov_len), &layout))
        return false;
    struct zio__slice *slice = &plan->slices[plan->slice_count];
    if (zio__slice_take(slice, (uintptr_t)base + layout.head, layout.middle) != 0) {
        zio_tracker_count(&zio__tracker, ZIO_COUNT_memory_limit, 1);
        return false;
    }
    add_piece(plan, base, layout.head);
    plan->slice_piece[plan->slice_count] = plan->count;
    plan->target[plan->slice_count++] = base + layout.head;
    add_piece(plan, slice->origin->data + slice->offset, layout.middle);
    add_piece(plan, base + layout.head + layout.middle, layout.tail);
    return true;
}

/* Small input stays libc's, unless it lands in viewed memory: there the kernel's stores would
 * fault, and the bytes are better shown like those around them. */
static bool is_candidate(const struct iovec *piece) {
    return !zio__is_small(piece->iov_len) ||
           zio_tracker_may_hold(&zio__tracker, piece->iov_base, piece->iov_len);
}

bool zio__redirection_plan(struct redirection *plan, const struct zio_io_request *request) {
    plan->count = plan->slice_count = 0;
    plan->copied = 0;
    for (size_t i = 0; i < request->piece_count; i++) {
        const struct iovec *piece = &request->pieces[i];
        if (!is_candidate(piece) || !add_redirected(plan, piece))
            add_piece(plan, piece->iov_base, piece->iov_len);
    }
    return plan->slice_count > 0;
}

enum zio__wish zio__wish_for(const struct zio_io_request *request, uintptr_t return_address,
                             uint16_t *site) {
    size_t total = 0;
    bool large = false, viewed = false;
    if (request->piece_count == 0 || request->piece_count > ZIO__PROGRAM_PIECES_MAX)
        return ZIO__LEFT_ALONE;
    for (size_t i = 0; i < request->piece_count; i++) {
        const struct iovec *piece = &request->pieces[i];
        if (piece->iov_len > SSIZE_MAX - total)
            return ZIO__LEFT_ALONE; /* EINVAL from the kernel */
        total += piece->iov_len;
        large = large || !zio__is_small(piece->iov_len);
        viewed = viewed || zio_tracker_may_hold(&zio__tracker, piece->iov_base, piece->iov_len);
    }
    *site = zio__policy_site(return_address);
    if (!large)
        return viewed ? ZIO__WANTED : ZIO__LEFT_ALONE;
    return zio__policy_redirects(*site) ? ZIO__WANTED : viewed ? ZIO__REFUSED : ZIO__LEFT_ALONE;
}

void zio__materialise_pieces(const struct zio_io_request *request) {
    for (size_t i = 0; i < request->piece_count; i++)
        zio_tracker_make_room(&zio__tracker, request->pieces[i].iov_base,
                              request->pieces[i].iov_len);
}

/* Publishes `got` bytes of a slice, unless earlier bytes could not be delivered (`broken`).
 * Returns how many were; the rest is pushed back to fd (-1: the input was at an offset). */
static size_t publish_slice(struct redirection *plan, int index, int fd, size_t got, uint16_t site,
                            bool broken) {
    struct zio__slice *slice = &plan->slices[index];
    size_t delivered = 0;
    atomic_store_explicit(&slice->origin->filled, slice->offset + got, memory_order_release);
    atomic_store_explicit(&slice->origin->site, site, memory_order_relaxed);
    if (got > 0 && !broken) {
        uintptr_t start = (uintptr_t)plan->target[index];
        struct zio__viewed piece = {start,
                                    start + got,
                                    slice->origin,
                                    slice->offset,
                                    zio_tracker_changes(&zio__tracker),
                                    zio_tracker_cuts(&zio__tracker)};
        if (zio__is_small(got))
            zio_tracker_count(&zio__tracker, ZIO_COUNT_short_input, 1);
        zio_tracker_count(&zio__tracker, ZIO_COUNT_redirected_bytes, got);
        size_t placed = zio_tracker_publish(&zio__tracker, plan->target[index], got, slice->origin,
                                            slice->offset, site, &delivered);
        plan->copied += got - placed;
        if (placed == got)
            zio__remember_viewed(&piece);
    }
    if (delivered < got && fd >= 0)
        zio__pushback_put(fd, slice->origin, slice->offset + delivered, got - delivered);
    zio__slice_give_back(slice);
    return delivered;
}

ssize_t zio__redirection_publish(struct redirection *plan, int fd, ssize_t received, uint16_t site) {
    size_t left = received > 0 ? (size_t)received : 0, delivered = 0;
    bool broken = false;
    for (int piece = 0, next = 0; piece < plan->count; piece++) {
        size_t length = plan->pieces[piece].iov_len, got = left < length ? left : length;
        bool slice_here = next < plan->slice_count && piece == plan->slice_piece[next];
        size_t shown = slice_here ? publish_slice(plan, next++, fd, got, site, broken) : got;
        left -= got;
        if (!broken)
            delivered += shown;
        broken = broken || shown < got;
    }
    if (received <= 0 || !broken)
        return received;
    if (fd >= 0 && zio__gives_messages(fd))
        return -EFAULT;
    return delivered > 0 ? (ssize_t)delivered : -EFAULT;
}

bool zio__may_redirect(int fd, enum zio__descriptor known) {
    if (!zio__ready())
        return false;
    if (known == ZIO__SOCKET_DESCRIPTOR || zio__kind_takes_pieces(fd, ZIO__INPUT))
        return true;
    zio_tracker_count(&zio__tracker, ZIO_COUNT_descriptor_kind, 1);
    return false;
}

static ssize_t receive(int fd, struct zio_io_request *request) {
    zio__begin_wait();
    ssize_t received = zio__kernel_stack.receive(zio__kernel_channel(fd), request);
    zio__end_wait();
    return received;
}

/* The buffer shows an origin that nobody else uses: the input goes where the last one went, and no
 * view changes. A server that only passes messages on works like this. */
static bool overwrite(int fd, const struct zio_io_request *request, uint16_t site,
                      ssize_t *result) {
    struct zio__viewed known;
    const struct iovec *piece = request->pieces;
    uintptr_t base = (uintptr_t)piece->iov_base;
    uint64_t granules = UINT64_C(1) << ZIO_VIEW_MAP_GRANULE_SHIFT;
    if (request->piece_count != 1 || !zio__recall_viewed(base, piece->iov_len, &known) ||
        !zio_tracker_overwrite_begin(&zio__tracker, known.origin,
                                     (known.end - 1) / granules - known.start / granules + 1,
                                     known.changes))
        return false;
    int slot = zio__note_overwriting(known.origin);
    uint64_t offset = known.offset + (base - known.start);
    struct iovec target = {known.origin->data + offset, piece->iov_len};
    struct zio_io_request overwriting = *request;
    overwriting.pieces = &target;
    ssize_t received = receive(fd, &overwriting);
    if (slot >= 0)
        zio__unnote_overwriting(slot);
    size_t arrived = received > 0 ? (size_t)received : 0, delivered;
    zio_tracker_count(&zio__tracker, ZIO_COUNT_redirected_bytes, arrived);
    zio_tracker_overwrite_end(&zio__tracker, piece->iov_base, arrived, known.origin, offset, site,
                              known.changes, &delivered);
    if (delivered < arrived && request->offset < 0)
        zio__pushback_put(fd, known.origin, offset + delivered, arrived - delivered);
    zio_origin_release(known.origin);
    if (received > 0)
        zio__policy_overwrote(site);
    bool lost = delivered < arrived && zio__gives_messages(fd);
    *result = delivered == arrived ? received : delivered > 0 && !lost ? (ssize_t)delivered : -EFAULT;
    return true;
}

static bool redirect(int fd, enum zio__descriptor known, const struct zio_io_request *request,
                     uintptr_t return_address, ssize_t *result) {
    uint16_t site;
    if (!zio__has_stack())
        return false;
    if (zio__pushback_any() && request->offset < 0 && zio__pushback_take(fd, request, result))
        return true;
    enum zio__wish wish = zio__wish_for(request, return_address, &site);
    if (wish == ZIO__REFUSED)
        zio__materialise_pieces(request);
    if (wish == ZIO__WANTED && overwrite(fd, request, site, result))
        return true;
    if (wish != ZIO__WANTED || !zio__may_redirect(fd, known))
        return false;
    struct redirection plan;
    if (!zio__redirection_plan(&plan, request))
        return false;
    zio__policy_receives(site);
    struct zio_io_request redirected = *request;
    redirected.pieces = plan.pieces;
    redirected.piece_count = (size_t)plan.count;
    ssize_t received = receive(fd, &redirected);
    received = zio__redirection_publish(&plan, request->offset < 0 ? fd : -1, received, site);
    /* Pieces can be refused where one buffer would not be; nothing was consumed then. */
    if (received == -EINVAL)
        return false;
    if (received > 0)
        zio__policy_received(site, plan.copied);
    zio__stats_gauges();
    *result = received;
    return true;
}

bool zio__redirect(int fd, enum zio__descriptor known, const struct zio_io_request *request,
                   uintptr_t return_address, ssize_t *result) {
    if (!zio__enter())
        return false;
    bool done = redirect(fd, known, request, return_address, result);
    zio__leave();
    return done;
}

ssize_t zio__as_libc(ssize_t result) {
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}
