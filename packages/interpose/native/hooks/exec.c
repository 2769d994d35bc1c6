/* The hooks on exec and posix_spawn: the library is left out of LD_PRELOAD for a program that it
 * does not suit. libc's own calls of execve do not pass by here, so each of its forms is hooked.
 * They may run in a child of vfork. */
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <zio/syscall.h>

#include "../exec_target.h"
#include "../instance.h"
#include "../logged_files.h"
#include "hook_table.h"

enum { PATH_BYTES = 1024 };

/* A call with the environment that the program at `where` gets; `made` stands for it. */
#define ZIO_WITH_ENVIRONMENT(where, given, call)                                                   \
    size_t bytes = zio__exec_room(where, given);                                                   \
    if (zio__follows() && (bytes > 0 || !zio__exec_may_change(given)))                             \
        zio__files_settle();                                                                       \
    if (bytes == 0) {                                                                              \
        char *const *made = given;                                                                 \
        return call;                                                                               \
    }                                                                                              \
    uintptr_t room[bytes / sizeof(uintptr_t) + 1];                                                 \
    char *const *made = zio__exec_environment(given, room, bytes);                                 \
    return call

ZIO_EXPORT int execve(const char *path, char *const arguments[], char *const environment[]) {
    struct zio__exec_target target = {AT_FDCWD, path};
    ZIO_WITH_ENVIRONMENT(&target, environment, ZIO_REAL(execve)(path, arguments, made));
}

ZIO_EXPORT int execv(const char *path, char *const arguments[]) {
    return execve(path, arguments, environ);
}

/* The kernel's, so that a program finds what it finds without us; glibc has a name since 2.34. */
ZIO_EXPORT int execveat(int directory, const char *path, char *const arguments[],
                        char *const environment[], int flags) {
    struct zio__exec_target target = {directory, path};
    ZIO_WITH_ENVIRONMENT(
        &target, environment,
        (int)ZIO_REAL(syscall)(SYS_execveat, directory, path, arguments, made, flags));
}

ZIO_EXPORT int fexecve(int fd, char *const arguments[], char *const environment[]) {
    struct zio__exec_target target = {fd, ""};
    ZIO_WITH_ENVIRONMENT(&target, environment, ZIO_REAL(fexecve)(fd, arguments, made));
}

/* Appends `name` to the first `length` bytes of a directory's. */
static bool join(char *path, const char *directory, size_t length, const char *name) {
    size_t at = 0;
    for (; at < length && at < PATH_BYTES - 2; at++)
        path[at] = directory[at];
    if (at > 0)
        path[at++] = '/';
    while (*name && at < PATH_BYTES - 1)
        path[at++] = *name++;
    path[at] = 0;
    return *name == 0;
}

/* Which file a search in PATH finds. */
static const char *find(const char *name, char *path) {
    const char *list = getenv("PATH");
    for (const char *at = name; *at; at++)
        if (*at == '/')
            return name;
    for (list = list ? list : "/bin:/usr/bin"; *name; list++) {
        size_t length = 0;
        while (list[length] && list[length] != ':')
            length++;
        if (join(path, list, length, name) && zio_syscall(SYS_faccessat, AT_FDCWD, path, X_OK) == 0)
            return path;
        list += length;
        if (!*list)
            break;
    }
    return NULL;
}

ZIO_EXPORT int execvpe(const char *name, char *const arguments[], char *const environment[]) {
    char path[PATH_BYTES];
    struct zio__exec_target target = {AT_FDCWD, NULL};
    if (zio__exec_may_change(environment))
        target.path = find(name, path);
    ZIO_WITH_ENVIRONMENT(&target, environment, ZIO_REAL(execvpe)(name, arguments, made));
}

ZIO_EXPORT int execvp(const char *name, char *const arguments[]) {
    return execvpe(name, arguments, environ);
}

/* What follows the first argument, up to and with the NULL. */
static size_t count_arguments(va_list rest) {
    size_t count = 1;
    while (va_arg(rest, char *))
        count++;
    return count;
}

static void take_arguments(char **arguments, const char *first, va_list *rest) {
    *arguments++ = (char *)first;
    while ((*arguments++ = va_arg(*rest, char *)))
        ;
}

#define ZIO_LISTED(name, call)                                                                     \
    ZIO_EXPORT int name(const char *file, const char *first, ...) {                                \
        va_list rest;                                                                              \
        va_start(rest, first);                                                                     \
        size_t count = count_arguments(rest);                                                      \
        va_end(rest);                                                                              \
        char *arguments[count + 1];                                                                \
        va_start(rest, first);                                                                     \
        take_arguments(arguments, first, &rest);                                                   \
        char *const *environment = environ;                                                        \
        ZIO_LISTED_##name;                                                                         \
        va_end(rest);                                                                              \
        return call(file, arguments, environment);                                                 \
    }
#define ZIO_LISTED_execl  (void)0
#define ZIO_LISTED_execlp (void)0
#define ZIO_LISTED_execle environment = va_arg(rest, char **)
ZIO_LISTED(execl, execve)
ZIO_LISTED(execlp, execvpe)
ZIO_LISTED(execle, execve)

ZIO_EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                           const posix_spawnattr_t *attributes, char *const arguments[],
                           char *const environment[]) {
    struct zio__exec_target target = {AT_FDCWD, path};
    ZIO_WITH_ENVIRONMENT(&target, environment,
                         ZIO_REAL(posix_spawn)(pid, path, actions, attributes, arguments, made));
}

ZIO_EXPORT int posix_spawnp(pid_t *pid, const char *name, const posix_spawn_file_actions_t *actions,
                            const posix_spawnattr_t *attributes, char *const arguments[],
                            char *const environment[]) {
    char path[PATH_BYTES];
    struct zio__exec_target target = {AT_FDCWD, NULL};
    if (zio__exec_may_change(environment))
        target.path = find(name, path);
    ZIO_WITH_ENVIRONMENT(&target, environment,
                         ZIO_REAL(posix_spawnp)(pid, name, actions, attributes, arguments, made));
}
