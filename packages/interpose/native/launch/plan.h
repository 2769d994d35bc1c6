/* What `zio run` decided, as the launcher reads it from a file: strings ended by NUL, in this
 * order: "zio-plan", "1", the mode ("exec" or "supervise"), the path of the program, then three
 * lists, each its length and its strings: the program's arguments, the program's environment, the
 * arguments of the command to run after a supervised program. Bytes pass unchanged. */
#ifndef ZIO_LAUNCH_PLAN_H
#define ZIO_LAUNCH_PLAN_H

#include <stdbool.h>

struct launch_plan {
    bool supervise;
    char *path;
    char **arguments;   /* NULL at the end, as for execve */
    char **environment; /* likewise */
    char **afterwards;  /* likewise, with room for ZIO_LAUNCH_REPORTED more strings */
};

enum { ZIO_LAUNCH_REPORTED = 3 };

/* Reads and unlinks `file`, which must be a regular file of the caller's that nobody else can
 * open. Returns NULL, or what is wrong as a static string. The plan is never freed. */
const char *read_plan(const char *file, struct launch_plan *plan);

/* Replaces the process by the program; where that fails, says so in one line on stderr and returns
 * the shell's status for it: 127 when it is not there, else 126. */
int run_program(const struct launch_plan *plan);

/* Runs the program as a child, hands on signals, stops when it stops, runs the command for
 * afterwards (with the child's pid, "exited" or "killed", and the status or signal as further
 * arguments) and ends as the child ended. */
_Noreturn void supervise_program(const struct launch_plan *plan);

#endif
