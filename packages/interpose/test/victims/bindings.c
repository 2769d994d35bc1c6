/* Trap 21: the library's functions are really the ones that programs call, whatever symbol
 * version they were linked with. `where` tells the object that each name is bound to; any other
 * argument names the function by which one received buffer of 256 KiB is copied once. */
#include "channels.h"
#include <dlfcn.h>
#include <strings.h>

void *__memcpy_chk(void *, const void *, size_t, size_t);
void *__memmove_chk(void *, const void *, size_t, size_t);
void *__mempcpy_chk(void *, const void *, size_t, size_t);
void *__memset_chk(void *, int, size_t, size_t);
ssize_t __read_chk(int, void *, size_t, size_t);
ssize_t __pread_chk(int, void *, size_t, off_t, size_t);
ssize_t __pread64_chk(int, void *, size_t, off64_t, size_t);
ssize_t __recv_chk(int, void *, size_t, size_t, int);
ssize_t __recvfrom_chk(int, void *, size_t, size_t, int, void *, socklen_t *);
void *memcpy_before_2_14(void *, const void *, size_t);
#ifdef __x86_64__
__asm__(".symver memcpy_before_2_14,memcpy@GLIBC_2.2.5");
#else
#define memcpy_before_2_14 memcpy
#endif

#define NAMES(X)                                                                                   \
    X(memcpy)                                                                                      \
    X(memmove) X(mempcpy) X(bcopy) X(memset) X(realloc) X(free) X(__memcpy_chk) X(__memmove_chk)   \
        X(__mempcpy_chk) X(__memset_chk) X(read) X(pread) X(pread64) X(readv) X(preadv)            \
            X(preadv64) X(preadv2) X(recv) X(recvfrom) X(recvmsg) X(recvmmsg) X(__read_chk)        \
                X(__pread_chk) X(__pread64_chk) X(__recv_chk) X(__recvfrom_chk) X(write) X(pwrite) \
                    X(pwrite64) X(writev) X(pwritev) X(pwritev64) X(pwritev2) X(send) X(sendto)    \
                        X(sendmsg) X(sendmmsg) X(mmap) X(mmap64) X(munmap) X(mremap) X(madvise)    \
                            X(mprotect) X(mlock) X(memcpy_before_2_14)

static void where(void) {
#define ENTRY(name) {#name, (void *)(uintptr_t)name},
    static const struct {
        const char *name;
        void *at;
    } all[] = {NAMES(ENTRY)};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        Dl_info info = {0};
        dladdr(all[i].at, &info);
        const char *slash = info.dli_fname ? strrchr(info.dli_fname, '/') : NULL;
        say("%s %s\n", all[i].name, slash ? slash + 1 : "?");
    }
}

#define SIZE (256 * KIB)
int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "where";
    if (strcmp(name, "where") == 0) {
        where();
        return 0;
    }
    byte *a = region(SIZE), *b = region(SIZE);
    feed(a, SIZE, 1, 0);
    volatile size_t count = SIZE;
    if (strcmp(name, "memcpy") == 0)
        memcpy(b, a, count);
    else if (strcmp(name, "memcpy_before_2_14") == 0)
        memcpy_before_2_14(b, a, count);
    else if (strcmp(name, "memmove") == 0)
        memmove(b, a, count);
    else if (strcmp(name, "mempcpy") == 0)
        EXPECT((byte *)mempcpy(b, a, count) == b + SIZE, 1);
    else if (strcmp(name, "bcopy") == 0)
        bcopy(a, b, count);
    else if (strcmp(name, "__memcpy_chk") == 0)
        __memcpy_chk(b, a, count, SIZE);
    else if (strcmp(name, "__memmove_chk") == 0)
        __memmove_chk(b, a, count, SIZE);
    else if (strcmp(name, "__mempcpy_chk") == 0)
        __mempcpy_chk(b, a, count, SIZE);
    else
        return 64;
    struct channel c = wide_pipe();
    write_all(c.out, b, SIZE);
    EXPECT_STREAM(c.in, SIZE, 1, 0);
    say("%s: %s\n", name, failures ? "failed" : "done");
    return failures != 0;
}
