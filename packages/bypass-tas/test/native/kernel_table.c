/* Prints the name and the capabilities of the kernel's table, after its check. */
#include <stdio.h>

#include "kernel_stack.h"

int main(void) {
    printf("%s %llu\n", zio__kernel_stack.name, (unsigned long long)zio__kernel_stack.capabilities);
    return zio_io_stack_check(&zio__kernel_stack) == 0 ? 0 : 1;
}
