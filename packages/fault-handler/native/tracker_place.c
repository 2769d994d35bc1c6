/* Making views: publishing input, and copying views instead of bytes. What cannot be a
 * view (a page only partly covered, or one that refuses eviction) is noted and copied after
 * the section, because program memory is not touched inside it. */
#include "tracker_internal.h"

enum { HOLES_MAX_BYTES = 64 << 10, OVERLAP_ATTEMPTS = 3 };

struct deferred_copy {
    uint64_t to, from, length; /* from 0: zeros */
};

struct pass {
    struct zio_tracker *tracker;
    struct zio__section section;
    bool sharing; /* the bytes are shown elsewhere too */
    struct zio_tracker_holds holds;
    int refusals;
    int count, deferred_count;
    uint64_t placed;                        /* bytes that became views */
    struct zio_view views[ZIO__PASS_VIEWS]; /* start: where the bytes shall appear */
    struct deferred_copy deferred[ZIO__PASS_DEFERRED];
};

/* ZIO__PASS_DEFERRED cannot be exceeded: a pass sees at most ZIO__PASS_VIEWS views, and
 * each adds a hole before it and at most two edges and its share of the refused pages. */
static void defer(struct pass *pass, uint64_t to, uint64_t from, uint64_t length) {
    if (pass->deferred_count > 0) {
        struct deferred_copy *last = &pass->deferred[pass->deferred_count - 1];
        if (last->to + last->length == to && from != 0 && last->from + last->length == from) {
            last->length += length;
            return;
        }
    }
    pass->deferred[pass->deferred_count++] = (struct deferred_copy){to, from, length};
}

static uint64_t bytes_of(const struct zio_view *view, uint64_t at) {
    return view->handle
               ? zio__address(zio__origin(view->handle)->data) + view->offset + (at - view->start)
               : 0;
}

static void pass_init(struct pass *pass, struct zio_tracker *tracker, bool sharing) {
    pass->tracker = tracker;
    pass->sharing = sharing;
    pass->holds = (struct zio_tracker_holds){0};
    pass->refusals = ZIO__REFUSALS;
    pass->count = pass->deferred_count = 0;
    pass->placed = 0;
}

/* Bytes [start, end) of the run in pass->views[first..last) as views; what the tree has no
 * room for is deferred. The pages are missing. */
static void insert_views(struct pass *pass, int first, int last, uint64_t start, uint64_t end) {
    for (int i = first; i < last; i++) {
        const struct zio_view *view = &pass->views[i];
        uint64_t from = zio__max(start, view->start), to = zio__min(end, zio__view_end(view));
        if (from >= to)
            continue;
        uint64_t offset = view->handle ? view->offset + (from - view->start) : 0;
        if (pass->sharing && view->handle) {
            /* Sequentially consistent, like its counterpart in zio_tracker_overwrite_begin: either
             * the input sees the sharing, or we see the input and copy the bytes. */
            atomic_store(&zio__origin(view->handle)->shared, 1);
            if (atomic_load(&zio__origin(view->handle)->overwriting) != 0) {
                defer(pass, from, bytes_of(view, from), to - from);
                continue;
            }
        }
        if (zio_view_map_insert(&pass->tracker->map, from, to - from, view->handle, offset,
                                view->tag) == 0) {
            pass->placed += to - from;
        } else {
            zio_tracker_count(pass->tracker, ZIO_COUNT_out_of_memory, 1);
            defer(pass, from, bytes_of(view, from), to - from);
        }
    }
}

static void defer_views(struct pass *pass, int first, int last, uint64_t start, uint64_t end) {
    for (int i = first; i < last; i++) {
        const struct zio_view *view = &pass->views[i];
        uint64_t from = zio__max(start, view->start), to = zio__min(end, zio__view_end(view));
        if (from < to)
            defer(pass, from, bytes_of(view, from), to - from);
    }
}

/* Places a run of adjoining views at its new address. */
static void place_run(struct pass *pass, int first, int last) {
    uint64_t start = pass->views[first].start, end = zio__view_end(&pass->views[last - 1]);
    for (uint64_t at = start; at < end;) {
        uint64_t stop;
        if (at % ZIO__PAGE == 0 && at + ZIO__PAGE <= end) {
            stop = pass->refusals > 0
                       ? at + zio__claim(pass->tracker, at, zio__page_down(end), &pass->refusals)
                       : at;
            if (stop > at) {
                insert_views(pass, first, last, at, stop);
            } else {
                stop = pass->refusals > 0 ? at + ZIO__PAGE : zio__page_down(end);
                defer_views(pass, first, last, at, stop);
            }
        } else {
            struct zio_view there;
            stop = zio__min(zio__page_down(at) + ZIO__PAGE, end);
            if (zio_view_map_stab(&pass->tracker->map, at, &there))
                insert_views(pass, first, last, at, stop);
            else
                defer_views(pass, first, last, at, stop);
        }
        at = stop;
    }
}

