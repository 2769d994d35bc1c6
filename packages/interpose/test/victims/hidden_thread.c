/* Traps 6 and 7: whatever serves faults must not show. A process of one thread stays one for
 * everything that asks: namespaces, credentials, signals, exit. */
#include "workload.h"
#include <dirent.h>
#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>

enum { OLD = 1, NEW = 2 };

static int tasks(void) {
    int count = 0;
    DIR *directory = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

/* Nothing runs beside a program before its first large input. */
static void lazy(void) {
    struct channel c = wide_pipe(), socket = unix_pair(SOCK_STREAM);
    byte *a = region(4 * MIB), *b = region(4 * MIB);
    say("%d at the start\n", tasks());
    fill(a, 4 * MIB, OLD, 0);
    copy(b, a, 4 * MIB);
    say("%d after a large copy\n", tasks());
    for (int i = 0; i < 50; i++) {
        write_all(c.out, a, 100), read_all(c.in, b, 100);
        write_all(socket.out, a, 4000), read_all(socket.in, b, 4000);
    }
    write_all(c.out, a, 64 * KIB);
    EXPECT_STREAM(c.in, 64 * KIB, OLD, 0);
    say("%d after small input and large output\n", tasks());
    pid_t child = fork();
    if (child == 0) {
        EXPECT(tasks(), 1);
        _exit(failures != 0);
    }
    waited(child);
    say("%d after a fork\n", tasks());
    work(2);
}

static void *outlive_main(void *argument) {
    pthread_join(*(pthread_t *)argument, NULL);
    byte *at = viewed(SIZE, OLD);
    EXPECT_BYTES(at, SIZE, OLD, 0);
    work(2);
    say("the last thread leaves\n");
    return NULL;
}

/* main leaves by pthread_exit; the process ends with its last thread. */
static void pthread_exit_in_main(void) {
    static pthread_t main_thread;
    pid_t child = fork();
    if (child == 0) {
        main_thread = pthread_self();
        byte *at = viewed(SIZE, OLD);
        start(outlive_main, &main_thread);
        EXPECT(at[9], byte_of(OLD, 9));
        pthread_exit(NULL);
    }
    waited(child);
    child = fork(); /* and alone, with a view pending */
    if (child == 0) {
        viewed(SIZE, OLD);
        pthread_exit(NULL);
    }
    waited(child);
}

static void unshared(void) {
    static const struct {
        const char *name;
        int flags, raw;
    } ways[] = {{"files", CLONE_FILES, 0},
                {"fs", CLONE_FS, 0},
                {"thread", CLONE_THREAD, 0},
                {"vm", CLONE_VM, 0},
                {"user", CLONE_NEWUSER, 0},
                {"user, raw", CLONE_NEWUSER, 1},
                {"mount and ipc", CLONE_NEWNS | CLONE_NEWIPC, 0},
                {"pid", CLONE_NEWPID, 0},
                {"user and all",
                 CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID, 0}};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        pid_t child = fork();
        if (child == 0) {
            byte *at = viewed(SIZE, OLD), *copied = region(SIZE);
            copy(copied, at, SIZE);
            errno = 0;
            say_result(ways[i].name,
                       ways[i].raw ? syscall(SYS_unshare, ways[i].flags) : unshare(ways[i].flags));
            EXPECT_BYTES(at, SIZE, OLD, 0);
            work(3);
            EXPECT_BYTES(copied, SIZE, OLD, 0);
            pid_t grandchild = fork();
            if (grandchild == 0) {
                EXPECT_BYTES(copied, SIZE, OLD, 0);
                work(1);
                _exit(failures != 0);
            }
            waited(grandchild);
            _exit(failures != 0);
        }
        waited(child);
    }
}

static void entered_namespaces(void) {
    static const char *const names[] = {"mnt", "time", "user", "pid",
                                        "net", "ipc",  "uts",  "cgroup"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        pid_t child = fork();
        if (child == 0) {
            char path[64];
            byte *at = viewed(SIZE, OLD);
            snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            errno = 0;
            say_result(names[i], setns(fd, 0));
            EXPECT_BYTES(at, SIZE, OLD, 0);
            work(3);
            _exit(failures != 0);
        }
        waited(child);
    }
}

