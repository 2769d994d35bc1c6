/* What memory there is for a process: the machine's, or what its cgroup and those above allow. */
#include "instance.h"

#include <zio/syscall.h>

enum { PATH_BYTES = 4096 };

/* The number in a file such as memory.max; UINT64_MAX: it has none ("max"), or there is no file. */
static uint64_t read_limit(const char *path) {
    char text[32];
    uint64_t value = 0;
    if (zio__read_small_file(path, text, sizeof text) == 0 || text[0] < '0' || text[0] > '9')
        return UINT64_MAX;
    for (const char *digit = text; *digit >= '0' && *digit <= '9'; digit++)
        value =
            value > UINT64_MAX / 10 - 10 ? UINT64_MAX / 2 : value * 10 + (uint64_t)(*digit - '0');
    return value;
}

static size_t append(char *to, size_t at, const char *text, size_t length) {
    for (size_t i = 0; i < length && at + 1 < PATH_BYTES; i++)
        to[at++] = text[i];
    to[at] = 0;
    return at;
}

static size_t length_of(const char *text) {
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

/* The least limit of the cgroup [group, +length) below `root` and of those above it. */
static uint64_t least_limit(const char *root, const char *group, size_t length, const char *file) {
    char path[PATH_BYTES];
    uint64_t least = UINT64_MAX;
    for (;;) {
        while (length > 0 && group[length - 1] == '/')
            length--;
        size_t at = append(path, 0, root, length_of(root));
        at = append(path, at, group, length);
        at = append(path, at, "/", 1);
        append(path, at, file, length_of(file));
        uint64_t limit = read_limit(path);
        if (limit < least)
            least = limit;
        if (length == 0)
            return least;
        while (length > 0 && group[length - 1] != '/')
            length--;
    }
}

/* Whether [line, +length) of /proc/self/cgroup, "ID:CONTROLLERS:PATH", names the controller. */
static bool names_controller(const char *controllers, size_t length, const char *name) {
    size_t wanted = length_of(name);
    for (size_t i = 0; i + wanted <= length; i++) {
        size_t same = 0;
        while (same < wanted && controllers[i + same] == name[same])
            same++;
        bool begins = i == 0 || controllers[i - 1] == ',';
        bool ends = i + wanted == length || controllers[i + wanted] == ',';
        if (same == wanted && begins && ends)
            return true;
    }
    return false;
}

static uint64_t limit_of_line(const char *line, size_t length) {
    size_t first = 0, second;
    while (first < length && line[first] != ':')
        first++;
    for (second = first + 1; second < length && line[second] != ':';)
        second++;
    if (second >= length)
        return UINT64_MAX;
    const char *path = line + second + 1;
    size_t path_length = length - second - 1;
    if (second == first + 1)
        return least_limit("/sys/fs/cgroup", path, path_length, "memory.max");
    if (names_controller(line + first + 1, second - first - 1, "memory"))
        return least_limit("/sys/fs/cgroup/memory", path, path_length, "memory.limit_in_bytes");
    return UINT64_MAX;
}

static uint64_t cgroup_limit(void) {
    char text[PATH_BYTES];
    uint64_t least = UINT64_MAX;
    size_t end, length = zio__read_small_file("/proc/self/cgroup", text, sizeof text);
    for (size_t start = 0; start < length; start = end + 1) {
        for (end = start; end < length && text[end] != '\n';)
            end++;
        uint64_t limit = limit_of_line(text + start, end - start);
        if (limit < least)
            least = limit;
    }
    return least;
}

uint64_t zio__default_memory_limit(void) {
    struct {
        long uptime;
        unsigned long loads[3], total, free, shared, buffer, total_swap, free_swap;
        unsigned short processes, pad;
        unsigned long total_high, free_high;
        unsigned unit;
        char reserved[64];
    } info;
    uint64_t memory = UINT64_C(1) << 30, allowed = cgroup_limit();
    if (zio_syscall(SYS_sysinfo, &info) == 0)
        memory = (uint64_t)info.total * info.unit;
    return (allowed < memory ? allowed : memory) / 4;
}
