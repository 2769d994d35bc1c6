/* CASE 7: the application changes its mappings while they hold views, through libc or, with the
 * argument "raw", by system calls that no hook sees. */
#include "modelled.h"
#include <setjmp.h>

static const size_t size = 64 * PAGE;

static bool raw(void) {
    return case_arguments[0] != NULL && strcmp(case_arguments[0], "raw") == 0;
}

static int do_munmap(void *at, size_t n) {
    return raw() ? (int)syscall(SYS_munmap, at, n) : munmap(at, n);
}

static int do_madvise(void *at, size_t n, int advice) {
    return raw() ? (int)syscall(SYS_madvise, at, n, advice) : madvise(at, n, advice);
}

static int do_mprotect(void *at, size_t n, int protection) {
    return raw() ? (int)syscall(SYS_mprotect, at, n, protection) : mprotect(at, n, protection);
}

static byte *do_mmap(void *at, size_t n, int protection, int flags, int fd) {
    return raw() ? (byte *)syscall(SYS_mmap, at, n, protection, flags, fd, 0L)
                 : mmap(at, n, protection, flags, fd, 0);
}

enum { READ_WRITE = PROT_READ | PROT_WRITE, ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS };

/* The memory under test, and a copy of it that must survive whatever happens to it. */
struct pair {
    struct memory subject, copy;
};

static struct pair make_pair(void) {
    struct pair made = {memory_new(MAPPED, 0, size), memory_new(MAPPED, 0, size)};
    memory_feed(&made.subject, 0, size);
    memory_copy(&made.copy, 0, &made.subject, 0, size);
    return made;
}

/* The same with the roles changed: the subject is what was copied to. */
static struct pair make_reversed_pair(void) {
    struct pair made = make_pair();
    return (struct pair){made.copy, made.subject};
}

static struct pair (*const makers[])(void) = {make_pair, make_reversed_pair};

static const struct {
    size_t at, n;
} parts[] = {{0, 64 * PAGE},         {0, PAGE},         {PAGE, 10 * PAGE},
             {30 * PAGE, 34 * PAGE}, {63 * PAGE, PAGE}, {7 * PAGE, 2 * PAGE}};

/* Runs a change on every part of a subject; it has to bring the model up to date. */
static void on_every_part(void (*change)(struct memory *, size_t at, size_t n)) {
    for (size_t m = 0; m < LENGTH_OF(makers); m++)
        for (size_t p = 0; p < LENGTH_OF(parts); p++) {
            struct pair pair = makers[m]();
            change(&pair.subject, parts[p].at, parts[p].n);
            check_sent("copy", &pair.copy);
            if (p % 2)
                check_sent("subject", &pair.subject);
            check("subject", &pair.subject);
            check("copy", &pair.copy);
            memory_feed(&pair.subject, 100, size - 100); /* and it goes on as usual */
            memory_copy(&pair.copy, 0, &pair.subject, 0, size);
            check_sent("copy", &pair.copy);
            check("subject", &pair.subject);
        }
}

/* ---- unmapping and discarding -----------------------------------------------------------------
 */

static void unmap_and_map(struct memory *subject, size_t at, size_t n) {
    need(do_munmap(subject->at + at, n) == 0, "munmap");
    byte *again = do_mmap(subject->at + at, n, READ_WRITE, ANONYMOUS | MAP_FIXED_NOREPLACE, -1);
    need(again == subject->at + at, "mmap at the same address");
    model_set(subject->model + at, 0, n);
}

static void unmapped_and_mapped_again(void) {
    on_every_part(unmap_and_map);
}

static void map_over(struct memory *subject, size_t at, size_t n) {
    need(do_mmap(subject->at + at, n, READ_WRITE, ANONYMOUS | MAP_FIXED, -1) == subject->at + at,
         "mmap");
    model_set(subject->model + at, 0, n);
}

static void mapped_over(void) {
    on_every_part(map_over);
}

static void map_file_over(struct memory *subject, size_t at, size_t n) {
    int fd = stream_file(n, 31337);
    need(do_mmap(subject->at + at, n, READ_WRITE, MAP_PRIVATE | MAP_FIXED, fd) == subject->at + at,
         "mmap");
    close(fd);
    stream_fill(subject->model + at, n, 31337);
}

static void file_mapped_over(void) {
    on_every_part(map_file_over);
}

static void discard(struct memory *subject, size_t at, size_t n) {
    need(do_madvise(subject->at + at, n - 1, MADV_DONTNEED) == 0,
         "madvise"); /* the kernel rounds up */
    model_set(subject->model + at, 0, n);
}

static void discarded(void) {
    on_every_part(discard);
}

static void discard_then_write(struct memory *subject, size_t at, size_t n) {
    discard(subject, at, n);
    memory_store(subject, at + n / 2, 0x37, 1);
}

static void discarded_then_written(void) {
    on_every_part(discard_then_write);
}

/* The kernel may drop the pages at any later time, so each is the old one or zero until it is
 * written. */
