/* Bytes into and out of named files, from and to slots. */
#include "direct.h"
#include "fuzz.h"
#include <fcntl.h>
#include <unistd.h>

enum { SYNCS_DATA = 2, SYNCS = 4, APPENDS = 16 }; /* of pwritev2 */

static int split(struct iovec *v, byte *at, size_t n) {
    v[0] = (struct iovec){at, n / 4};
    v[1] = (struct iovec){at + n / 4, n / 2};
    v[2] = (struct iovec){at + n / 4 + n / 2, n - n / 4 - n / 2};
    return 3;
}

static void tell_position(struct context *context, int fd) {
    fuzz_say(context, " at %lld", (long long)lseek(fd, 0, SEEK_CUR));
}

/* Direct transfers want alignment, which malloc promises nobody: then whole pages of mappings. */
static struct range range_for(int fd, struct slot *slot, long offset, long length) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return (struct range){slot, NULL, 0};
    return flags & O_DIRECT ? fuzz_pages(slot, offset, length) : fuzz_range(slot, offset, length);
}

/* write HANDLE SLOT OFFSET LENGTH HOW */
static void do_write(struct context *context, const long *a) {
    int fd = fuzz_handle(context, a[0]);
    struct range r = range_for(fd, fuzz_source_slot(context, a[1]), a[2], a[3]);
    struct iovec v[3];
    if (r.n == 0)
        return;
    fuzz_bound(context, fd);
    switch (a[4] % 8) {
    case 2:
        fuzz_tell(context, writev(fd, v, split(v, r.at, r.n)));
        break;
    case 3:
        fuzz_tell(context, syscall(SYS_write, fd, r.at, r.n));
        break;
    case 4:
        fuzz_tell(context, pwritev2(fd, v, split(v, r.at, r.n), -1, 0));
        break;
    case 5:
        fuzz_tell(context, pwritev2(fd, v, split(v, r.at, r.n), -1, SYNCS_DATA));
        break;
    case 6:
        fuzz_tell(context, pwritev2(fd, v, split(v, r.at, r.n), -1, APPENDS));
        break;
    default:
        fuzz_tell(context, write(fd, r.at, r.n));
    }
    tell_position(context, fd);
}

/* writeat HANDLE SLOT OFFSET LENGTH POSITION HOW */
static void do_writeat(struct context *context, const long *a) {
    int fd = fuzz_handle(context, a[0]);
    struct range r = range_for(fd, fuzz_source_slot(context, a[1]), a[2], a[3]);
    off_t to = a[4] % NAMED_BYTES;
    struct iovec v[3];
    if (r.n == 0)
        return;
    fuzz_bound(context, fd);
    switch (a[5] % 8) {
    case 2:
        fuzz_tell(context, pwritev(fd, v, split(v, r.at, r.n), to));
        break;
    case 3:
        fuzz_tell(context, syscall(SYS_pwrite64, fd, r.at, r.n, to));
        break;
    case 4:
        fuzz_tell(context, pwritev2(fd, v, split(v, r.at, r.n), to, 0));
        break;
    case 5:
        fuzz_tell(context, pwritev2(fd, v, split(v, r.at, r.n), to, SYNCS));
        break;
    case 6:
        fuzz_tell(context, pwritev2(fd, v, split(v, r.at, r.n), to, APPENDS));
        break;
    case 7:
        fuzz_tell(context, pwrite64(fd, r.at, r.n, to));
        break;
    default:
        fuzz_tell(context, pwrite(fd, r.at, r.n, to));
    }
    tell_position(context, fd);
}

/* read HANDLE SLOT OFFSET LENGTH HOW */
static void do_read(struct context *context, const long *a) {
    int fd = fuzz_handle(context, a[0]);
    struct range r = range_for(fd, fuzz_slot(context, a[1]), a[2], a[3]);
    struct iovec v[3];
    if (r.n == 0)
        return;
    switch (a[4] % 6) {
    case 2:
        fuzz_tell(context, readv(fd, v, split(v, r.at, r.n)));
        break;
    case 3:
        fuzz_tell(context, syscall(SYS_read, fd, r.at, r.n));
        break;
    case 4:
        fuzz_tell(context, preadv2(fd, v, split(v, r.at, r.n), -1, 0));
        break;
    default:
        fuzz_tell(context, read(fd, r.at, r.n));
    }
    tell_position(context, fd);
}

/* readat HANDLE SLOT OFFSET LENGTH POSITION HOW */
static void do_readat(struct context *context, const long *a) {
    int fd = fuzz_handle(context, a[0]);
    struct range r = range_for(fd, fuzz_slot(context, a[1]), a[2], a[3]);
    off_t from = a[4] % NAMED_BYTES;
    struct iovec v[3];
    if (r.n == 0)
        return;
    switch (a[5] % 6) {
    case 2:
        fuzz_tell(context, preadv(fd, v, split(v, r.at, r.n), from));
        break;
    case 3:
        fuzz_tell(context, syscall(SYS_pread64, fd, r.at, r.n, from));
        break;
    case 4:
        fuzz_tell(context, preadv2(fd, v, split(v, r.at, r.n), from, 0));
        break;
    default:
        fuzz_tell(context, pread(fd, r.at, r.n, from));
    }
}

const struct verb fuzz_content_verbs[] = {
    {"write", do_write},
    {"writeat", do_writeat},
    {"read", do_read},
    {"readat", do_readat},
    {NULL, NULL},
};
