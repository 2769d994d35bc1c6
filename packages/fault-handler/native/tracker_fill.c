/* Resolution: from views to memory. Serves the handler's faults and whoever wants a range
 * materialised. Look-up, fill and cut are one step under the stripe's lock (TRAPS 13), and
 * UFFDIO_COPY makes a page appear whole, so no thread sees zeros or half a page. */
#include "tracker_internal.h"

/* A fault on registered memory that shows nothing costs more than the kernel's own would; the pages
 * around it are made along, cheaper than by faults of theirs. */
enum { LOCK_WAIT_NS = 50000, UNTRACKED_LEAST = 64 << 10 };

/* Pages below `filled` of an origin that nobody else shows can change hands: 0.1 us a page
 * instead of 1. The caller holds the stripe of the only view for writing, so no reference
 * to these bytes can appear meanwhile. */
static int fill_by_moving(struct zio_tracker *tracker, const struct zio_uffd *uffd,
                          const struct zio_view *view, uint64_t at, uint64_t length,
                          uint64_t *done) {
    struct zio_origin *origin = zio__origin(view->handle);
    uint64_t offset = view->offset + (at - view->start);
    *done = 0;
    if (!uffd->can_move || offset % ZIO__PAGE != 0 || !zio_origin_is_movable(origin))
        return ZIO_ENOTSUP;
    uint64_t filled = zio__page_down(atomic_load_explicit(&origin->filled, memory_order_acquire));
    if (offset >= filled)
        return ZIO_ENOTSUP;
    int code = zio_uffd_move(uffd, at, zio__address(origin->data) + offset,
                             zio__min(length, filled - offset), false, done);
    if (*done > 0)
        zio_tracker_count(tracker, ZIO_COUNT_moved_bytes, *done);
    return *done > 0 ? 0 : code;
}

static int fill_zeros(struct zio_tracker *tracker, const struct zio_uffd *uffd, uint64_t at,
                      uint64_t length, uint64_t *done) {
    return zio_uffd_copy(uffd, at, tracker->zeros,
                         zio__min(length, ZIO_TRACKER_ZEROS_BYTES), done);
}

static int fill_whole_pages(struct zio_tracker *tracker, const struct zio_uffd *uffd,
                            const struct zio_view *view, uint64_t at, uint64_t length,
                            uint64_t *done) {
    if (view->handle == 0)
        return fill_zeros(tracker, uffd, at, length, done);
    int code = fill_by_moving(tracker, uffd, view, at, length, done);
    if (code == 0 || code == ZIO_EAGAIN || code == ZIO_EEXIST)
        return code;
    const unsigned char *data = zio__origin(view->handle)->data;
    return zio_uffd_copy(uffd, at, data + view->offset + (at - view->start), length,
                         done);
}

/* A page that several views share is put together first. */
static int fill_composed(struct zio_tracker *tracker, const struct zio_uffd *uffd, uint64_t page,
                         unsigned char *compose, uint64_t *done) {
    struct zio_view view;
    for (uint64_t at = page; at < page + ZIO__PAGE; at = zio__view_end(&view)) {
        if (!zio_view_map_next(&tracker->map, at, page + ZIO__PAGE - at, &view) || view.start != at)
            return ZIO_EINVAL;
        if (view.handle)
            zio__copy_bytes(compose + (at - page), zio__origin(view.handle)->data + view.offset,
                            view.length);
        else
            zio__copy_bytes(compose + (at - page), tracker->zeros, view.length);
    }
    return zio_uffd_copy(uffd, page, compose, ZIO__PAGE, done);
}

int zio__fill(struct zio_tracker *tracker, const struct zio_uffd *uffd, uint64_t start,
              uint64_t end, unsigned char *compose, uint64_t *filled) {
    *filled = 0;
    /* Before a byte is read: an input that overwrites the origin in place must learn of it. */
    atomic_fetch_add(&tracker->changes, 1);
    for (uint64_t at = start; at < end;) {
        struct zio_view view;
        uint64_t done = 0;
        if (!zio_view_map_stab(&tracker->map, at, &view))
            break;
        uint64_t whole = zio__page_down(zio__min(zio__view_end(&view), end) - at);
        int code = whole > 0 ? fill_whole_pages(tracker, uffd, &view, at, whole, &done)
                             : fill_composed(tracker, uffd, at, compose, &done);
        /* A window that leaves the registered mapping fails whole (TRAPS 10). */
        if (code == ZIO_ENOENT && done == 0 && whole > ZIO__PAGE)
            code = fill_whole_pages(tracker, uffd, &view, at, ZIO__PAGE, &done);
        if (done > 0) {
            zio__carve(tracker, at, done);
            zio_tracker_count(tracker, ZIO_COUNT_materialised_bytes, done);
            at += done;
            *filled += done;
        }
        if (code == ZIO_EEXIST) {
            /* Somebody filled it in a way we do not know: the page is what counts. */
            zio_uffd_wake(uffd, at, ZIO__PAGE);
            zio__carve(tracker, at, ZIO__PAGE);
            at += ZIO__PAGE;
        } else if (code != 0) {
            return code;
        }
    }
    return 0;
}

