/* Copies for the time before the real functions are known. They call nothing. */
#ifndef ZIO_BOOT_H
#define ZIO_BOOT_H

#include <stddef.h>

void *zio__boot_memcpy(void *to, const void *from, size_t length);
void *zio__boot_memmove(void *to, const void *from, size_t length);
void *zio__boot_memset(void *to, int value, size_t length);

#endif
