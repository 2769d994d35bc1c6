/* What the victims on logged files share: the file, a line for each call's result, and messages that
 * are nothing but views. */
#ifndef NVM_FILE_H
#define NVM_FILE_H
#include "victim.h"

#include <sys/stat.h>
#include <sys/uio.h>

#define NAME    "data.log"
#define MESSAGE (256 * KIB)

/* No memory is there, and the compiler does not know. */
UNUSED static void *volatile bad = (void *)8;

UNUSED static const char *error_name(void) {
    return strerrorname_np(errno);
}

/* One call's result, with its error. */
#define TELL(call)                                                                                 \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long long result = (long long)(call);                                                      \
        if (result < 0)                                                                            \
            say("%s: %lld %s", #call, result, error_name());                                       \
        else                                                                                       \
            say("%s: %lld", #call, result);                                                        \
    } while (0)

UNUSED static int open_log(int flags) {
    int fd = open(NAME, flags | O_CREAT | O_CLOEXEC, 0644);
    need(fd >= 0, "open");
    return fd;
}

UNUSED static void tell_size(int fd) {
    struct stat by_fd, by_name;
    need(fstat(fd, &by_fd) == 0, "fstat");
    int named = stat(NAME, &by_name);
    say("size %lld, by name %lld, at %lld", (long long)by_fd.st_size,
        named == 0 ? (long long)by_name.st_size : -1, (long long)lseek(fd, 0, SEEK_CUR));
}

/* What the file holds, read in pieces of its own. */
UNUSED static void tell_content(const char *label) {
    static byte piece[70000];
    int fd = open(NAME, O_RDONLY | O_CLOEXEC);
    uint64_t hash = 0xcbf29ce484222325u, bytes = 0;
    ssize_t got;
    if (fd < 0) {
        say("%s: %s", label, error_name());
        return;
    }
    while ((got = read(fd, piece, sizeof piece)) > 0) {
        for (ssize_t i = 0; i < got; i++)
            hash = (hash ^ piece[i]) * 0x100000001b3u;
        bytes += (uint64_t)got;
    }
    say("%s: %llu bytes %016llx, then %zd", label, (unsigned long long)bytes,
        (unsigned long long)hash, got);
    close(fd);
}

UNUSED static byte *received(void) {
    byte *at = map_private(MESSAGE);
    feed(at, MESSAGE);
    return at;
}

/* A buffer that was received into and copied: nothing but views. */
UNUSED static byte *relayed(void) {
    byte *from = received(), *to = map_private(MESSAGE);
    memcpy(to, from, MESSAGE);
    munmap(from, MESSAGE);
    return to;
}

#endif
