/* What happens to mappings under views: unmapping and mapping again in place, moving, advice,
 * protection, locking. */
#include "direct.h"
#include "fuzz.h"
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

static long advise(byte *at, size_t n, int advice, long way) {
    if (way % WAYS_TO_CALL == BY_NAME)
        return madvise(at, n, advice);
    if (way % WAYS_TO_CALL == BY_SYSCALL)
        return syscall(SYS_madvise, at, n, advice);
    return DIRECT(SYS_madvise, at, n, advice);
}

/* madvise SLOT OFFSET LENGTH ADVICE WAY. Only advice whose effect is certain. */
static void do_madvise(struct context *context, const long *a) {
    static const int advices[] = {MADV_DONTNEED,       MADV_DONTNEED, MADV_DONTNEED,
                                  MADV_WILLNEED,       MADV_COLD,     MADV_PAGEOUT,
                                  MADV_NOHUGEPAGE,     MADV_HUGEPAGE, MADV_POPULATE_READ,
                                  MADV_POPULATE_WRITE, MADV_DONTDUMP};
    struct range r = fuzz_pages(fuzz_slot(context, a[0]), a[1], a[2]);
    if (r.n == 0)
        return;
    int advice = advices[(size_t)a[3] % LENGTH_OF(advices)];
    long result = advise(r.at, r.n, advice, a[4]);
    if (advice == MADV_DONTNEED)
        fuzz_say(context, " %ld", result);
}

/* remap SLOT OFFSET LENGTH WAY HOW: new pages of zeros over the range; HOW 0 maps over it, 1
 * unmaps it first. */
static void do_remap(struct context *context, const long *a) {
    struct range r = fuzz_pages(fuzz_slot(context, a[0]), a[1], a[2]);
    if (r.n == 0)
        return;
    long way = a[3] % WAYS_TO_CALL;
    /* Another thread may take what is unmapped, so inside a block the range is mapped over. */
    if (a[4] % 2 && context->threads == 1) {
        if (way == BY_NAME)
            munmap(r.at, r.n);
        else if (way == BY_SYSCALL)
            syscall(SYS_munmap, r.at, r.n);
        else
            DIRECT(SYS_munmap, r.at, r.n);
    }
    int protection = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    void *at;
    if (way == BY_NAME)
        at = mmap(r.at, r.n, protection, flags, -1, 0);
    else if (way == BY_SYSCALL)
        at = (void *)syscall(SYS_mmap, r.at, r.n, protection, flags, -1, 0L);
    else
        at = (void *)DIRECT(SYS_mmap, r.at, r.n, protection, flags, -1, 0);
    fuzz_say(context, " %d", at == r.at);
}

static void *move(void *at, size_t old, size_t n, int flags, void *to, long way) {
    if (way % WAYS_TO_CALL == BY_NAME)
        return mremap(at, old, n, flags, to);
    if (way % WAYS_TO_CALL == BY_SYSCALL)
        return (void *)syscall(SYS_mremap, at, old, n, flags, to);
    return (void *)DIRECT(SYS_mremap, at, old, n, flags, to);
}

/* mremap SLOT SIZE HOW WAY SLOT2: HOW 0 may move, 1 to a fixed place, 2 leaves the old range
 * mapped, which becomes SLOT2 where that is empty. Whether the kernel could merge what other
 * operations split is its own affair (EFAULT), so then the bytes are moved by hand. */
