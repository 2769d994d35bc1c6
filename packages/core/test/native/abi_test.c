/* A table of another version, a shorter one, and one that promises what it lacks are refused. */
#include <zio/io_stack.h>
#include <zio/storage.h>

#include "check.h"

/* Never called: their presence is what is checked. */
static void never(void) {
    abort();
}

#define PRESENT (void *)never

static struct zio_io_stack full_stack(void) {
    return (struct zio_io_stack){
        .abi_version = ZIO_IO_STACK_ABI_VERSION,
        .table_bytes = sizeof(struct zio_io_stack),
        .capabilities = ZIO_IO_HOLDS_RECEIVED,
        .name = "test",
        .open = PRESENT,
        .close = PRESENT,
        .attach = PRESENT,
        .close_channel = PRESENT,
        .receive = PRESENT,
        .receive_held = PRESENT,
        .release = PRESENT,
        .held_max_bytes = PRESENT,
        .transmit = PRESENT,
        .readiness = PRESENT,
        .readiness_descriptor = PRESENT,
        .before_fork = PRESENT,
        .after_fork = PRESENT,
    };
}

static void test_stack(void) {
    struct zio_io_stack stack = full_stack();
    ASSERT_EQUAL(zio_io_stack_check(&stack), 0);
    stack.table_bytes += 64; /* a newer one, with functions added at the end */
    ASSERT_EQUAL(zio_io_stack_check(&stack), 0);
    stack.table_bytes = sizeof stack - 8;
    ASSERT_EQUAL(zio_io_stack_check(&stack), ZIO_EINVAL);
    stack = full_stack();
    stack.abi_version++;
    ASSERT_EQUAL(zio_io_stack_check(&stack), ZIO_EINVAL);
    stack = full_stack();
    stack.release = NULL;
    ASSERT_EQUAL(zio_io_stack_check(&stack), ZIO_ENOTSUP);
    stack.capabilities = 0;
    ASSERT_EQUAL(zio_io_stack_check(&stack), 0);
    stack.readiness = NULL;
    ASSERT_EQUAL(zio_io_stack_check(&stack), ZIO_ENOTSUP);
    stack.capabilities = ZIO_IO_KERNEL_DESCRIPTORS;
    ASSERT_EQUAL(zio_io_stack_check(&stack), 0);
}

static struct zio_storage full_storage(void) {
    return (struct zio_storage){
        .abi_version = ZIO_STORAGE_ABI_VERSION,
        .table_bytes = sizeof(struct zio_storage),
        .capabilities = ZIO_STORAGE_SURVIVES_PROCESS | ZIO_STORAGE_LOGS_FILES,
        .name = "test",
        .open = PRESENT,
        .close = PRESENT,
        .pool_capabilities = PRESENT,
        .allocate = PRESENT,
        .release = PRESENT,
        .persist = PRESENT,
        .attach = PRESENT,
        .find = PRESENT,
        .detach = PRESENT,
        .log = PRESENT,
        .read = PRESENT,
        .sync = PRESENT,
        .status = PRESENT,
        .retired = PRESENT,
        .settle = PRESENT,
        .begin_change = PRESENT,
        .end_change = PRESENT,
        .leave = PRESENT,
        .usage = PRESENT,
        .settle_all = PRESENT,
        .quiesce = PRESENT,
        .before_fork = PRESENT,
        .after_fork = PRESENT,
    };
}

static void test_storage(void) {
    struct zio_storage storage = full_storage();
    ASSERT_EQUAL(zio_storage_check(&storage), 0);
    storage.table_bytes = 16;
    ASSERT_EQUAL(zio_storage_check(&storage), ZIO_EINVAL);
    storage = full_storage();
    storage.abi_version = UINT32_MAX;
    ASSERT_EQUAL(zio_storage_check(&storage), ZIO_EINVAL);
    storage = full_storage();
    storage.persist = NULL;
    ASSERT_EQUAL(zio_storage_check(&storage), ZIO_ENOTSUP);
    storage = full_storage();
    storage.settle = NULL;
    ASSERT_EQUAL(zio_storage_check(&storage), ZIO_ENOTSUP);
    storage.capabilities = ZIO_STORAGE_PRIVATE;
    ASSERT_EQUAL(zio_storage_check(&storage), 0);
}

int main(void) {
    test_stack();
    test_storage();
    return 0;
}
