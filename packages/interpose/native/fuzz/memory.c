/* Making, resizing and ending slots. */
#include "direct.h"
#include "fuzz.h"
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Memory that C leaves undefined gets contents, in one of several ways. */
static void define(struct context *context, byte *at, size_t n, long how) {
    if (n == 0)
        return;
    switch (how % 4) {
    case 0:
        memset(at, 0x44, n);
        break;
    case 1:
        fuzz_store(at, 0x45, n);
        break;
    case 2: /* received, the rest set */
        fuzz_open_channels(context);
        for (size_t done = 0; done < n;) {
            size_t part = n - done < 65536 ? n - done : 65536;
            fuzz_supply(context, context->channels[UNIX_STREAM].out, part);
            ssize_t got = recv(context->channels[UNIX_STREAM].in, at + done, part, MSG_WAITALL);
            if (got < 0 && errno != EINTR)
                fuzz_die("recv");
            for (size_t have = got > 0 ? (size_t)got : 0; have < part;) {
                got = recv(context->channels[UNIX_STREAM].in, at + done + have, part - have, 0);
                have += got > 0 ? (size_t)got : 0;
            }
            done += part;
        }
        break;
    default: /* half of it copied from the other half */
        memset(at, 0x46, n / 2);
        memcpy(at + n / 2, at, n / 2);
        at[n - 1] = 0x47;
    }
}

static void end(struct slot *slot, long way) {
    if (slot->kind == HEAP)
        free(slot->at);
    else if (slot->kind != EMPTY) {
        size_t n = (slot->n + PAGE - 1) / PAGE * PAGE;
        if (way % WAYS_TO_CALL == BY_NAME)
            munmap(slot->at, n);
        else if (way % WAYS_TO_CALL == BY_SYSCALL)
            syscall(SYS_munmap, slot->at, n);
        else
            DIRECT(SYS_munmap, slot->at, n);
    }
    *slot = (struct slot){NULL, 0, EMPTY};
}

static size_t size_of(long n) {
    return n <= 0 ? 1 : n > MOST ? MOST : (size_t)n;
}

/* malloc SLOT SIZE HOW: HOW's low digit defines, its tens choose the function. */
static void do_malloc(struct context *context, const long *a) {
    struct slot *slot = fuzz_slot(context, a[0]);
    end(slot, a[2]);
    size_t n = size_of(a[1]);
    void *at = NULL;
    switch (a[2] / 10 % 5) {
    case 0:
        at = malloc(n);
        break;
    case 1:
        at = calloc(n, 1);
        break;
    case 2:
        if (posix_memalign(&at, (size_t)64 << a[2] % 8, n))
            at = NULL;
        break;
    case 3:
        at = aligned_alloc(PAGE, n);
        break;
    default:
        at = realloc(NULL, n);
    }
    if (at == NULL)
        fuzz_die("malloc");
    *slot = (struct slot){at, n, HEAP};
    if (a[2] / 10 % 5 != 1)
        define(context, at, n, a[2]);
}

static void *map_anywhere(size_t n, int flags, int fd) {
    void *at = mmap(NULL, n, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (at == MAP_FAILED)
        fuzz_die("mmap");
    return at;
}

/* mmap SLOT SIZE KIND: 0 private, 1 shared, 2 private of a file, 3 shared of a memfd, 4 private by
 * the instruction, 5 private populated. */
static void do_mmap(struct context *context, const long *a) {
    struct slot *slot = fuzz_slot(context, a[0]);
    end(slot, a[2]);
    slot->n = (size_of(a[1]) + PAGE - 1) / PAGE * PAGE;
    slot->kind = MAPPED;
    int fd = -1;
    switch (a[2] % 6) {
    case 1:
        slot->kind = SHARED;
        slot->at = map_anywhere(slot->n, MAP_SHARED | MAP_ANONYMOUS, -1);
        break;
    case 2:
        slot->kind = FILE_MAPPED;
        slot->n = slot->n < FILE_BYTES ? slot->n : FILE_BYTES;
        slot->at = map_anywhere(slot->n, MAP_PRIVATE, fuzz_file(context));
        fuzz_store(slot->at, 0x48, slot->n); /* later changes of the file must not show */
        break;
    case 3:
        slot->kind = SHARED;
        fd = memfd_create("zio-fuzz", MFD_CLOEXEC);
        if (fd < 0 || ftruncate(fd, (off_t)slot->n))
            fuzz_die("memfd_create");
        slot->at = map_anywhere(slot->n, MAP_SHARED, fd);
        close(fd);
        break;
    case 4:
        slot->at = (byte *)DIRECT(SYS_mmap, 0, slot->n, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if ((void *)slot->at == MAP_FAILED)
            fuzz_die("mmap");
        break;
    default:
        slot->at = map_anywhere(
            slot->n, MAP_PRIVATE | MAP_ANONYMOUS | (a[2] % 6 == 5 ? MAP_POPULATE : 0), -1);
    }
}

/* free SLOT WAY */
static void do_free(struct context *context, const long *a) {
    end(fuzz_slot(context, a[0]), a[1]);
}

/* realloc SLOT SIZE HOW */
static void do_realloc(struct context *context, const long *a) {
    struct slot *slot = fuzz_slot(context, a[0]);
    if (slot->kind != HEAP)
        return;
    size_t old = slot->n, n = size_of(a[1]);
    void *at = a[2] / 10 % 2 ? reallocarray(slot->at, n, 1) : realloc(slot->at, n);
    if (at == NULL)
        fuzz_die("realloc");
    *slot = (struct slot){at, n, HEAP};
    if (n > old)
        define(context, slot->at + old, n - old, a[2]);
    fuzz_say(context, " %zu to %zu", old, n);
}

/* swap SLOT SLOT: the same memory under another number, as when a program passes a buffer on. */
static void do_swap(struct context *context, const long *a) {
    struct slot *one = fuzz_slot(context, a[0]), *two = fuzz_slot(context, a[1]);
    struct slot kept = *one;
    *one = *two;
    *two = kept;
}

/* mallopt WHICH VALUE: from when on glibc maps, trims, moves by mremap. */
static void do_mallopt(struct context *context, const long *a) {
    (void)context;
    if (a[0] % 3 == 0)
        mallopt(M_MMAP_THRESHOLD, (int)a[1]);
    else if (a[0] % 3 == 1)
        mallopt(M_TRIM_THRESHOLD, (int)a[1]);
    else
        malloc_trim(0);
}

const struct verb fuzz_memory_verbs[] = {
    {"malloc", do_malloc}, {"mmap", do_mmap},       {"free", do_free}, {"realloc", do_realloc},
    {"swap", do_swap},     {"mallopt", do_mallopt}, {NULL, NULL},
};