static void do_mremap(struct context *context, const long *a) {
    struct slot *slot = fuzz_slot(context, a[0]), *other = fuzz_slot(context, a[4]);
    if (slot->kind != MAPPED)
        return;
    size_t old = slot->n, n = (size_t)(a[1] <= 0 ? 1 : a[1] > MOST ? MOST : a[1]);
    n = (n + PAGE - 1) / PAGE * PAGE;
    int protection = PROT_READ | PROT_WRITE, flags = MREMAP_MAYMOVE;
    bool keep = a[2] % 3 == 2 && other->kind == EMPTY;
    byte *to = NULL;
    if (keep) {
        n = old;
        flags |= MREMAP_DONTUNMAP;
    } else if (a[2] % 3 == 1) {
        to = mmap(NULL, n, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        flags |= MREMAP_FIXED;
    }
    /* By the instruction itself only what the kernel does with one mapping is covered. */
    long way = to != NULL && a[3] % WAYS_TO_CALL == BY_INSTRUCTION ? BY_SYSCALL : a[3];
    byte *moved = move(slot->at, old, n, flags, to, way);
    if ((void *)moved == MAP_FAILED) {
        if (errno != EFAULT)
            fuzz_say(context, " failed: %d", errno);
        moved = to != NULL ? to : mmap(NULL, n, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memcpy(moved, slot->at, n < old ? n : old);
        if (keep)
            advise(slot->at, old, MADV_DONTNEED, a[3]);
        else
            munmap(slot->at, old);
    }
    if (keep)
        *other = *slot;
    *slot = (struct slot){moved, n, MAPPED};
    fuzz_say(context, " %zu to %zu", old, n);
}

static __thread sigjmp_buf back;
static __thread volatile int probing;

static void on_fault(int number, siginfo_t *info, void *unused) {
    (void)unused;
    if (!probing) {
        signal(number, SIG_DFL);
        return;
    }
    siglongjmp(back, number * 100 + info->si_code);
}

static void catch_faults(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

/* What a load and a store of one byte do. */
static void probe(struct context *context, volatile byte *at) {
    catch_faults();
    int caught = sigsetjmp(back, 1);
    probing = 1;
    if (caught == 0)
        fuzz_say(context, " load %02x", *at);
    else
        fuzz_say(context, " load %d", caught);
    caught = sigsetjmp(back, 1);
    if (caught == 0) {
        *at = 0x99;
        fuzz_say(context, " stored");
    } else
        fuzz_say(context, " store %d", caught);
    probing = 0;
}

/* protect SLOT OFFSET LENGTH PROTECTION PROBE INPUT: restricts the range, touches one byte of the
 * slot, lets the kernel read and write across it, and allows everything again. */
static void do_protect(struct context *context, const long *a) {
    struct slot *slot = fuzz_slot(context, a[0]);
    struct range r = fuzz_pages(slot, a[1], a[2]);
    if (r.n == 0)
        return;
    int file = fuzz_file(context);
    int protection = a[3] % 3 == 0 ? PROT_NONE : a[3] % 3 == 1 ? PROT_READ : PROT_READ | PROT_WRITE;
    /* By the instruction itself nobody could know of it: docs/consistency-model.md. */
    long result = a[3] / 3 % 2 ? syscall(SYS_mprotect, r.at, r.n, protection)
                               : mprotect(r.at, r.n, protection);
    fuzz_say(context, " %ld", result);
    probe(context, fuzz_range(slot, a[4], 1).at);
    struct range io = fuzz_range(slot, a[5], a[6]);
    errno = 0;
    ssize_t n = pread(file, io.at, io.n, 0);
    fuzz_say(context, " in %zd %d", n, n < 0 ? errno : 0);
    n = pwrite(file, io.at, io.n, FILE_BYTES / 2);
    fuzz_say(context, " out %zd %d", n, n < 0 ? errno : 0);
    if (mprotect(r.at, r.n, PROT_READ | PROT_WRITE))
        fuzz_die("mprotect");
}

/* lock SLOT OFFSET LENGTH: locked, read into, unlocked. */
static void do_lock(struct context *context, const long *a) {
    struct range r = fuzz_pages(fuzz_slot(context, a[0]), a[1], a[2]);
    if (r.n == 0 || mlock(r.at, r.n))
        return;
    ssize_t n = pread(fuzz_file(context), r.at, r.n, 0);
    fuzz_say(context, " %zd", n);
    munlock(r.at, r.n);
}

const struct verb fuzz_mapping_verbs[] = {
    {"madvise", do_madvise}, {"remap", do_remap}, {"mremap", do_mremap},
    {"protect", do_protect}, {"lock", do_lock},   {NULL, NULL},
};
