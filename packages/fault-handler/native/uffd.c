/* The ioctls of a userfaultfd with their errors told apart. Owns no state. Raw system
 * calls only: it runs inside memcpy, in signal handlers and on the handler thread. */
#include <zio/syscall.h>
#include <zio/uffd.h>

/* The descriptor number may meanwhile name another file of the program: ENOTTY, or
 * whatever its driver says, means the same as a closed number. */
static int run_ioctl(const struct zio_uffd *uffd, unsigned long request, void *argument) {
    int fd = __atomic_load_n(&uffd->fd, __ATOMIC_RELAXED); /* see zio_uffd_set_number */
    if (fd < 0)
        return ZIO_EBADF;
    long result = zio_syscall(SYS_ioctl, fd, request, argument);
    return result == -ENOTTY ? ZIO_EBADF : (int)result;
}

int zio_uffd_probe(const struct zio_uffd *uffd) {
    /* The kernel looks for unread events before it looks at the range (Linux 4.18). */
    struct uffdio_zeropage nothing = {.range = {0, 0}};
    int code = run_ioctl(uffd, UFFDIO_ZEROPAGE, &nothing);
    return code == -EINVAL ? 0 : code;
}

int zio_uffd_register(const struct zio_uffd *uffd, uint64_t start, uint64_t length) {
    struct uffdio_register request = {.range = {start, length},
                                      .mode = UFFDIO_REGISTER_MODE_MISSING};
    return run_ioctl(uffd, UFFDIO_REGISTER, &request);
}

int zio_uffd_unregister(const struct zio_uffd *uffd, uint64_t start, uint64_t length) {
    struct uffdio_range range = {start, length};
    return run_ioctl(uffd, UFFDIO_UNREGISTER, &range);
}

int zio_uffd_wake(const struct zio_uffd *uffd, uint64_t start, uint64_t length) {
    struct uffdio_range range = {start, length};
    return run_ioctl(uffd, UFFDIO_WAKE, &range);
}

/* One filling ioctl: how many bytes it did, or a negative code. The kernel reports partial
 * success as EAGAIN with a positive count, and before Linux 6.15 leaves the count alone
 * when it gives up early. */
typedef int64_t (*fill_step)(const struct zio_uffd *uffd, uint64_t start, uint64_t source,
                             uint64_t length, bool allow_holes);

static int64_t step_result(int code, int64_t count) {
    if (count > 0)
        return count;
    return code == 0 ? ZIO_EAGAIN : code;
}

static int64_t copy_step(const struct zio_uffd *uffd, uint64_t start, uint64_t source,
                         uint64_t length, bool allow_holes) {
    (void)allow_holes;
    struct uffdio_copy request = {.dst = start, .src = source, .len = length};
    int code = run_ioctl(uffd, UFFDIO_COPY, &request);
    return step_result(code, request.copy);
}

static int64_t zero_step(const struct zio_uffd *uffd, uint64_t start, uint64_t source,
                         uint64_t length, bool allow_holes) {
    (void)source, (void)allow_holes;
    struct uffdio_zeropage request = {.range = {start, length}};
    int code = run_ioctl(uffd, UFFDIO_ZEROPAGE, &request);
    return step_result(code, request.zeropage);
}

static int64_t poison_step(const struct zio_uffd *uffd, uint64_t start, uint64_t source,
                           uint64_t length, bool allow_holes) {
    (void)source, (void)allow_holes;
    struct uffdio_poison request = {.range = {start, length}};
    int code = run_ioctl(uffd, UFFDIO_POISON, &request);
    return step_result(code, request.updated);
}

static int64_t move_step(const struct zio_uffd *uffd, uint64_t start, uint64_t source,
                         uint64_t length, bool allow_holes) {
    struct uffdio_move request = {.dst = start,
                                  .src = source,
                                  .len = length,
                                  .mode = allow_holes ? UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES : 0};
    int code = run_ioctl(uffd, UFFDIO_MOVE, &request);
    return step_result(code, request.move);
}

static int fill_range(fill_step step, const struct zio_uffd *uffd, uint64_t start, uint64_t source,
                      uint64_t length, bool allow_holes, uint64_t *done) {
    *done = 0;
    while (*done < length) {
        int64_t count = step(uffd, start + *done, source + *done, length - *done, allow_holes);
        if (count <= 0) {
            /* Whoever filled that page may have done so with DONTWAKE, or by an ordinary touch. */
            if (count == ZIO_EEXIST)
                zio_uffd_wake(uffd, (start + *done) & ~(uint64_t)4095, 4096);
            return (int)count;
        }
        *done += (uint64_t)count;
    }
    return 0;
}

int zio_uffd_copy(const struct zio_uffd *uffd, uint64_t start, const void *source, uint64_t length,
                  uint64_t *done) {
    return fill_range(copy_step, uffd, start, (uint64_t)(uintptr_t)source, length, false, done);
}

int zio_uffd_zero(const struct zio_uffd *uffd, uint64_t start, uint64_t length, uint64_t *done) {
    return fill_range(zero_step, uffd, start, 0, length, false, done);
}

int zio_uffd_poison(const struct zio_uffd *uffd, uint64_t start, uint64_t length, uint64_t *done) {
    *done = 0;
    if (!uffd->can_poison)
        return ZIO_ENOSYS;
    return fill_range(poison_step, uffd, start, 0, length, false, done);
}

int zio_uffd_move(const struct zio_uffd *uffd, uint64_t start, uint64_t source, uint64_t length,
                  bool allow_holes, uint64_t *done) {
    *done = 0;
    if (!uffd->can_move)
        return ZIO_ENOSYS;
    return fill_range(move_step, uffd, start, source, length, allow_holes, done);
}