/* A part of a fill by another thread than the reader. While the reader is kept out no event can be
 * read, so whoever unmaps or advises memory waits and the kernel fills nothing (EAGAIN): a fill
 * that succeeds was of memory that the views are about. */
static int fill_part(struct zio_tracker *tracker, uint64_t start, uint64_t end, uint64_t *filled) {
    struct zio_handler *handler = &tracker->handler;
    int code = ZIO_EAGAIN;
    *filled = 0;
    zio_lock_exclusive(&handler->reading);
    if (atomic_load(&handler->head) == atomic_load(&handler->tail))
        code = zio__fill(tracker, &tracker->uffd, start, zio__min(end, start + ZIO__WINDOW_MAX),
                         tracker->compose_locked, filled);
    zio_unlock_exclusive(&handler->reading);
    return code;
}

/* The page cannot be filled. Unmapped: nothing can see it, its views go (0). Otherwise it lost its
 * registration in a way we do not know: it gets it back, and the fill is tried again (0, once). */
static int give_up_page(struct zio_tracker *tracker, uint64_t page) {
    struct zio_mapping mapping;
    uint64_t filled;
    if (zio_mapping_query(&tracker->uffd, page, &mapping) != ZIO_ENOENT &&
        zio_uffd_register(&tracker->uffd, page, ZIO__PAGE) == 0 &&
        fill_part(tracker, page, page + ZIO__PAGE, &filled) == ZIO_EAGAIN)
        return ZIO_EAGAIN;
    zio__carve(tracker, page, ZIO__PAGE);
    return 0;
}

int zio__fill_all(struct zio_tracker *tracker, uint64_t start, uint64_t end) {
    struct zio_view view;
    uint64_t filled;
    int code = 0;
    start = zio__page_down(start);
    end = zio__page_up(end);
    zio_lock_exclusive(&tracker->compose_lock);
    for (uint64_t at = start; at < end && code == 0;) {
        if (!zio_view_map_next(&tracker->map, at, end - at, &view))
            break;
        at = zio__page_down(view.start);
        code = fill_part(tracker, at, end, &filled);
        at += filled;
        if (code == ZIO_ENOENT)
            code = give_up_page(tracker, at);
    }
    zio_unlock_exclusive(&tracker->compose_lock);
    return code;
}

/* Faults that come in order double their window; the handler follows a few streams. */
static struct zio_fault_stream *stream_for(struct zio_tracker *tracker, uint64_t page) {
    for (int i = 0; i < ZIO_TRACKER_STREAMS; i++)
        if (tracker->streams[i].next == page) {
            tracker->streams[i].window = zio__min(tracker->streams[i].window * 2, ZIO__WINDOW_MAX);
            return &tracker->streams[i];
        }
    struct zio_fault_stream *stream =
        &tracker->streams[tracker->stream_turn++ % ZIO_TRACKER_STREAMS];
    stream->window = ZIO__PAGE;
    return stream;
}

static void tell_touched(struct zio_tracker *tracker, uint16_t site, uint64_t page,
                         uint64_t filled) {
    if (tracker->listener.touched)
        tracker->listener.touched(tracker->listener.context, site, page, filled);
}

/* Every view in the block around a page that was touched, over the gaps that earlier touches left.
 * Whatever hinders it is met again by the next touch. */
static void fill_block(struct zio_tracker *tracker, uint64_t page, uint64_t *filled) {
    struct zio_view view;
    uint64_t start = page & ~(uint64_t)(ZIO__WINDOW_MAX - 1), end = start + ZIO__WINDOW_MAX, more;
    for (uint64_t at = start; at < end && zio_view_map_next(&tracker->map, at, end - at, &view);
         at += more) {
        at = zio__page_down(view.start);
        zio__fill(tracker, &tracker->served, at, end, tracker->compose, &more);
        if (more == 0)
            return;
        *filled += more;
    }
}

