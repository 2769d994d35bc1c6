/* The userfaultfd descriptor: opening it, what it can do, and its ioctls with their errors
 * told apart. Declares what old kernel headers lack (UFFDIO_MOVE, Linux 6.8). Thread-safe
 * once opened; every call is a raw system call: no errno, no thread-local storage,
 * async-signal-safe. After fork the child must not use the parent's descriptor (it acts on
 * the parent's memory): see zio_uffd_abandon. */
#ifndef ZIO_UFFD_H
#define ZIO_UFFD_H

#include <linux/ioctl.h>
#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zio/error.h>

/* What ZIO_DISABLE can mask: X(name in the list, bit, what is lost). Masking makes the
 * code behave as on a kernel without the feature. */
#define ZIO_KERNEL_FEATURES(X)                                                                     \
    X("userfaultfd", ZIO_FEATURE_USERFAULTFD, "everything: programs run unchanged")                \
    X("device", ZIO_FEATURE_DEVICE, "/dev/userfaultfd; the system call is tried alone")            \
    X("syscall", ZIO_FEATURE_SYSCALL, "userfaultfd(2); the device is tried alone")                 \
    X("move", ZIO_FEATURE_MOVE, "UFFDIO_MOVE: pages are evicted by madvise and filled by copying") \
    X("procmap-query", ZIO_FEATURE_PROCMAP_QUERY,                                                  \
      "PROCMAP_QUERY: /proc/self/maps is parsed instead")                                          \
    X("thread-id", ZIO_FEATURE_THREAD_ID, "the faulting thread is not known to statistics")        \
    X("poison", ZIO_FEATURE_POISON, "UFFDIO_POISON: a page that cannot be filled reads zeros")

enum zio_kernel_feature_index {
#define ZIO_FEATURE_INDEX(name, id, lost) id##_INDEX,
    ZIO_KERNEL_FEATURES(ZIO_FEATURE_INDEX)
#undef ZIO_FEATURE_INDEX
        ZIO_KERNEL_FEATURE_COUNT
};
enum zio_kernel_feature {
#define ZIO_FEATURE_BIT(name, id, lost) id = 1 << id##_INDEX,
    ZIO_KERNEL_FEATURES(ZIO_FEATURE_BIT)
#undef ZIO_FEATURE_BIT
};
/* Parses "move,device": the mask of features to disable, or ZIO_EINVAL with the offending
 * word's offset in *bad_offset. No allocation. */
long zio_kernel_features_parse(const char *list, size_t *bad_offset);

/* Linux 6.8's UFFDIO_MOVE for older headers. */
#ifndef UFFDIO_MOVE
struct uffdio_move {
    __u64 dst, src, len;
#define UFFDIO_MOVE_MODE_DONTWAKE        ((__u64)1 << 0)
#define UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES ((__u64)1 << 1)
    __u64 mode;
    __s64 move;
};
#define _UFFDIO_MOVE (0x05)
#define UFFDIO_MOVE  _IOWR(UFFDIO, _UFFDIO_MOVE, struct uffdio_move)
#endif
#ifndef UFFD_FEATURE_MOVE
#define UFFD_FEATURE_MOVE (1 << 16)
#endif
/* Linux 6.6's UFFDIO_POISON. */
#ifndef UFFDIO_POISON
struct uffdio_poison {
    struct uffdio_range range;
    __u64 mode;
    __s64 updated;
};
#define _UFFDIO_POISON (0x08)
#define UFFDIO_POISON  _IOWR(UFFDIO, _UFFDIO_POISON, struct uffdio_poison)
#endif
#ifndef UFFD_FEATURE_POISON
#define UFFD_FEATURE_POISON (1 << 14)
#endif

/* A descriptor opened for later. All zero: none. */
struct zio_kept {
    int number;
    uint64_t identity; /* tells another file that took over the number; 0: none is kept */
    bool ended;        /* for good: not even by the path shall it be opened, a filter may kill for that */
};

struct zio_uffd {
    int fd;              /* -1: not open. CLOEXEC, never 0-2, above the low numbers if possible */
    int device_fd;       /* /dev/userfaultfd, kept: USERFAULTFD_IOC_NEW works after setuid; or -1 */
    uint64_t features;   /* negotiated with UFFDIO_API */
    uint32_t disabled;   /* mask of enum zio_kernel_feature */
    uint64_t identity;   /* inode of fd: tells another file that took over the number */
    uint64_t device_identity; /* of device_fd, likewise */
    struct zio_kept maps; /* this process's own mappings; a forked child must not ask the parent's */
    struct zio_kept proc; /* where a child finds its own when the path is gone */
    bool can_move;       /* UFFDIO_MOVE offered and not masked */
    bool can_poison;     /* UFFDIO_POISON likewise */
    bool user_mode_only; /* set when only UFFD_USER_MODE_ONLY could be had: not usable for views */
};

/* Why it could not be opened, for doctor and the statistics page. */
struct zio_uffd_reason {
    int device_error, syscall_error, api_error; /* 0, or a negative code */
    char text[160];                             /* one line: "reason; fix" */
};

/* Tries the device that `kept` holds (NULL: none; it may be `uffd` itself), then /dev/userfaultfd, then the system call; any failure leads
 * to the next way. Needs EVENT_REMAP, EVENT_REMOVE, EVENT_UNMAP; takes MOVE and THREAD_ID
 * when offered and not masked; refuses user-mode-only. Sets every field. Returns 0 or the
 * last error, with *reason (may be NULL) filled. The descriptor is O_NONBLOCK. */
int zio_uffd_open(struct zio_uffd *uffd, const struct zio_uffd *kept, uint32_t disabled,
                  struct zio_uffd_reason *reason);
