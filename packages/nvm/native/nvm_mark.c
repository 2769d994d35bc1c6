/* What tells whoever looks at a file without the pool that it may be older than what was acknowledged:
 * an extended attribute, there as long as the pool has an entry for the file, after a crash too. It
 * names the inode, because copies of a file have the attributes of the original. Best effort: not
 * every file system has them, or room for them. */
#include "nvm_internal.h"

#include <zio/syscall.h>

static const char mark_name[] = "user.zio.pool";
enum { NUMBER_BYTES = 20, VALUE_BYTES = 512 }; /* little, because it lies on any stack */

void nvm__mark_target(const struct zio_nvm_file *file) {
    char value[VALUE_BYTES], digits[NUMBER_BYTES];
    size_t bytes = 0, count = 0;
    uint64_t inode = file->target.inode;
    do
        digits[count++] = (char)('0' + inode % 10);
    while (inode /= 10);
    while (count > 0)
        value[bytes++] = digits[--count];
    value[bytes++] = ' ';
    for (const char *from = file->pool->path; *from && bytes < sizeof value; from++)
        value[bytes++] = *from;
    zio_syscall(SYS_fsetxattr, atomic_load(&file->target.number), mark_name, value, bytes, 0);
}

void nvm__unmark_target(const struct zio_nvm_file *file) {
    zio_syscall(SYS_fremovexattr, atomic_load(&file->target.number), mark_name);
}
