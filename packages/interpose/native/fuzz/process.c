/* Children: by every kind of fork, sharing our memory for a while, and other programs. */
#include "direct.h"
#include "fuzz.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_ROOM = 64 * 1024 };

/* What a child prints is handed to its parent in shared memory, which is nobody's view. */
struct report {
    size_t used;
    char text[CHILD_ROOM];
};

int fuzz_wait_for(pid_t child) {
    int status = -1;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            fuzz_die("waitpid");
    return status;
}

/* Looked up, because glibc has it from 2.34 on and this program runs on older ones. */
static pid_t fork_without_handlers(void) {
    pid_t (*function)(void) = (pid_t(*)(void))dlsym(RTLD_DEFAULT, "_Fork");
    return function ? function() : fork();
}

pid_t fuzz_make_child(long how) {
    switch (how % 4) {
    case 1:
        return fork_without_handlers();
    case 2:
        return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    default:
        return fork();
    }
}

static _Noreturn void end_child(enum fuzz_ending ending) {
    switch (ending) {
    case BY_SIGNAL:
        raise(SIGKILL);
        _exit(90);
    case BY_EXIT:
        exit(7);
    case BY_QUICK_EXIT:
        quick_exit(7);
    default:
        _exit(7);
    }
}

static _Noreturn void be_child(const struct context *parent, struct report *report, size_t from,
                               size_t to, enum fuzz_ending ending, bool shares) {
    struct output output = {report->text, 0, CHILD_ROOM};
    struct context own = {.stream = parent->stream * 31 + from,
                          .thread = parent->thread,
                          .threads = parent->threads,
                          .output = &output,
                          .is_child = true};
    if (shares) {
        memcpy(own.handles, parent->handles, sizeof own.handles);
        memcpy(own.own, parent->own, sizeof own.own);
    } else
        fuzz_separate(&own, parent, from);
    for (int i = 0; i < SLOTS; i++)
        if (fuzz_slots[i].kind == SHARED) /* the parent goes on writing to it */
            fuzz_slots[i] = (struct slot){NULL, 0, EMPTY};
    fuzz_execute(&own, from, to);
    for (int i = 0; i < SLOTS; i++) {
        struct slot *slot = &fuzz_slots[i];
        if (fuzz_may_look(&own, (size_t)i) && slot->kind != EMPTY)
            fuzz_say(&own, "  slot %d: %zu %016llx\n", i, slot->n,
                     (unsigned long long)fuzz_hash(FUZZ_HASH_START, slot->at, slot->n));
    }
    report->used = output.used;
    end_child(ending);
}

void fuzz_divide(struct context *context, size_t from, size_t to, size_t end, long how,
                 enum fuzz_ending ending, bool shares) {
    struct report *report =
        mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED)
        fuzz_die("mmap");
    /* With threads only fork leaves malloc's locks usable in the child. */
    pid_t child = fuzz_make_child(context->threads > 1 ? 0 : how);
    if (child < 0)
        fuzz_die("fork");
    if (child == 0)
        be_child(context, report, from, to, ending, shares);
    fuzz_say(context, "\n");
    fuzz_execute(context, to, end);
    fuzz_say(context, " child %x\n", (unsigned)fuzz_wait_for(child));
    /* Line by line, because what is printed at once has little room. */
    for (size_t at = 0; at < report->used;) {
        char *line = report->text + at;
        size_t n = strcspn(line, "\n");
        fuzz_say(context, " | %.*s\n", (int)(n < 400 ? n : 400), line);
        at += n + 1;
    }
    munmap(report, sizeof *report);
}

/* fork CHILD PARENT HOW: the next CHILD operations are the child's; the PARENT ones after them are
 * the parent's before it waits for the child. */
static void do_fork(struct context *context, const long *a) {
    size_t here = fuzz_next(a), middle = fuzz_further(context, here, a[0]);
    size_t end = fuzz_further(context, middle, a[1]);
    fuzz_divide(context, here, middle, end, a[2], BY_EXIT_AT_ONCE, false);
}

/* vfork SLOT OFFSET LENGTH: the child looks and stores in the parent's memory. */
static __attribute__((noinline)) pid_t share_memory(struct range r, volatile uint64_t *hash) {
    pid_t child = vfork();
    if (child == 0) {
        *hash = fuzz_hash(FUZZ_HASH_START, r.at, r.n);
        for (size_t i = 0; i < r.n; i += 3 * PAGE)
            ((volatile byte *)r.at)[i] = 0x55;
        if (r.n > 40000)
            memmove(r.at, r.at + r.n / 2, r.n / 2);
        _exit(3);
    }
    return child;
}

static void do_vfork(struct context *context, const long *a) {
    struct range r = fuzz_range(fuzz_slot(context, a[0]), a[1], a[2]);
    volatile uint64_t hash = 0;
    if (r.n == 0)
        return;
    pid_t child = share_memory(r, &hash);
    int status = fuzz_wait_for(child);
    fuzz_say(context, " %x %016llx", (unsigned)status, (unsigned long long)hash);
}

/* The other program: what comes in goes out again, after one copy. */
int fuzz_relay(void) {
    enum { ROOM = 256 * 1024 };
    byte *in = malloc(ROOM), *out = malloc(ROOM);
    size_t have = 0;
    for (ssize_t n; in && have < ROOM && (n = read(0, in + have, ROOM - have)) > 0;)
        have += (size_t)n;
    memcpy(out, in, have);
    memset(in, 1, have);
    for (size_t done = 0; done < have;) {
        ssize_t n = write(1, out + done, have - done);
        if (n <= 0)
            return 9;
        done += (size_t)n;
    }
    return 5;
}

/* spawn SLOT OFFSET LENGTH SLOT OFFSET HOW: the range through another program into the second one.
 */
static void do_spawn(struct context *context, const long *a) {
    enum { FITS = 60000 };
    struct range from = fuzz_range(fuzz_source_slot(context, a[0]), a[1], a[2]);
    struct range to = fuzz_range(fuzz_slot(context, a[3]), a[4], a[2]);
    size_t n = from.n < to.n ? from.n : to.n;
    n = n < FITS ? n : FITS;
    if (n == 0)
        return;
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
        fuzz_die("pipe2");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    char *arguments[] = {"zio-fuzz-program", "--relay", NULL};
    pid_t child;
    if (a[5] % 2 == 0) {
        if (posix_spawn(&child, "/proc/self/exe", &actions, NULL, arguments, environ))
            fuzz_die("posix_spawn");
    } else if ((child = fork()) == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        execv("/proc/self/exe", arguments);
        _exit(90);
    }
    close(in[0]);
    close(out[1]);
    ssize_t sent = write(in[1], from.at, n);
    close(in[1]);
    size_t got = 0;
    for (ssize_t some; got < n;) {
        some = read(out[0], to.at + got, n - got);
        if (some == 0 || (some < 0 && errno != EINTR))
            break;
        got += some > 0 ? (size_t)some : 0;
    }
    close(out[0]);
    posix_spawn_file_actions_destroy(&actions);
    int status = fuzz_wait_for(child);
    fuzz_say(context, " %zd %zu %x", sent, got, (unsigned)status);
}

const struct verb fuzz_process_verbs[] = {
    {"fork", do_fork},
    {"vfork", do_vfork},
    {"spawn", do_spawn},
    {NULL, NULL},
};
