/* What the hooks ask about ranges of program memory: can input be redirected here, show
 * these bytes to the kernel, this is being overwritten, cleared, freed or unmapped. */
#include "tracker_internal.h"

#include <sys/mman.h>

enum { MAPPINGS_MAX = 64 };

static bool is_suitable(struct zio_tracker *tracker, uint64_t start, uint64_t end) {
    struct zio_mapping mapping;
    for (int i = 0; i < MAPPINGS_MAX && start < end; i++) {
        if (zio_mapping_query(&tracker->uffd, start, &mapping) != 0)
            return false;
        if (!mapping.private_anonymous || !mapping.writable || !mapping.readable ||
            mapping.grows_down)
            return false;
        start = mapping.end;
    }
    return start >= end;
}

bool zio_tracker_is_suitable(struct zio_tracker *tracker, const void *start, size_t length) {
    uint64_t from = zio__address(start);
    return from + length > from && is_suitable(tracker, from, from + length);
}

static bool is_viewed(struct zio_tracker *tracker, uint64_t address) {
    struct zio_view view;
    return zio_view_map_stab(&tracker->map, address, &view);
}

/* The part of the whole pages [*start, *end) that is not viewed, as one range. */
static void trim_viewed(struct zio_tracker *tracker, uint64_t *start, uint64_t *end) {
    struct zio_view view;
    uint64_t last = 0;
    while (*start < *end && zio_view_map_stab(&tracker->map, *start, &view))
        *start = zio__view_end(&view);
    for (uint64_t at = *start; at < *end && zio_view_map_next(&tracker->map, at, *end - at, &view);
         at = zio__view_end(&view)) {
        if (view.start != at || last == 0)
            last = view.start;
        if (zio__view_end(&view) >= *end)
            *end = last;
    }
}

bool zio_tracker_plan_input(struct zio_tracker *tracker, void *buffer, size_t length,
                            bool viewed_only, struct zio_input_plan *plan) {
    uint64_t start = zio__address(buffer), end = start + length;
    if (end < start)
        return false;
    uint64_t first = zio__page_up(start), last = zio__page_down(end);
    bool within_page = first > last;
    if (within_page)
        first = last = end;
    uint64_t unknown_start = first, unknown_end = last;
    plan->head = first - start;
    plan->tail = end - last;
    if (zio_tracker_may_hold(tracker, buffer, length)) {
        struct zio__section section;
        if (!zio__begin(tracker, &section, zio_view_map_stripes(start, length), 0, ZIO__WILLING))
            return false;
        if (plan->head > 0 && is_viewed(tracker, start))
            plan->head = 0;
        if (plan->tail > 0 && is_viewed(tracker, last))
            plan->tail = 0;
        trim_viewed(tracker, &unknown_start, &unknown_end);
        zio__end(tracker, &section);
    }
    if (viewed_only)
        return plan->head == 0 && plan->tail == 0 && unknown_start >= unknown_end &&
               (plan->middle = length) > 0;
    if (unknown_start < unknown_end && !is_suitable(tracker, unknown_start, unknown_end)) {
        zio_tracker_count(tracker, ZIO_COUNT_unsuitable_memory, 1);
        return false;
    }
    plan->middle = length - plan->head - plan->tail;
    return plan->middle > 0;
}

static int append_piece(struct zio_tracker *tracker, const struct zio_view *view, struct iovec *iov,
                        struct zio_origin **origins, int count, int max) {
    if (view->handle) {
        if (count == max)
            return ZIO_EINVAL;
        struct zio_origin *origin = zio__origin(view->handle);
        zio_origin_hold(origin);
        iov[count] = (struct iovec){origin->data + view->offset, view->length};
        origins[count] = origin;
        return count + 1;
    }
    for (uint64_t left = view->length; left > 0; count++) {
        if (count == max)
            return ZIO_EINVAL;
        uint64_t piece = zio__min(left, ZIO_TRACKER_ZEROS_BYTES);
        iov[count] = (struct iovec){tracker->zeros, piece};
        origins[count] = NULL;
        left -= piece;
    }
    return count;
}

static int append_memory(uint64_t start, uint64_t end, struct iovec *iov,
                         struct zio_origin **origins, int count, int max) {
    if (start == end)
        return count;
    if (count == max)
        return ZIO_EINVAL;
    iov[count] = (struct iovec){(void *)(uintptr_t)start, end - start};
    origins[count] = NULL;
    return count + 1;
}

