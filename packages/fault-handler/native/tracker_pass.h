/* One section's worth of making views, as tracker_place.c does it and tracker_overlap.c uses it. */
#ifndef ZIO_TRACKER_PASS_H
#define ZIO_TRACKER_PASS_H

#include "tracker_internal.h"

struct zio__deferred_copy {
    uint64_t to, from, length; /* from 0: zeros */
};

struct zio__pass {
    struct zio_tracker *tracker;
    struct zio__section section;
    bool sharing; /* the bytes are shown elsewhere too */
    struct zio_tracker_holds holds;
    int refusals;
    int may_keep; /* runs of pages that may be copied to because they will be touched */
    bool is_strange; /* a page was met that perhaps no access reaches */
    int count, deferred_count;
    uint64_t placed, evicted;               /* bytes that became views, that were made missing */
    struct zio_view views[ZIO__PASS_VIEWS]; /* start: where the bytes shall appear */
    struct zio__deferred_copy deferred[ZIO__PASS_DEFERRED];
};

void zio__pass_init(struct zio__pass *pass, struct zio_tracker *tracker, bool sharing);
/* Places the run of adjoining views [first, last) at its new address. In the section. */
void zio__place_run(struct zio__pass *pass, int first, int last);
/* Holds the origins of the pass's views. In the section that found them: a handler may come the
 * moment it ends, and not return. */
void zio__hold_views(struct zio__pass *pass);
/* After the section: copies what could not be a view, gives the holds up, counts. */
void zio__run_deferred(struct zio__pass *pass);
void zio__forget_holds(struct zio__pass *pass);
void zio__release_views(struct zio__pass *pass);
void zio__count_elided(const struct zio__pass *pass);

/* False: nothing was copied, and both ranges are memory. */
bool zio__copy_overlapping(struct zio_tracker *tracker, uint64_t to, uint64_t from,
                           uint64_t length);

#endif
