/* Eviction: makes pages of the program missing so that views can cover them. UFFDIO_MOVE
 * takes pages away without an event (tracker_scratch.c) and refuses those that the kernel or a child
 * still uses (TRAPS 14); without it (before Linux 6.8) madvise does, whose event is expected. */
#include "tracker_internal.h"

#include <errno.h>
#include <sys/mman.h>

/* Registering splits mappings, so small ones are registered whole (which also keeps
 * mremap(2) working on them) and large ones in granules of 2 MiB. */
enum { WHOLE_MAPPING_BYTES = 8 << 20 };

static int evict_by_advice(struct zio_tracker *tracker, uint64_t start, uint64_t length,
                           uint64_t *done) {
    *done = 0;
    if (!zio__expect_event(tracker, start, length))
        return ZIO_EAGAIN;
    /* Waits until the handler has read the event; the handler never waits long for us. */
    zio__begin_waiting(tracker);
    long result = zio_syscall(SYS_madvise, start, length, MADV_DONTNEED);
    zio__end_waiting(tracker);
    if (result != 0) {
        zio__expect_no_event(tracker, start, length);
        return (int)result;
    }
    *done = length;
    return 0;
}

void zio__registration_range(const struct zio_mapping *mapping, uint64_t start, uint64_t end,
                             uint64_t *first, uint64_t *last) {
    uint64_t granule = UINT64_C(1) << ZIO_VIEW_MAP_GRANULE_SHIFT;
    *first = mapping->start;
    *last = mapping->end;
    if (mapping->end - mapping->start > WHOLE_MAPPING_BYTES) {
        *first = zio__max(mapping->start, start & ~(granule - 1));
        *last = zio__min(mapping->end, (end + granule - 1) & ~(granule - 1));
    }
}

/* Registers what surrounds [start, end). *end is clipped to the mapping. */
static int prepare_mapping(struct zio_tracker *tracker, uint64_t start, uint64_t *end) {
    struct zio_mapping mapping;
    uint64_t first, last;
    int code = zio_mapping_query(&tracker->uffd, start, &mapping);
    if (code != 0)
        return code;
    if (!mapping.private_anonymous || !mapping.writable || !mapping.readable || mapping.grows_down)
        return ZIO_ENOTSUP;
    *end = zio__min(*end, mapping.end);
    zio__registration_range(&mapping, start, *end, &first, &last);
    return zio_uffd_register(&tracker->uffd, first, last - first);
}

/* Evicts [start, end), which no view overlaps. Returns the bytes evicted from start on. *is_strange:
 * set where something else than memory stands in place of a page. */
static uint64_t evict(struct zio_tracker *tracker, uint64_t start, uint64_t end, int *refusals,
                      bool *is_strange) {
    uint64_t at = start;
    while (at < end) {
        uint64_t stop = end, done = 0;
        atomic_fetch_add(&tracker->evicted, 1);
        if (prepare_mapping(tracker, at, &stop) != 0) {
            zio_tracker_count(tracker, ZIO_COUNT_unsuitable_memory, 1);
            *refusals = 0;
            break;
        }
        int code = tracker->uffd.can_move ? zio__move_to_scratch(tracker, at, stop - at, &done)
                                          : evict_by_advice(tracker, at, stop - at, &done);
        zio_tracker_count(tracker, ZIO_COUNT_evictions, 1);
        at += done;
        if (code != 0) {
            zio_tracker_count(
                tracker, code == ZIO_EAGAIN ? ZIO_COUNT_event_pending : ZIO_COUNT_pinned_page, 1);
            *refusals = code == ZIO_EAGAIN ? 0 : *refusals - 1;
            if (code == -EFAULT)
                *is_strange = true;
            break;
        }
    }
    return at - start;
}

uint64_t zio__claim(struct zio_tracker *tracker, uint64_t start, uint64_t end, int *refusals,
                    uint64_t *evicted, bool *is_strange) {
    uint64_t at = start;
    while (at < end) {
        struct zio_view view;
        uint64_t gap_end = end;
        if (zio_view_map_next(&tracker->map, at, end - at, &view)) {
            if (view.start == at) {
                at = zio__view_end(&view);
                continue;
            }
            gap_end = view.start;
        }
        uint64_t done = evict(tracker, at, gap_end, refusals, is_strange);
        at += done;
        *evicted += done;
        if (at < gap_end)
            break;
    }
    return zio__page_down(at) - start;
}
