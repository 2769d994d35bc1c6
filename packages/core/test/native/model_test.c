/* The view tree and the view map against an array with an entry for each place: random inserts,
 * carves and look-ups over a small dense address space, with memory running out now and then.
 *
 * usage: model_test tree|map|edge|wide SEED OPERATIONS
 * tree: a place is a byte. The others are maps: map: a place is 32 KiB, so that the space has 64
 * granules; edge: a byte, around the end of a granule; wide: 1 MiB, 2048 granules. */
#include <zio/view_map.h>

#include <string.h>

#include "check.h"

enum { PLACES = 4096, HANDLES = 6, SLOTS = 64 };

/* What one place shows; `present` 0: a hole. Places are `unit` bytes of address space. */
struct place {
    int present;
    zio_handle handle;
    uint64_t offset;
    uint16_t tag;
};

static struct place model[PLACES];
static uint64_t base, unit;
static uint64_t state;
static int64_t pieces_told[HANDLES];

static struct zio_slab slab;
static struct zio_view_tree tree;
static struct zio_view_map map;
static int use_map;

/* What is being changed right now; a handle of 0: a carve. */
static struct {
    uint64_t start, length;
    zio_handle handle;
    int one_granule;
} changing;

/* Hooks run in the middle of a change: the filter must admit the range as long as any piece of it
 * may be visible. */
static void check_filter(void) {
    if (use_map && changing.one_granule)
        ASSERT(zio_view_map_may_hold(&map, changing.start, changing.length));
}

static void told_added(void *context, zio_handle handle) {
    ASSERT_EQUAL(context, pieces_told);
    ASSERT_COMPARE(handle, >, 0);
    pieces_told[handle]++;
    check_filter();
}

static void told_removed(void *context, zio_handle handle) {
    ASSERT_EQUAL(context, pieces_told);
    pieces_told[handle]--;
    /* The handle that is being inserted never seems to be gone. */
    ASSERT_COMPARE(pieces_told[handle], >=, handle == changing.handle);
    check_filter();
}

static const struct zio_view_tree_hooks hooks = {told_added, told_removed, pieces_told};

static struct zio_slab *nodes(void) {
    return use_map ? &map.nodes : &slab;
}

static void announce(uint64_t start, uint64_t length, zio_handle handle) {
    changing.start = start;
    changing.length = length;
    changing.handle = handle;
    changing.one_granule =
        start >> ZIO_VIEW_MAP_GRANULE_SHIFT == (start + length - 1) >> ZIO_VIEW_MAP_GRANULE_SHIFT;
}

static int insert(uint64_t start, uint64_t length, zio_handle handle, uint64_t offset,
                  uint16_t tag) {
    announce(start, length, handle);
    return use_map ? zio_view_map_insert(&map, start, length, handle, offset, tag)
                   : zio_view_tree_insert(&tree, start, length, handle, offset, tag);
}

static int carve(uint64_t start, uint64_t length) {
    announce(start, length, 0);
    return use_map ? zio_view_map_carve(&map, start, length)
                   : zio_view_tree_carve(&tree, start, length);
}

static int stab(uint64_t address, struct zio_view *view) {
    return use_map ? zio_view_map_stab(&map, address, view)
                   : zio_view_tree_stab(&tree, address, view);
}

static size_t translate(uint64_t start, uint64_t length, struct zio_view *views, size_t max,
                        uint64_t *covered) {
    return use_map ? zio_view_map_translate(&map, start, length, views, max, covered)
                   : zio_view_tree_translate(&tree, start, length, views, max, covered);
}

/* Whether places i and i + 1 belong to one view. */
static int continues(int i) {
    const struct place *left = &model[i], *right = &model[i + 1];
    return left->present && right->present && left->handle == right->handle &&
           left->tag == right->tag && (left->handle == 0 || left->offset + unit == right->offset);
}

static void check_place_view(int i, const struct zio_view *view) {
    uint64_t address = base + (uint64_t)i * unit;
    ASSERT(model[i].present);
    ASSERT(view->start <= address && address + unit <= view->start + view->length);
    ASSERT_EQUAL(view->handle, model[i].handle);
    ASSERT_EQUAL(view->tag, model[i].tag);
    ASSERT_EQUAL(view->offset + (view->handle ? address - view->start : 0), model[i].offset);
}

