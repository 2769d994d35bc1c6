/* Case 15, traps 1, 2 and 6: children that pthread_atfork knows nothing of, children that
 * share the memory of their parent, and children that close what they do not know. */
#include "workload.h"
#include "direct_call.h"
#include <linux/sched.h>
#include <sched.h>
#pragma GCC diagnostic ignored "-Wclobbered"

enum { OLD = 1, NEW = 2 };

static byte child_stack[256 * KIB] __attribute__((aligned(4096)));

static int child_body(void *argument) {
    ((void (*)(void *))((void **)argument)[0])(((void **)argument)[1]);
    _exit(failures != 0);
}

/* Starts a child that runs `body` in one of the ways that are not fork(). */
static pid_t born(int way, void (*body)(void *), void *argument) {
    static void *both[2];
    both[0] = (void *)body, both[1] = argument;
    struct clone_args new_style = {.exit_signal = SIGCHLD};
    pid_t child = -1;
    if (way == 0)
        child = _Fork();
    if (way == 1)
        return clone(child_body, child_stack + sizeof child_stack, SIGCHLD, both);
    if (way == 2)
        child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (way == 3)
        child = (pid_t)syscall(SYS_fork);
    if (way == 4)
        child = (pid_t)syscall(SYS_clone3, &new_style, sizeof new_style);
    if (way == 5)
        return clone(child_body, child_stack + sizeof child_stack, CLONE_FILES | CLONE_FS | SIGCHLD,
                     both);
    if (way == 6)
        child = fork();
    if (way == 7)
        child = (pid_t)DIRECT(SYS_clone, SIGCHLD);
    if (way == 8)
        child = (pid_t)DIRECT(SYS_clone3, &new_style, sizeof new_style);
    if (child == 0) {
        body(argument);
        _exit(failures != 0);
    }
    if (child < 0)
        die("clone");
    return child;
}
enum { WAYS = 9 };

/* A clone by the instruction itself is seen by nobody: what its child finds in the parent's
 * views is zeros (docs/consistency-model.md). It must still not disturb the parent. */
enum { UNSEEN = 7 };

struct scene {
    int unseen;
    byte *touched, *copied, *sent, *overwritten, *freed;
    struct channel go, done;
};

/* The child reads by touch, by copy and by output, overwrites by input, and frees. */
static void act(void *argument) {
    struct scene *s = argument;
    struct channel c = wide_pipe();
    byte *copied = region(SIZE);
    char token;
    read_all(s->go.in, &token, 1);
    int before = failures;
    if (s->unseen)
        failures = 100; /* and silent */
    EXPECT_BYTES(s->touched, SIZE, OLD, 0);
    copy(copied, s->copied, SIZE);
    EXPECT_BYTES(copied, SIZE, OLD, 0);
    write_all(c.out, s->sent, SIZE);
    EXPECT_STREAM(c.in, SIZE, OLD, 0);
    if (s->unseen)
        failures = before;
    feed(s->overwritten, SIZE, OTHER, 0);
    munmap(s->freed, SIZE);
    work(2);
    for (size_t i = 0; i < SIZE; i += PAGE)
        s->touched[i] = s->copied[i] = s->sent[i] = 0xee;
    EXPECT_BYTES(s->overwritten, SIZE, OTHER, 0);
    write_all(s->done.out, "x", 1);
    read_all(s->go.in, &token, 1);
    EXPECT(s->touched[PAGE], 0xee);
    EXPECT_BYTES(s->overwritten, SIZE, OTHER, 0);
}

