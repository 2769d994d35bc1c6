/* Case 19: a program starts others that no library can be preloaded into, in every way there is; or
 * starts them where its own libraries are not to be found. The second argument is the other
 * program. */
#include "channels.h"
#include <libgen.h>
#include <link.h>
#include <spawn.h>
#include <sys/stat.h>

enum { OLD = 1 };
#define SIZE (192 * KIB)
extern char **environ;

static char *program, *base;
static char *arguments[] = {"other", "one", "two", NULL};

/* The environment with one variable more. */
static char **told(void) {
    static char *made[4096];
    size_t count = 0;
    for (; environ[count] && count < 4000; count++)
        made[count] = environ[count];
    made[count] = "TOLD=told";
    made[count + 1] = NULL;
    return made;
}

static int by_execve(void) {
    return execve(program, arguments, told());
}
static int by_execv(void) {
    return execv(program, arguments);
}
static int by_execvp(void) {
    return execvp(base, arguments);
}
static int by_execvpe(void) {
    return execvpe(base, arguments, told());
}
static int by_execl(void) {
    return execl(program, "other", "one", NULL);
}
static int by_execlp(void) {
    return execlp(base, "other", NULL);
}
static int by_execle(void) {
    return execle(program, "other", "1", "2", "3", "4", "5", "6", "7", NULL, told());
}
static int by_fexecve(void) {
    return fexecve(open(program, O_RDONLY | O_CLOEXEC), arguments, told());
}
static int by_execveat(void) {
    int directory = open(dirname(strdup(program)), O_PATH | O_DIRECTORY);
    return (int)syscall(SYS_execveat, directory, base, arguments, told(), 0);
}
static int by_syscall(void) {
    return (int)syscall(SYS_execve, program, arguments, environ);
}
static int by_script(void) {
    int fd = open("script", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    dprintf(fd, "#! %s -x y\nnot read\n", program);
    close(fd);
    return execv("./script", arguments);
}
static int (*const forms[])(void) = {by_execve,   by_execv,   by_execvp, by_execvpe,
                                     by_execl,    by_execlp,  by_execle, by_fexecve,
                                     by_execveat, by_syscall, by_script};

static void waited(const char *what, size_t index, pid_t child) {
    int status = -1;
    if (waitpid(child, &status, 0) != child)
        die("waitpid");
    say("%s %zu: %d\n", what, index, status);
}

static void needed(void) {
    if (!program)
        die("which program?");
    base = strrchr(program, '/') + 1;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "/does/not/exist:%.*s:%s", (int)(base - 1 - program), program,
             getenv("PATH"));
    setenv("PATH", path, 1);
}

static void executed(void) {
    byte *at = viewed(SIZE, OLD);
    needed();
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        pid_t child = i % 2 ? fork() : vfork();
        if (child == 0) {
            forms[i]();
            _exit(99);
        }
        waited("form", i, child);
    }
    EXPECT_BYTES(at, SIZE, OLD, 0);
}

static void spawned(void) {
    byte *at = viewed(SIZE, OLD);
    pid_t child = 0;
    needed();
    EXPECT(posix_spawn(&child, program, NULL, NULL, arguments, told()), 0);
    waited("posix_spawn", 0, child);
    EXPECT(posix_spawnp(&child, base, NULL, NULL, arguments, environ), 0);
    waited("posix_spawnp", 0, child);
    say("system: %d\n", system(base));
    FILE *stream = popen(base, "r");
    char line[100] = "";
    EXPECT(fgets(line, sizeof line, stream) != NULL, 1);
    say("popen: %s", line);
    say("pclose: %d\n", pclose(stream));
    EXPECT_BYTES(at, SIZE, OLD, 0);
}

/* What cannot be executed, or read, fails as it does plain. */
static void refused(void) {
    byte *at = viewed(SIZE, OLD);
    char *nowhere = (char *)16, *bad[] = {nowhere, NULL};
    char **volatile no_list = (char **)nowhere;
    needed();
    EXPECT_ERROR(EFAULT, execve(nowhere, arguments, environ));
    EXPECT_ERROR(EFAULT, execve(program, arguments, no_list));
    EXPECT_ERROR(EFAULT, execve(program, arguments, bad));
    EXPECT_ERROR(ENOENT, execve("", arguments, environ));
    EXPECT_ERROR(ENOENT, execvp("", arguments));
    EXPECT_ERROR(ENOENT, execvp("is-in-no-directory", arguments));
    EXPECT_ERROR(EACCES, execve("/dev/null", arguments, environ));
    EXPECT_ERROR(EACCES, execve("/", arguments, environ));
    EXPECT(mkfifo("fifo", 0755), 0);
    EXPECT_ERROR(EACCES, execv("./fifo", arguments));
    static const char *const starts[] = {"", "#!", "#!/does/not/exist", "\177ELF\2\1\1",
                                         "#! ./itself"};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        int fd = open("itself", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
        write_all(fd, starts[i], strlen(starts[i]));
        close(fd);
        errno = 0;
        int result = execv("./itself", arguments);
        say("start %zu: %d %s\n", i, result, errno_name(errno));
    }
    EXPECT_BYTES(at, SIZE, OLD, 0);
}

static void copy_file(const char *from, const char *to) {
    char piece[4096];
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    for (ssize_t n; (n = read(in, piece, sizeof piece)) > 0;)
        write_all(out, piece, (size_t)n);
    close(in), close(out);
}

/* The C library and its loader, to where they are in the new root. */
static int copy_library(struct dl_phdr_info *info, size_t size, void *unused) {
    (void)size, (void)unused;
    char to[PATH_MAX];
    if (!strstr(info->dlpi_name, "libc.so") && !strstr(info->dlpi_name, "ld-linux"))
        return 0;
    snprintf(to, sizeof to, "root%s", info->dlpi_name);
    for (char *slash = strchr(to, '/'); (slash = strchr(slash + 1, '/'));) {
        *slash = 0;
        mkdir(to, 0755);
        *slash = '/';
    }
    copy_file(info->dlpi_name, to);
    return 0;
}

/* A new root directory with a program and libc in it, and no more. */
static void elsewhere(void) {
    if (geteuid())
        skip("only root can change its root");
    byte *at = viewed(SIZE, OLD);
    needed();
    EXPECT(mkdir("root", 0755), 0);
    dl_iterate_phdr(copy_library, NULL);
    copy_file(program, "root/other");
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        if (child == 0) {
            EXPECT(chroot("root"), 0);
            EXPECT(chdir("/"), 0);
            if (i == 0)
                execv("/other", arguments);
            else
                execle("/other", "other", NULL, told());
            die("exec");
        }
        waited("elsewhere", (size_t)i, child);
    }
    EXPECT_BYTES(at, SIZE, OLD, 0);
}

int main(int argc, char **argv) {
    static const struct subcase cases[] = {{"executed", executed},
                                           {"spawned", spawned},
                                           {"refused", refused},
                                           {"elsewhere", elsewhere}};
    program = argc > 2 ? argv[2] : NULL;
    return run_subcase(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
