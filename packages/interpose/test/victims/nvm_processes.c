/* One logged file in several processes: forked, executed, spawned, killed. The pattern is *.log. */
#include "nvm_records.h"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/stat.h>

#define NAME    "data.log"
#define MESSAGE (128 * KIB)

extern char **environ;

static int open_log(int flags) {
    int fd = open(NAME, flags | O_CREAT, 0644);
    need(fd >= 0, "open");
    return fd;
}

static void tell_content(const char *label) {
    static byte piece[70000];
    struct stat status;
    int fd = open(NAME, O_RDONLY | O_CLOEXEC);
    uint64_t hash = 0xcbf29ce484222325u, bytes = 0;
    ssize_t got;
    need(fd >= 0 && fstat(fd, &status) == 0, "open");
    while ((got = read(fd, piece, sizeof piece)) > 0) {
        for (ssize_t i = 0; i < got; i++)
            hash = (hash ^ piece[i]) * 0x100000001b3u;
        bytes += (uint64_t)got;
    }
    say("%s: %llu bytes of %lld, %016llx", label, (unsigned long long)bytes,
        (long long)status.st_size, (unsigned long long)hash);
    close(fd);
}

static byte *relayed(void) {
    byte *from = map_private(MESSAGE), *to = map_private(MESSAGE);
    feed(from, MESSAGE);
    memcpy(to, from, MESSAGE);
    munmap(from, MESSAGE);
    return to;
}

static void await_child(pid_t child, const char *what) {
    int status;
    need(waitpid(child, &status, 0) == child, "waitpid");
    if (WIFSIGNALED(status))
        say("%s: signal %d", what, WTERMSIG(status));
    else
        say("%s: status %d", what, WEXITSTATUS(status));
}

/* Parent and child write in turns by one open file, whose position they share. */
static void in_turns(void) {
    int fd = open_log(O_RDWR), to_child[2], to_parent[2];
    char go = 'g';
    need(pipe(to_child) == 0 && pipe(to_parent) == 0, "pipe");
    byte *at = relayed();
    say("parent: %zd", write(fd, at, MESSAGE));
    pid_t child = fork();
    need(child >= 0, "fork");
    for (int i = 0; i < 6; i++) {
        if (child == 0) {
            need(read(to_child[0], &go, 1) == 1, "read");
            byte *own = relayed();
            memcpy(own, "child", 5);
            need(write(fd, own, 50000) == 50000, "write");
            need(write(to_parent[1], &go, 1) == 1, "write");
        } else {
            need(write(to_child[1], &go, 1) == 1, "write");
            need(read(to_parent[0], &go, 1) == 1, "read");
            say("at %lld", (long long)lseek(fd, 0, SEEK_CUR));
            say("parent: %zd", write(fd, at + i, 30000));
            tell_content("so far");
        }
    }
    if (child == 0)
        _exit(0);
    await_child(child, "child");
    tell_content("in turns");
}

enum { RECORD = 700 };

static void append_records(byte number, int count) {
    byte record[RECORD];
    int fd = open(NAME, O_WRONLY | O_APPEND);
    need(fd >= 0, "open");
    memset(record, number, sizeof record);
    for (int i = 0; i < count; i++)
        need(write(fd, record, sizeof record) == sizeof record, "write");
    close(fd);
}

static void appenders(void) {
    pid_t children[4];
    close(open_log(O_RDWR));
    for (int i = 0; i < 4; i++)
        if ((children[i] = fork()) == 0) {
            append_records((byte)(i + 1), 300);
            exit(0);
        }
    for (int i = 0; i < 4; i++)
        await_child(children[i], "appender");
    tell_records(NAME, RECORD, true);
}

static void killed(void) {
    pid_t children[3];
    int ready[2];
    need(pipe(ready) == 0, "pipe");
    close(open_log(O_RDWR));
    for (int i = 0; i < 3; i++)
        if ((children[i] = fork()) == 0) {
            append_records((byte)(i + 1), 5);
            need(write(ready[1], "r", 1) == 1, "write");
            for (;;)
                append_records((byte)(i + 1), 10);
        }
    char byte_read;
    for (int i = 0; i < 3; i++)
        need(read(ready[0], &byte_read, 1) == 1, "read");
    for (int i = 0; i < 3; i++) {
        append_records((byte)(i + 10), 20);
        kill(children[i], SIGKILL);
        await_child(children[i], "appender");
        append_records((byte)(i + 20), 20);
    }
    tell_records(NAME, RECORD, false);
}

