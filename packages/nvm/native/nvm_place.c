/* Writing and reading where a descriptor of the application's stands. Its position stays the
 * kernel's; it is read and set under the file's lock, as the kernel does it in one step. */
#include "nvm_internal.h"

#include <unistd.h>

#include <zio/syscall.h>

static int64_t position_of(int descriptor) {
    return zio_syscall(SYS_lseek, descriptor, 0, SEEK_CUR);
}

ssize_t zio_nvm_log_at(struct zio_nvm_file *file, struct zio_storage_place place,
                       const struct zio_storage_piece *pieces, size_t count, uint64_t *sequence) {
    uint64_t where = 0, ignored;
    if (!sequence)
        sequence = &ignored;
    *sequence = 0;
    if (nvm__usable(file->pool) == ZIO_ENOTSUP)
        return ZIO_ENOTSUP;
    if (place.offset < ZIO_STORAGE_AT_POSITION)
        return ZIO_EINVAL;
    uint64_t mask = nvm__lock_file(file);
    int64_t at = place.offset;
    if (at == ZIO_STORAGE_AT_POSITION)
        at = position_of(place.descriptor);
    ssize_t result = at < ZIO_STORAGE_AT_END
                         ? (ssize_t)at
                         : nvm__log(file, at, place.now_ns, pieces, count, &where, sequence);
    if (result > 0 && place.offset < 0 && place.descriptor >= 0)
        zio_syscall(SYS_lseek, place.descriptor, (int64_t)where + result, SEEK_SET);
    nvm__unlock_file(file, mask);
    return result;
}

ssize_t zio_nvm_read_at(struct zio_nvm_file *file, struct zio_storage_place place,
                        const struct iovec *pieces, size_t count) {
    if (nvm__usable(file->pool) == ZIO_ENOTSUP || atomic_load(&file->shared->left))
        return ZIO_ENOTSUP;
    if (place.offset >= 0)
        return zio_nvm_read(file, place.offset, pieces, count);
    if (place.offset != ZIO_STORAGE_AT_POSITION)
        return ZIO_EINVAL;
    uint64_t mask = nvm__lock_file(file);
    int64_t at = position_of(place.descriptor);
    ssize_t result = at < 0 ? (ssize_t)at : zio_nvm_read(file, at, pieces, count);
    if (result > 0)
        zio_syscall(SYS_lseek, place.descriptor, at + result, SEEK_SET);
    nvm__unlock_file(file, mask);
    return result;
}
