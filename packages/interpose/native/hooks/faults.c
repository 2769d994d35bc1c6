/* The hook on ioctl(2), for programs with a userfaultfd of their own: memory is registered with one
 * only, so we give ours up where the program asks for it. */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <zio/uffd.h>

#include "../instance.h"
#include "hook_table.h"
#include "process.h"
#include "readable.h"

static void yield(uint64_t start, uint64_t length) {
    if (start + length > start)
        zio_tracker_yield_range(&zio__tracker, (void *)(uintptr_t)start, length);
}

void zio__before_ioctl(unsigned long request, const void *argument) {
    bool registers = request == UFFDIO_REGISTER, moves = request == UFFDIO_MOVE;
    if ((!registers && !moves) || !zio__is_tracking())
        return;
    int saved = errno;
    if (registers && zio__is_readable(argument, sizeof(struct uffdio_register))) {
        const struct uffdio_register *given = argument;
        yield(given->range.start, given->range.len);
    } else if (moves && zio__is_readable(argument, sizeof(struct uffdio_move))) {
        /* It takes pages, and a view has none. */
        const struct uffdio_move *given = argument;
        yield(given->src, given->len);
    }
    errno = saved;
}

ZIO_EXPORT int ioctl(int fd, unsigned long request, ...) {
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    for (int attempt = 0;; attempt++) {
        zio__before_ioctl(request, argument);
        int result = ZIO_REAL(ioctl)(fd, request, argument);
        /* Another thread may have received into the memory in between. */
        bool again = request == UFFDIO_REGISTER && result < 0 && errno == EBUSY && attempt < 3;
        if (!again || !zio__is_tracking())
            return result;
    }
}
