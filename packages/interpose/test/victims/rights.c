/* Case 19: a program gives up rights after its start, by every way there is. Every thread has given
 * them up, and the program and its children go on eliding where a hook saw it. */
#include "workload.h"
#include "direct_call.h"
#include <dirent.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>

enum { OLD = 1, NOBODY = 65534 };

int capset(struct __user_cap_header_struct *header, const struct __user_cap_data_struct *data);

static void need_root(void) {
    if (geteuid())
        skip("only root has rights to give up");
}

static const char *line_of(const char *status, const char *name, char *into, size_t room) {
    const char *at = strstr(status, name), *end = at ? strchr(at, '\n') : NULL;
    snprintf(into, room, "%.*s", end ? (int)(end - at) : 0, at ? at : "");
    return into;
}

/* What one thread may do every thread may do, and no more: those that zIO has as well. */
static void expect_equal_threads(const char *when) {
    static const char *const names[] = {"Uid:", "Gid:", "Groups:", "CapInh:", "CapPrm:", "CapEff:"};
    static char own[8192], status[8192];
    char path[320], expected[256], found[256];
    int fd = open("/proc/thread-self/status", O_RDONLY);
    ssize_t n = read(fd, own, sizeof own - 1);
    close(fd);
    EXPECT(n > 0, 1);
    own[n > 0 ? n : 0] = 0;
    DIR *directory = opendir("/proc/self/task");
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        fd = open(path, O_RDONLY);
        n = read(fd, status, sizeof status - 1);
        close(fd);
        status[n > 0 ? n : 0] = 0;
        for (size_t i = 0; n > 0 && i < sizeof names / sizeof names[0]; i++)
            if (strcmp(line_of(own, names[i], expected, sizeof expected),
                       line_of(status, names[i], found, sizeof found)))
                say("%s: a thread has %s\n", when, found);
    }
    closedir(directory);
}

/* The process goes on, a child, and a child of that. */
static void go_on(const char *when) {
    work(2);
    expect_equal_threads(when);
    pid_t child = fork();
    if (child == 0) {
        work(2);
        expect_equal_threads(when);
        pid_t grandchild = fork();
        if (grandchild == 0) {
            work(2);
            _exit(failures != 0);
        }
        int status = -1;
        waitpid(grandchild, &status, 0);
        _exit(failures != 0 || status != 0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT(status, 0);
}

static int set_capabilities(uint32_t effective, uint32_t permitted, int raw) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{effective, permitted, 0}, {0, 0, 0}};
    return raw ? (int)syscall(SYS_capset, &header, data) : capset(&header, data);
}

static void by_initgroups(void) {
    EXPECT(initgroups("root", 12345), 0);
    go_on("supplementary groups");
    EXPECT(setgid(NOBODY), 0);
    EXPECT(initgroups("nobody", NOBODY), 0);
    EXPECT(setuid(NOBODY), 0);
    EXPECT_ERROR(EPERM, initgroups("root", 0));
}
static void by_capset(void) {
    EXPECT(set_capabilities(1 << CAP_SETUID, 1 << CAP_SETUID | 1 << CAP_SETGID, 0), 0);
    go_on("some capabilities");
    EXPECT(set_capabilities(0, 0, 0), 0);
    EXPECT_ERROR(EPERM, set_capabilities(1 << CAP_SETUID, 1 << CAP_SETUID, 0));
}
static void by_raw_capset(void) {
    EXPECT(set_capabilities(1 << CAP_KILL, 1 << CAP_KILL, 1), 0);
}
/* As daemons do that keep one capability as another user. */
static void by_keeping_capabilities(void) {
    EXPECT(prctl(PR_SET_KEEPCAPS, 1), 0);
    EXPECT(setresgid(NOBODY, NOBODY, NOBODY), 0);
    EXPECT(setresuid(NOBODY, NOBODY, NOBODY), 0);
    EXPECT(set_capabilities(1 << CAP_KILL, 1 << CAP_KILL, 0), 0);
    EXPECT(prctl(PR_SET_KEEPCAPS, 0), 0);
    EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
}
static void by_raw_calls(void) {
    EXPECT(syscall(SYS_setgroups, 0, NULL), 0);
    EXPECT(syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY), 0);
    EXPECT(syscall(SYS_setuid, NOBODY), 0);
    EXPECT_ERROR(EPERM, syscall(SYS_setuid, 0));
}
static void by_not_being_dumpable(void) {
    EXPECT(prctl(PR_SET_DUMPABLE, 0), 0);
    go_on("not dumpable");
    EXPECT(setresgid(NOBODY, NOBODY, NOBODY), 0);
    EXPECT(setresuid(NOBODY, NOBODY, NOBODY), 0);
    go_on("not dumpable, another user");
    EXPECT(prctl(PR_SET_DUMPABLE, 1), 0);
    go_on("dumpable again");
    EXPECT(prctl(PR_SET_DUMPABLE, 0), 0);
}

