/* The hooks on directory listings: a program that lists /proc/self/fd to count or close what is
 * open finds what it has opened, and nothing of ours. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zio/syscall.h>

#include "../instance.h"
#include "hook_table.h"
#include "process.h"

struct entry { /* struct linux_dirent64 */
    uint64_t inode;
    int64_t offset;
    uint16_t bytes;
    uint8_t type;
    char name[];
};

/* The decimal number at *text, which moves behind it; -1 where there is none. */
static int read_number(const char **text) {
    int value = -1;
    for (; **text >= '0' && **text <= '9' && value < 100000000; ++*text)
        value = (value < 0 ? 0 : value * 10) + (**text - '0');
    return value;
}

static bool skip_text(const char **text, const char *wanted) {
    const char *at = *text;
    while (*wanted)
        if (*at++ != *wanted++)
            return false;
    *text = at;
    return true;
}

/* Whether a directory is /proc/PID/fd or fdinfo of this process. */
static bool lists_our_descriptors(int directory) {
    char link[48], path[64];
    char digits[12], *at = link;
    unsigned left = (unsigned)directory, count = 0;
    for (const char *from = "/proc/self/fd/"; *from; from++)
        *at++ = *from;
    do
        digits[count++] = (char)('0' + left % 10);
    while (left /= 10);
    while (count > 0)
        *at++ = digits[--count];
    *at = 0;
    long length = zio_syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length <= 0)
        return false;
    path[length] = 0;
    const char *text = path;
    if (!skip_text(&text, "/proc/") || read_number(&text) != (int)zio_syscall(SYS_getpid))
        return false;
    if (skip_text(&text, "/task/") && read_number(&text) < 0)
        return false;
    return skip_text(&text, "/fd") && (*text == 0 || (skip_text(&text, "info") && *text == 0));
}

/* Names are compared first: nearly all differ. */
static bool is_hidden(int directory, const char *name) {
    const char *text = name;
    if (*name < '0' || *name > '9')
        return false;
    int number = read_number(&text);
    return *text == 0 && zio__owns_number(number) && lists_our_descriptors(directory);
}

ZIO_EXPORT struct dirent *readdir(DIR *directory) {
    struct dirent *found;
    do
        found = ZIO_REAL(readdir)(directory);
    while (found && is_hidden(dirfd(directory), found->d_name));
    return found;
}

ZIO_EXPORT struct dirent64 *readdir64(DIR *directory) {
    struct dirent64 *found;
    do
        found = ZIO_REAL(readdir64)(directory);
    while (found && is_hidden(dirfd(directory), found->d_name));
    return found;
}

/* Takes what is hidden out of a buffer that getdents64(2) filled. Returns the bytes left. */
static long take_out(int directory, char *buffer, long bytes) {
    for (long at = 0; at < bytes;) {
        struct entry *entry = (struct entry *)(buffer + at);
        long length = entry->bytes;
        if (!is_hidden(directory, entry->name)) {
            at += length;
            continue;
        }
        for (long i = at; i + length < bytes; i++)
            buffer[i] = buffer[i + length];
        bytes -= length;
    }
    return bytes;
}

long zio__list_directory(int directory, void *buffer, size_t room) {
    long listed, left;
    do {
        listed = zio_syscall(SYS_getdents64, directory, buffer, room);
        left = listed > 0 ? take_out(directory, buffer, listed) : listed;
    } while (listed > 0 && left == 0);
    return left;
}

ZIO_EXPORT ssize_t getdents64(int directory, void *buffer, size_t room) {
    long left = zio__list_directory(directory, buffer, room);
    if (left >= 0)
        return left;
    errno = (int)-left;
    return -1;
}
