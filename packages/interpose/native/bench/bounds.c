/* What no log can beat: a preload library that makes writes to files whose names end in ZIO_BOUND_FILES
 * free, or (ZIO_BOUND=copied) has a thread copy as many bytes into the file meanwhile, as a digest must
 * that copies each byte once. The data are not the program's, so nobody may read the files after it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum {
    DESCRIPTORS = 4096,
    PATH_BYTES = 4096,
    SOURCE_BYTES = 12 << 20, /* a log that is applied while it is in the caches */
    STEP_BYTES = 1 << 20,
    PENDING_MAX = 64 << 20,
};

enum { UNKNOWN, OTHER, BOUND };
static _Atomic char kinds[DESCRIPTORS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static size_t pending; /* bytes that the thread has not copied yet */
static int target = -1;
static bool started;

static bool has_suffix(int fd) {
    const char *suffix = getenv("ZIO_BOUND_FILES");
    char link[64], path[PATH_BYTES];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path);
    size_t ending = suffix ? strlen(suffix) : 0;
    return ending > 0 && length > (ssize_t)ending &&
           memcmp(path + length - ending, suffix, ending) == 0;
}

static bool is_bound(int fd) {
    if (fd < 0 || fd >= DESCRIPTORS)
        return false;
    if (atomic_load(&kinds[fd]) == UNKNOWN) {
        int saved = errno;
        atomic_store(&kinds[fd], has_suffix(fd) ? BOUND : OTHER);
        errno = saved;
    }
    return atomic_load(&kinds[fd]) == BOUND;
}

static void *copy(void *source) {
    size_t at = 0;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (pending == 0)
            pthread_cond_wait(&changed, &lock);
        size_t bytes = pending < STEP_BYTES ? pending : STEP_BYTES;
        int fd = target;
        pthread_mutex_unlock(&lock);
        syscall(SYS_write, fd, (char *)source + at, bytes);
        at = at + 2 * STEP_BYTES > SOURCE_BYTES ? 0 : at + STEP_BYTES;
        pthread_mutex_lock(&lock);
        pending -= bytes;
        pthread_cond_broadcast(&changed);
    }
    return NULL;
}

static void start(void) {
    pthread_t thread;
    void *source = malloc(SOURCE_BYTES);
    if (source && pthread_create(&thread, NULL, copy, memset(source, 1, SOURCE_BYTES)) == 0)
        pthread_detach(thread);
    started = true;
}

static void leave_to_thread(int fd, size_t bytes) {
    pthread_mutex_lock(&lock);
    if (!started)
        start();
    while (pending > PENDING_MAX)
        pthread_cond_wait(&changed, &lock);
    target = fd;
    pending += bytes;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

EXPORT ssize_t write(int fd, const void *data, size_t bytes) {
    if (!is_bound(fd))
        return syscall(SYS_write, fd, data, bytes);
    const char *bound = getenv("ZIO_BOUND");
    if (bound && strcmp(bound, "copied") == 0)
        leave_to_thread(fd, bytes);
    return (ssize_t)bytes;
}

EXPORT int fdatasync(int fd) {
    return is_bound(fd) ? 0 : (int)syscall(SYS_fdatasync, fd);
}

EXPORT int fsync(int fd) {
    return is_bound(fd) ? 0 : (int)syscall(SYS_fsync, fd);
}

EXPORT int close(int fd) {
    if (fd >= 0 && fd < DESCRIPTORS)
        atomic_store(&kinds[fd], UNKNOWN);
    return (int)syscall(SYS_close, fd);
}