/* Every thread there is has the user and group ids that the program asked for. */
static void expect_ids(unsigned user, unsigned group) {
    DIR *directory = opendir("/proc/self/task");
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        char path[320], text[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        int fd = open(path, O_RDONLY);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        close(fd);
        if (n <= 0)
            continue;
        text[n] = 0;
        unsigned ids[4] = {0}, groups[4] = {0};
        sscanf(strstr(text, "Uid:"), "Uid: %u %u %u %u", ids, ids + 1, ids + 2, ids + 3);
        sscanf(strstr(text, "Gid:"), "Gid: %u %u %u %u", groups, groups + 1, groups + 2,
               groups + 3);
        if (ids[1] != user || groups[1] != group) {
            failures++;
            say("a thread has the effective ids %u and %u\n", ids[1], groups[1]);
        }
    }
    closedir(directory);
}

static void *sleep_on(void *argument) {
    byte *at = viewed(SIZE, OLD);
    read(((struct channel *)argument)->in, at, SIZE);
    return NULL;
}

/* Root becomes nobody after its first views; with and without other threads. */
static void dropped_privileges(void) {
    if (geteuid())
        skip("only root can become another user");
    for (int threads = 0; threads < 2; threads++) {
        pid_t child = fork();
        if (child == 0) {
            struct channel never = wide_pipe();
            byte *at = viewed(SIZE, OLD), *copied = region(SIZE);
            copy(copied, at, SIZE);
            if (threads)
                start(sleep_on, &never), pause_ms(10);
            EXPECT(seteuid(65534), 0);
            expect_ids(65534, 0);
            work(1);
            EXPECT(seteuid(0), 0);
            expect_ids(0, 0);
            EXPECT(setgroups(0, NULL), 0);
            EXPECT(setgid(65534), 0);
            EXPECT(setuid(65534), 0);
            expect_ids(65534, 65534);
            EXPECT_ERROR(EPERM, setuid(0));
            EXPECT_ERROR(EACCES, open("/proc/1/mem", O_RDWR));
            EXPECT_BYTES(at, SIZE, OLD, 0);
            work(3);
            EXPECT_BYTES(copied, SIZE, OLD, 0);
            /* Still not dumpable, still able to fork with views. */
            byte *more = viewed(SIZE, NEW);
            pid_t grandchild = fork();
            if (grandchild == 0) {
                EXPECT_BYTES(more, SIZE, NEW, 0);
                work(2);
                _exit(failures != 0);
            }
            feed(more, SIZE, OTHER, 0);
            waited(grandchild);
            EXPECT_BYTES(more, SIZE, OTHER, 0);
            _exit(failures != 0);
        }
        waited(child);
    }
}

/* A server's start: the title is written over the environment, a worker is born, becomes nobody and
 * has the first large input. A second worker changes its user only, its child is the one at work. */
static void server_workers(void) {
    extern char **environ;
    if (geteuid())
        skip("only root can become another user");
    for (char **entry = environ; entry && *entry; entry++)
        memset(*entry, 'x', strlen(*entry));
    for (int worker = 0; worker < 2; worker++) {
        pid_t child = fork();
        if (child == 0) {
            if (worker == 0)
                EXPECT(setgid(65534), 0);
            EXPECT(setresuid(65534, 65534, 65534), 0);
            pid_t grandchild = worker == 0 ? 0 : fork();
            if (grandchild == 0) {
                work(10);
                _exit(failures != 0);
            }
            waited(grandchild);
            _exit(failures != 0);
        }
        waited(child);
    }
}

/* Root becomes nobody, may have no more processes, and only then has large input. */
static void no_more_threads(void) {
    if (geteuid())
        skip("only root can become another user");
    struct rlimit none = {0, 0};
    syscall(SYS_prlimit64, 0, RLIMIT_NPROC, &none, NULL);
    EXPECT(setresgid(65534, 65534, 65534), 0);
    EXPECT(setresuid(65534, 65534, 65534), 0);
    work(5);
    byte *at = viewed(SIZE, OLD);
    EXPECT_BYTES(at, SIZE, OLD, 0);
}

/* It becomes nobody, and then gives up the right to have more processes by a call that we see. */
static void no_further_process(void) {
    if (geteuid())
        skip("only root can become another user");
    struct rlimit none = {0, 0};
    EXPECT(setresuid(65534, 65534, 65534), 0);
    EXPECT_ERROR(EFAULT, setrlimit(RLIMIT_NPROC, (void *)8));
    EXPECT(prlimit(0, RLIMIT_NPROC, &none, NULL), 0);
    EXPECT_ERROR(EAGAIN, fork());
    work(5);
    byte *at = viewed(SIZE, OLD);
    EXPECT_BYTES(at, SIZE, OLD, 0);
}

