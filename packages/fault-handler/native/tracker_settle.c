/* Settling: the views of a site that is left alone become memory, a few at a time. First they are
 * looked for under readers' locks, then each is filled in a section of its own, which looks again;
 * so nobody waits long. */
#include "tracker_internal.h"

enum {
    LOOKS = 512, /* at views, at once */
    FOUND = 16,
};

struct found {
    uint64_t starts[FOUND], ends[FOUND];
    int count;
};

static bool is_wanted(const struct zio_view *view, uint16_t site) {
    return view->handle == 0 || view->tag == site;
}

static void look(struct zio_tracker *tracker, uint16_t site, size_t bytes,
                 struct zio_tracker_place *from, struct found *found) {
    struct zio__section section;
    struct zio_view view;
    int looks = LOOKS;
    found->count = 0;
    if (!zio__begin(tracker, &section, ~UINT64_C(0), 0, ZIO__HURRIED))
        return;
    for (; from->stripe < ZIO_VIEW_MAP_STRIPES; from->stripe++, from->address = 0) {
        const struct zio_view_tree *tree = &tracker->map.stripes[from->stripe].tree;
        while (looks > 0 && bytes > 0 && found->count < FOUND &&
               zio_view_tree_next(tree, from->address, &view)) {
            from->address = zio__view_end(&view);
            looks--;
            if (!is_wanted(&view, site))
                continue;
            found->starts[found->count] = view.start;
            found->ends[found->count++] = zio__view_end(&view);
            bytes -= view.handle == 0 ? 0 : zio__min(bytes, view.length);
        }
        if (looks == 0 || bytes == 0 || found->count == FOUND)
            break;
    }
    zio__end(tracker, &section);
}

/* A missing page without a view reads zeros too. */
static void end_zeros(struct zio_tracker *tracker, const struct zio_view *view) {
    uint64_t start = zio__page_up(view->start), end = zio__page_down(zio__view_end(view));
    if (start < end)
        zio__carve(tracker, start, end - start);
}

static void settle_range(struct zio_tracker *tracker, uint16_t site, uint64_t start, uint64_t end) {
    struct zio__section section;
    struct zio_view view;
    if (!zio__begin(tracker, &section, 0, zio_view_map_stripes(start, end - start), ZIO__HURRIED))
        return;
    for (uint64_t at = start;
         at < end && zio_view_map_next(&tracker->map, at, end - at, &view); at = zio__view_end(&view))
        if (view.handle == 0)
            end_zeros(tracker, &view);
        else if (view.tag == site)
            /* What fails here faults later. */
            zio__fill_all(tracker, zio__page_down(view.start), zio__page_up(zio__view_end(&view)));
    zio__end(tracker, &section);
}

void zio_tracker_settle(struct zio_tracker *tracker, uint16_t site, size_t bytes,
                        struct zio_tracker_place *from) {
    struct found found;
    if (!zio_tracker_has_views(tracker))
        return;
    look(tracker, site, bytes, from, &found);
    for (int i = 0; i < found.count; i++)
        settle_range(tracker, site, found.starts[i], found.ends[i]);
}
