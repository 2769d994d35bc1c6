/* One line to the file that ZIO_LOG names. */
#include "instance.h"

#include <fcntl.h>
#include <zio/syscall.h>

static size_t append(char *line, size_t at, size_t room, const char *text) {
    while (text && *text && at < room)
        line[at++] = *text++;
    return at;
}

void zio__log(const char *text, const char *detail) {
    char line[256];
    const char *path = zio__settings.log;
    if (!path)
        return;
    size_t length = append(line, 0, sizeof line - 1, "zio: ");
    length = append(line, length, sizeof line - 1, text);
    length = append(line, length, sizeof line - 1, detail);
    line[length++] = '\n';
    static const char standard_error[] = "stderr";
    bool to_stderr = true;
    for (size_t i = 0; i < sizeof standard_error && to_stderr; i++)
        to_stderr = path[i] == standard_error[i];
    long fd = to_stderr ? 2
                        : zio_syscall(SYS_openat, AT_FDCWD, path,
                                      O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0)
        return;
    zio_syscall(SYS_write, fd, line, length);
    if (!to_stderr)
        zio_syscall(SYS_close, fd);
}