static void run(const char *label, char *const arguments[]) {
    pid_t child;
    need(posix_spawnp(&child, arguments[0], NULL, NULL, arguments, environ) == 0, "posix_spawnp");
    await_child(child, label);
}

/* Programs that know nothing of it read the file, by name and by descriptor. */
static void executed(void) {
    int fd = open_log(O_RDWR | O_APPEND);
    byte *at = relayed();
    need(write(fd, at, MESSAGE) == (ssize_t)MESSAGE, "write");
    need(symlink(NAME, "way") == 0, "symlink");
    run("stat by a link", (char *[]){"stat", "-L", "-c", "%s", "way", NULL});
    run("sum", (char *[]){"cksum", NAME, NULL});
    run("count", (char *[]){"wc", "-c", NAME, NULL});
    run("stat", (char *[]){"stat", "-c", "%s", NAME, NULL});
    run("copy", (char *[]){"cp", NAME, "copy", NULL});
    run("shell", (char *[]){"sh", "-c", "echo appended >> data.log; tail -c 9 data.log", NULL});
    tell_content("after the shell");
    need(write(fd, at, 1000) == 1000, "write");
    run("dd", (char *[]){"dd", "if=data.log", "of=other.log", "bs=10000", "status=none", NULL});
    run("compared", (char *[]){"cmp", NAME, "other.log", NULL});
    run("descriptor", (char *[]){"sh", "-c", "cksum <&3 >copied.sum; cat copied.sum", NULL});
    pid_t child = vfork();
    if (child == 0) {
        close(fd);
        execlp("true", "true", NULL);
        _exit(1);
    }
    await_child(child, "vfork");
    need(write(fd, at, 1000) == 1000, "write");
    tell_content("executed");
}

/* One that reads and one that writes, each by a name, at the same time. */
static void follower(void) {
    int ready[2];
    need(pipe(ready) == 0, "pipe");
    int reads = open_log(O_RDONLY);
    pid_t child = fork();
    if (child == 0) {
        int fd = open(NAME, O_WRONLY);
        for (int i = 0; i < 20; i++) {
            byte *at = relayed();
            need(write(fd, at, 60000) == 60000, "write");
            munmap(at, MESSAGE);
            need(write(ready[1], "r", 1) == 1, "write");
        }
        _exit(0);
    }
    static byte piece[60000];
    char ready_byte;
    for (int i = 0; i < 20; i++) {
        need(read(ready[0], &ready_byte, 1) == 1, "read");
        ssize_t got = read(reads, piece, sizeof piece);
        show("followed", piece, got > 0 ? (size_t)got : 0);
    }
    await_child(child, "writer");
    struct stat status;
    fstat(reads, &status);
    say("%lld bytes", (long long)status.st_size);
    need(truncate(NAME, 100) == 0, "truncate");
    say("then: %zd", read(reads, piece, 10));
    tell_content("followed");
}

/* Views that a child inherits are its own memory; what it logs is too. */
static void inherited_views(void) {
    int fd = open_log(O_WRONLY | O_APPEND);
    byte *at = relayed();
    need(write(fd, at, MESSAGE) == (ssize_t)MESSAGE, "write");
    for (int i = 0; i < 5; i++) {
        pid_t child = fork();
        if (child == 0) {
            show("child has", at, MESSAGE);
            byte *own = map_private(MESSAGE);
            memcpy(own, at, MESSAGE);
            need(write(fd, own, MESSAGE) == (ssize_t)MESSAGE, "write");
            feed(own, MESSAGE);
            need(write(fd, own, MESSAGE) == (ssize_t)MESSAGE, "write");
            exit(0);
        }
        await_child(child, "child");
        feed_position += MESSAGE;
        feed(at, MESSAGE);
        need(write(fd, at, MESSAGE) == (ssize_t)MESSAGE, "write");
    }
    show("parent has", at, MESSAGE);
    tell_content("inherited");
}

static void tell_lock(int fd) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    need(fcntl(fd, F_GETLK, &lock) == 0, "F_GETLK");
    say("the child finds it %s", lock.l_type == F_UNLCK ? "free" : "locked");
}

