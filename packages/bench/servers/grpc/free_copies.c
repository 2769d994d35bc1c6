/* A preload library under which copies of 4 KiB and more cost nothing, because they do not happen:
 * what a program comes to then is the bound for whoever elides copies. The data are wrong. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>

enum { FREE_BYTES = 4096 };

static void *(*real_move)(void *, const void *, size_t);

static void *copy(void *to, const void *from, size_t length) {
    if (length >= FREE_BYTES)
        return to;
    if (real_move)
        return real_move(to, from, length);
    /* Before libc's is known. Backwards where that is needed. */
    volatile char *target = to;
    const volatile char *source = from;
    for (size_t i = 0; i < length; i++) {
        size_t at = (const char *)to < (const char *)from ? i : length - 1 - i;
        target[at] = source[at];
    }
    return to;
}

__attribute__((constructor)) static void find_libc(void) {
    real_move = (void *(*)(void *, const void *, size_t))dlsym(RTLD_NEXT, "memmove");
}

void *memcpy(void *to, const void *from, size_t length) {
    return copy(to, from, length);
}

void *memmove(void *to, const void *from, size_t length) {
    return copy(to, from, length);
}
