/* Copies for the time before the real functions are known. gcc turns such loops into calls
 * of memcpy, which would come back here for ever; the build switches that off
 * (-fno-builtin, -fno-tree-loop-distribute-patterns) and a test looks at the object. */
#include "boot.h"

#include "bytes.h"

void *zio__boot_memcpy(void *to, const void *from, size_t length) {
    zio__copy_bytes(to, from, length);
    return to;
}

void *zio__boot_memmove(void *to, const void *from, size_t length) {
    unsigned char *t = to;
    const unsigned char *f = from;
    if (t <= f || t >= f + length)
        return zio__boot_memcpy(to, from, length);
    while (length-- > 0)
        t[length] = f[length];
    return to;
}

void *zio__boot_memset(void *to, int value, size_t length) {
    volatile unsigned char *t = to;
    while (length-- > 0)
        *t++ = (unsigned char)value;
    return to;
}