static void freed_lazily(void) {
    for (size_t m = 0; m < LENGTH_OF(makers); m++) {
        struct pair pair = makers[m]();
        need(do_madvise(pair.subject.at, 32 * PAGE, MADV_FREE) == 0, "madvise");
        memory_store(&pair.subject, 10 * PAGE, 0x55, PAGE);
        need(do_madvise(pair.subject.at + 32 * PAGE, 2 * PAGE, MADV_FREE) == 0, "madvise");
        size_t strange = 0;
        for (size_t page = 0; page < 34; page++) {
            const volatile byte *at = pair.subject.at + page * PAGE,
                                *model = pair.subject.model + page * PAGE;
            bool zero = at[0] == 0;
            for (size_t i = 0; i < PAGE; i++)
                strange += at[i] != (zero ? 0 : model[i]);
        }
        say("%zu strange bytes", strange);
        check_range("written", &pair.subject, 10 * PAGE, PAGE);
        check_range("rest", &pair.subject, 34 * PAGE, size - 34 * PAGE);
        memory_set(&pair.subject, 0, 0x56, 34 * PAGE);
        check("subject", &pair.subject);
        check_sent("copy", &pair.copy);
        check("copy", &pair.copy);
    }
}

static void advise(struct memory *subject, size_t at, size_t n) {
    static const int harmless[] = {
        MADV_WILLNEED,   MADV_RANDOM,    MADV_NORMAL,      MADV_DONTDUMP,      MADV_DODUMP,
        MADV_NOHUGEPAGE, MADV_HUGEPAGE,  MADV_COLD,        MADV_PAGEOUT,       MADV_DONTFORK,
        MADV_DOFORK,     MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_POPULATE_READ, MADV_POPULATE_WRITE};
    for (size_t i = 0; i < LENGTH_OF(harmless); i++)
        need(do_madvise(subject->at + at, n, harmless[i]) == 0, "madvise");
    static const int refused[] = {MADV_REMOVE, 4711};
    for (size_t i = 0; i < LENGTH_OF(refused); i++) {
        errno = 0;
        need(do_madvise(subject->at + at, n, refused[i]) == -1 && errno == EINVAL,
             "madvise that is refused");
    }
}

static void advised(void) {
    on_every_part(advise);
}

/* ---- calls that fail change nothing -----------------------------------------------------------
 */

static void fail(struct memory *subject, size_t at, size_t n) {
    byte *start = subject->at + at;
    errno = 0;
    need(do_munmap(start + 1, n) == -1 && errno == EINVAL, "munmap of an odd address");
    need(do_munmap(start, 0) == -1 && errno == EINVAL, "munmap of nothing");
    need(do_madvise(start + 1, n, MADV_DONTNEED) == -1 && errno == EINVAL,
         "madvise of an odd address");
    need(do_madvise(start, 0, MADV_DONTNEED) == 0, "madvise of nothing");
    need(do_mmap(start, n, READ_WRITE, ANONYMOUS | MAP_FIXED_NOREPLACE, -1) == MAP_FAILED &&
             errno == EEXIST,
         "mmap");
    need(do_mmap(start, n, READ_WRITE, MAP_PRIVATE | MAP_FIXED, 9999) == MAP_FAILED &&
             errno == EBADF,
         "mmap of 9999");
    need(do_mmap(start, n, READ_WRITE, MAP_FIXED, -1) == MAP_FAILED, "mmap without a kind");
    need(do_mmap(start + 7, n, READ_WRITE, ANONYMOUS | MAP_FIXED, -1) == MAP_FAILED &&
             errno == EINVAL,
         "odd mmap");
    need(do_mprotect(start + 1, n, PROT_NONE) == -1 && errno == EINVAL,
         "mprotect of an odd address");
    need(do_mprotect(start, n, 0x5a5a0000) == -1, "mprotect with nonsense");
    need(mremap(start, n, (size_t)1 << 46, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM,
         "mremap");
    need(mremap(start, n, n, MREMAP_FIXED, start) == MAP_FAILED && errno == EINVAL,
         "mremap to a fixed place");
    byte *hint = do_mmap(start, n, READ_WRITE, ANONYMOUS, -1); /* only a hint, and taken */
    need(hint != MAP_FAILED && hint != start && munmap(hint, n) == 0, "mmap with a hint");
}

static void failures(void) {
    on_every_part(fail);
}

/* ---- protection -------------------------------------------------------------------------------
 */

static sigjmp_buf after_fault;
static volatile uintptr_t fault_address;
static volatile int fault_code, fault_signal;

static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)context;
    fault_signal = signal;
    fault_code = info->si_code;
    fault_address = (uintptr_t)info->si_addr;
    siglongjmp(after_fault, 1);
}

/* Prints how an access ended, with the place as an offset. */
static void try_access(const char *label, byte *at, bool write) {
    if (sigsetjmp(after_fault, 1) == 0) {
        if (write)
            *(volatile byte *)at = 0x61;
        else
            (void)*(volatile byte *)at;
        say("%s: no fault", label);
    } else
        say("%s: signal %d code %d at %td", label, fault_signal, fault_code,
            (byte *)fault_address - at);
}

