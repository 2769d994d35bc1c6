/* The table of descriptors, and what each turns out to be. An entry is a word: unknown, plain, or
 * the address of a struct zio__logged, which never becomes memory of another kind, so that a reader
 * may look at one that was just given back. */
#include "logged_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <sys/stat.h>
#include <zio/arena.h>
#include <zio/syscall.h>

#include "arena_internal.h"
#include "file_patterns.h"
#include "instance.h"
#include "logged_table.h"
#include "nvm_origins.h"
#include "nvm_pool.h"

/* A plain file may get a name of the patterns, by another process too. */
enum { UNKNOWN = 0, PLAIN = 1, PLAIN_FILE = 2 };

enum state {
    LOGGED,     /* reads and writes go through the log */
    WATCHED,    /* open for reading, and nobody logs it: asked again at each use */
    UNATTACHED, /* the provider would not have it: the same, by attaching */
    LEFT,       /* the kernel's, as long as we have it in use */
};

static _Atomic uintptr_t *table;
static _Atomic int highest = -1;
static struct zio_slab entries;
static _Atomic(struct zio__logged *) kept; /* left for good: in use to the end */

bool zio__is_plain(int fd) {
    if (fd < 0 || fd >= ZIO__DESCRIPTORS)
        return true;
    uintptr_t value = atomic_load_explicit(&table[fd], memory_order_relaxed);
    return value == PLAIN || value == PLAIN_FILE;
}

size_t zio__descriptor_path(int fd, char *path) {
    char link[32] = "/proc/self/fd/";
    char digits[12];
    int count = 0, at = 14;
    unsigned number = (unsigned)fd;
    do
        digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    while (count > 0)
        link[at++] = digits[--count];
    link[at] = 0;
    long length =
        zio_syscall(SYS_readlinkat, AT_FDCWD, link, path, ZIO__FILE_PATH_BYTES - 1);
    if (length <= 0 || length == ZIO__FILE_PATH_BYTES - 1 || path[0] != '/')
        return 0;
    path[length] = 0;
    return (size_t)length;
}

static bool same_file(const struct zio__logged *logged, const struct stat *status) {
    return logged->device == status->st_dev && logged->inode == status->st_ino;
}

static void raise_highest(int fd) {
    int known = atomic_load(&highest);
    while (known < fd && !atomic_compare_exchange_weak(&highest, &known, fd))
        ;
}

void zio__logged_drop(struct zio__logged *logged) {
    if (atomic_fetch_sub(&logged->uses, 1) != 1)
        return;
    struct zio_storage_file *file = atomic_exchange(&logged->file, NULL);
    const struct zio_storage *storage = zio__nvm_storage();
    if (file && storage)
        storage->detach(file);
    zio_slab_free(&entries, logged);
}

/* Takes a use of what an entry pointed to a moment ago. */
static bool take_use(struct zio__logged *logged) {
    uint32_t uses = atomic_load(&logged->uses);
    while (uses != 0)
        if (atomic_compare_exchange_weak(&logged->uses, &uses, uses + 1))
            return true;
    return false;
}

static void replace(int fd, uintptr_t value) {
    uintptr_t old = atomic_exchange(&table[fd], value);
    if (value != UNKNOWN)
        raise_highest(fd);
    if (old > PLAIN_FILE)
        zio__logged_drop((struct zio__logged *)old);
}

static int find(const struct stat *status, struct zio_storage_file **file) {
    const struct zio_storage *storage = zio__nvm_storage();
    return storage ? storage->find(zio__nvm_pool(), status->st_dev, status->st_ino, file)
                   : ZIO_ENOENT;
}

