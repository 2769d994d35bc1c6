/* A few entries for each thread. An entry is known to be of a dead call when the holder's own
 * record, which lies in its frame, has been overwritten, and that frame lies below ours on the same
 * stack. A call that is still under way, interrupted or switched away from, has its record as it
 * was. */
#include "ledger.h"

#include "hooks/readable.h"

enum { ENTRIES = 16, ALL_ENTRIES = (1 << ENTRIES) - 1, SAME_STACK_BYTES = 1 << 20 };

struct entry {
    struct zio_origin *origin;
    const struct zio_tracker_holds *holder;
    uint64_t id;
    uint32_t count; /* of holds on the origin */
};

static __thread struct entry entries[ENTRIES];
static __thread uint64_t last_id;

/* Bit i: entry i is in use. A signal handler that comes between load and store of it leaves it as
 * it found it, or never returns. */
__thread uint32_t zio__ledger_used;

static void give_up(int index) {
    struct entry *entry = &entries[index];
    zio__ledger_used &= ~(1u << index);
    for (uint32_t i = 0; i < entry->count; i++)
        zio_origin_release(entry->origin);
}

static bool is_dead(const struct entry *entry) {
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0), holder = (uintptr_t)entry->holder;
    if (holder > frame + SAME_STACK_BYTES || frame > holder + SAME_STACK_BYTES)
        return false;
    return zio__is_readable(entry->holder, sizeof *entry->holder) &&
           *(const volatile uint64_t *)&entry->holder->id != entry->id;
}

void zio__ledger_reclaim(void) {
    for (int i = 0; i < ENTRIES; i++)
        if (zio__ledger_used & 1u << i && is_dead(&entries[i]))
            give_up(i);
}

/* What finds no entry is held as well, and lost if the call never comes back. Nothing is reclaimed
 * here, in a locked section: that looks at the program's stacks. */
static void note(void *context, struct zio_tracker_holds *holder, struct zio_origin *const *origins,
                 int count) {
    struct entry *entry = NULL;
    (void)context;
    if (holder->id == 0)
        holder->id = ++last_id;
    for (int i = 0; i < count; i++) {
        if (!origins[i])
            continue;
        if (!entry || entry->origin != origins[i]) {
            uint32_t free = ~zio__ledger_used & ALL_ENTRIES;
            if (free == 0)
                return;
            entry = &entries[__builtin_ctz(free)];
            *entry = (struct entry){origins[i], holder, holder->id, 0};
            holder->noted |= free & -free;
            zio__ledger_used |= free & -free;
        }
        entry->count++;
    }
}

static void forget(void *context, struct zio_tracker_holds *holder) {
    (void)context;
    zio__ledger_used &= ~holder->noted;
    holder->id = 0;
    holder->noted = 0;
}

void zio__ledger_thread_ends(void) {
    for (int i = 0; i < ENTRIES; i++)
        if (zio__ledger_used & 1u << i)
            give_up(i);
}

const struct zio_tracker_ledger zio__ledger = {.note = note, .forget = forget};
