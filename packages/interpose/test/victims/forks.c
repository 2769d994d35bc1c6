/* Case 15, traps 3, 8 and 14: fork with views pending. Each side sees the bytes of the
 * moment of the fork, whatever the other side does afterwards, and goes on working. */
#include "channels.h"
#include <sys/time.h>

enum { OLD = 1, NEW = 2, OTHER = 3 };
#define SIZE (192 * KIB)

static pid_t waited(pid_t child, int want) {
    int status = -1;
    if (waitpid(child, &status, 0) != child)
        die("waitpid");
    EXPECT(status, want);
    return child;
}

/* Input, copies, faults and output of an ordinary process. */
static void work(int rounds, unsigned stream) {
    struct channel c = wide_pipe();
    byte *source = stream_bytes(SIZE, stream, 0), *a = region(SIZE), *b = region(SIZE);
    for (int i = 0; i < rounds; i++) {
        write_all(c.out, source, SIZE);
        EXPECT(read(c.in, a, SIZE), SIZE);
        copy(b, a, SIZE);
        a[i * 1000 % SIZE] ^= 1;
        EXPECT(b[i * 1000 % SIZE], byte_of(stream, (uint64_t)i * 1000 % SIZE));
        EXPECT(write(c.out, b, SIZE), SIZE);
        EXPECT_STREAM(c.in, SIZE, stream, 0);
    }
    munmap(source, SIZE + PAGE), munmap(a, SIZE + PAGE), munmap(b, SIZE + PAGE);
    close_channel(c);
}