static void run_deferred(struct pass *pass) {
    for (int i = 0; i < pass->deferred_count; i++) {
        const struct deferred_copy *copy = &pass->deferred[i];
        if (copy->from)
            zio__copy_bytes((void *)(uintptr_t)copy->to, (const void *)(uintptr_t)copy->from,
                            copy->length);
        else
            zio__zero_bytes((void *)(uintptr_t)copy->to, copy->length);
        zio_tracker_count(pass->tracker, ZIO_COUNT_copied_bytes, copy->length);
    }
}

/* In the section that found them: a handler may come the moment it ends, and not return. */
static void hold_views(struct pass *pass) {
    struct zio_origin *held[ZIO__PASS_VIEWS];
    int count = 0;
    for (int i = 0; i < pass->count; i++)
        if (pass->views[i].handle) {
            held[count] = zio__origin(pass->views[i].handle);
            zio_origin_hold(held[count++]);
        }
    zio__note(pass->tracker, &pass->holds, held, count);
}

static void forget_holds(struct pass *pass) {
    if (pass->tracker->ledger.forget)
        pass->tracker->ledger.forget(pass->tracker->ledger.context, &pass->holds);
}

static void release_views(struct pass *pass) {
    forget_holds(pass);
    for (int i = 0; i < pass->count; i++)
        if (pass->views[i].handle)
            zio_origin_release(zio__origin(pass->views[i].handle));
}

/* The program may have unmapped or protected its buffer while the input waited. Returns the length
 * of the prefix of [start, +length) that can be stored to. */
static uint64_t writable_prefix(struct zio_tracker *tracker, uint64_t start, uint64_t length) {
    struct zio_mapping mapping;
    for (uint64_t at = start; at < start + length; at = mapping.end)
        if (zio_mapping_query(&tracker->uffd, at, &mapping) != 0 || !mapping.writable)
            return at - start;
    return length;
}

/* Cuts the pass off at the first deferred byte that cannot be stored. Returns its address. */
static uint64_t check_deferred(struct pass *pass, uint64_t end) {
    for (int i = 0; i < pass->deferred_count; i++) {
        struct deferred_copy *copy = &pass->deferred[i];
        uint64_t writable = writable_prefix(pass->tracker, copy->to, copy->length);
        if (writable == copy->length)
            continue;
        copy->length = writable;
        pass->deferred_count = i + 1;
        return copy->to + writable;
    }
    return end;
}

size_t zio_tracker_publish(struct zio_tracker *tracker, void *destination, size_t length,
                           struct zio_origin *origin, uint64_t offset, uint16_t site,
                           size_t *delivered) {
    struct pass pass;
    uint64_t start = zio__address(destination);
    pass_init(&pass, tracker, false);
    pass.count = 1;
    pass.views[0] = (struct zio_view){.start = start,
                                      .length = length,
                                      .handle = (zio_handle)(uintptr_t)origin,
                                      .offset = offset,
                                      .tag = site};
    if (zio__begin(tracker, &pass.section, 0, zio_view_map_stripes(start, length), false)) {
        atomic_fetch_add(&tracker->changes, 1); /* once: the caller counts on it */
        place_run(&pass, 0, 1);
        zio__end(tracker, &pass.section);
    } else {
        defer_views(&pass, 0, 1, start, start + length);
    }
    *delivered = check_deferred(&pass, start + length) - start;
    run_deferred(&pass);
    return pass.placed;
}

bool zio_tracker_overwrite_begin(struct zio_tracker *tracker, struct zio_origin *origin,
                                 uint64_t views, uint64_t changes) {
    if (!zio_tracker_is_owner(tracker) || !zio_origin_hold_viewed(origin))
        return false;
    atomic_fetch_add(&origin->overwriting, 1);
    uint64_t references = atomic_load(&origin->references);
    bool alone = zio_tracker_changes(tracker) == changes && (uint32_t)references == views &&
                 (references >> 32) - 1 <= atomic_load(&origin->filling) &&
                 atomic_load(&origin->shared) == 0;
    if (alone)
        return true;
    atomic_fetch_sub(&origin->overwriting, 1);
    zio_origin_release(origin);
    return false;
}