static void chrooted(void) {
    if (geteuid())
        skip("only root can change its root");
    if (mkdir("empty", 0755) && errno != EEXIST)
        die("mkdir");
    byte *at = viewed(SIZE, OLD);
    EXPECT(chroot("empty"), 0);
    EXPECT(chdir("/"), 0);
    EXPECT_ERROR(ENOENT, open("/proc/self/maps", O_RDONLY));
    EXPECT_BYTES(at, SIZE, OLD, 0);
    work(3);
    pid_t child = fork();
    if (child == 0) {
        EXPECT_BYTES(at, SIZE, OLD, 0);
        work(3);
        _exit(failures != 0);
    }
    waited(child);
}

/* Signals go to the program's threads only. */
static atomic_int seen;
static void note_signal(int number) {
    (void)number;
    seen++;
}
static void signals(void) {
    byte *at = viewed(SIZE, OLD);
    sigset_t all, pending;
    struct timespec soon = {1, 0};
    struct sigaction action = {.sa_handler = note_signal};
    for (int number = 1; number < 32; number++)
        if (number != SIGKILL && number != SIGSTOP && number != SIGSEGV && number != SIGBUS)
            sigaction(number, &action, NULL);
    uint64_t everything = ~UINT64_C(0), before = 0; /* 32 and 33 too, which glibc would leave out */
    EXPECT(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &everything, &before, 8), 0);
    EXPECT_BYTES(at, PAGE, OLD, 0);
    work(2);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGTERM);
    work(2);
    EXPECT(seen, 0);
    sigpending(&pending);
    EXPECT(sigismember(&pending, SIGUSR1) && sigismember(&pending, SIGTERM), 1);
    sigfillset(&all);
    int first = sigtimedwait(&all, NULL, &soon), second = sigtimedwait(&all, NULL, &soon);
    EXPECT(first + second, SIGUSR1 + SIGTERM);
    EXPECT_ERROR(EAGAIN, sigtimedwait(&all, NULL, &(struct timespec){0, 1000}));
    EXPECT_BYTES(at, SIZE, OLD, 0);
    EXPECT(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, 8), 0);
    raise(SIGUSR1);
    kill(getpid(), SIGUSR2);
    EXPECT(seen, 2);
    if (geteuid() == 0)
        EXPECT(seteuid(65534), 0);
}

/* 1: stopped, 0: ended, -1: neither in half a second. */
static int wait_until_stopped(pid_t child, int *status) {
    for (int i = 0; i < 500; i++) {
        if (waitpid(child, status, WUNTRACED | WNOHANG) == child)
            return WIFSTOPPED(*status);
        pause_ms(1);
    }
    return -1;
}

/* Stopped and continued as a job, the process goes on. A stop that meets a thread while this waits for
 * zIO's handler is not complete before it is undone, as docs/consistency-model.md says; then the next
 * one counts. */
static void stopped(void) {
    struct channel c = wide_pipe();
    char token;
    pid_t child = fork();
    if (child == 0) {
        byte *at = viewed(SIZE, OLD);
        write_all(c.out, "x", 1);
        work(20);
        EXPECT_BYTES(at, SIZE, OLD, 0);
        _exit(failures != 0);
    }
    read_all(c.in, &token, 1);
    int status;
    for (int complete = 0; complete < 3;) {
        kill(child, SIGSTOP);
        int found = wait_until_stopped(child, &status);
        if (found == 0) {
            EXPECT(status, 0);
            return;
        }
        complete += found > 0;
        pause_ms(5);
        kill(child, SIGCONT);
        pause_ms(1);
    }
    waited(child);
}

SUBCASES({"lazy", lazy}, {"pthread-exit", pthread_exit_in_main}, {"unshare", unshared},
         {"setns", entered_namespaces}, {"dropped-privileges", dropped_privileges},
         {"server-workers", server_workers}, {"no-further-process", no_further_process}, {"no-more-threads", no_more_threads}, {"chroot", chrooted}, {"signals", signals},
         {"stopped", stopped})
