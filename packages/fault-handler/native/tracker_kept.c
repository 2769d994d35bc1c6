/* What the tracker keeps open in the program's table of descriptors: opened before the right or the
 * path to it goes, moved where the program wants a number for itself. */
#include "tracker_internal.h"

void zio_tracker_keep(struct zio_tracker *tracker, bool paths_change) {
    int state = atomic_load(&tracker->state);
    if (!zio_tracker_is_owner(tracker) || state == ZIO_TRACKER_UNAVAILABLE ||
        (state != ZIO_TRACKER_IDLE && !paths_change))
        return;
    uint64_t signals = zio_signals_block();
    if (zio_lock_exclusive_timed(&tracker->lifecycle, 0)) {
        if (atomic_load(&tracker->state) == ZIO_TRACKER_IDLE) {
            tracker->uffd.disabled = tracker->disabled;
            zio_uffd_keep_device(&tracker->uffd);
        }
        if (paths_change) {
            zio_uffd_keep_maps(&tracker->uffd);
            zio_uffd_keep_proc(&tracker->uffd);
        }
        zio_unlock_exclusive(&tracker->lifecycle);
    }
    zio_signals_restore(signals);
}

void zio_tracker_let_go(struct zio_tracker *tracker) {
    if (!zio_tracker_is_owner(tracker))
        return;
    struct zio_uffd *uffd = &tracker->uffd;
    zio_uffd_keep_proc(uffd); /* a mount of its own, by which the mappings are found again */
    tracker->let_go_maps = zio_kept_is_ours(&uffd->maps);
    tracker->let_go_device = zio_uffd_owns_device(uffd);
    zio_view_map_lock(&tracker->map, 0, ~UINT64_C(0));
    zio_kept_close(&uffd->maps);
    if (tracker->let_go_device)
        zio_syscall(SYS_close, uffd->device_fd);
    uffd->device_fd = -1;
    zio_view_map_unlock(&tracker->map, 0, ~UINT64_C(0));
}

void zio_tracker_take_back(struct zio_tracker *tracker) {
    if (!zio_tracker_is_owner(tracker))
        return;
    if (tracker->let_go_maps)
        zio_uffd_keep_maps(&tracker->uffd);
    if (tracker->let_go_device)
        zio_uffd_keep_device(&tracker->uffd);
}

void zio_tracker_leave_number(struct zio_tracker *tracker, int number) {
    zio__prefault_stack();
    uint64_t signals = zio_signals_block();
    zio_lock_exclusive(&tracker->lifecycle);
    if (zio_tracker_is_owner(tracker)) {
        /* So that no section is in the middle of an ioctl. */
        zio_view_map_lock(&tracker->map, 0, ~UINT64_C(0));
        zio_uffd_leave_number(&tracker->uffd, number);
        zio_view_map_unlock(&tracker->map, 0, ~UINT64_C(0));
    }
    zio_unlock_exclusive(&tracker->lifecycle);
    zio_signals_restore(signals);
}

bool zio_tracker_owns_number(const struct zio_tracker *tracker, int number) {
    return number >= 0 && zio_tracker_is_owner(tracker) &&
           zio_uffd_owns_number(&tracker->uffd, number);
}
