/* Another preloaded library that hooks what zIO hooks and passes everything on. */
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#define NEXT(result, name, parameters)                                                             \
    static result(*real) parameters;                                                               \
    if (!real)                                                                                     \
        *(void **)&real = dlsym(RTLD_NEXT, #name);

static unsigned long calls;

void *memcpy(void *to, const void *from, size_t count) {
    NEXT(void *, memcpy, (void *, const void *, size_t))
    calls++;
    return real(to, from, count);
}
void *memmove(void *to, const void *from, size_t count) {
    NEXT(void *, memmove, (void *, const void *, size_t))
    calls++;
    return real(to, from, count);
}
ssize_t read(int fd, void *to, size_t count) {
    NEXT(ssize_t, read, (int, void *, size_t))
    calls++;
    return real(fd, to, count);
}
ssize_t write(int fd, const void *from, size_t count) {
    NEXT(ssize_t, write, (int, const void *, size_t))
    calls++;
    return real(fd, from, count);
}
int close(int fd) {
    NEXT(int, close, (int))
    calls++;
    return real(fd);
}
void *malloc(size_t count) {
    NEXT(void *, malloc, (size_t))
    calls++;
    return real(count);
}
void free(void *block) {
    NEXT(void, free, (void *))
    calls++;
    real(block);
}
void *realloc(void *block, size_t count) {
    NEXT(void *, realloc, (void *, size_t))
    calls++;
    return real(block, count);
}
