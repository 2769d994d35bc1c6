/* Case 15: starting other programs from a process with views pending, and becoming one. */
#include "channels.h"
#include <spawn.h>
#include <sys/prctl.h>

enum { OLD = 1, NEW = 2, OTHER = 3 };
#define SIZE (192 * KIB)
extern char **environ;

static void waited(pid_t child, int want) {
    int status = -1;
    if (waitpid(child, &status, 0) != child)
        die("waitpid");
    EXPECT(status, want);
}

/* The program that the others start is this one, as `be-child`. */
static char self[PATH_MAX];
static void find_self(void) {
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        die("readlink");
    self[n] = 0;
}

/* Standard input carries SIZE bytes of NEW, which go through two copies to standard output. */
static void be_child(void) {
    byte *a = region(SIZE), *b = region(SIZE);
    read_all(0, a, SIZE);
    copy(b, a, SIZE);
    EXPECT_BYTES(a, 100, NEW, 0);
    write_all(1, b, SIZE);
    _exit(failures ? 1 : 21);
}

static struct channel input_of(byte *from) {
    struct channel c = wide_pipe();
    write_all(c.out, from, SIZE);
    return c;
}

static void posix_spawned(void) {
    find_self();
    for (int i = 0; i < 6; i++) {
        byte *at = viewed(SIZE, NEW), *old = viewed(SIZE, OLD);
        struct channel in = input_of(at), out = wide_pipe();
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, in.in, 0);
        posix_spawn_file_actions_adddup2(&actions, out.out, 1);
        if (i % 2)
            posix_spawn_file_actions_addclosefrom_np(&actions, 3);
        char *arguments[] = {self, "be-child", NULL};
        pid_t child;
        EXPECT(i < 3 ? posix_spawn(&child, self, &actions, NULL, arguments, environ)
                     : posix_spawnp(&child, self, &actions, NULL, arguments, environ),
               0);
        waited(child, 21 << 8);
        EXPECT_STREAM(out.in, SIZE, NEW, 0);
        EXPECT_BYTES(old, SIZE, OLD, 0);
        EXPECT_BYTES(at, SIZE, NEW, 0);
        posix_spawn_file_actions_destroy(&actions);
        close_channel(in), close_channel(out);
    }
    pid_t child;
    EXPECT(posix_spawn(&child, "/does/not/exist", NULL, NULL, (char *[]){"x", NULL}, environ),
           ENOENT);
}

static void systems(void) {
    byte *at = viewed(SIZE, OLD);
    for (int i = 0; i < 3; i++) {
        EXPECT(system("exit 7"), 7 << 8);
        EXPECT(system("echo from the shell"), 0);
        EXPECT(system("kill -9 $$"), 9);
        at[i * 20000] ^= 0;
    }
    EXPECT_BYTES(at, SIZE, OLD, 0);
}

static void pipelines(void) {
    byte *at = viewed(SIZE, NEW), *into = viewed(SIZE, OLD);
    FILE *command = popen("cat; exit 4", "r");
    EXPECT(pclose(command), 4 << 8);
    int file = temporary_file(0);
    write_all(file, at, SIZE);
    char line[64];
    snprintf(line, sizeof line, "cat <&%d", file);
    fcntl(file, F_SETFD, 0);
    lseek(file, 0, SEEK_SET);
    command = popen(line, "r");
    EXPECT(fread(into, 1, SIZE, command), SIZE);
    EXPECT(pclose(command), 0);
    EXPECT_BYTES(into, SIZE, NEW, 0);
    int target = temporary_file(0);
    fcntl(target, F_SETFD, 0);
    snprintf(line, sizeof line, "cat >&%d", target);
    command = popen(line, "w");
    EXPECT(fwrite(into, 1, SIZE, command), SIZE);
    EXPECT(pclose(command), 0);
    lseek(target, 0, SEEK_SET);
    EXPECT_STREAM(target, SIZE, NEW, 0);
}

/* daemon() forks, and the first process leaves by _exit. */
static void daemons(void) {
    struct channel c = wide_pipe();
    byte *at = viewed(SIZE, OLD);
    pid_t child = fork();
    if (child == 0) {
        byte *more = viewed(SIZE, NEW);
        if (daemon(1, 1))
            _exit(1);
        EXPECT_BYTES(at, SIZE, OLD, 0);
        write_all(c.out, more, SIZE);
        feed(at, SIZE, OTHER, 0);
        EXPECT_BYTES(at, SIZE, OTHER, 0);
        write_all(c.out, at, SIZE);
        char verdict = failures ? 'n' : 'y';
        write_all(c.out, &verdict, 1);
        _exit(0);
    }
    waited(child, 0);
    EXPECT_STREAM(c.in, SIZE, NEW, 0);
    EXPECT_STREAM(c.in, SIZE, OTHER, 0);
    char verdict;
    read_all(c.in, &verdict, 1);
    EXPECT(verdict, 'y');
    EXPECT_BYTES(at, SIZE, OLD, 0);
}