int zio_tracker_translate(struct zio_tracker *tracker, const void *start, size_t length,
                          struct iovec *iov, struct zio_origin **origins, int max,
                          struct zio_tracker_holds *holds) {
    struct zio__section section;
    struct zio_view views[ZIO__PASS_VIEWS];
    uint64_t at = zio__address(start), end = at + length, translated = 0;
    if (!zio_tracker_may_hold(tracker, start, length))
        return 0;
    if (!zio__begin(tracker, &section, zio_view_map_stripes(at, length), 0, ZIO__WILLING))
        return ZIO_EAGAIN;
    int count = 0, kept = 0;
    while (at < end && count >= 0) {
        uint64_t covered;
        size_t found =
            zio_view_map_translate(&tracker->map, at, end - at, views, ZIO__PASS_VIEWS, &covered);
        uint64_t stop = at + covered;
        for (size_t i = 0; i < found && count >= 0; i++) {
            count = append_memory(at, views[i].start, iov, origins, count, max);
            if (count >= 0)
                kept = count, count = append_piece(tracker, &views[i], iov, origins, count, max);
            if (count >= 0)
                kept = count;
            at = zio__view_end(&views[i]);
            translated += views[i].length;
        }
        if (count >= 0)
            count = append_memory(at, stop, iov, origins, count, max);
        if (count >= 0)
            kept = count;
        at = stop;
    }
    if (count > 0)
        zio__note(tracker, holds, origins, count);
    for (int i = 0; count < 0 && i < kept; i++)
        if (origins[i])
            zio_origin_release(origins[i]);
    zio__end(tracker, &section);
    if (count < 0)
        return ZIO_EINVAL;
    if (translated == 0)
        return 0;
    zio_tracker_count(tracker, ZIO_COUNT_translated_bytes, translated);
    return count;
}

/* Calls act for each maximal viewed stretch of the whole pages in the range. */
static bool each_viewed(struct zio_tracker *tracker, const void *start, size_t length,
                        enum zio__patience patience,
                        void (*act)(struct zio_tracker *tracker, uint64_t start, uint64_t end)) {
    struct zio__section section;
    struct zio_view view;
    uint64_t from = zio__page_up(zio__address(start)),
             to = zio__page_down(zio__address(start) + length);
    if (from >= to || !zio_view_map_may_hold(&tracker->map, from, to - from))
        return true;
    if (!zio__begin(tracker, &section, 0, zio_view_map_stripes(from, to - from), patience))
        return false;
    for (uint64_t at = from; at < to;) {
        if (!zio_view_map_next(&tracker->map, at, to - at, &view))
            break;
        uint64_t stretch = view.start, end = zio__view_end(&view);
        while (end < to && zio_view_map_next(&tracker->map, end, to - end, &view) &&
               view.start == end)
            end = zio__view_end(&view);
        act(tracker, stretch, end);
        at = end;
    }
    zio__end(tracker, &section);
    return true;
}

static void fill_stretch(struct zio_tracker *tracker, uint64_t start, uint64_t end) {
    /* What fails here faults later, one page at a time. */
    zio__fill_all(tracker, start, end);
}

static void fill_overwritten(struct zio_tracker *tracker, uint64_t start, uint64_t end) {
    const struct zio_tracker_listener *listener = &tracker->listener;
    fill_stretch(tracker, start, end);
    if (listener->overwritten)
        listener->overwritten(listener->context, start, end - start);
}

void zio_tracker_overwrite(struct zio_tracker *tracker, void *start, size_t length) {
    each_viewed(tracker, start, length, ZIO__WILLING, fill_overwritten);
}

void zio_tracker_make_room(struct zio_tracker *tracker, void *start, size_t length) {
    each_viewed(tracker, start, length, ZIO__WILLING, fill_stretch);
}

static void show_zeros(struct zio_tracker *tracker, uint64_t start, uint64_t end) {
    atomic_fetch_add_explicit(&tracker->changes, 1, memory_order_release);
    /* Without room for it the old bytes stay, which is allowed after free; a memset stores. */
    if (zio_view_map_insert(&tracker->map, start, end - start, 0, 0, 0) != 0)
        zio_tracker_count(tracker, ZIO_COUNT_out_of_memory, 1);
}

void zio_tracker_discard(struct zio_tracker *tracker, void *start, size_t length) {
    each_viewed(tracker, start, length, ZIO__HURRIED, show_zeros);
}

