/* Which descriptors are of files that are logged. Every number of a descriptor has an entry: not
 * looked at yet, no file of ours, or one of ours; it is looked at when it is first used, and one of
 * ours is compared with the descriptor at each use, because libc closes descriptors unseen. */
#ifndef ZIO_LOGGED_FILES_H
#define ZIO_LOGGED_FILES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <zio/storage.h>

/* False without ZIO_NVM: then every hook on files calls libc at once. */
extern _Atomic bool zio__follows_files;
static inline bool zio__follows(void) {
    return __builtin_expect(atomic_load_explicit(&zio__follows_files, memory_order_relaxed), 0);
}

/* Whether a descriptor is known to be no file of ours: without a system call. */
bool zio__is_plain(int fd);

/* One descriptor of a file that the patterns name. */
struct zio__logged {
    struct zio__logged *next; /* what is given back keeps all but this */
    _Atomic uint32_t uses; /* the table's, and that of each call under way */
    _Atomic int state;     /* internal */
    _Atomic bool kept;     /* one use is for good */
    uint64_t device, inode;
    /* Set once, before the table has it or while `state` says that it was not there. */
    _Atomic(struct zio_storage_file *) file;
};

void zio__files_set_up(void);
void zio__files_before_fork(void);
void zio__files_after_fork(bool child);
/* The program ends, or may soon make no more system calls of ours (leaves): the files get what is
 * logged, and the pool is closed. Later calls begin anew, unless it leaves. */
void zio__files_end(bool leaves);

/* Around everything that asks for a descriptor or a file: waits while the pool is being closed, and
 * keeps signals out. False: files are not followed any more, or not by this process (a child that
 * runs in our memory); nothing is to be left then. */
struct zio__visit {
    uint64_t signals;
};
bool zio__visit_begin(struct zio__visit *visit);
void zio__visit_end(struct zio__visit *visit);

/* Within a visit. The file behind a descriptor where its reads and writes go through the log, with
 * a use for the caller; NULL: they are the kernel's. */
struct zio__logged *zio__logged_get(int fd);
void zio__logged_drop(struct zio__logged *logged);
/* The provider said that the file is the kernel's now. */
void zio__logged_was_left(struct zio__logged *logged);

/* Within a visit: leaves the file to the kernel, for as long as the descriptor is open, or
 * (for_good) as the process lives. */
void zio__logged_leave(int fd, bool for_good);
/* The same for every file that this process has open. */
void zio__logged_leave_all(void);
/* Calls for every file of ours that is open here, once for each descriptor. */
void zio__logged_each(void (*visitor)(struct zio__logged *logged, int fd));

/* For hooks, each a visit of its own and with errno kept. The descriptor was just opened: looks at
 * it. 0, or -errno with which opening it is refused. */
int zio__descriptor_opened(int fd);
/* Another file may be under this number from now on, or none. */
void zio__descriptor_forget(int fd);
/* Another file is under this number: one of the three that stdio uses, unseen, is left. */
void zio__descriptor_arrived(int fd);
void zio__descriptors_forget(unsigned first, unsigned last);
/* Used in a way that cannot be followed: left to the kernel. */
void zio__descriptor_leave(int fd, bool for_good);
/* Every file gets what is logged, also those that are not open here: for a program that does not
 * follow files. */
void zio__files_settle(void);
/* The pool's thread in this process ends, until the next write. */
void zio__files_quiesce(void);
/* Its file gets what is logged for it, for a reader that is the kernel. */
void zio__descriptor_settle(int fd);
/* A file has got a name: who has it open unlogged looks again. */
void zio__descriptors_look_again(uint64_t device, uint64_t inode);

/* The absolute path of a descriptor, as the kernel knows it: its length, or 0. */
enum { ZIO__FILE_PATH_BYTES = 4096 };
size_t zio__descriptor_path(int fd, char *path);

#endif
