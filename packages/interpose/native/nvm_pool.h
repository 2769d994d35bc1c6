/* The pool that files are logged in: the provider that ZIO_NVM_PROVIDER names, loaded when the
 * program starts, and the pool of ZIO_NVM, opened with the first file that is to be logged. */
#ifndef ZIO_NVM_POOL_H
#define ZIO_NVM_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include <zio/storage.h>

/* Loads the provider; what fails is told when a file is opened. From the constructor. */
void zio__nvm_set_up(void);

/* The provider; NULL before the pool has been opened. */
const struct zio_storage *zio__nvm_storage(void);
struct zio_storage_pool *zio__nvm_pool(void);

/* Opens the pool where it is not open yet. 0, or -errno as open(2) of a file gives it then: EBUSY
 * where the pool is another tree's, EIO for all else; said once in ZIO_LOG. Signals are blocked. */
int zio__nvm_open(void);
/* Ends it in this process; a later zio__nvm_open begins anew. No call is under way. True: this was
 * the last process of the tree, and everything is applied. */
bool zio__nvm_close(void);

void zio__nvm_before_fork(void);
void zio__nvm_after_fork(bool child);

#endif
