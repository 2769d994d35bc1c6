/* Loading the provider and opening the pool. */
#include "nvm_pool.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <zio/lock.h>
#include <zio/syscall.h>

#include "instance.h"

static const struct zio_storage *provider;
static const char *missing; /* why there is none */
static _Atomic(struct zio_storage_pool *) pool;
static _Atomic int refused; /* -errno for good */
static struct zio_lock opening;

const struct zio_storage *zio__nvm_storage(void) {
    return atomic_load_explicit(&pool, memory_order_acquire) ? provider : NULL;
}

struct zio_storage_pool *zio__nvm_pool(void) {
    return atomic_load_explicit(&pool, memory_order_acquire);
}

static char *put_number(char *to, uint64_t number) {
    char digits[24];
    int count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    while (count > 0)
        *to++ = digits[--count];
    return to;
}

/* Nobody named the tree: this process and what it starts are one. */
static void name_tree(void) {
    static char variable[64] = "ZIO_NVM_TREE=";
    struct timespec now = {0};
    char *at = variable + 13;
    if (zio__settings.nvm_tree)
        return;
    zio_syscall(SYS_clock_gettime, CLOCK_BOOTTIME, &now);
    at = put_number(at, (uint64_t)zio_syscall(SYS_getpid));
    *at++ = '-';
    at = put_number(at, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
    *at = 0;
    zio__settings.nvm_tree = variable + 13;
    putenv(variable);
}

void zio__nvm_set_up(void) {
    const char *path = zio__settings.nvm_provider;
    if (!path) {
        missing = "ZIO_NVM_PROVIDER names no library";
        return;
    }
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct zio_storage *found = library ? dlsym(library, "zio_storage") : NULL;
    if (!found)
        missing = "the library that ZIO_NVM_PROVIDER names cannot be loaded";
    else if (zio_storage_check(found) != 0 || !(found->capabilities & ZIO_STORAGE_LOGS_FILES))
        missing = "the library that ZIO_NVM_PROVIDER names is of another version";
    else
        provider = found;
    name_tree();
}

static int open_pool(void) {
    struct zio_storage_refusal refusal = {.text = ""};
    struct zio_storage_pool *opened = NULL;
    struct zio_storage_options options = {.path = zio__settings.nvm,
                                          .tree = zio__settings.nvm_tree,
                                          .bytes = zio__settings.nvm_size,
                                          .checks_data = zio__settings.nvm_checksum};
    if (!provider) {
        zio__log("files are refused: ", missing);
        return -EIO;
    }
    int result = provider->open(&options, &opened, &refusal);
    if (result == 0 && !(provider->pool_capabilities(opened) & ZIO_STORAGE_LOGS_FILES)) {
        provider->close(opened);
        result = -EOPNOTSUPP;
    }
    if (result == 0) {
        atomic_store_explicit(&pool, opened, memory_order_release);
        return 0;
    }
    zio__log("files are refused: ", refusal.text[0] ? refusal.text : "the pool cannot be opened");
    return result == -EBUSY ? -EBUSY : -EIO;
}

int zio__nvm_open(void) {
    if (zio__nvm_pool())
        return 0;
    zio_lock_exclusive(&opening);
    int result = zio__nvm_pool() ? 0 : atomic_load(&refused);
    if (result == 0 && !zio__nvm_pool())
        result = open_pool();
    if (result != -EBUSY) /* the others may end */
        atomic_store(&refused, result);
    zio_unlock_exclusive(&opening);
    return result;
}

bool zio__nvm_close(void) {
    struct zio_storage_pool *open = atomic_exchange(&pool, NULL);
    return open && provider->close(open) == 1;
}

void zio__nvm_before_fork(void) {
    zio_lock_exclusive(&opening);
    if (zio__nvm_pool())
        provider->before_fork(zio__nvm_pool());
}

void zio__nvm_after_fork(bool child) {
    if (zio__nvm_pool())
        provider->after_fork(zio__nvm_pool(), child);
    if (child)
        opening = (struct zio_lock){0};
    else
        zio_unlock_exclusive(&opening);
}