static int resolve_view(struct zio_tracker *tracker, const struct zio_view *view, uint64_t page,
                        uint64_t end, uint64_t *filled) {
    int code = zio__fill(tracker, &tracker->served, page, end, tracker->compose, filled);
    if (*filled > 0) {
        uint64_t all = *filled;
        const struct zio_tracker_listener *listener = &tracker->listener;
        if (listener->is_given_up && listener->is_given_up(listener->context, view->tag))
            fill_block(tracker, page, &all);
        zio_tracker_count(tracker, ZIO_COUNT_faults, 1);
        tell_touched(tracker, view->tag, page, all);
        return 0;
    }
    return code;
}

static int resolve_untracked(struct zio_tracker *tracker, uint64_t page, uint64_t end,
                             uint64_t *filled) {
    struct zio_view next;
    if (zio_view_map_next(&tracker->map, page, end - page, &next))
        end = zio__page_down(next.start);
    int code = fill_zeros(tracker, &tracker->served, page, end - page, filled);
    if (*filled == 0 && code != ZIO_EAGAIN && end > page + ZIO__PAGE)
        code = fill_zeros(tracker, &tracker->served, page, ZIO__PAGE, filled);
    if (code != ZIO_EAGAIN) {
        zio_tracker_count(tracker, ZIO_COUNT_zero_faults, 1);
        tell_touched(tracker, 0, page, *filled);
    }
    return *filled > 0 ? 0 : code;
}

/* Memory around which no view is left pays for its registration with every page it touches first:
 * the kernel gets it back. True: done, and whoever waited there has been woken. */
static bool forget_registration(struct zio_tracker *tracker, uint64_t page) {
    struct zio_mapping mapping;
    uint64_t start, end;
    if (zio_view_map_may_hold(&tracker->map, page, 1) ||
        zio_mapping_query(&tracker->served, page, &mapping) != 0 || !mapping.private_anonymous)
        return false;
    zio__registration_range(&mapping, page, page + ZIO__PAGE, &start, &end);
    zio_stripes stripes = zio_view_map_stripes(start, end - start);
    if (zio_view_map_may_hold(&tracker->map, start, end - start) ||
        !zio_view_map_lock_timed(&tracker->map, stripes, LOCK_WAIT_NS))
        return false;
    bool forgotten = !zio_view_map_may_hold(&tracker->map, start, end - start) &&
                     zio_uffd_unregister(&tracker->served, start, end - start) == 0;
    zio_view_map_unlock(&tracker->map, 0, stripes);
    if (!forgotten)
        return false;
    /* The kernel wakes before it clears the mapping: who was quick waits again, and the second
     * unregister of the same range wakes nobody. */
    zio_uffd_wake(&tracker->served, page, ZIO__PAGE);
    zio_tracker_count(tracker, ZIO_COUNT_zero_faults, 1);
    tell_touched(tracker, 0, page, 0);
    return true;
}

int zio__on_fault(void *context, uint64_t page, uint64_t flags, uint32_t thread) {
    struct zio_tracker *tracker = context;
    (void)flags;
    (void)thread;
    if (!zio__drain_timed(tracker, LOCK_WAIT_NS))
        return ZIO_EAGAIN;
    if (forget_registration(tracker, page))
        return 0;
    uint64_t granule = UINT64_C(1) << ZIO_VIEW_MAP_GRANULE_SHIFT;
    zio_stripes stripe = zio_view_map_stripes(page, 1);
    if (!zio_view_map_lock_timed(&tracker->map, stripe, LOCK_WAIT_NS))
        return ZIO_EAGAIN;

    struct zio_fault_stream *stream = stream_for(tracker, page);
    uint64_t filled = 0;
    struct zio_view view;
    bool viewed = zio_view_map_stab(&tracker->map, page, &view);
    uint64_t window = viewed ? stream->window : zio__max(stream->window, UNTRACKED_LEAST);
    uint64_t end = zio__min(page + window, (page & ~(granule - 1)) + granule);
    int code = viewed
                   ? resolve_view(tracker, &view, page, end, &filled)
                   : resolve_untracked(tracker, page, end, &filled);
    stream->next = page + filled;
    zio_view_map_unlock(&tracker->map, 0, stripe);

    if (code == ZIO_EAGAIN) {
        atomic_fetch_add(&tracker->stalled, 1);
        return ZIO_EAGAIN;
    }
    atomic_store(&tracker->stalled, 0);
    /* Present already, unmapped, or the process is ending: let the thread look again. */
    if (filled == 0)
        zio_uffd_wake(&tracker->served, page, ZIO__PAGE);
    return 0;
}
