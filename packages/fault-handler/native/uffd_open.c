/* Opening a userfaultfd: the kept device descriptor, /dev/userfaultfd, the system call, and
 * the reason when none works. Runs in programs that know nothing of it: descriptors are
 * moved out of the way, nothing is printed, a failure leaves nothing behind. */
#include <fcntl.h>

#include <zio/syscall.h>
#include <zio/uffd.h>

#include "internal.h"

#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

static const uint64_t REQUIRED_FEATURES =
    UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP;

bool zio_uffd_is_ours(const struct zio_uffd *uffd) {
    if (uffd->fd < 0)
        return false;
    if (zio_uffd_probe(uffd) == ZIO_EBADF)
        return false;
    return zio__descriptor_identity(uffd->fd) == uffd->identity;
}

bool zio_uffd_owns_device(const struct zio_uffd *uffd) {
    return uffd->device_fd >= 0 && uffd->device_identity != 0 &&
           zio__descriptor_identity(uffd->device_fd) == uffd->device_identity;
}

bool zio_uffd_owns_number(const struct zio_uffd *uffd, int number) {
    return (number == uffd->device_fd && zio_uffd_owns_device(uffd)) ||
           (number == uffd->fd && zio_uffd_is_ours(uffd)) ||
           (number == uffd->maps.number && zio_kept_is_ours(&uffd->maps)) ||
           (number == uffd->proc.number && zio_kept_is_ours(&uffd->proc));
}

int zio_uffd_leave_number(struct zio_uffd *uffd, int number) {
    int code = zio__kept_leave_number(&uffd->maps, number);
    if (code == 0)
        code = zio__kept_leave_number(&uffd->proc, number);
    if (code != 0)
        return code;
    bool device = number == uffd->device_fd && zio_uffd_owns_device(uffd);
    if (!device && !(number == uffd->fd && zio_uffd_is_ours(uffd)))
        return 0;
    int fd = zio__fd_copy_away(number);
    if (device)
        uffd->device_fd = fd < 0 ? -1 : fd;
    else if (fd >= 0)
        zio_uffd_set_number(uffd, fd);
    return fd < 0 ? fd : 0;
}

/* Asks for less and less: a kernel before 5.20 or so refuses a request with a feature it
 * does not know as a whole. */
static int negotiate(struct zio_uffd *uffd) {
    static const uint64_t OPTIONAL[] = {UFFD_FEATURE_MOVE, UFFD_FEATURE_POISON,
                                        UFFD_FEATURE_THREAD_ID};
    enum { COUNT = sizeof OPTIONAL / sizeof OPTIONAL[0] };
    uint64_t masked = 0;
    if (uffd->disabled & ZIO_FEATURE_MOVE)
        masked |= UFFD_FEATURE_MOVE;
    if (uffd->disabled & ZIO_FEATURE_POISON)
        masked |= UFFD_FEATURE_POISON;
    if (uffd->disabled & ZIO_FEATURE_THREAD_ID)
        masked |= UFFD_FEATURE_THREAD_ID;
    for (int left_out = 0; left_out <= COUNT; left_out++) {
        uint64_t wanted = REQUIRED_FEATURES;
        for (int i = left_out; i < COUNT; i++)
            wanted |= OPTIONAL[i] & ~masked;
        struct uffdio_api api = {.api = UFFD_API, .features = wanted};
        long code = zio_syscall(SYS_ioctl, uffd->fd, UFFDIO_API, &api);
        if (code == -EINVAL)
            continue;
        if (code < 0)
            return (int)code;
        if ((api.features & REQUIRED_FEATURES) != REQUIRED_FEATURES)
            return ZIO_ENOSYS;
        uffd->features = api.features & wanted;
        uffd->can_move = uffd->features & UFFD_FEATURE_MOVE;
        uffd->can_poison = uffd->features & UFFD_FEATURE_POISON;
        return 0;
    }
    return ZIO_ENOSYS;
}