static const struct {
    const char *name;
    void (*give_up)(void);
} ways[] = {{"initgroups", by_initgroups}, {"capset", by_capset},
            {"raw capset", by_raw_capset}, {"kept capabilities", by_keeping_capabilities},
            {"raw calls", by_raw_calls},   {"dumpable", by_not_being_dumpable}};

/* Each way in a process of its own, with views pending or before its first large input. */
static void in_processes(int active) {
    need_root();
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        pid_t child = fork();
        if (child == 0) {
            byte *at = active ? viewed(SIZE, OLD) : NULL;
            ways[i].give_up();
            if (active)
                EXPECT_BYTES(at, SIZE, OLD, 0);
            go_on(ways[i].name);
            _exit(failures != 0);
        }
        int status = -1;
        waitpid(child, &status, 0);
        say("%s: %d\n", ways[i].name, status);
    }
}
static void at_work(void) {
    in_processes(1);
}
static void idle(void) {
    in_processes(0);
}

/* No hook sees it: who has its first large input then copies, who had it before goes on. */
static void unseen(void) {
    need_root();
    for (int active = 0; active < 2; active++) {
        pid_t child = fork();
        if (child == 0) {
            byte *at = active ? viewed(SIZE, OLD) : NULL;
            EXPECT(DIRECT(SYS_setresgid, NOBODY, NOBODY, NOBODY), 0);
            EXPECT(DIRECT(SYS_setresuid, NOBODY, NOBODY, NOBODY), 0);
            work(4);
            if (active)
                EXPECT_BYTES(at, SIZE, OLD, 0);
            _exit(failures != 0);
        }
        int status = -1;
        waitpid(child, &status, 0);
        EXPECT(status, 0);
    }
}

/* Other threads change nothing but themselves by raw calls. */
static void *become_nobody(void *argument) {
    (void)argument;
    EXPECT(syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY), 0);
    work(2);
    EXPECT(geteuid(), NOBODY);
    EXPECT_ERROR(EACCES, open("/proc/1/mem", O_RDWR));
    return NULL;
}
static void thread_by_thread(void) {
    need_root();
    work(2);
    pthread_t threads[] = {start(become_nobody, NULL), start(become_nobody, NULL)};
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    EXPECT(geteuid(), 0);
    go_on("afterwards");
}

/* Landlock: no file may be opened by its path any more. */
static void landlocked(void) {
    uint64_t handled = 1 << 2 /* LANDLOCK_ACCESS_FS_READ_FILE */ | 1 << 1 /* WRITE_FILE */;
    int rules = (int)syscall(444 /* landlock_create_ruleset */, &handled, sizeof handled, 0);
    if (rules < 0)
        skip("no Landlock");
    byte *at = viewed(SIZE, OLD);
    EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    EXPECT(syscall(446 /* landlock_restrict_self */, rules, 0), 0);
    EXPECT_ERROR(EACCES, open("/proc/self/maps", O_RDONLY));
    EXPECT_BYTES(at, SIZE, OLD, 0);
    work(4);
    pid_t child = fork();
    if (child == 0) {
        work(4);
        _exit(failures != 0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT(status, 0);
}

/* Servers of files take on their clients' rights to files, thread by thread. */
static void *as_nobody(void *unused) {
    EXPECT(setfsgid(NOBODY), 0);
    EXPECT(setfsuid(NOBODY), 0);
    EXPECT(setfsuid((uid_t)-1), NOBODY);
    work(4);
    EXPECT((int)syscall(SYS_setfsuid, 0), NOBODY);
    return unused;
}
static void to_files(void) {
    need_root();
    pthread_join(start(as_nobody, NULL), NULL);
    work(4);
}

SUBCASES({"to-files", to_files}, {"at-work", at_work}, {"idle", idle}, {"unseen", unseen},
         {"thread-by-thread", thread_by_thread}, {"landlocked", landlocked})