/* Replaces the bytes in one of several ways. */
static void replace(byte *at, int way, unsigned stream) {
    if (way == 0)
        fill(at, SIZE, stream, 0);
    if (way == 1)
        feed(at, SIZE, stream, 0);
    if (way == 2)
        copy(at, viewed(SIZE, stream), SIZE);
    if (way == 3) {
        memset(at, 0, SIZE);
        fill(at, SIZE, stream, 0);
    }
    if (way == 4) {
        mmap(at, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        feed(at, SIZE, stream, 0);
    }
}

static void both_sides(void) {
    for (int way = 0; way < 5; way++)
        for (int parent_first = 0; parent_first < 2; parent_first++) {
            struct channel go = wide_pipe(), done = wide_pipe();
            byte *landed = region(SIZE), *copied = region(SIZE), *again = region(SIZE);
            char token;
            feed(landed, SIZE, OLD, 0);
            copy(copied, landed, SIZE);
            copy(again, copied, SIZE);
            pid_t child = fork();
            if (child == 0) {
                if (parent_first)
                    read_all(go.in, &token, 1);
                EXPECT_BYTES(copied + SIZE / 2, SIZE / 2, OLD, SIZE / 2); /* half by touch */
                EXPECT_BYTES(landed, SIZE, OLD, 0);
                replace(copied, way, OTHER); /* the rest of it is a view yet */
                copy(landed, again, SIZE);
                EXPECT_BYTES(landed, SIZE, OLD, 0);
                EXPECT_BYTES(copied, SIZE, OTHER, 0);
                write_all(done.out, "x", 1);
                if (!parent_first)
                    read_all(go.in, &token, 1);
                EXPECT_BYTES(copied, SIZE, OTHER, 0);
                EXPECT_BYTES(again, SIZE, OLD, 0);
                _exit(failures != 0);
            }
            if (!parent_first)
                read_all(done.in, &token, 1);
            replace(landed, way, NEW);
            if (parent_first)
                replace(again, way, NEW);
            write_all(go.out, "x", 1);
            EXPECT_BYTES(copied, SIZE, OLD, 0);
            EXPECT_BYTES(landed, SIZE, NEW, 0);
            waited(child, 0);
            EXPECT_BYTES(again, SIZE, parent_first ? NEW : OLD, 0);
            EXPECT_BYTES(landed, SIZE, NEW, 0);
            munmap(landed, SIZE + PAGE), munmap(copied, SIZE + PAGE), munmap(again, SIZE + PAGE);
            close_channel(go), close_channel(done);
        }
}

static void generations(void) {
    byte *at = viewed(SIZE, OLD), *copied = region(SIZE);
    for (int depth = 0; depth < 4; depth++) {
        pid_t child = fork();
        if (child > 0) {
            work(2, OTHER);
            waited(child, 0);
            EXPECT_BYTES(at, SIZE, depth ? NEW : OLD, 0);
            if (depth)
                _exit(failures != 0);
            return;
        }
        copy(copied, at, SIZE);
        EXPECT_BYTES(copied, SIZE, depth ? NEW : OLD, 0);
        feed(at, SIZE, NEW, 0);
        work(2, OTHER);
    }
    EXPECT_BYTES(at, SIZE, NEW, 0);
    _exit(failures != 0);
}

static atomic_int stop;
static void *work_until_stopped(void *argument) {
    while (!stop)
        work(1, (unsigned)(uintptr_t)argument);
    return NULL;
}

/* Threads receive, copy, fault and send while one forks. */
static void busy_threads(void) {
    pthread_t threads[3];
    for (uintptr_t i = 0; i < 3; i++)
        threads[i] = start(work_until_stopped, (void *)(i + 10));
    for (int i = 0; i < 20; i++) {
        byte *at = viewed(SIZE, OLD);
        pid_t child = fork();
        if (child == 0) {
            EXPECT_BYTES(at, SIZE, OLD, 0);
            work(1, OTHER);
            _exit(failures != 0);
        }
        at[3] = 1;
        EXPECT_BYTES(at + 4, SIZE - 4, OLD, 4);
        waited(child, 0);
        munmap(at, SIZE + PAGE);
    }
    stop = 1;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

/* Several threads fork at once. */
static void *fork_repeatedly(void *argument) {
    byte *at = viewed(SIZE, OLD);
    for (int i = 0; i < 15; i++) {
        pid_t child = fork();
        if (child == 0) {
            EXPECT_BYTES(at, SIZE, OLD, 0);
            _exit(failures != 0);
        }
        feed(at, SIZE, OLD, 0);
        waited(child, 0);
    }
    return argument;
}
static void forking_threads(void) {
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = start(fork_repeatedly, NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

static byte *handler_view;
static atomic_int handler_forks;
static void fork_in_handler(int number) {
    int saved = errno;
    (void)number;
    pid_t child = fork();
    if (child == 0) {
        EXPECT_BYTES(handler_view, SIZE, OLD, 0);
        work(1, OTHER);
        _exit(failures != 0);
    }
    waited(child, 0);
    handler_forks++;
    errno = saved;
}
static void in_handler(void) {
    handler_view = viewed(SIZE, OLD);
    struct sigaction action = {.sa_handler = fork_in_handler, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval every = {{0, 20000}, {0, 20000}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &every, NULL);
    for (int i = 0; i < 20 || handler_forks < 8; i++)
        work(1, NEW);
    setitimer(ITIMER_REAL, &never, NULL);
    EXPECT_BYTES(handler_view, SIZE, OLD, 0);
}

/* Two hundred forks from a heap that is received into, copied, grown and freed. */
static void two_hundred(void) {
    enum { BLOCKS = 8, LENGTH = 100000 };
    byte *blocks[BLOCKS] = {0};
    byte *source = stream_bytes(LENGTH, NEW, 0);
    struct channel c = wide_pipe();
    for (int i = 0; i < 200; i++) {
        int slot = i % BLOCKS;
        free(blocks[slot]);
        byte *landed = malloc(LENGTH);
        write_all(c.out, source, LENGTH);
        read_all(c.in, landed, LENGTH);
        blocks[slot] = malloc(LENGTH);
        copy(blocks[slot], landed, LENGTH);
        blocks[slot] = realloc(blocks[slot], LENGTH * 2);
        free(landed);
        pid_t child = fork();
        if (child == 0) {
            byte *mine = malloc(LENGTH);
            copy(mine, blocks[i * 5 % BLOCKS] ? blocks[i * 5 % BLOCKS] : source, LENGTH);
            EXPECT_BYTES(mine, LENGTH, NEW, 0);
            for (int b = 0; b < BLOCKS; b++)
                free(blocks[b]);
            _exit(failures != 0);
        }
        waited(child, 0);
    }
    for (int b = 0; b < BLOCKS; b++)
        EXPECT_BYTES(blocks[b], LENGTH, NEW, 0);
}

/* As a server saves a snapshot: the child writes all of it to a file while the parent
 * receives over it. */
static void snapshot(void) {
    enum { VALUES = 40 };
    byte *values[VALUES];
    for (unsigned i = 0; i < VALUES; i++)
        values[i] = viewed(SIZE, i);
    for (int round = 0; round < 2; round++) {
        int file = temporary_file(0);
        unsigned base = round ? 100 : 0;
        pid_t child = fork();
        if (child == 0) {
            for (unsigned i = 0; i < VALUES; i++)
                write_all(file, values[i], SIZE);
            _exit(0);
        }
        for (unsigned i = VALUES; i-- > 0;)
            if (i % 2 || round)
                feed(values[i], SIZE, 100 + i, 0);
            else
                copy(values[i], viewed(SIZE, 100 + i), SIZE);
        waited(child, 0);
        lseek(file, 0, SEEK_SET);
        for (unsigned i = 0; i < VALUES; i++)
            EXPECT_STREAM(file, SIZE, base + i, 0);
        close(file);
    }
    for (unsigned i = 0; i < VALUES; i++)
        EXPECT_BYTES(values[i], SIZE, 100 + i, 0);
}

/* Memory that a child is not to have, or to have empty. */
static void advice(void) {
    byte *wiped = viewed(SIZE, OLD), *kept = viewed(SIZE, OLD), *mine = viewed(SIZE, OLD);
    if (madvise(wiped, SIZE, MADV_WIPEONFORK))
        die("MADV_WIPEONFORK");
    if (madvise(kept, SIZE, MADV_DONTFORK))
        die("MADV_DONTFORK");
    pid_t child = fork();
    if (child == 0) {
        EXPECT_ALL(wiped, SIZE, 0);
        EXPECT_BYTES(mine, SIZE, OLD, 0);
        EXPECT_ERROR(EFAULT, write(wide_pipe().out, kept, SIZE));
        byte *again = mmap(kept, SIZE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        EXPECT(again == kept, 1);
        EXPECT_ALL(again, SIZE, 0);
        feed(again, SIZE, NEW, 0);
        EXPECT_BYTES(again, SIZE, NEW, 0);
        work(2, OTHER);
        _exit(failures != 0);
    }
    waited(child, 0);
    EXPECT_BYTES(wiped, SIZE, OLD, 0);
    EXPECT_BYTES(kept, SIZE, OLD, 0);
}

/* Either side unmaps, protects, or advises away what the other still has. */
static void unmapped_on_one_side(void) {
    for (int way = 0; way < 6; way++) {
        byte *at = viewed(SIZE, OLD), *copied = region(SIZE);
        copy(copied, at, SIZE);
        struct channel go = wide_pipe();
        char token;
        pid_t child = fork();
        if (way % 2 == (child == 0)) {
            if (way / 2 == 0)
                munmap(at, SIZE);
            if (way / 2 == 1)
                madvise(at, SIZE, MADV_DONTNEED);
            if (way / 2 == 2)
                mprotect(at, SIZE, PROT_NONE);
            work(2, NEW);
            if (way / 2 == 1)
                EXPECT_ALL(at, SIZE, 0);
            EXPECT_BYTES(copied, SIZE, OLD, 0);
        }
        if (child == 0) {
            if (way % 2 == 0) {
                read_all(go.in, &token, 1);
                EXPECT_BYTES(at, SIZE, OLD, 0);
            }
            _exit(failures != 0);
        }
        write_all(go.out, "x", 1);
        if (way % 2)
            EXPECT_BYTES(at, SIZE, OLD, 0);
        waited(child, 0);
        EXPECT_BYTES(copied, SIZE, OLD, 0);
    }
}

static byte *atfork_view, *atfork_copy;
static void at_fork(void) {
    copy(atfork_copy, atfork_view, SIZE);
    work(1, OTHER);
}
static void atfork_handlers(void) {
    atfork_view = viewed(SIZE, OLD), atfork_copy = region(SIZE);
    pthread_atfork(at_fork, at_fork, at_fork);
    for (int i = 0; i < 5; i++) {
        pid_t child = fork();
        if (child == 0) {
            EXPECT_BYTES(atfork_copy, SIZE, OLD, 0);
            EXPECT_BYTES(atfork_view, SIZE, OLD, 0);
            _exit(failures != 0);
        }
        waited(child, 0);
        EXPECT_BYTES(atfork_copy, SIZE, OLD, 0);
    }
    EXPECT_BYTES(atfork_view, SIZE, OLD, 0);
}

/* How children end is what waitpid tells. */
static void endings(void) {
    byte *at = viewed(SIZE, OLD);
    for (int i = 0; i < 12; i++) {
        pid_t child = fork();
        if (child == 0) {
            struct rlimit none = {0, 0};
            setrlimit(RLIMIT_CORE, &none);
            at[i * 4096] = 1;
            if (i < 4)
                _exit(i * 85);
            if (i < 6)
                exit(i);
            if (i < 7)
                abort();
            if (i < 8)
                raise(SIGTERM);
            if (i < 9)
                raise(SIGSEGV);
            if (i < 10)
                mprotect(at, SIZE, PROT_NONE), at[8192] = 1;
            if (i < 11)
                munmap(at, SIZE), at[8192] = 1;
            kill(getpid(), SIGKILL);
        }
        int status;
        waitpid(child, &status, 0);
        say("%d: %s %d\n", i, WIFEXITED(status) ? "exited" : "killed",
            WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    }
    EXPECT_BYTES(at, SIZE, OLD, 0);
}

SUBCASES({"both-sides", both_sides}, {"generations", generations}, {"busy-threads", busy_threads},
         {"forking-threads", forking_threads}, {"in-handler", in_handler},
         {"two-hundred", two_hundred}, {"snapshot", snapshot}, {"advice", advice},
         {"unmapped-on-one-side", unmapped_on_one_side}, {"atfork-handlers", atfork_handlers},
         {"endings", endings})
