/* What a program that is about to be executed is, and the environment that it gets. Runs in
 * children of vfork and in signal handlers: system calls by the instruction, no memory but the
 * caller's stack. */
#ifndef ZIO_EXEC_TARGET_H
#define ZIO_EXEC_TARGET_H

#include <stdbool.h>
#include <stddef.h>

/* What is executed: `path` below `directory` (AT_FDCWD), or where that is empty the descriptor
 * itself. */
struct zio__exec_target {
    int directory;
    const char *path;
};

/* False for a program of another architecture or libc, at which the dynamic loader would complain
 * or fail, and for one that loads a sanitizer's runtime, which must come first. What cannot be read
 * or is not known may be. */
bool zio__may_be_preloaded(const struct zio__exec_target *target);

/* From the constructor: by what name the library was preloaded. */
void zio__exec_set_up(void);

/* Whether the library is in that environment, so that the program matters. */
bool zio__exec_may_change(char *const environment[]);

/* How many bytes the environment without the library takes; 0: it stays as it is, because the
 * library is not in it or the program may be preloaded into. */
size_t zio__exec_room(const struct zio__exec_target *target, char *const environment[]);
/* Makes it in that much memory, aligned for pointers, and counts. */
char *const *zio__exec_environment(char *const environment[], void *room, size_t bytes);

#endif