/* Takes ownership of a fresh descriptor, or of the error that stands in its place. */
static int adopt(struct zio_uffd *uffd, long fd, int *open_error, int *api_error) {
    if (fd >= 0)
        fd = zio__fd_move_away((int)fd);
    if (fd < 0)
        return *open_error = (int)fd;
    uffd->fd = (int)fd;
    *api_error = negotiate(uffd);
    if (*api_error == 0) {
        uffd->identity = zio__descriptor_identity(uffd->fd);
        return 0;
    }
    zio_syscall(SYS_close, fd);
    uffd->fd = -1;
    return *api_error;
}

static int new_from_device(struct zio_uffd *uffd, struct zio_uffd_reason *reason) {
    long fd = zio_syscall(SYS_ioctl, uffd->device_fd, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
    return adopt(uffd, fd, &reason->device_error, &reason->api_error);
}

static int open_device(struct zio_uffd *uffd) {
    long device = zio_syscall(SYS_openat, AT_FDCWD, "/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    if (device >= 0)
        device = zio__fd_move_away((int)device);
    if (device < 0)
        return (int)device;
    if (uffd->device_fd >= 0)
        zio_syscall(SYS_close, uffd->device_fd);
    uffd->device_fd = (int)device;
    uffd->device_identity = zio__descriptor_identity((int)device);
    return 0;
}

/* The program may have closed the kept number or put another file there. */
static bool has_device(struct zio_uffd *uffd) {
    if (!zio_uffd_owns_device(uffd))
        uffd->device_fd = -1;
    return uffd->device_fd >= 0;
}

static int open_by_device(struct zio_uffd *uffd, struct zio_uffd_reason *reason) {
    if (has_device(uffd) && new_from_device(uffd, reason) == 0)
        return 0;
    reason->device_error = open_device(uffd);
    return reason->device_error ? reason->device_error : new_from_device(uffd, reason);
}

static int open_by_syscall(struct zio_uffd *uffd, struct zio_uffd_reason *reason) {
    long fd = zio_syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (adopt(uffd, fd, &reason->syscall_error, &reason->api_error) == 0)
        return 0;
    if (fd == -EPERM) {
        fd = zio_syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
        uffd->user_mode_only = fd >= 0;
        if (fd >= 0)
            zio_syscall(SYS_close, fd);
    }
    return reason->syscall_error ? reason->syscall_error : reason->api_error;
}

static void set_text(struct zio_uffd_reason *reason, const char *text) {
    size_t i = 0;
    for (; text[i] != '\0' && i + 1 < sizeof reason->text; i++)
        reason->text[i] = text[i];
    reason->text[i] = '\0';
}

static bool is_descriptor_shortage(int code) {
    return code == -EMFILE || code == -ENFILE;
}

static void explain(const struct zio_uffd *uffd, struct zio_uffd_reason *reason) {
    int device = reason->device_error, call = reason->syscall_error;
    if (uffd->disabled & ZIO_FEATURE_USERFAULTFD)
        set_text(reason, "userfaultfd is masked by ZIO_DISABLE; remove it from the list");
    else if (device == ZIO_EINVAL && call == ZIO_EINVAL)
        set_text(reason, "memory pages are not 4 KiB here; use a kernel with 4 KiB pages");
    else if (is_descriptor_shortage(device) || is_descriptor_shortage(call))
        set_text(reason, "no file descriptor is free; raise the limit (ulimit -n)");
    else if ((uffd->disabled & ZIO_FEATURE_SYSCALL) && device == ZIO_ENOENT)
        set_text(reason, "/dev/userfaultfd is not there and the system call is masked by "
                         "ZIO_DISABLE; pass the device in, or use Linux 6.1 or newer");
    else if (uffd->disabled & ZIO_FEATURE_SYSCALL)
        set_text(reason, "/dev/userfaultfd cannot be opened and the system call is masked by "
                         "ZIO_DISABLE; give this user access to the device");
    else if (reason->api_error != 0)
        set_text(reason, "this kernel's userfaultfd lacks the unmap, remove and remap events; "
                         "Linux 4.18 or newer is needed");
    else if (call == -ENOSYS)
        set_text(reason,
                 "userfaultfd(2) does not exist here: a kernel without CONFIG_USERFAULTFD, or "
                 "a seccomp filter; use another kernel or profile");
    else if (uffd->user_mode_only && device == ZIO_ENOENT)
        set_text(reason,
                 "not permitted to serve the kernel's own faults, and there is no device; pass in "
                 "/dev/userfaultfd, or sysctl vm.unprivileged_userfaultfd=1, or CAP_SYS_PTRACE");
    else if (uffd->user_mode_only)
        set_text(reason,
                 "not permitted to serve the kernel's own faults; chmod 0666 /dev/userfaultfd, "
                 "or sysctl vm.unprivileged_userfaultfd=1, or CAP_SYS_PTRACE");
    else if (device == -EACCES)
        set_text(reason, "/dev/userfaultfd is closed to this user and userfaultfd(2) is refused; "
                         "chmod 0666 /dev/userfaultfd, or allow the call in seccomp");
    else
        set_text(reason,
                 "userfaultfd(2) is refused, by a seccomp filter (container?) or by "
                 "vm.unprivileged_userfaultfd=0; allow the call or pass in /dev/userfaultfd");
}

/* The rest of the code has 4096 built in. mincore of nothing looks at the alignment only. */
static bool pages_are_4096_bytes(void) {
    unsigned char none;
    return zio_syscall(SYS_mincore, 4096, 0, &none) != -EINVAL;
}

static int open_anyhow(struct zio_uffd *uffd, struct zio_uffd_reason *reason) {
    if (uffd->disabled & ZIO_FEATURE_USERFAULTFD)
        return reason->device_error = reason->syscall_error = ZIO_ENOSYS;
    if (!pages_are_4096_bytes())
        return reason->device_error = reason->syscall_error = ZIO_EINVAL;
    int code = zio__seccomp_rehearse(uffd->disabled);
    if (code != 0)
        return reason->device_error = reason->syscall_error = code;

    if (uffd->disabled & ZIO_FEATURE_DEVICE)
        code = reason->device_error = ZIO_ENOSYS;
    else
        code = open_by_device(uffd, reason);
    if (code == 0)
        return 0;

    if (uffd->disabled & ZIO_FEATURE_SYSCALL) {
        reason->syscall_error = ZIO_ENOSYS;
        return code;
    }
    return open_by_syscall(uffd, reason);
}

int zio_uffd_open(struct zio_uffd *uffd, const struct zio_uffd *kept, uint32_t disabled,
                  struct zio_uffd_reason *reason) {
    struct zio_uffd_reason unwanted;
    if (!reason)
        reason = &unwanted;
    reason->device_error = reason->syscall_error = reason->api_error = 0;
    reason->text[0] = '\0';
    *uffd = (struct zio_uffd){.fd = -1,
                              .device_fd = kept ? kept->device_fd : -1,
                              .device_identity = kept ? kept->device_identity : 0,
                              .maps = kept ? kept->maps : (struct zio_kept){.number = -1},
                              .proc = kept ? kept->proc : (struct zio_kept){.number = -1},
                              .disabled = disabled};
    int code = open_anyhow(uffd, reason);
    if (code != 0)
        explain(uffd, reason);
    return code;
}

void zio_uffd_keep_device(struct zio_uffd *uffd) {
    if (!has_device(uffd) && !(uffd->disabled & (ZIO_FEATURE_USERFAULTFD | ZIO_FEATURE_DEVICE)))
        open_device(uffd);
}

void zio_uffd_close(struct zio_uffd *uffd) {
    if (zio_uffd_is_ours(uffd))
        zio_syscall(SYS_close, uffd->fd);
    uffd->fd = -1;
}

void zio_uffd_abandon(struct zio_uffd *uffd, bool shared) {
    if (!shared) {
        zio_uffd_close(uffd);
        zio_kept_close(&uffd->maps);
    }
    uffd->fd = -1;
    uffd->maps = (struct zio_kept){.number = -1};
}
