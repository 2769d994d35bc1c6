/* A library for RTLD_DEEPBIND and dlmopen: its calls go to libc's functions, or to another libc's, and
 * never to a preloaded library. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void visiting_copy(void *to, const void *from, size_t count) {
    memmove(to, from, count);
}

long visiting_read(int fd, void *into, size_t count) {
    return read(fd, into, count);
}

long visiting_write(int fd, const void *from, size_t count) {
    return write(fd, from, count);
}

void visiting_set(void *at, int value, size_t count) {
    memset(at, value, count);
}

void *visiting_malloc(size_t count) {
    return malloc(count);
}

void visiting_free(void *at) {
    free(at);
}

void *visiting_realloc(void *at, size_t count) {
    return realloc(at, count);
}

int visiting_unmap(void *at, size_t count) {
    return munmap(at, count);
}
