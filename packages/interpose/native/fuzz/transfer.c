/* The kernel and libc read and write named files themselves: sendfile and its like, mappings,
 * streams. */
#include "direct.h"
#include "fuzz.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FITS = 60000 };

static size_t clamp(int fd, off_t at, long length) {
    struct stat status;
    if (fstat(fd, &status) || at >= status.st_size)
        return 0;
    size_t there = (size_t)(status.st_size - at), n = (size_t)length;
    n = n < there ? n : there;
    return n < FITS ? n : FITS;
}

/* send out of the file: HANDLE POSITION LENGTH HOW, into a pipe that is read. */
static void do_pour(struct context *context, const long *a) {
    int fd = fuzz_handle(context, a[0]);
    off_t at = a[1] % NAMED_BYTES;
    bool places = a[3] % 2;
    if (fd < 0)
        return;
    if (!places)
        at = lseek(fd, 0, SEEK_CUR);
    size_t n = clamp(fd, at, a[2]), done = 0;
    if (n == 0 || (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY)
        return;
    fuzz_open_channels(context);
    int out = context->channels[PIPE].out;
    while (done < n) {
        ssize_t got = a[3] % 4 < 2 ? sendfile(out, fd, places ? &at : NULL, n - done)
                                   : splice(fd, places ? &at : NULL, out, NULL, n - done, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            fuzz_tell(context, got);
            break;
        }
        done += (size_t)got;
    }
    uint64_t hash = fuzz_drain(context->channels[PIPE].in, done, FUZZ_HASH_START);
    fuzz_say(context, " %zu %016llx at %lld", done, (unsigned long long)hash,
             (long long)lseek(fd, 0, SEEK_CUR));
}

/* fill HANDLE POSITION LENGTH HOW: out of a pipe into the file, without copies. */
static void do_fill(struct context *context, const long *a) {
    int fd = fuzz_handle(context, a[0]);
    off_t at = a[1] % NAMED_BYTES;
    size_t n = (size_t)a[2] % FITS + 1, done = 0;
    if (fd < 0)
        return;
    fuzz_bound(context, fd);
    fuzz_open_channels(context);
    fuzz_supply(context, context->channels[PIPE].out, n);
    while (done < n) {
        ssize_t got = splice(context->channels[PIPE].in, NULL, fd, a[3] % 2 ? &at : NULL, n - done,
                             0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            fuzz_tell(context, got);
            fuzz_drain(context->channels[PIPE].in, n - done, FUZZ_HASH_START);
            break;
        }
        done += (size_t)got;
    }
    fuzz_say(context, " %zu at %lld", done, (long long)lseek(fd, 0, SEEK_CUR));
}

/* range HANDLE POSITION HANDLE POSITION LENGTH: from one file into the other. */
static void do_range(struct context *context, const long *a) {
    int from = fuzz_handle(context, a[0]), to = fuzz_handle(context, a[2]);
    off_t in = a[1] % NAMED_BYTES, out = a[3] % NAMED_BYTES;
    if (from < 0 || to < 0)
        return;
    size_t n = clamp(from, in, a[4]);
    while (n > 0) {
        ssize_t got = copy_file_range(from, &in, to, &out, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            fuzz_tell(context, got);
            return;
        }
        n -= (size_t)got;
    }
    fuzz_say(context, " to %lld", (long long)out);
}

/* mapped HANDLE PAGE LENGTH HOW: looks, and with HOW 1 writes, by a mapping. */
static void do_mapped(struct context *context, const long *a) {
    int fd = fuzz_handle(context, a[0]);
    off_t at = a[1] % (NAMED_BYTES / (long)PAGE) * (long)PAGE;
    if (fd < 0)
        return;
    size_t n = clamp(fd, at, a[2]);
    if (n == 0)
        return;
    bool writes = a[3] % 3 == 1;
    byte *seen = mmap(NULL, n, writes ? PROT_READ | PROT_WRITE : PROT_READ,
                      a[3] % 3 == 2 ? MAP_PRIVATE : MAP_SHARED, fd, at);
    if (seen == MAP_FAILED) {
        fuzz_tell(context, -1);
        return;
    }
    fuzz_say(context, " %zu %016llx", n, (unsigned long long)fuzz_hash(FUZZ_HASH_START, seen, n));
    if (writes)
        fuzz_store(seen, 0x6d, n < 5000 ? n : 5000);
    munmap(seen, n);
}

/* stream NAME SLOT OFFSET LENGTH MODE */
static void do_stream(struct context *context, const long *a) {
    static const char *const modes[] = {"r", "w", "a", "r+", "a+", "w+"};
    struct range r = fuzz_range(fuzz_slot(context, a[1]), a[2], a[3]);
    const char *mode = modes[(size_t)a[4] % LENGTH_OF(modes)];
    char room[NAME_BYTES];
    if (r.n == 0)
        return;
    FILE *stream = fopen(fuzz_name(context, a[0], room), mode);
    if (stream == NULL) {
        fuzz_tell(context, -1);
        return;
    }
    size_t n = r.n < FITS ? r.n : FITS;
    if (mode[0] == 'r')
        fuzz_say(context, " read %zu", fread(r.at, 1, n, stream));
    if (mode[0] != 'r' || mode[1]) {
        fseek(stream, 0, mode[0] == 'r' ? SEEK_SET : SEEK_END);
        fuzz_say(context, " written %zu", fwrite(r.at, 1, n, stream));
    }
    fuzz_say(context, " at %ld", ftell(stream));
    fclose(stream);
}

const struct verb fuzz_transfer_verbs[] = {
    {"pour", do_pour},     {"fill", do_fill},     {"range", do_range},
    {"mapped", do_mapped}, {"stream", do_stream}, {NULL, NULL},
};
