/* Case 19: the root directory or the mounts change under a program, and /proc with /dev is gone. It
 * and its children go on eliding where that can be had, and nothing leads out of the new root. */
#include "workload.h"
#include "direct_call.h"
#include <dirent.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>

enum { OLD = 1, WORKERS = 3 };

/* Workers are born, each with a child of its own, and all of them work. */
static void workers(void) {
    for (int i = 0; i < WORKERS; i++) {
        pid_t worker = fork();
        if (worker == 0) {
            work(4);
            pid_t child = fork();
            if (child == 0) {
                work(4);
                _exit(failures != 0);
            }
            waited(child);
            _exit(failures != 0);
        }
        waited(worker);
    }
}

static void need_root(void) {
    if (geteuid())
        skip("only root can change its root");
    if (mkdir("empty", 0755) && errno != EEXIST)
        die("mkdir");
}

static void expect_no_proc(void) {
    EXPECT(chdir("/"), 0);
    EXPECT_ERROR(ENOENT, open("/proc/self/maps", O_RDONLY));
    EXPECT_ERROR(ENOENT, open("/dev/userfaultfd", O_RDWR));
}

static void become_nobody(void) {
    EXPECT(setgroups(0, NULL), 0);
    EXPECT(setgid(65534), 0);
    EXPECT(setuid(65534), 0);
    EXPECT_ERROR(EPERM, setuid(0));
}

/* A server starts, works, changes its root and its user, and has workers. */
static void server(void) {
    need_root();
    byte *at = viewed(SIZE, OLD);
    EXPECT(chroot("empty"), 0);
    expect_no_proc();
    EXPECT_BYTES(at, SIZE / 2, OLD, 0);
    become_nobody();
    EXPECT_BYTES(at, SIZE, OLD, 0);
    work(4);
    workers();
}

/* The first large input comes when all that is done. */
static void idle_server(void) {
    need_root();
    EXPECT(chroot("empty"), 0);
    expect_no_proc();
    become_nobody();
    workers();
    work(4);
}

/* Worker by worker, each after its birth. */
static void confined_workers(void) {
    need_root();
    work(4);
    for (int i = 0; i < WORKERS; i++) {
        pid_t worker = fork();
        if (worker == 0) {
            EXPECT(i == 0 ? chroot("empty") : (int)syscall(SYS_chroot, "empty"), 0);
            expect_no_proc();
            become_nobody();
            work(4);
            _exit(failures != 0);
        }
        waited(worker);
    }
}

/* By a call that no hook sees: the process itself goes on, its children copy. */
static void unseen(void) {
    need_root();
    byte *at = viewed(SIZE, OLD);
    EXPECT(DIRECT(SYS_chroot, "empty"), 0);
    expect_no_proc();
    work(4);
    pid_t child = fork();
    if (child == 0) {
        EXPECT_BYTES(at, SIZE, OLD, 0);
        work(2);
        _exit(failures != 0);
    }
    waited(child);
    work(4);
}

static void in_own_mounts(void) {
    if (geteuid())
        skip("only root has mounts of its own");
    if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
        skip("no mounts of our own can be had");
}

/* /proc is unmounted. */
static void without_proc(void) {
    byte *at = viewed(SIZE, OLD);
    in_own_mounts();
    EXPECT(umount2("/proc", MNT_DETACH), 0);
    EXPECT_ERROR(ENOENT, open("/proc/self/maps", O_RDONLY));
    EXPECT_BYTES(at, SIZE, OLD, 0);
    work(4);
    workers();
}

static atomic_int stop;
static void *touch(void *unused) {
    byte *at = viewed(SIZE, OLD);
    for (size_t i = 0; !stop; i++) {
        EXPECT_BYTES(at + i % 8 * PAGE, PAGE, OLD, i % 8 * PAGE);
        pause_ms(1);
    }
    return unused;
}

/* File systems that hold only what zIO has opened can be unmounted; a busy one cannot. */
static void unmounted(void) {
    in_own_mounts();
    need_root();
    EXPECT(mount("proc", "/proc", "proc", 0, NULL), 0);
    EXPECT(mount("/dev", "/dev", NULL, MS_BIND, NULL), 0);
    work(4);
    pthread_t thread = start(touch, NULL);
    int fd = open("/proc/uptime", O_RDONLY);
    EXPECT_ERROR(EBUSY, umount("/proc"));
    close(fd);
    work(2);
    byte *at = viewed(SIZE, OLD);
    EXPECT(umount("/proc"), 0);
    EXPECT((int)syscall(SYS_umount2, "/dev", 0), 0);
    EXPECT_BYTES(at, SIZE, OLD, 0);
    stop = 1;
    pthread_join(thread, NULL);
    EXPECT_ERROR(ENOENT, umount("/does/not/exist"));
    work(4);
    workers();
}

/* Another file system is the root. */
static void pivoted(void) {
    in_own_mounts();
    work(4);
    need_root();
    EXPECT(mount("none", "empty", "tmpfs", 0, NULL), 0);
    EXPECT(chdir("empty"), 0);
    EXPECT(syscall(SYS_pivot_root, ".", "."), 0);
    EXPECT(umount2(".", MNT_DETACH), 0);
    expect_no_proc();
    work(4);
    workers();
}

