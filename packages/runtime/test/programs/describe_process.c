/* Prints what a program can see of how it was started, apart from zIO's own variables: the same
 * text must come from a plain start and from one by `zio run`. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

static void print_bytes(const char *name, const char *bytes) {
    printf("%s ", name);
    for (; *bytes; bytes++)
        printf("%02x", (unsigned char)*bytes);
    putchar('\n');
}

static void print_status_lines(void) {
    char line[512];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, "Sig", 3) == 0 || strncmp(line, "Cap", 3) == 0 ||
            strncmp(line, "NoNewPrivs", 10) == 0 || strncmp(line, "Cpus_allowed:", 13) == 0)
            if (strncmp(line, "SigQ", 4) != 0)
                fputs(line, stdout);
    if (status)
        fclose(status);
}

static void describe_descriptors(FILE *to) {
    for (int fd = 0; fd < 64; fd++) {
        int flags = fcntl(fd, F_GETFD), status = fcntl(fd, F_GETFL);
        char path[64], target[512] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (flags >= 0 && readlink(path, target, sizeof target - 1) >= 0)
            fprintf(to, "fd %d: flags %d, status %x, %s\n", fd, flags, status,
                    strchr(target, '[') ? "a pipe or socket" : target);
    }
}

static int is_ours(const char *entry) {
    return strncmp(entry, "ZIO_", 4) == 0 || strncmp(entry, "LD_PRELOAD=", 11) == 0;
}

/* Descriptors may be closed on purpose: then the text goes to the file that DESCRIBE_TO names. */
int main(int argc, char **argv) {
    const char *file = getenv("DESCRIBE_TO");
    char *descriptors;
    size_t length;
    FILE *memory = open_memstream(&descriptors, &length);
    describe_descriptors(memory);
    fclose(memory);
    if (file && !freopen(file, "w", stdout))
        return 1;
    fputs(descriptors, stdout);
    printf("pid %d, group %d, session %d, parent %d\n", getpid(), getpgrp(), getsid(0), getppid());
    for (int i = 0; i < argc; i++)
        print_bytes("argument", argv[i]);
    for (char **entry = environ; *entry; entry++)
        if (!is_ours(*entry))
            print_bytes("variable", *entry);
    for (int resource = 0; resource < RLIMIT_NLIMITS; resource++) {
        struct rlimit limit;
        if (getrlimit(resource, &limit) == 0)
            printf("limit %d: %lx %lx\n", resource, (long)limit.rlim_cur, (long)limit.rlim_max);
    }
    print_status_lines();
    char directory[4096];
    printf("umask %o, nice %d, dumpable %d, in %s\n", (unsigned)umask(0),
           getpriority(PRIO_PROCESS, 0), prctl(PR_GET_DUMPABLE),
           getcwd(directory, sizeof directory));
    return 0;
}
