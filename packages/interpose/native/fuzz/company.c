/* Other processes at the same named files: children that have the parent's descriptors, programs
 * that are executed, crowds that append, holders of record locks. */
#include "direct.h"
#include "fuzz.h"
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* child COUNT HOW ENDING: a child executes the next COUNT operations on the parent's files, while
 * the parent waits. */
static void do_child(struct context *context, const long *a) {
    size_t here = fuzz_next(a), end = fuzz_further(context, here, a[0]);
    /* Of several threads one must not run the others' ends. */
    enum fuzz_ending ending = (enum fuzz_ending)(a[2] % (context->threads > 1 ? 2 : ENDINGS));
    fuzz_divide(context, here, end, end, a[1], ending, true);
}

static uint64_t sum_of(int fd) {
    static byte piece[30000];
    uint64_t hash = FUZZ_HASH_START;
    off_t at = 0;
    for (ssize_t n; (n = pread(fd, piece, sizeof piece, at)) > 0; at += n)
        hash = fuzz_hash(hash, piece, (size_t)n);
    return hash ^ (uint64_t)at;
}

/* The other program: looks at both, and with "write" writes to them first. */
int fuzz_visit(const char *what, const char *number, const char *name) {
    static byte piece[20000];
    int given = atoi(number), named = open(name, O_RDWR | O_CLOEXEC);
    if (strcmp(what, "--write") == 0) {
        fuzz_stream_fill(piece, sizeof piece, 5, 5);
        if (write(given, piece, 3000) < 0 && errno != EBADF)
            return 1;
        if (named >= 0 && (lseek(named, 0, SEEK_END) < 0 || write(named, piece, sizeof piece) < 0))
            return 2;
    }
    return 3 + (int)((sum_of(given) * 31 + sum_of(named)) % 120);
}

static __attribute__((noinline)) pid_t execute_sharing(char *const *arguments,
                                                       char *const *environment) {
    pid_t child = vfork();
    if (child == 0) {
        execve("/proc/self/exe", arguments, environment);
        _exit(90);
    }
    return child;
}

/* run HANDLE NAME HOW: a program with the descriptor, which writes where it has our environment;
 * without it, it only looks, as whoever does not know of a log must. */
static void do_run(struct context *context, const long *a) {
    int fd = fuzz_handle(context, a[0]);
    char number[12], room[NAME_BYTES];
    bool bare = a[2] / 3 % 2;
    snprintf(number, sizeof number, "%d", fd);
    char *arguments[] = {"zio-fuzz-program", bare ? "--look" : "--write", number,
                         (char *)(uintptr_t)fuzz_name(context, a[1], room), NULL};
    char *nothing[] = {NULL}, **environment = bare ? nothing : environ;
    pid_t child;
    if (a[2] % 3 == 0) {
        if (posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environment))
            fuzz_die("posix_spawn");
    } else if (a[2] % 3 == 1) {
        child = execute_sharing(arguments, environment);
    } else if ((child = fork()) == 0) {
        execve("/proc/self/exe", arguments, environment);
        _exit(90);
    }
    fuzz_say(context, " %x", (unsigned)fuzz_wait_for(child));
}

enum { RECORD = 3000, CROWD = 4, ROUNDS = 12 };

static _Noreturn void append(const char *name, int number, long rounds) {
    static byte record[RECORD];
    int fd = open(name, O_WRONLY | O_APPEND);
    memset(record, number + 1, RECORD);
    for (long i = 0; i < rounds; i++)
        if (write(fd, record, RECORD) != RECORD)
            _exit(1);
    _exit(fd < 0);
}

/* crowd NAME CHILDREN ROUNDS: children append at once; each record must be whole. */
static void do_crowd(struct context *context, const long *a) {
    char room[NAME_BYTES];
    const char *name = fuzz_name(context, a[0], room);
    static __thread byte record[RECORD];
    int count = (int)(a[1] % CROWD) + 1, statuses = 0, seen[CROWD + 1] = {0}, torn = 0;
    long rounds = a[2] % ROUNDS + 1;
    pid_t children[CROWD];
    struct stat before;
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || fstat(fd, &before)) {
        fuzz_tell(context, -1);
        return;
    }
    for (int i = 0; i < count; i++)
        if ((children[i] = fork()) == 0)
            append(name, i, rounds);
    for (int i = 0; i < count; i++)
        statuses |= fuzz_wait_for(children[i]);
    for (off_t at = before.st_size; pread(fd, record, RECORD, at) == RECORD; at += RECORD) {
        seen[record[0] <= CROWD ? record[0] : 0]++;
        for (int i = 0; i < RECORD; i++)
            torn += record[i] != record[0];
    }
    for (int i = 0; i <= CROWD; i++)
        fuzz_say(context, " %d", seen[i]);
    /* In which order they came is nobody's to say. */
    fuzz_say(context, ", %d torn, %x %d", torn, (unsigned)statuses,
             ftruncate(fd, before.st_size));
    close(fd);
}

/* guard HANDLE START LENGTH TYPE: a record lock. */
static void do_guard(struct context *context, const long *a) {
    static const short types[] = {F_WRLCK, F_RDLCK, F_UNLCK};
    struct flock lock = {.l_type = types[(size_t)a[3] % 3],
                         .l_whence = SEEK_SET,
                         .l_start = a[1] % NAMED_BYTES,
                         .l_len = a[2] % NAMED_BYTES};
    fuzz_tell(context, fcntl(fuzz_handle(context, a[0]), F_SETLK, &lock));
}

/* guarded HANDLE: what a child finds locked. */
static void do_guarded(struct context *context, const long *a) {
    int fd = fuzz_handle(context, a[0]);
    if (fd < 0)
        return;
    pid_t child = fork();
    if (child < 0)
        fuzz_die("fork");
    if (child == 0) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int result = fcntl(fd, F_GETLK, &lock);
        _exit(result ? 250 : lock.l_type == F_UNLCK ? 251 : (int)(lock.l_start % 250));
    }
    fuzz_say(context, " %x", (unsigned)fuzz_wait_for(child));
}

const struct verb fuzz_company_verbs[] = {
    {"child", do_child}, {"run", do_run},         {"crowd", do_crowd},
    {"guard", do_guard}, {"guarded", do_guarded}, {NULL, NULL},
};
