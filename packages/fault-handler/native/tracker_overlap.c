/* Copying views where source and destination overlap. What lies between the views is saved first,
 * so that every byte of the source is immutable when its place is taken. */
#include "tracker_pass.h"

enum { HOLES_MAX_BYTES = 64 << 10, OVERLAP_ATTEMPTS = 3 };

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
static bool save_holes(struct zio__pass *pass, uint64_t from, uint64_t length,
                       struct holes *holes) {
    uint64_t covered;
    struct zio_tracker *tracker = pass->tracker;
    if (!zio__begin(tracker, &pass->section, zio_view_map_stripes(from, length), 0, ZIO__WILLING))
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
static int join_holes(struct zio__pass *pass, int count, const struct holes *holes) {
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
    struct zio__pass pass;
    struct holes holes, now;
    uint64_t covered;
    zio__pass_init(&pass, tracker, true);
    holes.saved = NULL;
    *retry = false;
    if (!save_holes(&pass, from, length, &holes))
        return false;
    if (!zio__begin(tracker, &pass.section, 0,
                    zio_view_map_stripes(from, length) | zio_view_map_stripes(to, length),
                    ZIO__WILLING)) {
        zio__forget_holds(&pass);
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
        zio__hold_views(&pass);
        atomic_fetch_add(&tracker->changes, 1);
        for (int i = 0; i < pass.count; i++)
            pass.views[i].start = pass.views[i].start - from + to;
        zio__place_run(&pass, 0, pass.count);
    }
    zio__end(tracker, &pass.section);
    if (pass.count > 0) {
        zio__run_deferred(&pass);
        zio__release_views(&pass);
        zio__count_elided(&pass);
    }
    zio__forget_holds(&pass);
    if (holes.saved)
        zio_origin_release(holes.saved);
    return pass.count > 0;
}

bool zio__copy_overlapping(struct zio_tracker *tracker, uint64_t to, uint64_t from,
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
