/* Making views: publishing input, and copying views instead of bytes (tracker_overlap.c: where the
 * ranges overlap). What cannot be a view (a page only partly covered, or one that refuses eviction)
 * is noted and copied after the section, because program memory is not touched inside it. */
#include "tracker_pass.h"

#include <errno.h>
#include <sys/mman.h>

/* ZIO__PASS_DEFERRED cannot be exceeded: a pass sees at most ZIO__PASS_VIEWS views, and
 * each adds a hole before it and at most two edges and its share of the refused pages, and of the
 * kept runs. */
static void defer(struct zio__pass *pass, uint64_t to, uint64_t from, uint64_t length) {
    if (pass->deferred_count > 0) {
        struct zio__deferred_copy *last = &pass->deferred[pass->deferred_count - 1];
        if (last->to + last->length == to && from != 0 && last->from + last->length == from) {
            last->length += length;
            return;
        }
    }
    pass->deferred[pass->deferred_count++] = (struct zio__deferred_copy){to, from, length};
}

static uint64_t bytes_of(const struct zio_view *view, uint64_t at) {
    return view->handle
               ? zio__address(zio__origin(view->handle)->data) + view->offset + (at - view->start)
               : 0;
}

void zio__pass_init(struct zio__pass *pass, struct zio_tracker *tracker, bool sharing) {
    pass->tracker = tracker;
    pass->sharing = sharing;
    pass->holds = (struct zio_tracker_holds){0};
    pass->refusals = ZIO__REFUSALS;
    pass->may_keep = 0;
    pass->is_strange = atomic_load_explicit(&tracker->has_guards, memory_order_relaxed);
    pass->count = pass->deferred_count = 0;
    pass->placed = pass->evicted = 0;
}

/* Bytes [start, end) of the run in pass->views[first..last) as views; what the tree has no
 * room for is deferred. The pages are missing. */