void zio_tracker_zero(struct zio_tracker *tracker, void *start, size_t length) {
    struct zio_view views[ZIO__PASS_VIEWS];
    each_viewed(tracker, start, length, ZIO__WILLING, show_zeros);
    uint64_t at = zio__address(start), end = at + length;
    while (at < end) {
        struct zio__section section;
        uint64_t covered = end - at;
        size_t found = 0;
        if (zio_view_map_may_hold(&tracker->map, at, end - at) &&
            zio__begin(tracker, &section, zio_view_map_stripes(at, end - at), 0, ZIO__WILLING)) {
            found = zio_view_map_translate(&tracker->map, at, end - at, views, ZIO__PASS_VIEWS,
                                           &covered);
            zio__end(tracker, &section);
        }
        uint64_t stop = at + covered;
        for (size_t i = 0; i < found; i++) {
            uint64_t whole = zio__page_up(views[i].start),
                     whole_end = zio__page_down(zio__view_end(&views[i]));
            if (views[i].handle != 0 || whole >= whole_end)
                continue;
            zio__zero_bytes((void *)(uintptr_t)at, whole - at);
            at = whole_end;
        }
        zio__zero_bytes((void *)(uintptr_t)at, stop - at);
        at = stop;
    }
}

/* The descriptor is gone, the handler is not: let it serve every page of the range. */
static bool materialise_by_touch(uint64_t start, uint64_t end) {
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14 */
#endif
    return zio_syscall(SYS_madvise, start, end - start, MADV_POPULATE_READ) == 0;
}

bool zio_tracker_materialise(struct zio_tracker *tracker, const void *start, size_t length) {
    struct zio__section section;
    uint64_t from = zio__page_down(zio__address(start)),
             to = zio__page_up(zio__address(start) + length);
    if (!zio_view_map_may_hold(&tracker->map, from, to - from))
        return true;
    int code = ZIO_EAGAIN;
    while (code == ZIO_EAGAIN) {
        if (!zio__begin(tracker, &section, 0, zio_view_map_stripes(from, to - from), ZIO__PATIENT))
            return zio_tracker_is_owner(tracker) && materialise_by_touch(from, to);
        code = zio__fill_all(tracker, from, to);
        zio__end(tracker, &section);
        if (code == ZIO_EAGAIN)
            zio__pause(50000);
    }
    return code == 0;
}

bool zio_tracker_yield_range(struct zio_tracker *tracker, const void *start, size_t length) {
    uint64_t from = zio__page_down(zio__address(start)),
             to = zio__page_up(zio__address(start) + length);
    if (atomic_load_explicit(&tracker->state, memory_order_acquire) != ZIO_TRACKER_ACTIVE ||
        !zio_tracker_is_owner(tracker))
        return true;
    if (!zio_tracker_materialise(tracker, start, length))
        return false;
    return zio_uffd_unregister(&tracker->uffd, from, to - from) == 0;
}

static long issue(const struct zio_map_call *call) {
    const long *a = call->arguments;
    return zio_syscall6(call->number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Registers again what one unregister call gave up, mapping by mapping: a single call refuses a
 * range with a gap or with another kind of memory in it. What turns out to be unmapped (mmap may
 * fail after it cut) loses its views. */
static void register_pieces(struct zio_tracker *tracker, uint64_t from, uint64_t to) {
    if (zio_uffd_register(&tracker->uffd, from, to - from) == 0)
        return;
    struct zio_mapping mapping;
    while (from < to) {
        uint64_t end = from + ZIO__PAGE;
        int code = zio_mapping_query(&tracker->uffd, from, &mapping);
        if (code == 0) {
            end = zio__min(mapping.end, to);
            code = zio_uffd_register(&tracker->uffd, from, end - from);
        }
        if (code != 0)
            zio__carve(tracker, from, end - from);
        from = end;
    }
}

long zio_tracker_retire(struct zio_tracker *tracker, void *start, size_t length,
                        const struct zio_map_call *call) {
    struct zio__section section;
    uint64_t from = zio__address(start), to = zio__page_up(from + length);
    if (from % ZIO__PAGE != 0 || to <= from ||
        !zio_view_map_may_hold(&tracker->map, from, to - from) ||
        !zio__begin(tracker, &section, 0, zio_view_map_stripes(from, to - from), ZIO__HURRIED))
        return issue(call);
    atomic_fetch_add(&tracker->evicted, 1); /* the kernel will not tell */
    bool silent = zio_uffd_unregister(&tracker->uffd, from, to - from) == 0;
    long result = 0;
    if (silent) {
        /* Another section may register the mapping meanwhile, for another part of it. */
        zio__begin_waiting(tracker);
        result = issue(call);
        zio__end_waiting(tracker);
        bool failed = result < 0 && result >= -4095;
        bool happened = !failed || (result == ZIO_ENOMEM && call->skips_gaps);
        if (happened)
            zio__carve(tracker, from, to - from);
        if (!happened || call->keeps_mapping)
            register_pieces(tracker, from, to);
    }
    zio__end(tracker, &section);
    return silent ? result : issue(call);
}