/* Children are in a namespace in which /proc, were it there, would not know them. */
static void other_pids(void) {
    need_root();
    work(4);
    EXPECT(unshare(CLONE_NEWPID), 0);
    EXPECT(chroot("empty"), 0);
    pid_t child = fork();
    if (child == 0) {
        expect_no_proc();
        EXPECT(getpid(), 1);
        workers();
        _exit(failures != 0);
    }
    waited(child);
}

/* Every thread there is has the new root, as another process sees it. */
static void followed(void) {
    struct channel ready = wide_pipe(), go = wide_pipe();
    char path[512], link[512], expected[512], token;
    need_root();
    if (!realpath("empty", expected))
        die("realpath");
    pid_t child = fork();
    if (child == 0) {
        work(2);
        EXPECT(chroot("empty"), 0);
        EXPECT(chdir("/"), 0);
        work(2);
        write_all(ready.out, "x", 1);
        read_all(go.in, &token, 1);
        _exit(failures != 0);
    }
    read_all(ready.in, &token, 1);
    snprintf(path, sizeof path, "/proc/%d/task", child);
    DIR *tasks = opendir(path);
    for (struct dirent *entry; (entry = readdir(tasks));) {
        static const char *const places[] = {"root", "cwd"};
        for (int i = 0; i < 2 && entry->d_name[0] != '.'; i++) {
            snprintf(path, sizeof path, "/proc/%d/task/%s/%s", child, entry->d_name, places[i]);
            ssize_t n = readlink(path, link, sizeof link - 1);
            link[n > 0 ? n : 0] = 0;
            if (strcmp(link, expected))
                say("a thread has the %s %s\n", places[i], link);
        }
    }
    closedir(tasks);
    write_all(go.out, "x", 1);
    waited(child);
}

/* No descriptor is there that leads to what lies outside. */
static void nothing_leads_out(void) {
    static const char *const ways[] = {"..", "../..", "../../..", "1/root", "meminfo", "etc"};
    need_root();
    DIRECT(SYS_close_range, 3, ~0u, 0); /* what the test was started with */
    work(2);
    EXPECT(chroot("empty"), 0);
    become_nobody();
    EXPECT(chdir("/"), 0);
    work(2);
    for (int fd = 0; fd < 9000; fd++) {
        struct stat found;
        for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
            if (fstatat(fd, ways[i], &found, 0) == 0 && fstatat(fd, "../etc/passwd", &found, 0) == 0)
                say("%d leads out\n", fd);
            if (i > 2 && fstatat(fd, ways[i], &found, 0) == 0)
                say("%d leads to %s\n", fd, ways[i]);
        }
        if (DIRECT(SYS_fchdir, fd) == 0) {
            if (fstatat(AT_FDCWD, "../../../../etc/passwd", &found, 0) == 0)
                say("%d leads out by fchdir\n", fd);
            EXPECT(chdir("/"), 0);
        }
    }
}

/* What is kept may be closed, and closed by a call that no hook sees. */
static void closed(void) {
    need_root();
    DIRECT(SYS_close_range, 3, ~0u, 0);
    work(2);
    EXPECT(chroot("empty"), 0);
    expect_no_proc();
    EXPECT(close_range(3, ~0u, 0), 0);
    EXPECT(dup(0), 3);
    for (int fd = 3; fd < 6000; fd++)
        close(fd);
    work(4);
    workers();
    DIRECT(SYS_close_range, 3, ~0u, 0);
    work(4);
}

static struct channel waited_for;
static byte *waiting;
static void *wait_for_input(void *tid) {
    *(atomic_int *)tid = (int)syscall(SYS_gettid);
    EXPECT(read(waited_for.in, waiting, SIZE), SIZE);
    EXPECT_BYTES(waiting, SIZE, OTHER, 0);
    return NULL;
}

/* zIO ends in the new root, where nothing tells what the memory is in which an input waits: the input
 * arrives all the same. */
static void ended_while_waiting(void) {
    need_root();
    static atomic_int tid;
    struct rlimit limit;
    byte *source = stream_bytes(SIZE, OTHER, 0);
    waited_for = wide_pipe();
    waiting = region(SIZE);
    work(2);
    pthread_t thread = start(wait_for_input, &tid);
    while (tid == 0)
        pause_ms(1);
    wait_until_blocked(getpid(), tid);
    EXPECT(DIRECT(SYS_chroot, "empty"), 0);
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = (rlim_t)1 << 40;
    EXPECT(setrlimit(RLIMIT_AS, &limit), 0);
    write_all(waited_for.out, source, SIZE);
    pthread_join(thread, NULL);
}

SUBCASES({"server", server}, {"idle-server", idle_server}, {"confined-workers", confined_workers},
         {"unseen", unseen}, {"without-proc", without_proc}, {"unmounted", unmounted}, {"pivoted", pivoted},
         {"other-pids", other_pids}, {"followed", followed},
         {"nothing-leads-out", nothing_leads_out}, {"closed", closed},
         {"ended-while-waiting", ended_while_waiting})