/* Opens /dev/userfaultfd for a later zio_uffd_open, by this process or a child of it, which may not
 * be allowed to open it then. Sets device_fd only; a failure is silent. */
void zio_uffd_keep_device(struct zio_uffd *uffd);
/* Opens this process's mappings for zio_mapping_query, which then needs no path. 0, or a negative
 * code: they cannot be had. */
int zio_uffd_keep_maps(struct zio_uffd *uffd);
/* Before the root directory or the mounts change: keeps what a forked child needs then to find its
 * mappings (needs CAP_SYS_ADMIN, Linux 5.8, and no seccomp filter). A failure is silent. */
void zio_uffd_keep_proc(struct zio_uffd *uffd);
/* Whether the number still names what was opened. */
bool zio_kept_is_ours(const struct zio_kept *kept);
void zio_kept_close(struct zio_kept *kept); /* if still ours */
void zio_uffd_close(struct zio_uffd *uffd); /* closes fd (if still ours), keeps device_fd */
/* True while the number `fd` still names our userfaultfd: the program may have closed it
 * and opened something else. One system call. */
bool zio_uffd_is_ours(const struct zio_uffd *uffd);
/* The same of device_fd. */
bool zio_uffd_owns_device(const struct zio_uffd *uffd);
/* Whether the number is one of all that are kept here, at this moment. */
bool zio_uffd_owns_number(const struct zio_uffd *uffd, int number);
/* The descriptor is under this number now. Others may be in the middle of an ioctl, which then
 * fails with ZIO_EBADF or had the old number, still open, in time. */
static inline void zio_uffd_set_number(struct zio_uffd *uffd, int fd) {
    __atomic_store_n(&uffd->fd, fd, __ATOMIC_RELAXED);
}
/* Gives descriptors that are ours new numbers where they stand under `number`, which the program is
 * about to use for another file. The old number stays open. 0, or a negative code. */
int zio_uffd_leave_number(struct zio_uffd *uffd, int number);
/* In a forked child: closes the inherited descriptor if the number is still ours, and sets
 * fd = -1, and the parent's mappings likewise; device_fd and proc are kept for the child's own
 * zio_uffd_open. shared: the number is the parent's too (CLONE_FILES) and stays open. */
void zio_uffd_abandon(struct zio_uffd *uffd, bool shared);

/* 0: no event is unread and the map is quiet. ZIO_EAGAIN: an event is unread or the thread
 * that raised it has not run again (mmap_changing). ZIO_EBADF: the descriptor is no longer
 * ours (the program closed it). One cheap ioctl that changes nothing. */
int zio_uffd_probe(const struct zio_uffd *uffd);

/* Page-aligned ranges. Register is idempotent for our own ranges. 0 or a negative code. */
int zio_uffd_register(const struct zio_uffd *uffd, uint64_t start, uint64_t length);
int zio_uffd_unregister(const struct zio_uffd *uffd, uint64_t start, uint64_t length);
int zio_uffd_wake(const struct zio_uffd *uffd, uint64_t start, uint64_t length);

/* Fill missing pages atomically and wake who waits there. *done: bytes completed, also
 * when an error is returned. ZIO_EEXIST: the page at start + *done is present.
 * ZIO_ENOENT: it left the registered VMA. ZIO_EAGAIN: see zio_uffd_probe. `source` of copy
 * has any alignment and must be readable memory that cannot fault to userfaultfd. Move's
 * source pages must be private anonymous, page-aligned; allow_holes skips missing source
 * pages (they count as moved, destination stays missing); ZIO_EBUSY: the page at *done is
 * pinned or shared by fork. */
int zio_uffd_copy(const struct zio_uffd *uffd, uint64_t start, const void *source, uint64_t length,
                  uint64_t *done);
int zio_uffd_zero(const struct zio_uffd *uffd, uint64_t start, uint64_t length, uint64_t *done);
int zio_uffd_move(const struct zio_uffd *uffd, uint64_t start, uint64_t source, uint64_t length,
                  bool allow_holes, uint64_t *done);

/* Makes every access to the missing pages fail (SIGBUS, EFAULT): for data that cannot be
 * had. ZIO_ENOSYS without can_poison. */
int zio_uffd_poison(const struct zio_uffd *uffd, uint64_t start, uint64_t length, uint64_t *done);

/* How many seccomp filters this process runs under: 0 for none, ZIO_ENOSYS where that cannot be found
 * out (no /proc; filters on Linux before 5.9). Safe under any filter under which a program can
 * start: it makes no other calls than the dynamic loader does. */
int zio_seccomp_filters(void);

/* What memory lies at an address. */
struct zio_mapping {
    uint64_t start, end;
    bool private_anonymous; /* no file, not shared, no hugetlb, no special mapping */
    bool writable, readable, grows_down, locked, registered_elsewhere;
};
/* The mapping that holds `address`: PROCMAP_QUERY (Linux 6.11) or /proc/self/maps (and
 * smaps for the flags where needed), read without malloc. 0, ZIO_ENOENT, or another code
 * (then assume nothing). Asks the kept descriptor, or opens and closes one (some us). `locked` is false unless known (MOVE refuses locked ranges);
 * `registered_elsewhere` likewise (UFFDIO_REGISTER says EBUSY). `grows_down` is exact for
 * readable and writable private anonymous memory, false otherwise. */
int zio_mapping_query(const struct zio_uffd *uffd, uint64_t address, struct zio_mapping *mapping);
/* True when the kernel has PROCMAP_QUERY. */
bool zio_mapping_can_query(void);

#endif