/* Compares one translation of [from, to), given room for `max` pieces, with the model. */
static void check_translate(int from, int to, size_t max) {
    struct zio_view views[SLOTS];
    uint64_t start = base + (uint64_t)from * unit, covered;
    size_t count = translate(start, (uint64_t)(to - from) * unit, views, max, &covered);
    ASSERT_COMPARE(count, <=, max);
    int at = from;
    for (size_t i = 0; i < count; i++) {
        for (; base + (uint64_t)at * unit < views[i].start; at++)
            ASSERT(!model[at].present);
        ASSERT_EQUAL(views[i].start, base + (uint64_t)at * unit);
        uint64_t places = views[i].length / unit;
        ASSERT_EQUAL(places * unit, views[i].length);
        for (uint64_t k = 0; k < places; k++, at++) {
            check_place_view(at, &views[i]);
            ASSERT_EQUAL(k + 1 < places || at + 1 == to ? 0 : continues(at), 0);
        }
    }
    if (count == max)
        for (; at < to && !model[at].present; at++)
            ;
    else
        for (; at < to; at++)
            ASSERT(!model[at].present);
    ASSERT_EQUAL(covered, (uint64_t)(at - from) * unit);
}

static void check_next(int from) {
    struct zio_view view;
    uint64_t address = base + (uint64_t)from * unit;
    int to = PLACES;
    int found = use_map ? zio_view_map_next(&map, address, (uint64_t)(to - from) * unit, &view)
                        : zio_view_tree_next(&tree, address, &view);
    for (; from < to && !model[from].present; from++)
        ASSERT_EQUAL(found && view.start <= base + (uint64_t)from * unit, 0);
    ASSERT_EQUAL(found, from < to);
    if (found)
        check_place_view(from, &view);
}

struct tally {
    uint64_t count;
    int64_t pieces[HANDLES];
};

static int count_piece(void *context, const struct zio_view *view) {
    struct tally *tally = context;
    tally->count++;
    if (view->handle != 0)
        tally->pieces[view->handle]++;
    check_place_view((int)((view->start - base) / unit), view);
    return 0;
}

static void check_all(void) {
    int violation = use_map ? zio_view_map_check(&map) : zio_view_tree_check(&tree);
    ASSERT_EQUAL(violation, 0);
    struct tally seen = {0}, wanted = {0};
    struct zio_view view;
    for (int i = 0; i < PLACES; i++) {
        uint64_t address = base + (uint64_t)i * unit;
        ASSERT_EQUAL(stab(address, &view), model[i].present);
        if (model[i].present)
            check_place_view(i, &view);
        ASSERT_EQUAL(stab(address + unit - 1, &view), model[i].present);
        if (use_map && model[i].present)
            ASSERT(zio_view_map_may_hold(&map, address, unit));
        if (model[i].present && (i + 1 == PLACES || !continues(i))) {
            wanted.count++;
            if (model[i].handle != 0)
                wanted.pieces[model[i].handle]++;
        }
    }
    if (use_map) {
        /* Stored pieces end at granules, so their number differs from that of the views. */
        ASSERT_EQUAL(zio_view_map_each(&map, count_piece, &seen), 0);
        ASSERT_COMPARE(seen.count, >=, wanted.count);
        ASSERT_EQUAL(seen.count, atomic_load(&map.count));
        wanted = seen;
    } else {
        for (uint64_t at = 0; zio_view_tree_next(&tree, at, &view); at = view.start + view.length)
            count_piece(&seen, &view);
        ASSERT_EQUAL(seen.count, wanted.count);
        ASSERT_EQUAL(tree.count, wanted.count);
    }
    for (int handle = 1; handle < HANDLES; handle++) {
        ASSERT_EQUAL(seen.pieces[handle], wanted.pieces[handle]);
        ASSERT_EQUAL(pieces_told[handle], wanted.pieces[handle]);
    }
}

/* Nodes kept from the tree, so that it runs out of memory. */
static void *hoard[1 << 16];
static size_t hoarded;

/* Ranges are mostly short for a while, so that many views live, then longer, so that few do. */
static uint64_t longest_shift = 1;

static void random_range(int *from, int *to) {
    uint64_t longest = UINT64_C(1) << random_below(&state, longest_shift);
    if (random_below(&state, hoarded ? 300 : 5000) == 0)
        longest = PLACES;
    *from = (int)random_below(&state, PLACES);
    *to = *from + 1 + (int)random_below(&state, longest);
    if (*to > PLACES)
        *to = PLACES;
}