/* The child logs to a file that was there before, and looks for the parent's lock when asked to. */
static void log_and_look(int asked, int done) {
    char go = 'g';
    int fd = open_log(O_RDWR);
    byte record[700];
    memset(record, 7, sizeof record);
    need(pwrite(fd, record, sizeof record, 0) == sizeof record, "pwrite");
    need(write(done, &go, 1) == 1, "write");
    while (read(asked, &go, 1) == 1) {
        tell_lock(fd);
        need(write(done, &go, 1) == 1, "write");
    }
    _exit(0);
}

static void ask(int ask_child, int done, const char *what) {
    char go = 'g';
    say("%s", what);
    need(write(ask_child, &go, 1) == 1 && read(done, &go, 1) == 1, "ask");
}

/* Record locks end with any descriptor of the file that the process closes: nothing that it did not
 * close itself may be among those. */
static void locked(void) {
    static byte piece[200000];
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int asked[2], done[2], fd = open("data.new", O_RDWR | O_CREAT, 0644);
    char go;
    need(write(fd, piece, sizeof piece) == sizeof piece && close(fd) == 0, "write");
    need(rename("data.new", NAME) == 0 && pipe(asked) == 0 && pipe(done) == 0, "rename");
    pid_t child = fork();
    if (child == 0) {
        close(asked[1]);
        log_and_look(asked[0], done[1]);
    }
    need(read(done[0], &go, 1) == 1, "read");
    fd = open_log(O_RDWR);
    need(fcntl(fd, F_SETLK, &lock) == 0, "F_SETLK");
    ask(asked[1], done[0], "locked");
    need(pread(fd, piece, 1000, 100000) == 1000, "pread");
    ask(asked[1], done[0], "read what was there before");
    need(pwrite(fd, piece, 50000, 150000) == 50000 && fsync(fd) == 0, "pwrite");
    ask(asked[1], done[0], "written and synced");
    need(ftruncate(fd, 120000) == 0, "ftruncate");
    ask(asked[1], done[0], "truncated");
    int again = open_log(O_RDWR);
    ask(asked[1], done[0], "opened again");
    close(again);
    ask(asked[1], done[0], "closed once");
    close(asked[1]);
    await_child(child, "child");
    tell_content("locked");
}

/* A lock taken by a descriptor that only reads, before the process writes to the file. */
static void locked_by_reader(void) {
    static byte piece[50000];
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    int fd = open("data.new", O_RDWR | O_CREAT, 0644);
    need(write(fd, piece, sizeof piece) == sizeof piece && close(fd) == 0, "write");
    need(rename("data.new", NAME) == 0, "rename");
    fd = open(NAME, O_RDONLY);
    need(fcntl(fd, F_SETLK, &lock) == 0, "F_SETLK");
    int writer = open(NAME, O_WRONLY);
    say("written: %zd", pwrite(writer, piece, sizeof piece, 20000));
    pid_t child = fork();
    if (child == 0) {
        tell_lock(fd);
        _exit(0);
    }
    await_child(child, "child");
    close(writer), close(fd);
    tell_content("locked by a reader");
}

/* A process without the right to write reads a file that others log. */
static void without_rights(void) {
    static byte piece[100000];
    int other = open("other.log", O_RDWR | O_CREAT, 0644), go[2], done[2];
    char letter = 'g';
    need(write(other, "opens the pool", 14) == 14 && pipe(go) == 0 && pipe(done) == 0, "write");
    int made = open("data.new", O_RDWR | O_CREAT, 0644);
    memset(piece, 'o', sizeof piece);
    need(write(made, piece, sizeof piece) == sizeof piece && close(made) == 0, "write");
    need(rename("data.new", NAME) == 0 && chmod("..", 0755) == 0 && chmod(".", 0755) == 0, "chmod");
    pid_t child = fork();
    if (child == 0) {
        if (getuid() == 0 && setgid(65534) == 0 && setuid(65534) == 0)
            need(open(NAME, O_WRONLY) < 0, "no right to write");
        need(read(go[0], &letter, 1) == 1, "go");
        tell_content("without rights");
        need(write(done[1], &letter, 1) == 1, "done");
        _exit(0);
    }
    int fd = open_log(O_RDWR);
    need(pwrite(fd, "logged", 6, 50000) == 6, "pwrite");
    need(write(go[1], &letter, 1) == 1 && read(done[0], &letter, 1) == 1, "ask");
    await_child(child, "child");
    tell_content("with rights");
}

