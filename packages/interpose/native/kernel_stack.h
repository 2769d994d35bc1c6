/* The kernel's own sockets, pipes and files behind the table that every IO stack fills in
 * (zio/io_stack.h). It holds nothing and sends by copying: origins are the interposer's. */
#ifndef ZIO_KERNEL_STACK_H
#define ZIO_KERNEL_STACK_H

#include <zio/io_stack.h>

extern const struct zio_io_stack zio__kernel_stack;

/* The channel that `attach` gives for a descriptor: there is no state behind it. */
static inline struct zio_io_channel *zio__kernel_channel(int descriptor) {
    return (struct zio_io_channel *)((uintptr_t)descriptor + 1);
}

#endif
