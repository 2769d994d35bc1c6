/* Cases 7, 13, 16 and 22: what few programs do. Guard regions, sealed mappings, advice given from outside,
 * settings of process and memory, a tracer, another layout of the address space, thousands of threads on
 * small stacks, a long line of children. */
#include "channels.h"
#include "direct_call.h"
#include <linux/mempolicy.h>
#include <setjmp.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

enum { OLD = 1, NEW = 2, OTHER = 3 };
#define SIZE (192 * KIB)

enum {
    MSEAL = 462,           /* Linux 6.10 */
    PROCESS_MADVISE = 440, /* Linux 5.10; of oneself all advice since 6.13 */
    PIDFD_OPEN = 434,
    GUARD_INSTALL = 102, /* Linux 6.13 */
    GUARD_REMOVE = 103,
    MDWE = 65,
    MEMORY_MERGE = 67,
    PR_VMA = 0x53564d41,
};

static sigjmp_buf jump;

static void on_fault(int signal) {
    siglongjmp(jump, signal);
}

static void touch(const char *what, const byte *at) {
    int signal = sigsetjmp(jump, 1);
    if (signal == 0)
        say("%s: %d\n", what, *(const volatile byte *)at);
    else
        say("%s: signal %d\n", what, signal);
}

/* By madvise(2), by syscall(3), and by process_madvise(2) of this process both ways. */
enum { WAYS = 4 };
static int advise(int way, byte *at, size_t bytes, int advice) {
    if (way == 0)
        return madvise(at, bytes, advice);
    if (way == 1)
        return (int)syscall(SYS_madvise, at, bytes, advice);
    struct iovec range = {at, bytes};
    int self = (int)syscall(PIDFD_OPEN, getpid(), 0);
    long done = way == 2 ? syscall(PROCESS_MADVISE, self, &range, 1L, advice, 0L)
                         : process_madvise(self, &range, 1, advice, 0);
    int code = errno;
    close(self);
    errno = code;
    return done < 0 ? -1 : 0;
}

/* No question about a mapping shows a guard region: input ends before it, output and copies meet it, and
 * where it is taken away there are zeros. */
static void guards(void) {
    byte *probe = region(PAGE);
    if (madvise(probe, PAGE, GUARD_INSTALL))
        skip("no guard regions (Linux 6.13)");
    signal(SIGSEGV, on_fault);
    for (int way = 0; way < WAYS; way++) {
        byte *at = viewed(SIZE, OLD), *copied = region(SIZE), *other = region(SIZE);
        byte *guarded = at + 8 * PAGE, *source = stream_bytes(SIZE, NEW, 0);
        size_t bytes = 20 * PAGE;
        struct channel out = wide_pipe(), in = wide_pipe();
        copy(copied, at, SIZE);
        say_result("guard", advise(way, guarded, bytes, GUARD_INSTALL));
        touch("in", guarded + PAGE);
        touch("before", guarded - PAGE);
        EXPECT_ERROR(EFAULT, write(out.out, guarded, bytes));
        say_result("write", write(out.out, at, SIZE));
        if (sigsetjmp(jump, 1) == 0)
            copy(other, at, SIZE), say("copied\n");
        else
            say("the copy faults\n");
        write_all(in.out, source, SIZE);
        EXPECT_ERROR(EFAULT, read(in.in, guarded, bytes));
        say_result("read", read(in.in, at, SIZE));
        say_result("read", read(in.in, at + 4 * PAGE, SIZE - 4 * PAGE));
        say_result("remove", advise(way, guarded, bytes, GUARD_REMOVE));
        touch("in", guarded + PAGE);
        EXPECT_ALL(guarded, bytes, 0);
        EXPECT_BYTES(copied, SIZE, OLD, 0);
        EXPECT_BYTES(guarded + bytes, SIZE - 28 * PAGE, OLD, 28 * PAGE);
        feed(at, SIZE, OTHER, 0);
        copy(copied, at, SIZE);
        EXPECT_BYTES(copied, SIZE, OTHER, 0);
    }
}

