/* Reads the plan. Owns the memory it lies in; trusts the file once its owner and mode are right. */
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct cursor {
    char *at, *end;
};

static char *next_string(struct cursor *cursor) {
    char *start = cursor->at;
    char *zero = start < cursor->end ? memchr(start, '\0', (size_t)(cursor->end - start)) : NULL;
    if (!zero)
        return NULL;
    cursor->at = zero + 1;
    return start;
}

static char **next_list(struct cursor *cursor, size_t spare) {
    const char *count_text = next_string(cursor);
    if (!count_text)
        return NULL;
    size_t count = strtoul(count_text, NULL, 10);
    if (count > (size_t)(cursor->end - cursor->at))
        return NULL;
    char **list = calloc(count + spare + 1, sizeof *list);
    for (size_t i = 0; list && i < count; i++)
        if (!(list[i] = next_string(cursor)))
            return NULL;
    return list;
}

static char *read_file(int fd, size_t length) {
    char *bytes = malloc(length + 1);
    for (size_t done = 0; bytes && done < length;) {
        ssize_t n = read(fd, bytes + done, length - done);
        if (n == 0 || (n < 0 && errno != EINTR))
            return NULL;
        done += n > 0 ? (size_t)n : 0;
    }
    return bytes;
}

const char *read_plan(const char *file, struct launch_plan *plan) {
    /* With descriptors 0-2 closed this may be one of them: it must not outlive this function. */
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0)
        return strerror(errno);
    if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077) != 0)
        return "not a private file of this user";
    unlink(file);
    char *bytes = read_file(fd, (size_t)status.st_size);
    close(fd);
    if (!bytes)
        return "unreadable";

    struct cursor cursor = {bytes, bytes + status.st_size};
    const char *magic = next_string(&cursor), *version = next_string(&cursor);
    const char *mode = next_string(&cursor);
    if (!mode || strcmp(magic, "zio-plan") != 0 || strcmp(version, "1") != 0)
        return "not a plan of version 1; the command and the launcher are of different versions";
    plan->supervise = strcmp(mode, "supervise") == 0;
    plan->path = next_string(&cursor);
    plan->arguments = next_list(&cursor, 0);
    plan->environment = next_list(&cursor, 0);
    plan->afterwards = next_list(&cursor, ZIO_LAUNCH_REPORTED);
    if (!plan->path || !plan->arguments || !plan->environment || !plan->afterwards)
        return "cut short";
    return NULL;
}