/* Leaves `left` free nodes above the reserve and lets the slab grow no more; or the reverse. */
static void exhaust(size_t left) {
    struct zio_slab *from = nodes();
    from->total_max = from->total_count;
    while (from->free_count > from->reserve_count + left && hoarded < sizeof hoard / sizeof *hoard)
        hoard[hoarded++] = zio_slab_alloc(from);
}

static void restore(void) {
    while (hoarded > 0)
        zio_slab_free(nodes(), hoard[--hoarded]);
    nodes()->total_max = 0;
}

static int random_change(void) {
    int from, to;
    random_range(&from, &to);
    uint64_t start = base + (uint64_t)from * unit, length = (uint64_t)(to - from) * unit;
    if (random_below(&state, 3) == 0) {
        int result = carve(start, length);
        ASSERT(result == 0 || result == ZIO_ENOMEM);
        for (int i = from; result == 0 && i < to; i++)
            model[i].present = 0;
        return result;
    }
    zio_handle handle = random_below(&state, HANDLES);
    uint16_t tag = (uint16_t)(random_below(&state, 8) == 0 ? 65535 : 0);
    /* Offsets that follow the address by a few distances let neighbours merge. */
    uint64_t offset = (uint64_t)from * unit + random_below(&state, 2) * unit * 7;
    int result = insert(start, length, handle, offset, tag);
    ASSERT(result == 0 || result == ZIO_ENOMEM);
    for (int i = from; result == 0 && i < to; i++)
        model[i] =
            (struct place){1, handle, handle ? offset + (uint64_t)(i - from) * unit : 0, tag};
    return result;
}

int main(int argc, char **argv) {
    ASSERT_EQUAL(argc, 4);
    int edge = strcmp(argv[1], "edge") == 0, wide = strcmp(argv[1], "wide") == 0;
    use_map = strcmp(argv[1], "tree") != 0;
    uint64_t seed = strtoull(argv[2], NULL, 10), operations = strtoull(argv[3], NULL, 10);
    state = seed;
    unit = wide ? 1 << 20 : use_map && !edge ? 32768 : 1;
    base = UINT64_C(0x7f0000000000) - (edge ? PLACES / 2 : 0);
    if (use_map)
        ASSERT_EQUAL(zio_view_map_init(&map, &hooks), 0);
    else {
        ASSERT_EQUAL(zio_slab_init(&slab, zio_view_tree_node_bytes(), 16), 0);
        zio_view_tree_init(&tree, &slab, &hooks);
    }

    uint64_t failures = 0, most = 0;
    for (uint64_t i = 0; i < operations; i++) {
        if (random_below(&state, 10000) == 0)
            exhaust(random_below(&state, UINT64_C(1) << random_below(&state, 11)));
        else if (random_below(&state, 1000) == 0)
            restore();
        failures += random_change() != 0;
        int from, to;
        random_range(&from, &to);
        check_translate(from, to, 1 + random_below(&state, SLOTS));
        check_next(from);
        if (random_below(&state, 5000) == 0)
            longest_shift = 1 + random_below(&state, 8);
        if (i % 2048 == 0 || (hoarded && random_below(&state, 64) == 0)) {
            check_all();
            uint64_t count = use_map ? atomic_load(&map.count) : tree.count;
            most = count > most ? count : most;
        }
    }
    check_all();
    restore();
    changing.handle = 0;
    changing.one_granule = 0;
    uint32_t height = use_map ? map.stripes[0].tree.height : tree.height;
    if (use_map) {
        for (int i = 0; i < ZIO_VIEW_MAP_STRIPES; i++)
            zio_view_tree_clear(&map.stripes[i].tree);
    } else
        zio_view_tree_clear(&tree);
    for (int handle = 1; handle < HANDLES; handle++)
        ASSERT_EQUAL(pieces_told[handle], 0);
    ASSERT_EQUAL(nodes()->free_count, nodes()->total_count);
    printf("%s: %" PRIu64 " operations, %" PRIu64 " out of memory, at most %" PRIu64
           " views, height %u\n",
           argv[1], operations, failures, most, height);
    if (use_map)
        zio_view_map_destroy(&map);
    else
        zio_slab_destroy(&slab);
    return 0;
}