/* exec replaces a process with views, threads in IO and all. */
struct waiting {
    struct channel never;
    byte *at;
};
static void *blocked(void *argument) {
    struct waiting *w = argument;
    read(w->never.in, w->at, SIZE);
    return NULL;
}
static void exec_with_views(void) {
    find_self();
    for (int i = 0; i < 4; i++) {
        byte *from = stream_bytes(SIZE, NEW, 0);
        struct channel in = input_of(from), out = wide_pipe();
        pid_t child = fork();
        if (child == 0) {
            struct waiting w = {unix_pair(SOCK_STREAM), viewed(SIZE, OLD)};
            byte *at = viewed(SIZE, OLD);
            if (i > 1)
                start(blocked, &w);
            char **arguments = (char **)(at + 3 * PAGE - 8); /* the arguments lie in views */
            char *name = (char *)(at + 9 * PAGE - 4);
            strcpy(name, "be-child");
            arguments[0] = self, arguments[1] = name, arguments[2] = NULL;
            dup2(in.in, 0), dup2(out.out, 1);
            if (i % 2)
                close_range(3, ~0u, 0);
            execv(self, arguments);
            _exit(127);
        }
        waited(child, 21 << 8);
        EXPECT_STREAM(out.in, SIZE, NEW, 0);
        close_channel(in), close_channel(out);
    }
    /* An exec that fails leaves everything as it was. */
    byte *at = viewed(SIZE, OLD), *copied = region(SIZE);
    copy(copied, at, SIZE);
    EXPECT_ERROR(ENOENT, execl("/does/not/exist", "x", NULL));
    EXPECT_ERROR(EACCES, execl("/dev/null", "x", NULL));
    EXPECT_BYTES(copied, SIZE, OLD, 0);
    feed(at, SIZE, NEW, 0);
    EXPECT_BYTES(at, SIZE, NEW, 0);
}

/* The last thread to leave is not the first that came: exec from a thread. */
static void *exec_from_here(void *argument) {
    (void)argument;
    byte *at = viewed(SIZE, OLD);
    EXPECT(at[7], byte_of(OLD, 7));
    execl(self, self, "be-child", NULL);
    return NULL;
}
static void exec_from_thread(void) {
    find_self();
    byte *from = stream_bytes(SIZE, NEW, 0);
    struct channel in = input_of(from), out = wide_pipe();
    pid_t child = fork();
    if (child == 0) {
        dup2(in.in, 0), dup2(out.out, 1);
        pthread_join(start(exec_from_here, NULL), NULL);
        _exit(127);
    }
    waited(child, 21 << 8);
    EXPECT_STREAM(out.in, SIZE, NEW, 0);
}

/* A program that is started without zIO inherits no descriptor of zIO's. */
static void inherited_descriptors(void) {
    char *arguments[] = {"sh", "-c", "for f in /proc/self/fd/*; do echo ${f##*/}; done", NULL};
    char *environment[] = {"PATH=/usr/bin:/bin", NULL};
    byte *at = viewed(SIZE, OLD);
    for (int way = 0; way < 3; way++) {
        pid_t child = -1;
        if (way == 0) {
            EXPECT(posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, environment), 0);
        } else if ((child = way == 1 ? fork() : _Fork()) == 0) {
            if (way == 1) /* a child that has counters and a descriptor of its own by now */
                EXPECT_BYTES(viewed(SIZE, NEW), SIZE, NEW, 0);
            execve("/bin/sh", arguments, environment);
            _exit(127);
        }
        waited(child, 0);
    }
    EXPECT_BYTES(at, SIZE, OLD, 0);
}

int main(int argc, char **argv) {
    static const struct subcase cases[] = {{"posix-spawn", posix_spawned},
                                           {"system", systems},
                                           {"popen", pipelines},
                                           {"daemon", daemons},
                                           {"exec-with-views", exec_with_views},
                                           {"exec-from-thread", exec_from_thread},
                                           {"inherited-descriptors", inherited_descriptors}};
    if (argc > 1 && strcmp(argv[1], "be-child") == 0)
        be_child();
    return run_subcase(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
