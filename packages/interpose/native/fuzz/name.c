/* What the kernel does to named files: sizes, space, times, names. */
#include "direct.h"
#include "fuzz.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* resize HANDLE NAME LENGTH HOW */
static void do_resize(struct context *context, const long *a) {
    int fd = fuzz_handle(context, a[0]);
    char room[NAME_BYTES];
    off_t length = a[2] % NAMED_BYTES;
    switch (a[3] % 4) {
    case 1:
        fuzz_tell(context, truncate(fuzz_name(context, a[1], room), length));
        return;
    case 2:
        fuzz_tell(context, syscall(SYS_ftruncate, fd, length));
        return;
    default:
        fuzz_tell(context, ftruncate(fd, length));
    }
}

/* reserve HANDLE POSITION LENGTH HOW */
static void do_reserve(struct context *context, const long *a) {
    static const int modes[] = {0, FALLOC_FL_KEEP_SIZE,
                                FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
                                FALLOC_FL_ZERO_RANGE};
    int fd = fuzz_handle(context, a[0]);
    off_t from = a[1] % NAMED_BYTES, length = a[2] % NAMED_BYTES + 1;
    if (fd < 0)
        return;
    if (a[3] % 5 == 4)
        fuzz_say(context, " %d", posix_fallocate(fd, from, length));
    else
        fuzz_tell(context, fallocate(fd, modes[a[3] % 5], from, length));
}

/* times HANDLE NAME SECONDS HOW */
static void do_times(struct context *context, const long *a) {
    struct timespec times[2] = {{a[2] % 900000, 5000}, {a[2] % 900000 + 1, 7000}};
    char room[NAME_BYTES];
    if (a[3] % 2)
        fuzz_tell(context, utimensat(AT_FDCWD, fuzz_name(context, a[1], room), times, 0));
    else
        fuzz_tell(context, futimens(fuzz_handle(context, a[0]), times));
}

/* rename NAME NAME HOW */
static void do_rename(struct context *context, const long *a) {
    char one[NAME_BYTES], two[NAME_BYTES];
    const char *from = fuzz_name(context, a[0], one), *to = fuzz_name(context, a[1], two);
    switch (a[2] % 6) {
    case 2:
        fuzz_tell(context, renameat(AT_FDCWD, from, AT_FDCWD, to));
        return;
    case 3:
        fuzz_tell(context, renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE));
        return;
    case 4:
        fuzz_tell(context, renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE));
        return;
    case 5:
        fuzz_tell(context, syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
        return;
    default:
        fuzz_tell(context, rename(from, to));
    }
}

/* link NAME NAME HOW */
static void do_link(struct context *context, const long *a) {
    char one[NAME_BYTES], two[NAME_BYTES];
    const char *from = fuzz_name(context, a[0], one), *to = fuzz_name(context, a[1], two);
    fuzz_tell(context, a[2] % 3 == 0   ? symlink(from, to)
                       : a[2] % 3 == 1 ? link(from, to)
                                       : linkat(AT_FDCWD, from, AT_FDCWD, to, 0));
}

/* unlink NAME HOW */
static void do_unlink(struct context *context, const long *a) {
    char room[NAME_BYTES];
    const char *name = fuzz_name(context, a[0], room);
    fuzz_tell(context, a[1] % 3 == 0   ? unlink(name)
                       : a[1] % 3 == 1 ? unlinkat(AT_FDCWD, name, 0)
                                       : remove(name));
}

const struct verb fuzz_name_verbs[] = {
    {"resize", do_resize}, {"reserve", do_reserve}, {"times", do_times}, {"rename", do_rename},
    {"link", do_link},     {"unlink", do_unlink},   {NULL, NULL},
};