/* A file that another process maps, and this one too: it stays the kernel's until neither does. */
static void left_by_both(void) {
    static byte piece[60000];
    int go[2], done[2], ended[2], fd = open_log(O_RDWR);
    char letter = 'g';
    need(pipe(go) == 0 && pipe(done) == 0 && pipe(ended) == 0, "pipe");
    memset(piece, 'a', sizeof piece);
    need(write(fd, piece, sizeof piece) == sizeof piece, "write");
    pid_t first = fork();
    if (first == 0) {
        int own = open_log(O_RDWR);
        need(mmap(NULL, 4096, PROT_READ, MAP_SHARED, own, 0) != MAP_FAILED, "mmap");
        need(write(done[1], &letter, 1) == 1 && read(ended[0], &letter, 1) == 1, "mapped");
        _exit(0);
    }
    need(read(done[0], &letter, 1) == 1, "first");
    close(fd);
    pid_t second = fork();
    if (second == 0) {
        int own = open_log(O_RDWR);
        volatile byte *seen = mmap(NULL, 4096, PROT_READ, MAP_SHARED, own, 0);
        need(seen != MAP_FAILED && close(own) == 0, "mmap");
        need(write(done[1], &letter, 1) == 1 && read(go[0], &letter, 1) == 1, "mapped");
        say("the second sees %c", seen[100]);
        _exit(0);
    }
    need(read(done[0], &letter, 1) == 1 && write(ended[1], &letter, 1) == 1, "second");
    await_child(first, "first");
    fd = open_log(O_RDWR);
    memset(piece, 'b', sizeof piece);
    need(pwrite(fd, piece, 5000, 0) == 5000 && write(go[1], &letter, 1) == 1, "pwrite");
    await_child(second, "second");
    tell_content("left by both");
}

/* It ends without destructors; nobody is left to bring the file up to date. */
static void quits(void) {
    int fd = open_log(O_RDWR);
    byte *at = relayed();
    say("written: %zd", write(fd, at, MESSAGE));
    quick_exit(3);
}

/* The last one of the tree, whose parent is gone, ends at once. */
static void daemonised(void) {
    int fd = open_log(O_RDWR);
    byte *at = relayed();
    say("written: %zd", write(fd, at, MESSAGE));
    pid_t parent = getpid();
    need(daemon(1, 1) == 0, "daemon");
    while (getppid() == parent) /* which libc ends without a call that is seen */
        usleep(1000);
    say("the daemon: %zd", write(fd, at + 1, 50000));
    tell_content("the daemon");
    _exit(0);
}

/* Threads of this process that have another user. */
static int strangers(void) {
    int found = 0;
    for (int id = getpid(); id < getpid() + 64; id++) {
        char path[64];
        struct stat status;
        snprintf(path, sizeof path, "/proc/self/task/%d", id);
        found += stat(path, &status) == 0 && status.st_uid != geteuid();
    }
    return found;
}

static void becomes_another(void) {
    byte *at = relayed();
    int fd = open_log(O_RDWR);
    say("written: %zd", write(fd, at, MESSAGE));
    if (getuid() == 0)
        need(setgid(65534) == 0 && setuid(65534) == 0, "setuid");
    say("strangers: %d", strangers());
    say("written: %zd", write(fd, at, MESSAGE));
    say("strangers: %d", strangers());
}

static void enters_namespace(void) {
    byte *at = relayed();
    int fd = open_log(O_RDWR);
    say("written: %zd", write(fd, at, MESSAGE));
    int entered = unshare(CLONE_NEWUSER), error = errno;
    say("entered: %d %s", entered, entered ? strerrorname_np(error) : "");
    say("written: %zd", write(fd, at, MESSAGE));
    tell_content("in the namespace");
}

static const struct sub_case cases[] = {
    {"in-turns", in_turns},   {"appenders", appenders}, {"killed", killed},
    {"executed", executed},   {"follower", follower},   {"inherited", inherited_views},
    {"locked", locked},       {"locked-by-reader", locked_by_reader},
    {"without-rights", without_rights}, {"left-by-both", left_by_both},
    {"quits", quits},         {"daemonised", daemonised},
    {"another", becomes_another}, {"namespace", enters_namespace},
};

VICTIM_MAIN(cases)
