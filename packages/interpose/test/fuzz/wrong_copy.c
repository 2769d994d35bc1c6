/* A preload library that copies wrongly: the last byte of large copies gets lost. zio-fuzz must find
 * that out and say how. */
#include <stddef.h>

void *memcpy(void *to, const void *from, size_t length) {
    volatile unsigned char *t = to;
    const unsigned char *f = from;
    for (size_t i = 0; i < length; i++)
        if (length < 20000 || i + 1 < length)
            t[i] = f[i];
    return to;
}