void zio_tracker_overwrite_end(struct zio_tracker *tracker, void *buffer, size_t received,
                               struct zio_origin *origin, uint64_t offset, uint16_t site,
                               uint64_t changes, size_t *delivered) {
    *delivered = received;
    atomic_fetch_sub(&origin->overwriting, 1);
    /* An event that nobody has applied yet may have ended the views: then nothing is certain.
     * `changes` comes last, for an event that has left the queue has been counted. */
    bool certain = zio_uffd_probe(&tracker->uffd) == 0 && zio_handler_is_quiet(&tracker->handler) &&
                   zio_tracker_changes(tracker) == changes;
    if (received > 0 && !certain)
        zio_tracker_publish(tracker, buffer, received, origin, offset, site, delivered);
}

static void count_elided(const struct pass *pass) {
    const struct zio_tracker_listener *listener = &pass->tracker->listener;
    zio_tracker_count(pass->tracker, ZIO_COUNT_elided_bytes, pass->placed);
    if (listener->elided)
        listener->elided(listener->context, pass->views[pass->count / 2].tag, pass->placed);
}

/* One pass over disjoint ranges. Returns the bytes dealt with, or 0. */
static uint64_t copy_disjoint(struct zio_tracker *tracker, uint64_t to, uint64_t from,
                              uint64_t length) {
    struct pass pass;
    uint64_t covered;
    pass_init(&pass, tracker, true);
    if (!zio__begin(tracker, &pass.section, zio_view_map_stripes(from, length),
                    zio_view_map_stripes(to, length), false))
        return 0;
    pass.count = (int)zio_view_map_translate(&tracker->map, from, length, pass.views,
                                             ZIO__PASS_VIEWS, &covered);
    if (pass.count == 0) {
        zio__end(tracker, &pass.section);
        return 0;
    }
    hold_views(&pass);
    atomic_fetch_add(&tracker->changes, 1);
    uint64_t at = from;
    for (int i = 0; i < pass.count; i++)
        pass.views[i].start = pass.views[i].start - from + to;
    for (int first = 0, last; first < pass.count; first = last) {
        uint64_t start = pass.views[first].start - to + from;
        if (start > at)
            defer(&pass, at - from + to, at, start - at);
        for (last = first + 1; last < pass.count; last++)
            if (pass.views[last].start != zio__view_end(&pass.views[last - 1]))
                break;
        place_run(&pass, first, last);
        at = zio__view_end(&pass.views[last - 1]) - to + from;
    }
    if (at < from + covered)
        defer(&pass, at - from + to, at, from + covered - at);
    zio__end(tracker, &pass.section);
    run_deferred(&pass);
    release_views(&pass);
    count_elided(&pass);
    return covered;
}

/* The bytes between the views of an overlapping source, saved in an origin of their own:
 * they then are views like the others. */
struct holes {
    struct zio_origin *saved;
    int count;
    uint64_t starts[ZIO__PASS_VIEWS + 1], ends[ZIO__PASS_VIEWS + 1];
    uint64_t bytes;
};

static void find_holes(const struct zio_view *views, int count, uint64_t start, uint64_t end,
                       struct holes *holes) {
    uint64_t at = start;
    holes->count = 0;
    holes->bytes = 0;
    for (int i = 0; i <= count; i++) {
        uint64_t next = i < count ? views[i].start : end;
        if (next > at) {
            holes->starts[holes->count] = at;
            holes->ends[holes->count++] = next;
            holes->bytes += next - at;
        }
        if (i < count)
            at = zio__view_end(&views[i]);
    }
}

static bool holes_equal(const struct holes *a, const struct holes *b) {
    if (a->count != b->count)
        return false;
    for (int i = 0; i < a->count; i++)
        if (a->starts[i] != b->starts[i] || a->ends[i] != b->ends[i])
            return false;
    return true;
}

/* Fills holes (and pass->views meanwhile) under a reader's lock. False: give up. */
static bool save_holes(struct pass *pass, uint64_t from, uint64_t length, struct holes *holes) {
    uint64_t covered;
    struct zio_tracker *tracker = pass->tracker;
    if (!zio__begin(tracker, &pass->section, zio_view_map_stripes(from, length), 0, false))
        return false;
    int count = (int)zio_view_map_translate(&tracker->map, from, length, pass->views,
                                            ZIO__PASS_VIEWS / 2, &covered);
    zio__end(tracker, &pass->section);
    if (count == 0 || covered != length)
        return false;
    find_holes(pass->views, count, from, from + length, holes);
    if (holes->bytes > HOLES_MAX_BYTES)
        return false;
    if (holes->bytes == 0)
        return true;
    uint64_t signals = zio_signals_block();
    holes->saved = zio_origin_acquire(&tracker->pool, holes->bytes);
    if (holes->saved)
        zio__note(tracker, &pass->holds, &holes->saved, 1);
    zio_signals_restore(signals);
    if (!holes->saved) {
        zio_tracker_count(tracker, ZIO_COUNT_memory_limit, 1);
        return false;
    }
    uint64_t used = 0;
    for (int i = 0; i < holes->count; i++) {
        uint64_t bytes = holes->ends[i] - holes->starts[i];
        zio__copy_bytes(holes->saved->data + used, (const void *)(uintptr_t)holes->starts[i],
                        bytes);
        used += bytes;
    }
    atomic_store_explicit(&holes->saved->filled, used, memory_order_release);
    return true;
}

