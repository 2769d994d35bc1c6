/* Named files, by descriptor: opened, closed, copied, looked at, made durable. Files of some names
 * may be logged in a pool; nothing printed depends on it. */
#include "direct.h"
#include "fuzz.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int *place_of(struct context *context, long index) {
    return &context->handles[(size_t)index % HANDLES];
}

int fuzz_handle(const struct context *context, long index) {
    return context->handles[(size_t)index % HANDLES] - 1;
}

const char *fuzz_name(const struct context *context, long index, char room[NAME_BYTES]) {
    size_t i = (size_t)index % NAMES;
    snprintf(room, NAME_BYTES, "%s%c.%s", context->own, (int)('a' + i),
             i < NAMES - 2 ? "log" : "plain");
    return room;
}

long fuzz_tell(struct context *context, long result) {
    if (result < 0)
        fuzz_say(context, " %s", strerror(errno));
    else
        fuzz_say(context, " %ld", result);
    return result;
}

void fuzz_bound(struct context *context, int fd) {
    struct stat status;
    if (fstat(fd, &status) == 0 && status.st_size > NAMED_BYTES)
        fuzz_say(context, " emptied %d", ftruncate(fd, 0));
}

void fuzz_separate(struct context *context, const struct context *outer, size_t number) {
    memset(context->handles, 0, sizeof context->handles);
    if (strlen(outer->own) > NAME_BYTES / 2 - 8)
        number = 0;
    snprintf(context->own, sizeof context->own, "%.20s%zu-", outer->own, number % 10000);
}

static uint64_t sum_of(int fd, uint64_t *bytes) {
    static __thread byte piece[SMALL];
    uint64_t hash = FUZZ_HASH_START;
    for (;;) {
        /* Whole pieces, because the sum depends on where they begin. */
        size_t have = 0;
        for (ssize_t n; have < SMALL && (n = read(fd, piece + have, SMALL - have)) > 0;)
            have += (size_t)n;
        if (have == 0)
            return hash;
        hash = fuzz_hash(hash, piece, have);
        *bytes += have;
    }
}

void fuzz_tell_files(struct context *context) {
    char room[NAME_BYTES];
    for (int i = 0; i < NAMES; i++) {
        const char *name = fuzz_name(context, i, room);
        struct stat status;
        int fd = open(name, O_RDONLY | O_CLOEXEC);
        uint64_t bytes = 0, hash = fd < 0 ? 0 : sum_of(fd, &bytes);
        if (fd < 0 || fstat(fd, &status))
            continue;
        fuzz_say(context, "0 file %s: %lld, read %llu %016llx\n", name, (long long)status.st_size,
                 (unsigned long long)bytes, (unsigned long long)hash);
        close(fd);
    }
}

enum { /* of `open`, above the two bits of the access mode */
    CREATES = 4,
    APPENDS = 8,
    TRUNCATES = 16,
    MUST_BE_NEW = 32,
    SYNCS_DATA = 64,
    SYNCS = 128,
    CLOSES_ON_EXEC = 256,
    DIRECTLY = 512,
};

static int flags_of(long bits) {
    static const int modes[] = {O_RDWR, O_RDWR, O_WRONLY, O_RDONLY};
    return modes[bits & 3] | (bits & CREATES ? O_CREAT : 0) | (bits & APPENDS ? O_APPEND : 0) |
           (bits & TRUNCATES ? O_TRUNC : 0) |
           ((bits & (CREATES | MUST_BE_NEW)) == (CREATES | MUST_BE_NEW) ? O_EXCL : 0) |
           (bits & SYNCS_DATA ? O_DSYNC : 0) | (bits & SYNCS ? O_SYNC : 0) |
           (bits & CLOSES_ON_EXEC ? O_CLOEXEC : 0) | (bits & DIRECTLY ? O_DIRECT : 0);
}

static int open_by(const char *name, int flags, long how) {
    switch (how % 5) {
    case 1:
        return openat(AT_FDCWD, name, flags, 0640);
    case 2:
        return (int)syscall(SYS_openat, AT_FDCWD, name, flags, 0640);
    case 3:
        return open64(name, flags, 0640);
    case 4:
        if (flags == (O_WRONLY | O_CREAT | O_TRUNC))
            return creat(name, 0640);
        /* fallthrough */
    default:
        return open(name, flags, 0640);
    }
}

/* open HANDLE NAME FLAGS HOW: after closing what the handle was. */
static void do_open(struct context *context, const long *a) {
    int *place = place_of(context, a[0]);
    char room[NAME_BYTES];
    struct stat status = {.st_size = -1};
    if (*place)
        fuzz_say(context, " closed %d", close(*place - 1));
    *place = 0;
    int fd = open_by(fuzz_name(context, a[1], room), flags_of(a[2]), a[3]);
    if (fd < 0) {
        fuzz_tell(context, fd);
        return;
    }
    *place = fd + 1;
    fuzz_say(context, " %d %lld", fstat(fd, &status), (long long)status.st_size);
}

/* close HANDLE HOW */
static void do_close(struct context *context, const long *a) {
    int *place = place_of(context, a[0]), fd = *place - 1;
    if (fd < 0)
        return;
    *place = 0;
    switch (a[1] % 4) {
    case 1:
        fuzz_tell(context, syscall(SYS_close, fd));
        return;
    case 2:
        fuzz_tell(context, DIRECT(SYS_close, fd));
        return;
    case 3:
        fuzz_tell(context, syscall(SYS_close_range, fd, fd, 0));
        return;
    default:
        fuzz_tell(context, close(fd));
    }
}

