/* Where evicted pages go: a registered range of ours, in parts, so that threads that evict at once do
 * not wait for each other, and so that a part can be emptied by a thread that holds no stripe. Pages
 * are never taken out again: somebody who pinned one without our knowing may still read it. */
#include "tracker_internal.h"

#include <sys/mman.h>

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* Linux 5.18 */
#endif

enum {
    PART_BYTES = ZIO__SCRATCH_BYTES / ZIO_TRACKER_SCRATCH_PARTS,
    TIDY_BELOW_BYTES = PART_BYTES / 2, /* of room */
};

static uint64_t part_start(const struct zio_tracker *tracker, uint32_t part) {
    return zio__address(tracker->scratch) + part * (uint64_t)PART_BYTES;
}

static uint64_t room_of(const struct zio_scratch_part *part) {
    return PART_BYTES - atomic_load_explicit(&part->used, memory_order_relaxed);
}

static void set_used(struct zio_scratch_part *part, uint64_t bytes) {
    atomic_store_explicit(&part->used, bytes, memory_order_relaxed);
}

/* With the part locked. False: it is as it was, or nearly; tried again with the next eviction. */
static bool empty_part(struct zio_tracker *tracker, uint32_t index) {
    uint64_t start = part_start(tracker, index);
    zio_uffd_unregister(&tracker->uffd, start, PART_BYTES);
    zio__begin_waiting(tracker); /* it is still registered where the descriptor was lost */
    /* mlockall(2) reaches these pages too. */
    bool empty = zio_syscall(SYS_madvise, start, PART_BYTES, MADV_DONTNEED) == 0 ||
                 zio_syscall(SYS_madvise, start, PART_BYTES, MADV_DONTNEED_LOCKED) == 0;
    zio__end_waiting(tracker);
    bool registered = zio_uffd_register(&tracker->uffd, start, PART_BYTES) == 0;
    set_used(&tracker->scratch_parts[index], registered && empty ? 0 : PART_BYTES);
    return registered && empty;
}

/* Locks a part with room for so much, or else the first that is to be had. Each thread begins where
 * its stack says, which differs from thread to thread. */
static uint32_t lock_part(struct zio_tracker *tracker, uint64_t bytes) {
    struct zio_scratch_part *parts = tracker->scratch_parts;
    uint64_t least[] = {bytes, 0};
    uint32_t first = (uint32_t)(zio__address(&parts) >> 12);
    for (int attempt = 0; attempt < 2; attempt++)
        for (uint32_t i = 0; i < ZIO_TRACKER_SCRATCH_PARTS; i++) {
            uint32_t index = (first + i) % ZIO_TRACKER_SCRATCH_PARTS;
            if (room_of(&parts[index]) >= least[attempt] &&
                zio_lock_exclusive_timed(&parts[index].lock, 0))
                return index;
        }
    zio_lock_exclusive(&parts[first % ZIO_TRACKER_SCRATCH_PARTS].lock);
    return first % ZIO_TRACKER_SCRATCH_PARTS;
}

/* At most PART_BYTES. */
static int move_piece(struct zio_tracker *tracker, uint64_t start, uint64_t length, uint64_t *moved) {
    uint32_t index = lock_part(tracker, length);
    struct zio_scratch_part *part = &tracker->scratch_parts[index];
    int code = ZIO_EEXIST;
    *moved = 0;
    for (int attempt = 0; attempt < 2 && code == ZIO_EEXIST && *moved == 0; attempt++) {
        if (room_of(part) < length && !empty_part(tracker, index)) {
            code = ZIO_EAGAIN;
            break;
        }
        uint64_t used = PART_BYTES - room_of(part);
        code = zio_uffd_move(&tracker->uffd, part_start(tracker, index) + used, start, length, true,
                             moved);
        /* EEXIST: not as empty as we thought. */
        set_used(part, code == ZIO_EEXIST ? PART_BYTES : used + *moved);
    }
    zio_unlock_exclusive(&part->lock);
    return code;
}

int zio__move_to_scratch(struct zio_tracker *tracker, uint64_t start, uint64_t length,
                         uint64_t *done) {
    int code = 0;
    *done = 0;
    while (*done < length && code == 0) {
        uint64_t moved;
        code = move_piece(tracker, start + *done, zio__min(length - *done, PART_BYTES), &moved);
        *done += moved;
        if (code == ZIO_EEXIST && moved > 0)
            code = 0;
    }
    return code;
}

void zio__tidy_scratch(struct zio_tracker *tracker) {
    zio__prefault_stack();
    for (uint32_t i = 0; i < ZIO_TRACKER_SCRATCH_PARTS; i++) {
        struct zio_scratch_part *part = &tracker->scratch_parts[i];
        if (room_of(part) >= TIDY_BELOW_BYTES)
            continue;
        uint64_t signals = zio_signals_block();
        if (zio_lock_exclusive_timed(&part->lock, 0)) {
            if (room_of(part) < TIDY_BELOW_BYTES)
                empty_part(tracker, i);
            zio_unlock_exclusive(&part->lock);
        }
        zio_signals_restore(signals);
    }
}

void zio__scratch_after_fork(struct zio_tracker *tracker) {
    for (uint32_t i = 0; i < ZIO_TRACKER_SCRATCH_PARTS; i++) {
        tracker->scratch_parts[i].lock = (struct zio_lock){0};
        set_used(&tracker->scratch_parts[i], 0);
    }
    if (tracker->scratch)
        zio_syscall(SYS_madvise, tracker->scratch, ZIO__SCRATCH_BYTES, MADV_DONTNEED);
}
