/* The environment of a program that the library must not be preloaded into: the same strings, but
 * for the lists that name it. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <zio/syscall.h>

#include "exec_target.h"
#include "hooks/readable.h"
#include "instance.h"
#include "preload_list.h"
#include "sanitizer_name.h"

enum { VARIABLES_MAX = 2048, LIST_MAX = 8192, PAGE = 4096 };

static const char *own_name;

void zio__exec_set_up(void) {
    Dl_info ours;
    if (dladdr((void *)zio__exec_set_up, &ours))
        own_name = ours.dli_fname;
}

/* The program may give us anything; the kernel would say EFAULT. */
struct checked {
    uintptr_t pages[2];
};

static bool is_readable(struct checked *checked, int which, const void *at) {
    uintptr_t page = (uintptr_t)at / PAGE * PAGE;
    if (page == checked->pages[which])
        return true;
    /* At NULL nothing would be read. */
    if (page == 0 || !zio__is_readable_word(page))
        return false;
    checked->pages[which] = page;
    return true;
}

static const char name[] = "LD_PRELOAD=";
enum { NAME_BYTES = sizeof name - 1 };

/* The list that a variable holds when it is LD_PRELOAD and can be read; else NULL. */
static const char *list_of(struct checked *checked, const char *variable, size_t *length) {
    for (size_t i = 0; i < NAME_BYTES; i++)
        if (!is_readable(checked, 1, variable + i) || variable[i] != name[i])
            return NULL;
    for (*length = 0; *length < LIST_MAX; ++*length) {
        if (!is_readable(checked, 1, variable + NAME_BYTES + *length))
            return NULL;
        if (!variable[NAME_BYTES + *length])
            return variable + NAME_BYTES;
    }
    return NULL;
}

static bool list_has_sanitizer(const char *list) {
    struct zio__word word = {0};
    while (zio__next_word(list, &word)) {
        size_t base = word.start + word.length;
        while (base > word.start && list[base - 1] != '/')
            base--;
        if (zio__is_sanitizer(list + base))
            return true;
    }
    return false;
}

/* The loader opens what has a slash and stands for nothing else by just that name. */
static bool can_be_opened(const char *path) {
    bool slash = false;
    for (const char *at = path; *at; at++) {
        if (*at == '$')
            return true;
        slash = slash || *at == '/';
    }
    if (!slash)
        return true;
    long fd = zio_syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        zio_syscall(SYS_close, fd);
    return fd >= 0 || fd == -EMFILE || fd == -ENFILE;
}

struct found {
    size_t variables, list_bytes;
    bool ours, sanitizer;
};

/* False: the library is not in it, or nothing may be looked at. */
static bool look(struct checked *checked, char *const environment[], struct found *found) {
    *found = (struct found){0};
    if (!own_name || !environment || atomic_load(&zio__confined))
        return false;
    for (;; found->variables++) {
        size_t length;
        char *const *at = environment + found->variables;
        if (found->variables == VARIABLES_MAX || !is_readable(checked, 0, at))
            return false;
        if (!*at)
            break;
        const char *list = list_of(checked, *at, &length);
        if (!list)
            continue;
        found->list_bytes += NAME_BYTES + length + 1;
        found->ours = found->ours || zio__has_word(list, own_name);
        found->sanitizer = found->sanitizer || list_has_sanitizer(list);
    }
    return found->ours && zio__has_stack();
}

bool zio__exec_may_change(char *const environment[]) {
    struct checked checked = {{1, 1}};
    struct found found;
    return look(&checked, environment, &found);
}

size_t zio__exec_room(const struct zio__exec_target *target, char *const environment[]) {
    struct checked checked = {{1, 1}};
    struct found found;
    if (!target->path || !look(&checked, environment, &found) ||
        !is_readable(&checked, 1, target->path))
        return 0;
    if (!found.sanitizer && can_be_opened(own_name) && zio__may_be_preloaded(target))
        return 0;
    return (found.variables + 1) * sizeof(char *) + found.list_bytes;
}

/* Other threads may change the environment meanwhile: nothing beyond the room is written. */
char *const *zio__exec_environment(char *const environment[], void *room, size_t bytes) {
    struct checked checked = {{1, 1}};
    char **made = room, **next = made;
    char *text = (char *)room + bytes;
    for (size_t i = 0; environment[i] && (char *)(next + 2) <= text; i++) {
        size_t length = 0;
        const char *list = list_of(&checked, environment[i], &length);
        size_t needed = NAME_BYTES + length + 1;
        if (!list || (size_t)(text - (char *)(next + 2)) < needed) {
            *next++ = environment[i];
            continue;
        }
        char *copy = text - needed;
        for (size_t at = 0; at < needed; at++)
            copy[at] = environment[i][at];
        if (zio__remove_word(copy + NAME_BYTES, own_name) == 0)
            continue;
        *next++ = text = copy;
    }
    *next = NULL;
    if (zio__tracker.counters)
        zio_tracker_count(&zio__tracker, ZIO_COUNT_not_preloaded, 1);
    return made;
}
