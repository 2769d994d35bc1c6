/* zio-launch: starts the program of `zio run` from the process that was asked to, so that nothing
 * but its environment differs from a plain start: Node would have changed signal dispositions, the
 * limit of open files, descriptor flags and the pid. `zio` (a shell script) lets Node write a plan
 * and then becomes this program. Must never touch standard output or input. */
#include "plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

/* As execvp does for a script without an interpreter line. */
static void run_by_shell(const struct launch_plan *plan) {
    size_t count = 0;
    while (plan->arguments[count])
        count++;
    char **arguments = calloc(count + 3, sizeof *arguments);
    if (!arguments)
        return;
    arguments[0] = "/bin/sh";
    arguments[1] = plan->path;
    for (size_t i = 1; i < count; i++)
        arguments[i + 1] = plan->arguments[i];
    execve(arguments[0], arguments, plan->environment);
}

int run_program(const struct launch_plan *plan) {
    execve(plan->path, plan->arguments, plan->environment);
    int error = errno;
    if (error == ENOEXEC) {
        run_by_shell(plan);
        error = errno;
    }
    dprintf(STDERR_FILENO, "zio: cannot run %s: %s\n", plan->path, strerror(error));
    return error == ENOENT ? 127 : 126;
}

int main(int argc, char **argv) {
    /* The one question about a program that Node cannot ask: status 0 when it has capabilities. */
    if (argc == 3 && strcmp(argv[1], "--has-file-capabilities") == 0)
        return getxattr(argv[2], "security.capability", NULL, 0) >= 0 ? 0 : 1;
    if (argc != 2) {
        dprintf(STDERR_FILENO, "zio-launch is started by zio run; it takes the file of a plan\n");
        return 2;
    }
    struct launch_plan plan;
    const char *problem = read_plan(argv[1], &plan);
    if (problem) {
        dprintf(STDERR_FILENO, "zio: cannot read the plan %s: %s\n", argv[1], problem);
        return 126;
    }
    if (plan.supervise)
        supervise_program(&plan);
    return run_program(&plan);
}