/* What is refused of a sealed mapping changes nothing, and it may be received into. */
static void sealed(void) {
    for (int i = 0; i < 2; i++) {
        byte *at = viewed(SIZE, OLD), *copied = region(SIZE);
        copy(copied, at, SIZE);
        byte *subject = i ? at : copied, *other = i ? copied : at;
        if (syscall(MSEAL, subject, SIZE, 0L))
            skip("mappings cannot be sealed (Linux 6.10)");
        EXPECT_ERROR(EPERM, munmap(subject, SIZE));
        EXPECT_ERROR(EPERM, munmap(subject + PAGE, PAGE));
        EXPECT_ERROR(EPERM, mprotect(subject, SIZE, PROT_READ));
        EXPECT_ERROR(EPERM, (long)mremap(subject, SIZE, 2 * SIZE, MREMAP_MAYMOVE));
        EXPECT_ERROR(EPERM, (long)mmap(subject, SIZE, PROT_READ,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
        EXPECT_BYTES(subject, PAGE, OLD, 0);
        say_result("advice", madvise(subject, 4 * PAGE, MADV_DONTNEED));
        EXPECT_ALL(subject, 4 * PAGE, 0);
        EXPECT_BYTES(subject + 4 * PAGE, SIZE - 4 * PAGE, OLD, 4 * PAGE);
        feed(subject, SIZE, NEW, 0);
        EXPECT_BYTES(other, SIZE, OLD, 0);
        copy(other, subject, SIZE);
        feed(subject, SIZE, OTHER, 0);
        EXPECT_BYTES(other, SIZE, NEW, 0);
        EXPECT_BYTES(subject, SIZE, OTHER, 0);
    }
}

/* Advice by process_madvise(2) ends contents as madvise(2) does, by the instruction too. */
static void from_outside(void) {
    static const int advices[] = {MADV_COLD, MADV_PAGEOUT, MADV_DONTNEED, MADV_WILLNEED, MADV_FREE};
    for (int way = 2; way < WAYS + 1; way++)
        for (size_t i = 0; i < sizeof advices / sizeof advices[0]; i++) {
            byte *at = viewed(SIZE, OLD), *copied = region(SIZE);
            copy(copied, at, SIZE);
            struct iovec range = {copied, 20 * PAGE};
            int self = (int)syscall(PIDFD_OPEN, getpid(), 0);
            say("advice: %d\n", (way < WAYS ? advise(way, copied, 20 * PAGE, advices[i])
                                            : (int)DIRECT(PROCESS_MADVISE, self, &range, 1L,
                                                          advices[i], 0L, 0)) < 0);
            close(self);
            if (advices[i] != MADV_FREE)
                say("%zd\n", difference(copied, 20 * PAGE, OLD, 0));
            EXPECT_BYTES(copied + 20 * PAGE, SIZE - 20 * PAGE, OLD, 20 * PAGE);
            EXPECT_BYTES(at, SIZE, OLD, 0);
            feed(copied, SIZE, NEW, 0);
            EXPECT_BYTES(copied, SIZE, NEW, 0);
        }
}

static void settings(void) {
    say_result("no memory that is written and executed", prctl(MDWE, 1, 0, 0, 0));
    say_result("equal pages are merged", prctl(MEMORY_MERGE, 1, 0, 0, 0));
    say_result("no huge pages", prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
    byte *at = viewed(SIZE, OLD), *copied = region(SIZE);
    unsigned long node = 1;
    copy(copied, at, SIZE);
    say_result("a name", prctl(PR_VMA, 0, copied, 10 * PAGE, "name"));
    say_result("a name", prctl(PR_VMA, 0, at + 3 * PAGE, 10 * PAGE, "another"));
    feed(at, SIZE, NEW, 0);
    EXPECT_BYTES(copied, SIZE, OLD, 0);
    copy(copied, at, SIZE);
    say_result("bound", syscall(SYS_mbind, copied + 5 * PAGE, 10 * PAGE, MPOL_BIND, &node, 64L,
                                (long)MPOL_MF_MOVE));
    say_result("preferred", syscall(SYS_mbind, at + 5 * PAGE, 10 * PAGE, MPOL_PREFERRED, &node, 64L, 0L));
    EXPECT_BYTES(copied, SIZE, NEW, 0);
    feed(at, SIZE, OTHER, 0);
    copy(copied, at, SIZE);
    say_result("barrier", syscall(SYS_membarrier, 16, 0, 0));
    say_result("barrier", syscall(SYS_membarrier, 8, 0, 0));
    say_result("synced", msync(copied, SIZE, MS_SYNC));
    EXPECT_BYTES(at, SIZE, OTHER, 0);
    EXPECT_BYTES(copied, SIZE, OTHER, 0);
}

/* A tracer stops the process, and then at each of its system calls. */
static void traced(void) {
    struct channel ready = wide_pipe(), go = wide_pipe();
    byte b = 0;
    pid_t child = fork();
    if (child == 0) {
        byte *at = viewed(SIZE, OLD), *copied = region(SIZE);
        copy(copied, at, SIZE);
        write_all(ready.out, &b, 1);
        read_all(go.in, &b, 1);
        EXPECT_BYTES(copied, SIZE, OLD, 0);
        feed(at, SIZE, NEW, 0);
        copy(copied, at, SIZE);
        EXPECT_BYTES(copied, SIZE, NEW, 0);
        _exit(failures ? 1 : 42);
    }
    read_all(ready.in, &b, 1);
    if (ptrace(PTRACE_SEIZE, child, 0, 0))
        skip("no process may be traced");
    int status = 0;
    EXPECT(ptrace(PTRACE_INTERRUPT, child, 0, 0), 0);
    EXPECT(waitpid(child, &status, 0), child);
    EXPECT(WIFSTOPPED(status), 1);
    EXPECT(ptrace(PTRACE_SYSCALL, child, 0, 0), 0);
    write_all(go.out, &b, 1);
    while (waitpid(child, &status, 0) == child && WIFSTOPPED(status))
        ptrace(PTRACE_SYSCALL, child, 0, 0);
    EXPECT(WEXITSTATUS(status), 42);
    EXPECT_BYTES(viewed(SIZE, OLD), SIZE, OLD, 0);
}

/* Mappings from below upwards, all readable ones executable, at the same addresses each time. */
static void layout(void) {
    if (!getenv("LAID_OUT")) {
        setenv("LAID_OUT", "1", 1);
        if (personality(ADDR_COMPAT_LAYOUT | READ_IMPLIES_EXEC | ADDR_NO_RANDOMIZE) < 0)
            skip("personality");
        execl("/proc/self/exe", "uncommon", "layout", NULL);
        die("execl");
    }
    byte *at = viewed(SIZE, OLD), *copied = region(SIZE);
    copy(copied, at, SIZE);
    feed(at, SIZE, NEW, 0);
    EXPECT_BYTES(at, SIZE, NEW, 0);
    EXPECT_BYTES(copied, SIZE, OLD, 0);
}

enum { THREADS = 2000, MESSAGE = 128 * 1024 };
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static void *relays(void *channel) {
    byte *received = malloc(MESSAGE), *kept = malloc(MESSAGE);
    pthread_mutex_lock(&turn);
    read_all(((struct channel *)channel)->in, received, MESSAGE);
    pthread_mutex_unlock(&turn);
    copy(kept, received, MESSAGE);
    memset(received, 7, MESSAGE);
    ssize_t wrong = difference(kept, MESSAGE, OLD, 0);
    pthread_mutex_lock(&turn);
    EXPECT(wrong, -1);
    pthread_mutex_unlock(&turn);
    free(received), free(kept);
    return NULL;
}

static void *feeds(void *channel) {
    byte *source = stream_bytes(MESSAGE, OLD, 0);
    for (int i = 0; i < THREADS; i++)
        write_all(((struct channel *)channel)->out, source, MESSAGE);
    return NULL;
}

/* On the smallest stacks there are. */
static void thousands_of_threads(void) {
    static pthread_t threads[THREADS];
    struct channel c = wide_pipe();
    pthread_t feeder = start(feeds, &c);
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, (size_t)PTHREAD_STACK_MIN);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], &small, relays, &c))
            die("pthread_create");
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(feeder, NULL);
}

/* A child of a child of a child, each with views of its own and of those before it. */
static void line_of_children(void) {
    enum { LENGTH = 120 };
    byte *at = viewed(SIZE, OLD), *copied = region(SIZE);
    for (int i = 0; i < LENGTH; i++) {
        unsigned stream = i % 2 ? NEW : OLD;
        copy(copied, at, SIZE);
        pid_t child = fork();
        if (child < 0)
            die("fork");
        if (child > 0) {
            int status = -1;
            waitpid(child, &status, 0);
            EXPECT(status, 0);
            EXPECT_BYTES(copied, SIZE, stream, 0);
            if (i == 0)
                return;
            _exit(failures != 0);
        }
        EXPECT_BYTES(copied, SIZE, stream, 0);
        feed(at, SIZE, i % 2 ? OLD : NEW, 0);
    }
    _exit(failures != 0);
}

SUBCASES({"guards", guards}, {"sealed", sealed}, {"from-outside", from_outside}, {"settings", settings},
         {"traced", traced}, {"layout", layout}, {"thousands-of-threads", thousands_of_threads},
         {"line-of-children", line_of_children})
