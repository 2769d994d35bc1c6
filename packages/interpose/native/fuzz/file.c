/* Input from and output to a regular file. */
#include "direct.h"
#include "fuzz.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ssize_t __pread_chk(int, void *, size_t, off_t, size_t);

enum { WAYS = 8 };

static int split(struct iovec *v, byte *at, size_t n) {
    v[0] = (struct iovec){at, n / 4};
    v[1] = (struct iovec){at + n / 4, n / 2};
    v[2] = (struct iovec){at + n / 4 + n / 2, n - n / 4 - n / 2};
    return 3;
}

/* pread SLOT OFFSET LENGTH POSITION WAY */
static void do_pread(struct context *context, const long *a) {
    struct range r = fuzz_range(fuzz_slot(context, a[0]), a[1], a[2]);
    if (r.n == 0)
        return;
    int fd = fuzz_file(context);
    off_t from = a[3] % (FILE_BYTES + 1000);
    struct iovec v[3];
    ssize_t n;
    switch (a[4] % WAYS) {
    case 0:
        n = pread(fd, r.at, r.n, from);
        break;
    case 1:
        n = preadv(fd, v, split(v, r.at, r.n), from);
        break;
    case 2:
        lseek(fd, from, SEEK_SET);
        n = read(fd, r.at, r.n);
        fuzz_say(context, " at %lld", (long long)lseek(fd, 0, SEEK_CUR));
        break;
    case 3:
        lseek(fd, from, SEEK_SET);
        n = readv(fd, v, split(v, r.at, r.n));
        break;
    case 4:
        n = preadv2(fd, v, split(v, r.at, r.n), from, 0);
        break;
    case 5:
        n = syscall(SYS_pread64, fd, r.at, r.n, from);
        break;
    case 6:
        n = DIRECT(SYS_pread64, fd, r.at, r.n, from);
        break;
    default:
        n = __pread_chk(fd, r.at, r.n, from, r.n);
    }
    fuzz_say(context, " %zd", n);
}

/* pwrite SLOT OFFSET LENGTH POSITION WAY: and what the file has there then. */
static void do_pwrite(struct context *context, const long *a) {
    struct range r = fuzz_range(fuzz_source_slot(context, a[0]), a[1], a[2]);
    int fd = fuzz_file(context);
    off_t to = a[3] % FILE_BYTES;
    if (r.n > FILE_BYTES - (size_t)to)
        r.n = FILE_BYTES - (size_t)to;
    if (r.n == 0)
        return;
    struct iovec v[3];
    ssize_t n;
    switch (a[4] % WAYS) {
    case 0:
        n = pwrite(fd, r.at, r.n, to);
        break;
    case 1:
        n = pwritev(fd, v, split(v, r.at, r.n), to);
        break;
    case 2:
        lseek(fd, to, SEEK_SET);
        n = write(fd, r.at, r.n);
        break;
    case 3:
        lseek(fd, to, SEEK_SET);
        n = writev(fd, v, split(v, r.at, r.n));
        break;
    case 4:
        n = pwritev2(fd, v, split(v, r.at, r.n), to, 0);
        break;
    case 5:
        n = syscall(SYS_pwrite64, fd, r.at, r.n, to);
        break;
    default:
        n = DIRECT(SYS_pwrite64, fd, r.at, r.n, to);
    }
    byte piece[SMALL];
    uint64_t hash = FUZZ_HASH_START;
    for (size_t done = 0; done < r.n; done += SMALL) {
        size_t part = r.n - done < SMALL ? r.n - done : SMALL;
        if (DIRECT(SYS_pread64, fd, piece, part, to + (off_t)done) != (long)part)
            fuzz_die("pread");
        hash = fuzz_hash(hash, piece, part);
    }
    fuzz_say(context, " %zd %016llx", n, (unsigned long long)hash);
}

/* stdio SLOT OFFSET LENGTH POSITION BUFFER: fread with a buffer of its own, mostly larger than
 * what is read, or none. */
static void do_stdio(struct context *context, const long *a) {
    struct range r = fuzz_range(fuzz_slot(context, a[0]), a[1], a[2]);
    if (r.n == 0)
        return;
    FILE *file = fdopen(dup(fuzz_file(context)), "r");
    if (file == NULL)
        fuzz_die("fdopen");
    setvbuf(file, NULL, a[4] % 3 ? _IOFBF : _IONBF, (size_t)(a[4] % 3) * 65536);
    fseek(file, a[3] % FILE_BYTES, SEEK_SET);
    fuzz_say(context, " %zu", fread(r.at, 1, r.n, file));
    fclose(file);
}

const struct verb fuzz_file_verbs[] = {
    {"pread", do_pread},
    {"pwrite", do_pwrite},
    {"stdio", do_stdio},
    {NULL, NULL},
};