/* Puts the descriptor's file under the log, or says what else becomes of it. */
static int attach(int fd, const struct stat *status, const char *path, bool writes,
                  struct zio_storage_file **file, enum state *state) {
    *file = NULL;
    *state = WATCHED;
    if (find(status, file) == 0) {
        *state = LOGGED;
        if (writes)
            zio__nvm_origins_start();
        return 0;
    }
    if (!writes)
        return 0;
    int result = zio__nvm_storage()->attach(zio__nvm_pool(), fd, path, file);
    *state = result == 0 ? LOGGED : UNATTACHED;
    if (result == 0)
        zio__nvm_origins_start();
    else
        *file = NULL;
    /* What the pool has no room for, or was left to the kernel, stays the kernel's. */
    if (result == 0 || result == ZIO_ENOTSUP || result == ZIO_ENOMEM || result == -ENOSPC ||
        result == -ENFILE || result == -EACCES || result == -EROFS)
        return 0;
    return -EIO;
}

static bool same_text(const char *a, const char *b) {
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

static bool names_ours(int fd, const struct stat *status, char *path) {
    return status->st_nlink > 0 && zio__descriptor_path(fd, path) > 0 &&
           zio__patterns_match(path) && !same_text(path, zio__settings.nvm);
}

/* Looks what is behind a descriptor and puts it into the table. */
int zio__table_classify(int fd) {
    struct stat status;
    struct zio_storage_file *file = NULL;
    enum state state = LOGGED;
    char path[ZIO__FILE_PATH_BYTES];
    long flags;
    if (zio_syscall(SYS_fstat, fd, &status) != 0)
        return 0;
    if (!S_ISREG(status.st_mode) || (flags = zio_syscall(SYS_fcntl, fd, F_GETFL)) < 0 ||
        (flags & O_PATH)) {
        replace(fd, PLAIN);
        return 0;
    }
    if (find(&status, &file) != 0) {
        if (!names_ours(fd, &status, path)) {
            replace(fd, PLAIN_FILE);
            return 0;
        }
        bool writes = (flags & O_ACCMODE) == O_WRONLY || (flags & O_ACCMODE) == O_RDWR;
        int result = zio__nvm_open();
        if (result == 0)
            result = attach(fd, &status, path, writes, &file, &state);
        if (result != 0)
            return result;
    }
    struct zio__logged *logged = zio_slab_alloc(&entries);
    if (!logged) {
        if (file)
            zio__nvm_storage()->detach(file);
        return -ENOMEM;
    }
    logged->device = status.st_dev;
    logged->inode = status.st_ino;
    atomic_store(&logged->state, state);
    atomic_store(&logged->kept, false);
    atomic_store(&logged->file, file);
    atomic_store(&logged->uses, 1);
    replace(fd, (uintptr_t)logged);
    /* It may be open here by another name, which no pattern matched, or since before it got this one. */
    zio__descriptors_look_again(status.st_dev, status.st_ino);
    return 0;
}

/* The entry of a descriptor, classified, with a use; NULL: plain, or none. */
static struct zio__logged *entry_of(int fd) {
    if (fd < 0 || fd >= ZIO__DESCRIPTORS)
        return NULL;
    for (int attempt = 0; attempt < 3; attempt++) {
        uintptr_t value = atomic_load(&table[fd]);
        if (value == UNKNOWN) {
            if (zio__table_classify(fd) != 0)
                return NULL;
            value = atomic_load(&table[fd]);
        }
        if (value <= PLAIN_FILE)
            return NULL;
        struct zio__logged *logged = (struct zio__logged *)value;
        struct stat status;
        if (!take_use(logged))
            continue;
        if (atomic_load(&table[fd]) != value) {
            zio__logged_drop(logged);
            continue;
        }
        if (zio_syscall(SYS_fstat, fd, &status) == 0 && same_file(logged, &status))
            return logged;
        if (atomic_compare_exchange_strong(&table[fd], &value, UNKNOWN))
            zio__logged_drop(logged);
        zio__logged_drop(logged);
    }
    return NULL;
}

/* A file that nobody logged when it was looked at last. */
static bool look_anew(struct zio__logged *logged, int fd) {
    struct zio_storage_file *file = NULL, *none = NULL;
    struct stat status = {.st_dev = logged->device, .st_ino = logged->inode};
    char path[ZIO__FILE_PATH_BYTES];
    enum state state;
    if (!zio__nvm_storage())
        return false;
    if (atomic_load(&logged->state) == WATCHED) {
        if (find(&status, &file) != 0)
            return false;
    } else if (!zio__descriptor_path(fd, path) ||
               attach(fd, &status, path, true, &file, &state) != 0 || !file) {
        return false;
    }
    if (!atomic_compare_exchange_strong(&logged->file, &none, file))
        zio__nvm_storage()->detach(file); /* another thread was first */
    atomic_store(&logged->state, LOGGED);
    return true;
}

struct zio__logged *zio__logged_get(int fd) {
    struct zio__logged *logged = entry_of(fd);
    if (!logged)
        return NULL;
    int state = atomic_load(&logged->state);
    if (state == LOGGED || (state != LEFT && look_anew(logged, fd)))
        return logged;
    zio__logged_drop(logged);
    return NULL;
}

void zio__logged_was_left(struct zio__logged *logged) {
    int state = LOGGED;
    if (atomic_compare_exchange_strong(&logged->state, &state, LEFT) && zio__tracker.counters)
        zio_tracker_count(&zio__tracker, ZIO_COUNT_nvm_left, 1);
}

void zio__logged_leave(int fd, bool for_good) {
    struct zio__logged *logged = entry_of(fd);
    if (!logged)
        return;
    if (atomic_load(&logged->state) == WATCHED)
        atomic_store(&logged->state, UNATTACHED);
    if (atomic_load(&logged->state) == UNATTACHED)
        look_anew(logged, fd);
    struct zio_storage_file *file = atomic_load(&logged->file);
    if (file) {
        zio__nvm_storage()->leave(file);
        zio__logged_was_left(logged);
    }
    if (file && for_good && !atomic_exchange(&logged->kept, true)) {
        logged->next = atomic_load(&kept);
        while (!atomic_compare_exchange_weak(&kept, &logged->next, logged))
            ;
        return;
    }
    zio__logged_drop(logged);
}

void zio__logged_each(void (*visitor)(struct zio__logged *logged, int fd)) {
    for (int fd = 0; fd <= atomic_load(&highest); fd++) {
        uintptr_t value = atomic_load(&table[fd]);
        struct zio__logged *logged = value > PLAIN_FILE ? (struct zio__logged *)value : NULL;
        if (!logged || !take_use(logged))
            continue;
        if (atomic_load(&logged->file))
            visitor(logged, fd);
        zio__logged_drop(logged);
    }
}

static void leave_one(struct zio__logged *logged, int fd) {
    (void)logged;
    zio__logged_leave(fd, false);
}

void zio__logged_leave_all(void) {
    zio__logged_each(leave_one);
}

static void drop_kept(void) {
    struct zio__logged *logged = atomic_exchange(&kept, NULL);
    while (logged) {
        struct zio__logged *next = logged->next;
        zio__logged_drop(logged);
        logged = next;
    }
}

bool zio__table_set_up(void) {
    size_t bytes = ZIO__DESCRIPTORS * sizeof table[0];
    long mapped = zio_syscall(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped < 0 || zio_slab_init(&entries, sizeof(struct zio__logged), 0) != 0)
        return false;
    table = (_Atomic uintptr_t *)mapped;
    return true;
}

void zio__table_after_fork(void) {
    zio__slab_after_fork(&entries);
}

int zio__table_end(void) {
    return atomic_load(&highest);
}

bool zio__table_knows(int fd) {
    return fd >= 0 && fd < ZIO__DESCRIPTORS && atomic_load(&table[fd]) != UNKNOWN;
}

bool zio__table_is_file(int fd) {
    return atomic_load(&table[fd]) == PLAIN_FILE;
}

void zio__table_forget(int fd) {
    replace(fd, UNKNOWN);
}

void zio__table_clear(void) {
    for (int fd = 0; fd <= atomic_load(&highest); fd++)
        replace(fd, UNKNOWN);
    drop_kept();
}