static void unknown_children(int way) {
    for (int variant = 0; variant < 3; variant++) {
        struct scene s = {way >= UNSEEN,     viewed(SIZE, OLD), viewed(SIZE, OLD),
                          viewed(SIZE, OLD), viewed(SIZE, OLD), viewed(SIZE, OLD),
                          wide_pipe(),       wide_pipe()};
        char token;
        pid_t child = born(way, act, &s);
        if (variant == 1) { /* the parent has written what the child will read */
            fill(s.touched, SIZE, NEW, 0);
            feed(s.copied, SIZE, NEW, 0);
            copy(s.sent, viewed(SIZE, NEW), SIZE);
        }
        if (variant == 2) { /* the parent has touched some pages, and recycles */
            for (size_t i = 0; i < SIZE; i += 3 * PAGE)
                EXPECT(s.touched[i + 5] == byte_of(OLD, i + 5) &&
                           s.sent[i + 7] == byte_of(OLD, i + 7),
                       1);
            work(3);
        }
        write_all(s.go.out, "x", 1);
        read_all(s.done.in, &token, 1);
        EXPECT_BYTES(s.overwritten, SIZE, OLD, 0);
        EXPECT_BYTES(s.freed, SIZE, OLD, 0);
        work(2);
        write_all(s.go.out, "x", 1);
        EXPECT_BYTES(s.touched, SIZE, variant == 1 ? NEW : OLD, 0);
        EXPECT_BYTES(s.copied, SIZE, variant == 1 ? NEW : OLD, 0);
        EXPECT_BYTES(s.sent, SIZE, variant == 1 ? NEW : OLD, 0);
        waited(child);
        EXPECT_BYTES(s.overwritten, SIZE, OLD, 0);
        work(1);
        close_channel(s.go), close_channel(s.done);
    }
}
static void way_fork_without_handlers(void) {
    unknown_children(0);
}
static void way_clone(void) {
    unknown_children(1);
}
static void way_raw_clone(void) {
    unknown_children(2);
}
static void way_raw_fork(void) {
    unknown_children(3);
}
static void way_raw_clone3(void) {
    unknown_children(4);
}
static void way_direct_clone(void) {
    unknown_children(7);
}
static void way_direct_clone3(void) {
    unknown_children(8);
}
static void way_clone_files(void) {
    unknown_children(5);
}

/* Children of children, each born another way. */
static byte *lineage;
static void descend(void *argument) {
    int depth = (int)(intptr_t)argument;
    byte *copied = region(SIZE);
    copy(copied, lineage, SIZE);
    EXPECT_BYTES(copied, SIZE, OLD, 0);
    work(1);
    if (depth < UNSEEN) {
        waited(born((depth * 3 + 2) % UNSEEN, descend, (void *)(intptr_t)(depth + 1)));
        EXPECT_BYTES(lineage, SIZE, OLD, 0);
    }
}
static void mixed_lineage(void) {
    lineage = viewed(SIZE, OLD);
    descend(NULL);
}

/* A child that closes every descriptor it does not know, born raw. */
static void close_and_work(void *argument) {
    struct scene *s = argument;
    DIRECT(SYS_close_range, 3, ~0u, 0);
    EXPECT_BYTES(s->touched, SIZE, OLD, 0);
    work(2);
    EXPECT_BYTES(s->copied, SIZE, OLD, 0);
}
static void closing_children(void) {
    for (int way = 0; way < WAYS; way++) {
        if (way == 5 || way >= UNSEEN)
            continue; /* shares the parent's descriptors; or sees no views */
        struct scene s = {.touched = viewed(SIZE, OLD), .copied = viewed(SIZE, OLD)};
        pid_t child = born(way, close_and_work, &s);
        EXPECT_BYTES(s.copied, SIZE, OLD, 0);
        work(1);
        waited(child);
        EXPECT_BYTES(s.touched, SIZE, OLD, 0);
    }
}

static int is_present(const byte *address) {
    unsigned char resident = 0;
    DIRECT(SYS_mincore, (uintptr_t)address / PAGE * PAGE + PAGE, PAGE, &resident);
    return resident & 1;
}

/* vfork: the child runs in the parent's memory, with descriptors of its own, and does what
 * programs do between vfork and exec. */