/* again HANDLE TO HOW: the handle once more, under a new number or in place of what TO was. */
static void do_again(struct context *context, const long *a) {
    int *to = place_of(context, a[1]), fd = fuzz_handle(context, a[0]);
    if (fd < 0 || *to - 1 == fd)
        return;
    if (*to) {
        long result = a[2] % 2 ? dup2(fd, *to - 1) : dup3(fd, *to - 1, O_CLOEXEC);
        fuzz_say(context, " over %d", result == *to - 1);
        return;
    }
    int copy = a[2] % 3 == 0   ? dup(fd)
               : a[2] % 3 == 1 ? fcntl(fd, F_DUPFD, 20)
                               : (int)syscall(SYS_dup, fd);
    fuzz_say(context, " %d", copy >= 0);
    *to = copy + 1;
}

static bool all_zeros(int fd, off_t from, off_t to) {
    static __thread byte piece[SMALL];
    while (from < to) {
        size_t wanted = to - from < SMALL ? (size_t)(to - from) : SMALL;
        ssize_t n = pread(fd, piece, wanted, from);
        if (n <= 0)
            return false;
        for (ssize_t i = 0; i < n; i++)
            if (piece[i] != 0)
                return false;
        from += n;
    }
    return true;
}

/* What is a hole is the file system's to say, but nothing may be hidden: all that lies before the
 * next data is zeros, and so is what the hole begins with. */
static void seek_over_holes(struct context *context, int fd, off_t offset, bool data) {
    struct stat status;
    off_t before = lseek(fd, 0, SEEK_CUR), found = lseek(fd, offset, data ? SEEK_DATA : SEEK_HOLE);
    int error = errno;
    int mode = fcntl(fd, F_GETFL);
    if (fd < 0 || fstat(fd, &status) || offset < 0 || offset >= status.st_size) {
        errno = error;
        fuzz_tell(context, found < 0 ? -1 : 0);
    } else if ((mode & O_ACCMODE) == O_WRONLY || (mode & O_DIRECT)) {
        /* nobody can look */
    } else if (data)
        fuzz_say(context, " %d", all_zeros(fd, offset, found < 0 ? status.st_size : found));
    else
        fuzz_say(context, " %d", found >= offset && found <= status.st_size &&
                                     all_zeros(fd, found, found + (found < status.st_size)));
    if (fd >= 0)
        lseek(fd, before, SEEK_SET);
}

/* seek HANDLE OFFSET WHENCE */
static void do_seek(struct context *context, const long *a) {
    static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END};
    int fd = fuzz_handle(context, a[0]);
    if ((size_t)a[2] % 5 > 2)
        seek_over_holes(context, fd, a[1], a[2] % 2);
    else
        fuzz_tell(context, lseek(fd, a[1], whences[(size_t)a[2] % 5]));
}

/* sync HANDLE HOW */
static void do_sync(struct context *context, const long *a) {
    int fd = fuzz_handle(context, a[0]);
    switch (a[1] % 4) {
    case 1:
        fuzz_tell(context, fdatasync(fd));
        return;
    case 2:
        fuzz_tell(context, sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
        return;
    case 3:
        fuzz_tell(context, syscall(SYS_fsync, fd));
        return;
    default:
        fuzz_tell(context, fsync(fd));
    }
}

/* Times are those of the run, but where they were set. */
static void tell_status(struct context *context, int result, long long size, unsigned links,
                        unsigned mode, long long modified) {
    fuzz_tell(context, result);
    if (result == 0)
        fuzz_say(context, " %lld bytes, %u links, %o, %lld", size, links, mode,
                 modified < 1000000 ? modified : -1);
}

/* status HANDLE NAME HOW */
static void do_status(struct context *context, const long *a) {
    int fd = fuzz_handle(context, a[0]), result;
    char room[NAME_BYTES];
    const char *name = fuzz_name(context, a[1], room);
    struct stat found;
    struct statx extended;
    switch (a[2] % 7) {
    case 0:
    case 1:
        result = fstat(fd, &found);
        break;
    case 2:
        result = stat(name, &found);
        break;
    case 3:
        result = lstat(name, &found);
        break;
    case 4:
        result = fstatat(AT_FDCWD, name, &found, 0);
        break;
    case 5:
        result = (int)syscall(SYS_fstat, fd, &found);
        break;
    default:
        result = a[2] % 2 ? statx(AT_FDCWD, name, 0, STATX_BASIC_STATS, &extended)
                          : statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &extended);
        tell_status(context, result, (long long)extended.stx_size, extended.stx_nlink,
                    extended.stx_mode, extended.stx_mtime.tv_sec);
        return;
    }
    tell_status(context, result, found.st_size, (unsigned)found.st_nlink, found.st_mode,
                found.st_mtime);
}

const struct verb fuzz_handle_verbs[] = {
    {"open", do_open}, {"close", do_close},   {"again", do_again}, {"seek", do_seek},
    {"sync", do_sync}, {"status", do_status}, {NULL, NULL},
};
