/* One word a page, direct-mapped, so that the pages of a buffer lie side by side. A page that was
 * touched in two views one after the other is copied to for a number of times, then shown as a view
 * again: is it touched once more, the number grows, else the page is forgotten. */
#include "policy_pages.h"

#include <stdatomic.h>

enum {
    PAGE = 4096,
    SLOTS = 1 << 13, /* 32 MiB of buffers */
    FIRST_USES_SHIFT = 2,
    LAST_USES_SHIFT = 12,
    BRIDGE_PAGES = 3, /* between two such pages: copying them is cheaper than a view of their own */
};

/* uses left: 16 bits; log2 of the last number of uses, 0: none yet: 4; a view since: 1; page
 * number: 43 */
enum { SHIFT_AT = 16, TRIED_AT = 20, PAGE_AT = 21 };

static _Atomic uint64_t slots[SLOTS];
static _Atomic bool any;

static uint64_t page_of(uint64_t word) {
    return word >> PAGE_AT;
}

static uint64_t uses_of(uint64_t word) {
    return word & 0xffff;
}

static uint64_t shift_of(uint64_t word) {
    return word >> SHIFT_AT & 15;
}

static bool was_tried(uint64_t word) {
    return word >> TRIED_AT & 1;
}

static uint64_t word_for(uint64_t page, uint64_t shift) {
    return page << PAGE_AT | shift << SHIFT_AT | (shift > 0 ? UINT64_C(1) << shift : 0);
}

static _Atomic uint64_t *slot_of(uint64_t page) {
    return &slots[(page ^ page >> 13) % SLOTS];
}

static uint64_t next_shift(uint64_t shift) {
    if (shift == 0)
        return FIRST_USES_SHIFT;
    return shift + 2 < LAST_USES_SHIFT ? shift + 2 : LAST_USES_SHIFT;
}

void zio__pages_touched(uint64_t start, uint64_t bytes) {
    for (uint64_t page = start / PAGE; page < (start + bytes) / PAGE; page++) {
        _Atomic uint64_t *slot = slot_of(page);
        uint64_t word = atomic_load_explicit(slot, memory_order_relaxed);
        bool known = page_of(word) == page;
        if (known && !was_tried(word))
            continue; /* a view all the same: the caller had no room to keep it */
        atomic_store_explicit(slot, word_for(page, known ? next_shift(shift_of(word)) : 0),
                              memory_order_relaxed);
    }
    atomic_store_explicit(&any, true, memory_order_relaxed);
}

static bool is_kept(uint64_t page) {
    uint64_t word = atomic_load_explicit(slot_of(page), memory_order_relaxed);
    return page_of(word) == page && uses_of(word) > 0;
}

/* Where the last use was spent the page is a view this time; the next time it is forgotten, unless
 * it was touched in between. */
static void spend(uint64_t page) {
    _Atomic uint64_t *slot = slot_of(page);
    uint64_t word = atomic_load_explicit(slot, memory_order_relaxed);
    if (page_of(word) != page)
        return;
    if (uses_of(word) > 0)
        word--;
    else
        word = was_tried(word) ? 0 : word | UINT64_C(1) << TRIED_AT;
    atomic_store_explicit(slot, word, memory_order_relaxed);
}

/* The end of the run of pages that begins with page and is kept, or is not. */
static uint64_t run_end(uint64_t page, uint64_t last, bool kept) {
    uint64_t end = page + 1;
    for (uint64_t at = end; at < last; at++) {
        if (is_kept(at) == kept)
            end = at + 1;
        else if (!kept || at - end >= BRIDGE_PAGES)
            break;
    }
    return end;
}

uint64_t zio__pages_keep(uint64_t start, uint64_t end, bool *kept) {
    uint64_t first = start / PAGE, last = end / PAGE;
    *kept = false;
    if (!atomic_load_explicit(&any, memory_order_relaxed) || first >= last)
        return end - start;
    *kept = is_kept(first);
    uint64_t stop = run_end(first, last, *kept);
    for (uint64_t page = first; page < stop; page++)
        spend(page);
    return (stop - first) * PAGE;
}
