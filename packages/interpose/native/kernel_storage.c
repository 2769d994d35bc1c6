/* The kernel as a storage provider. An extent is preceded by a page that knows its size. */
#include "kernel_storage.h"

#include <zio/arena.h>

enum { HEADER_BYTES = 4096 };

static int open_pool(const struct zio_storage_options *options, struct zio_storage_pool **pool,
                     struct zio_storage_refusal *refusal) {
    static char kernel; /* only its address matters */
    (void)options;
    (void)refusal;
    *pool = (struct zio_storage_pool *)&kernel;
    return 0;
}

static int close_pool(struct zio_storage_pool *pool) {
    (void)pool;
    return 0;
}

static uint64_t pool_capabilities(const struct zio_storage_pool *pool) {
    (void)pool;
    return ZIO_STORAGE_PRIVATE;
}

static int allocate(struct zio_storage_pool *pool, size_t bytes,
                    struct zio_storage_extent *extent) {
    (void)pool;
    unsigned char *header =
        bytes + HEADER_BYTES > bytes ? zio_pages_alloc(bytes + HEADER_BYTES) : 0;
    if (!header)
        return ZIO_ENOMEM;
    *(size_t *)(void *)header = bytes;
    extent->data = header + HEADER_BYTES;
    extent->bytes = bytes;
    extent->token = (uintptr_t)extent->data;
    return 0;
}

static void release(struct zio_storage_pool *pool, uint64_t token) {
    unsigned char *header = (unsigned char *)(uintptr_t)token - HEADER_BYTES;
    (void)pool;
    zio_pages_free(header, *(size_t *)(void *)header + HEADER_BYTES);
}

static void before_fork(struct zio_storage_pool *pool) {
    (void)pool;
}

static void after_fork(struct zio_storage_pool *pool, int child) {
    (void)pool;
    (void)child;
}

const struct zio_storage zio__kernel_storage = {
    .abi_version = ZIO_STORAGE_ABI_VERSION,
    .table_bytes = sizeof(struct zio_storage),
    .capabilities = ZIO_STORAGE_PRIVATE,
    .name = "kernel",
    .open = open_pool,
    .close = close_pool,
    .pool_capabilities = pool_capabilities,
    .allocate = allocate,
    .release = release,
    .before_fork = before_fork,
    .after_fork = after_fork,
};

static void *allocate_origin(void *context, size_t bytes, uint64_t *token) {
    const struct zio_storage *storage = context;
    struct zio_storage_pool *pool;
    struct zio_storage_extent extent;
    if (storage->open(NULL, &pool, NULL) != 0 || storage->allocate(pool, bytes, &extent) != 0)
        return NULL;
    *token = extent.token;
    return extent.data;
}

static void release_origin(void *context, void *data, size_t bytes, uint64_t token) {
    const struct zio_storage *storage = context;
    struct zio_storage_pool *pool;
    (void)data;
    (void)bytes;
    if (storage->open(NULL, &pool, NULL) == 0)
        storage->release(pool, token);
}

const struct zio_origin_memory zio__origin_memory = {
    .allocate = allocate_origin,
    .release = release_origin,
    .context = (void *)&zio__kernel_storage,
};