static void vfork_children(void) {
    for (int variant = 0; variant < 6; variant++) {
        byte *at = viewed(SIZE, OLD), *into = viewed(SIZE, OLD), *copied = region(SIZE),
             *from = stream_bytes(SIZE, NEW, 0);
        struct channel c = wide_pipe();
        write_all(c.out, from, SIZE);
        volatile int differs = 0;
        pid_t child = vfork();
        if (child == 0) {
            if (variant == 0)
                close_range(3, ~0u, 0);
            if (variant == 1)
                for (int fd = 3; fd < 1024; fd++)
                    close(fd);
            if (variant == 2) {
                if (read(c.in, into, SIZE) != (ssize_t)SIZE)
                    differs = 1;
                if (!is_present(into)) /* a child that ends at the wrong moment must hold nothing of ours */
                    differs = 4;
                close_range(3, ~0u, 0);
            }
            if (variant == 3)
                memcpy(copied, at, SIZE);
            if (variant == 4)
                syscall(SYS_close_range, 3, ~0u, 0);
            if (variant == 5)
                dup2(c.in, 7), dup2(7, 8), closefrom(3);
            if (at[SIZE / 2] != byte_of(OLD, SIZE / 2))
                differs = 2;
            _exit(3);
        }
        int status = 0;
        EXPECT(waitpid(child, &status, 0), child);
        EXPECT(WEXITSTATUS(status), 3);
        EXPECT(differs, 0);
        if (variant != 2)
            EXPECT(read(c.in, into, SIZE), SIZE);
        EXPECT_BYTES(into, SIZE, NEW, 0);
        EXPECT_BYTES(at, SIZE, OLD, 0);
        if (variant == 3)
            EXPECT_BYTES(copied, SIZE, OLD, 0);
        work(2);
        close_channel(c);
    }
}

/* vfork and exec, with IO in other threads of the parent (only the calling one waits). */
static void vfork_exec(void) {
    for (int i = 0; i < 10; i++) {
        byte *at = viewed(SIZE, OLD), *copied = region(SIZE);
        copy(copied, at, SIZE);
        pid_t child = vfork();
        if (child == 0) {
            close_range(3, ~0u, 0);
            execl("/bin/sh", "sh", "-c", "exit 9", NULL);
            _exit(127);
        }
        int status = 0;
        EXPECT(waitpid(child, &status, 0), child);
        EXPECT(WEXITSTATUS(status), 9);
        at[5] = 1;
        EXPECT_BYTES(copied, SIZE, OLD, 0);
        work(1);
    }
}

/* A process of its own that shares the memory and runs beside the parent. */
static void share(void *argument) {
    struct scene *s = argument;
    char token;
    EXPECT_BYTES(s->touched, SIZE, OLD, 0);
    memcpy(s->overwritten, s->copied, SIZE);
    struct channel c = wide_pipe();
    byte *from = stream_bytes(64 * KIB, NEW, 0);
    write_all(c.out, from, 64 * KIB);
    EXPECT(read(c.in, s->sent, SIZE), 64 * KIB);
    write_all(s->done.out, "x", 1);
    read_all(s->go.in, &token, 1);
    EXPECT_BYTES(s->freed, SIZE, OTHER, 0);
}
static void shared_memory_process(void) {
    struct scene s = {0,
                      viewed(SIZE, OLD),
                      viewed(SIZE, OLD),
                      viewed(SIZE, OLD),
                      region(SIZE),
                      region(SIZE),
                      wide_pipe(),
                      wide_pipe()};
    void *both[2] = {(void *)share, &s};
    char token;
    pid_t child = clone(child_body, child_stack + sizeof child_stack, CLONE_VM | SIGCHLD, both);
    if (child < 0)
        die("clone");
    read_all(s.done.in, &token, 1);
    feed(s.freed, SIZE, OTHER, 0);
    write_all(s.go.out, "x", 1);
    waited(child);
    EXPECT_BYTES(s.overwritten, SIZE, OLD, 0);
    EXPECT_BYTES(s.sent, 64 * KIB, NEW, 0);
    EXPECT_BYTES(s.sent + 64 * KIB, SIZE - 64 * KIB, OLD, 64 * KIB);
    work(2);
}

SUBCASES({"_Fork", way_fork_without_handlers}, {"clone", way_clone}, {"raw-clone", way_raw_clone},
         {"raw-fork", way_raw_fork}, {"raw-clone3", way_raw_clone3},
         {"clone-files", way_clone_files}, {"direct-clone", way_direct_clone},
         {"direct-clone3", way_direct_clone3}, {"mixed-lineage", mixed_lineage},
         {"closing-children", closing_children}, {"vfork-children", vfork_children},
         {"vfork-exec", vfork_exec}, {"shared-memory-process", shared_memory_process})