static void insert_views(struct zio__pass *pass, int first, int last, uint64_t start,
                         uint64_t end) {
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

static void defer_views(struct zio__pass *pass, int first, int last, uint64_t start, uint64_t end) {
    for (int i = first; i < last; i++) {
        const struct zio_view *view = &pass->views[i];
        uint64_t from = zio__max(start, view->start), to = zio__min(end, zio__view_end(view));
        if (from < to)
            defer(pass, from, bytes_of(view, from), to - from);
    }
}

/* The end of the run of whole pages from `at` on that is to be views, or else (*kept) to be copied
 * to. Where views are already, their pages are missing: those stay views. */
static uint64_t next_run(struct zio__pass *pass, uint64_t at, uint64_t end, bool *kept) {
    const struct zio_tracker_listener *listener = &pass->tracker->listener;
    struct zio_view view;
    *kept = false;
    if (!listener->keep || pass->may_keep == 0)
        return end;
    uint64_t stop = at + listener->keep(listener->context, at, end, kept);
    if (*kept && zio_view_map_next(&pass->tracker->map, at, stop - at, &view)) {
        *kept = view.start >= at + ZIO__PAGE;
        stop =
            *kept ? zio__page_down(view.start) : zio__min(stop, zio__page_up(zio__view_end(&view)));
    }
    pass->may_keep -= *kept;
    return stop;
}

void zio__place_run(struct zio__pass *pass, int first, int last) {
    uint64_t start = pass->views[first].start, end = zio__view_end(&pass->views[last - 1]);
    for (uint64_t at = start; at < end;) {
        uint64_t stop;
        if (at % ZIO__PAGE == 0 && at + ZIO__PAGE <= end) {
            bool kept;
            uint64_t run = next_run(pass, at, zio__page_down(end), &kept);
            if (kept) {
                defer_views(pass, first, last, at, run);
                zio_tracker_count(pass->tracker, ZIO_COUNT_kept_bytes, run - at);
                at = run;
                continue;
            }
            bool strange = false;
            stop = pass->refusals > 0 ? at + zio__claim(pass->tracker, at, run, &pass->refusals,
                                                        &pass->evicted, &strange)
                                      : at;
            /* Input ends before a page that cannot be stored to: what follows stays as it is. */
            if (strange && !pass->sharing)
                pass->is_strange = true, pass->refusals = 0;
            if (stop > at) {
                insert_views(pass, first, last, at, stop);
            } else {
                stop = pass->refusals > 0 ? at + ZIO__PAGE : run;
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

void zio__run_deferred(struct zio__pass *pass) {
    for (int i = 0; i < pass->deferred_count; i++) {
        const struct zio__deferred_copy *copy = &pass->deferred[i];
        if (copy->from)
            zio__copy_bytes((void *)(uintptr_t)copy->to, (const void *)(uintptr_t)copy->from,
                            copy->length);
        else
            zio__zero_bytes((void *)(uintptr_t)copy->to, copy->length);
        zio_tracker_count(pass->tracker, ZIO_COUNT_copied_bytes, copy->length);
    }
}

void zio__hold_views(struct zio__pass *pass) {
    struct zio_origin *held[ZIO__PASS_VIEWS];
    int count = 0;
    for (int i = 0; i < pass->count; i++)
        if (pass->views[i].handle) {
            held[count] = zio__origin(pass->views[i].handle);
            zio_origin_hold(held[count++]);
        }
    zio__note(pass->tracker, &pass->holds, held, count);
}

void zio__forget_holds(struct zio__pass *pass) {
    if (pass->tracker->ledger.forget)
        pass->tracker->ledger.forget(pass->tracker->ledger.context, &pass->holds);
}

void zio__release_views(struct zio__pass *pass) {
    zio__forget_holds(pass);
    for (int i = 0; i < pass->count; i++)
        if (pass->views[i].handle)
            zio_origin_release(zio__origin(pass->views[i].handle));
}

/* The program may have unmapped or protected its buffer while the input waited. Returns the length
 * of the prefix of [start, +length) that can be stored to. Where nothing tells, it did not: its
 * input must not get lost for that. *mapping: the last one asked for, writable, or zeros. */
static uint64_t writable_prefix(struct zio_tracker *tracker, uint64_t start, uint64_t length,
                                struct zio_mapping *mapping) {
    for (uint64_t at = start; at < start + length; at = mapping->end) {
        if (at >= mapping->start && at < mapping->end)
            continue; /* the same as before, and writable */
        int code = zio_mapping_query(&tracker->uffd, at, mapping);
        if (code != 0 && code != ZIO_ENOENT)
            return length;
        if (code != 0 || !mapping->writable)
            return at - start;
    }
    return length;
}

/* A guard region (Linux 6.13) is memory to every question about mappings, and has no page that could
 * be stored to. The kernel tries it out, page by page. */
static uint64_t reachable_prefix(uint64_t start, uint64_t length) {
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
    uint64_t end = start + length;
    for (uint64_t page = zio__page_down(start); page < end; page += ZIO__PAGE)
        if (zio_syscall(SYS_madvise, page, ZIO__PAGE, MADV_POPULATE_WRITE) == -EFAULT)
            return zio__max(page, start) - start;
    return length;
}

/* Cuts the pass off at the first deferred byte that cannot be stored. Returns its address. */
static uint64_t check_deferred(struct zio__pass *pass, uint64_t end) {
    struct zio_mapping mapping = {0};
    for (int i = 0; i < pass->deferred_count; i++) {
        struct zio__deferred_copy *copy = &pass->deferred[i];
        uint64_t writable = writable_prefix(pass->tracker, copy->to, copy->length, &mapping);
        if (pass->is_strange)
            writable = reachable_prefix(copy->to, writable);
        if (writable == copy->length)
            continue;
        copy->length = writable;
        pass->deferred_count = i + 1;
        return copy->to + writable;
    }
    return end;
}

static void after_eviction(const struct zio__pass *pass, uint16_t site) {
    const struct zio_tracker_listener *listener = &pass->tracker->listener;
    if (pass->evicted == 0)
        return;
    zio__tidy_scratch(pass->tracker);
    if (listener->evicted)
        listener->evicted(listener->context, site, pass->evicted);
}

size_t zio_tracker_publish(struct zio_tracker *tracker, void *destination, size_t length,
                           struct zio_origin *origin, uint64_t offset, uint16_t site,
                           size_t *delivered) {
    struct zio__pass pass;
    uint64_t start = zio__address(destination);
    zio__pass_init(&pass, tracker, false);
    pass.may_keep = ZIO__KEPT_RUNS;
    pass.count = 1;
    pass.views[0] = (struct zio_view){.start = start,
                                      .length = length,
                                      .handle = (zio_handle)(uintptr_t)origin,
                                      .offset = offset,
                                      .tag = site};
    if (zio__begin(tracker, &pass.section, 0, zio_view_map_stripes(start, length), ZIO__WILLING)) {
        atomic_fetch_add(&tracker->changes, 1); /* once: the caller counts on it */
        zio__place_run(&pass, 0, 1);
        zio__end(tracker, &pass.section);
    } else {
        defer_views(&pass, 0, 1, start, start + length);
    }
    *delivered = check_deferred(&pass, start + length) - start;
    zio__run_deferred(&pass);
    after_eviction(&pass, site);
    return pass.placed;
}

bool zio_tracker_overwrite_begin(struct zio_tracker *tracker, struct zio_origin *origin,
                                 uint64_t views, uint64_t changes) {
    /* Looked at first: a message that was copied is shown elsewhere too. */
    if ((uint32_t)atomic_load(&origin->references) != views || atomic_load(&origin->shared) != 0 ||
        !zio_tracker_is_owner(tracker) || !zio_origin_hold_viewed(origin))
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

void zio__count_elided(const struct zio__pass *pass) {
    const struct zio_tracker_listener *listener = &pass->tracker->listener;
    zio_tracker_count(pass->tracker, ZIO_COUNT_elided_bytes, pass->placed);
    uint16_t site = pass->views[pass->count / 2].tag;
    if (listener->elided)
        listener->elided(listener->context, site, pass->placed);
    after_eviction(pass, site);
}

static bool is_worth_eliding(const struct zio__pass *pass, uint64_t length) {
    const struct zio_tracker_listener *listener = &pass->tracker->listener;
    return !listener->elides ||
           listener->elides(listener->context, pass->views[pass->count / 2].tag, length);
}

/* One pass over disjoint ranges. Returns the bytes dealt with, or 0. */
static uint64_t copy_disjoint(struct zio_tracker *tracker, uint64_t to, uint64_t from,
                              uint64_t length) {
    struct zio__pass pass;
    uint64_t covered;
    zio__pass_init(&pass, tracker, true);
    pass.may_keep = ZIO__KEPT_RUNS;
    if (!zio__begin(tracker, &pass.section, zio_view_map_stripes(from, length),
                    zio_view_map_stripes(to, length), ZIO__WILLING))
        return 0;
    pass.count = (int)zio_view_map_translate(&tracker->map, from, length, pass.views,
                                             ZIO__PASS_VIEWS, &covered);
    if (pass.count == 0 || !is_worth_eliding(&pass, length)) {
        zio__end(tracker, &pass.section);
        return 0;
    }
    zio__hold_views(&pass);
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
        zio__place_run(&pass, first, last);
        at = zio__view_end(&pass.views[last - 1]) - to + from;
    }
    if (at < from + covered)
        defer(&pass, at - from + to, at, from + covered - at);
    zio__end(tracker, &pass.section);
    zio__run_deferred(&pass);
    zio__release_views(&pass);
    zio__count_elided(&pass);
    return covered;
}

bool zio_tracker_copy(struct zio_tracker *tracker, void *destination, const void *source,
                      size_t length) {
    uint64_t to = zio__address(destination), from = zio__address(source);
    if (to == from)
        return true;
    if (to < from + length && from < to + length)
        return zio__copy_overlapping(tracker, to, from, length);
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