static void catch_faults(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

static void protect(struct memory *subject, size_t at, size_t n) {
    byte *middle = subject->at + at + n / 2;
    need(do_mprotect(subject->at + at, n, PROT_NONE) == 0, "mprotect");
    try_access("read of PROT_NONE", middle, false);
    try_access("write of PROT_NONE", middle, true);
    need(do_mprotect(subject->at + at, n, PROT_READ) == 0, "mprotect");
    try_access("write of PROT_READ", middle, true);
    try_access("read of PROT_READ", middle, false);
    check_range("read-only", subject, at, n / 2);
    try_access("write of PROT_READ", middle, true);
    need(do_mprotect(subject->at + at, n, READ_WRITE) == 0, "mprotect");
    memory_store(subject, at + n / 2, 0x62, 1);
}

static void protected_memory(void) {
    catch_faults();
    on_every_part(protect);
}

/* Output of memory that may not be read fails as it does without views. */
static void protected_from_output(void) {
    catch_faults();
    for (size_t m = 0; m < LENGTH_OF(makers); m++) {
        struct pair pair = makers[m]();
        int ends[2];
        socket_pair(ends);
        need(do_mprotect(pair.subject.at, size, PROT_NONE) == 0, "mprotect");
        ssize_t n = send(ends[0], pair.subject.at, size, MSG_DONTWAIT);
        say("send of PROT_NONE: %zd %s", n, n < 0 ? strerror(errno) : "");
        n = write(ends[0], pair.subject.at, size);
        say("write of PROT_NONE: %zd %s", n, n < 0 ? strerror(errno) : "");
        need(do_mprotect(pair.subject.at, size, PROT_READ) == 0, "mprotect");
        n = recv(feed_fd, pair.subject.at, size, 0);
        say("recv into PROT_READ: %zd %s", n, n < 0 ? strerror(errno) : "");
        check_sent("subject", &pair.subject);
        check("subject", &pair.subject);
        need(do_mprotect(pair.subject.at, size, READ_WRITE) == 0, "mprotect");
        memory_feed(&pair.subject, 0, size);
        check("subject", &pair.subject);
        check("copy", &pair.copy);
    }
}

/* A copy whose destination is read-only or gone faults where plain faults, and nothing is lost. */
static void protected_from_copies(void) {
    catch_faults();
    struct pair pair = make_pair();
    byte *nowhere = map_private(size);
    munmap(nowhere, size);
    need(do_mprotect(pair.copy.at, size, PROT_READ) == 0, "mprotect");
    for (int i = 0; i < 4; i++)
        if (sigsetjmp(after_fault, 1) == 0) {
            memcpy(i == 0 ? pair.copy.at : nowhere, pair.subject.at, size);
            say("copied");
        } else
            say("signal %d code %d", fault_signal, fault_code);
    if (sigsetjmp(after_fault, 1) == 0) {
        memset(pair.copy.at, 1, size);
        say("set");
    } else
        say("memset: signal %d code %d", fault_signal, fault_code);
    check_sent("copy", &pair.copy);
    need(do_mprotect(pair.copy.at, size, READ_WRITE) == 0, "mprotect");
    need(do_mprotect(pair.subject.at, size, PROT_NONE) == 0, "mprotect");
    if (sigsetjmp(after_fault, 1) == 0) {
        memcpy(pair.copy.at, pair.subject.at, size);
        say("copied");
    } else
        say("memcpy from PROT_NONE: signal %d code %d", fault_signal, fault_code);
    need(do_mprotect(pair.subject.at, size, READ_WRITE) == 0, "mprotect");
    check("copy", &pair.copy);
    check("subject", &pair.subject);
}

/* What was unmapped stays unmapped. */
static void unmapped(void) {
    catch_faults();
    for (size_t p = 0; p < LENGTH_OF(parts); p++) {
        struct pair pair = makers[p % 2]();
        need(do_munmap(pair.subject.at + parts[p].at, parts[p].n) == 0, "munmap");
        try_access("read of nothing", pair.subject.at + parts[p].at, false);
        try_access("write of nothing", pair.subject.at + parts[p].at + parts[p].n - 1, true);
        errno = 0;
        ssize_t n = write(sink_fd, pair.subject.at + parts[p].at, parts[p].n);
        say("write from nothing: %zd %s", n, strerror(errno));
        check("copy", &pair.copy);
    }
}

static const struct sub_case cases[] = {
    {"unmapped-and-mapped-again", unmapped_and_mapped_again},
    {"mapped-over", mapped_over},
    {"file-mapped-over", file_mapped_over},
    {"discarded", discarded},
    {"discarded-then-written", discarded_then_written},
    {"freed-lazily", freed_lazily},
    {"advised", advised},
    {"failures", failures},
    {"protected", protected_memory},
    {"protected-from-output", protected_from_output},
    {"protected-from-copies", protected_from_copies},
    {"unmapped", unmapped},
};
VICTIM_MAIN(cases)
