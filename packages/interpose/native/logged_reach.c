/* Asks the kernel about ranges of memory at once, and page by page where something is wrong with
 * one. */
#include "logged_reach.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdint.h>
#include <sys/mman.h>
#include <zio/syscall.h>

#include "hooks/readable.h"

#ifndef MADV_POPULATE_READ /* Linux 5.14 */
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

enum { PAGE = 4096, SINGLE_PAGES = 2, ATTEMPTS = 4 };

/* Adds nothing to the word at `address` and wakes nobody: EFAULT where it cannot be written, and
 * where it lies in a page that is still to be filled, because this call does not wait for that. */
static bool is_writable_word(uintptr_t address) {
    static uint32_t nobody;
    uint32_t add_zero = FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_EQ, 0);
    return zio_syscall(SYS_futex, &nobody, FUTEX_WAKE_OP_PRIVATE, 0, 0, address, add_zero) !=
           -EFAULT;
}

/* At NULL the kernel would read nothing and find nothing wrong. Looking fills the page; another
 * thread may empty it again before it is asked for once more. */
static bool can_touch(uintptr_t page, enum zio__access access) {
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (access == ZIO__WRITES && is_writable_word(page))
            return true;
        if (!zio__is_readable_word(page ? page : 8))
            return false;
        if (access == ZIO__READS)
            return true;
    }
    return false;
}

/* The bytes of one range. */
static size_t reach(uintptr_t start, size_t length, enum zio__access access) {
    uintptr_t first = start & ~(uintptr_t)(PAGE - 1);
    size_t pages = (start + length - first + PAGE - 1) / PAGE;
    if (length == 0 || start + length < start)
        return 0;
    if (pages > SINGLE_PAGES &&
        zio_syscall(SYS_madvise, first, pages * PAGE,
                    access == ZIO__READS ? MADV_POPULATE_READ : MADV_POPULATE_WRITE) == 0)
        return length;
    for (uintptr_t page = first; page < start + length; page += PAGE)
        if (!can_touch(page, access))
            return page > start ? page - start : 0;
    return length;
}

size_t zio__reach(const struct iovec *pieces, size_t count, size_t wanted,
                  enum zio__access access) {
    size_t all = 0;
    for (size_t i = 0; i < count && all < wanted; i++) {
        size_t length = pieces[i].iov_len < wanted - all ? pieces[i].iov_len : wanted - all;
        size_t good = reach((uintptr_t)pieces[i].iov_base, length, access);
        all += good;
        if (good < length)
            break;
    }
    return all;
}
