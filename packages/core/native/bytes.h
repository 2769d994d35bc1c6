/* Byte moves for the data plane. Inside libzio.so the names memcpy, memmove and memset are the
 * hooks themselves, so nothing below the hooks may call them, not even by way of the compiler:
 * these are the only byte moves allowed here. Non-overlapping. Async-signal-safe. */
#ifndef ZIO_NATIVE_BYTES_H
#define ZIO_NATIVE_BYTES_H

#include <stddef.h>

static inline void zio__copy_bytes(void *to, const void *from, size_t bytes) {
#if defined(__x86_64__)
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
#else
    unsigned char *out = to;
    const unsigned char *in = from;
    for (; bytes >= 8; bytes -= 8, out += 8, in += 8) {
        unsigned long word;
        __builtin_memcpy(&word, in, 8);
        __builtin_memcpy(out, &word, 8);
    }
    while (bytes-- > 0)
        *out++ = *in++;
#endif
}

static inline void zio__zero_bytes(void *to, size_t bytes) {
#if defined(__x86_64__)
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(0) : "memory");
#else
    volatile unsigned char *out = to;
    while (bytes-- > 0)
        *out++ = 0;
#endif
}

#endif