/* pass->views[0..count) with the holes filled in: returns the new count. */
static int join_holes(struct pass *pass, int count, const struct holes *holes) {
    struct zio_view joined[ZIO__PASS_VIEWS + 2];
    int total = 0, hole = 0;
    uint64_t used = 0;
    for (int i = 0; i <= count; i++) {
        while (hole < holes->count && (i == count || holes->starts[hole] < pass->views[i].start)) {
            uint64_t bytes = holes->ends[hole] - holes->starts[hole];
            joined[total++] = (struct zio_view){.start = holes->starts[hole],
                                                .length = bytes,
                                                .handle = (zio_handle)(uintptr_t)holes->saved,
                                                .offset = used};
            used += bytes;
            hole++;
        }
        if (i < count)
            joined[total++] = pass->views[i];
    }
    for (int i = 0; i < total && i < ZIO__PASS_VIEWS; i++)
        pass->views[i] = joined[i];
    return total <= ZIO__PASS_VIEWS ? total : 0;
}

static bool copy_overlapping_once(struct zio_tracker *tracker, uint64_t to, uint64_t from,
                                  uint64_t length, bool *retry) {
    struct pass pass;
    struct holes holes, now;
    uint64_t covered;
    pass_init(&pass, tracker, true);
    holes.saved = NULL;
    *retry = false;
    if (!save_holes(&pass, from, length, &holes))
        return false;
    if (!zio__begin(tracker, &pass.section, 0,
                    zio_view_map_stripes(from, length) | zio_view_map_stripes(to, length), false)) {
        forget_holds(&pass);
        if (holes.saved)
            zio_origin_release(holes.saved);
        return false;
    }
    int count = (int)zio_view_map_translate(&tracker->map, from, length, pass.views,
                                            ZIO__PASS_VIEWS / 2, &covered);
    find_holes(pass.views, count, from, from + length, &now);
    if (covered == length && count > 0 && holes_equal(&holes, &now))
        pass.count = join_holes(&pass, count, &holes);
    else
        *retry = true;
    if (pass.count > 0) {
        hold_views(&pass);
        atomic_fetch_add(&tracker->changes, 1);
        for (int i = 0; i < pass.count; i++)
            pass.views[i].start = pass.views[i].start - from + to;
        place_run(&pass, 0, pass.count);
    }
    zio__end(tracker, &pass.section);
    if (pass.count > 0) {
        run_deferred(&pass);
        release_views(&pass);
        count_elided(&pass);
    }
    forget_holds(&pass);
    if (holes.saved)
        zio_origin_release(holes.saved);
    return pass.count > 0;
}

static bool copy_overlapping(struct zio_tracker *tracker, uint64_t to, uint64_t from,
                             uint64_t length) {
    bool retry = true;
    for (int attempt = 0; retry && attempt < OVERLAP_ATTEMPTS; attempt++)
        if (copy_overlapping_once(tracker, to, from, length, &retry))
            return true;
    zio_tracker_count(tracker, ZIO_COUNT_overlap, 1);
    zio_tracker_materialise(tracker, (const void *)(uintptr_t)zio__min(to, from),
                            length + (to > from ? to - from : from - to));
    return false;
}

bool zio_tracker_copy(struct zio_tracker *tracker, void *destination, const void *source,
                      size_t length) {
    uint64_t to = zio__address(destination), from = zio__address(source);
    if (to == from)
        return true;
    if (to < from + length && from < to + length)
        return copy_overlapping(tracker, to, from, length);
    for (uint64_t done = 0; done < length;) {
        uint64_t step = copy_disjoint(tracker, to + done, from + done, length - done);
        if (step == 0) {
            if (done == 0)
                return false;
            zio__copy_bytes((unsigned char *)destination + done,
                            (const unsigned char *)source + done, length - done);
            zio_tracker_count(tracker, ZIO_COUNT_copied_bytes, length - done);
            break;
        }
        done += step;
    }
    return true;
}
