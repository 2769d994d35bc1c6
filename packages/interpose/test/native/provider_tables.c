/* The kernel's own providers, used through their tables as any other provider is. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel_stack.h"
#include "kernel_storage.h"

#define NEED(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static void stack_passes_bytes(void) {
    const struct zio_io_stack *stack = &zio__kernel_stack;
    struct zio_io_instance *instance;
    struct zio_io_channel *near, *far;
    int ends[2];
    char sent[] = "in three pieces", got[32] = {0};
    struct iovec out[] = {{sent, 3}, {sent + 3, 6}, {sent + 9, sizeof sent - 9}};
    struct iovec in = {got, sizeof got};
    NEED(zio_io_stack_check(stack) == 0);
    NEED(stack->open("", &instance) == 0);
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    NEED(stack->attach(instance, ends[0], &near) == 0 && stack->attach(instance, ends[1], &far) == 0);
    struct zio_io_request send = {.pieces = out, .piece_count = 3, .offset = -1};
    struct zio_io_request receive = {.pieces = &in, .piece_count = 1, .offset = -1};
    NEED(stack->transmit(near, &send, NULL) == (ssize_t)sizeof sent);
    NEED(stack->receive(far, &receive) == (ssize_t)sizeof sent);
    NEED(memcmp(sent, got, sizeof sent) == 0);
    struct msghdr message = {0};
    receive.message = &message;
    receive.flags = MSG_DONTWAIT;
    errno = 4711;
    NEED(stack->receive(far, &receive) == -EAGAIN && errno == 4711);
    NEED(stack->close_channel(near) == 0 && stack->close_channel(far) == 0);
    NEED(close(ends[0]) == 0 && close(ends[1]) == 0);
    NEED(stack->receive(far, &receive) == -EBADF);
    stack->close(instance);
    struct zio_io_stack other = *stack;
    other.abi_version++;
    NEED(zio_io_stack_check(&other) != 0);
    other = *stack;
    other.capabilities |= ZIO_IO_HOLDS_RECEIVED;
    NEED(zio_io_stack_check(&other) != 0);
}

static void storage_gives_pages(void) {
    const struct zio_storage *storage = &zio__kernel_storage;
    struct zio_storage_pool *pool;
    struct zio_storage_extent extent;
    NEED(zio_storage_check(storage) == 0);
    NEED(storage->open(NULL, &pool, NULL) == 0 && storage->pool_capabilities(pool) == ZIO_STORAGE_PRIVATE);
    NEED(storage->allocate(pool, 3 * 4096, &extent) == 0);
    NEED(extent.bytes == 3 * 4096 && (uintptr_t)extent.data % 4096 == 0);
    memset(extent.data, 1, extent.bytes);
    storage->release(pool, extent.token);
    NEED(storage->allocate(pool, SIZE_MAX - 4096, &extent) == ZIO_ENOMEM);
    NEED(storage->close(pool) == 0);
    struct zio_storage other = *storage;
    other.capabilities |= ZIO_STORAGE_LOGS_FILES;
    NEED(zio_storage_check(&other) != 0);
}

int main(void) {
    stack_passes_bytes();
    storage_gives_pages();
    puts("tables hold");
    return 0;
}
