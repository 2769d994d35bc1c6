/* CASE 7 and TRAP 17: mremap in all its forms, and the program break, on memory that holds views;
 * with the argument "raw" by system calls that no hook sees. */
#include "modelled.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

static const size_t size = 48 * PAGE;

static bool raw(void) {
    return case_arguments[0] != NULL && strcmp(case_arguments[0], "raw") == 0;
}

static byte *do_mremap(void *at, size_t old, size_t new, int flags, void *to) {
    byte *moved = raw() ? (byte *)syscall(SYS_mremap, at, old, new, flags, to)
                        : (flags & MREMAP_FIXED ? mremap(at, old, new, flags, to)
                                                : mremap(at, old, new, flags));
    need(moved != MAP_FAILED, "mremap");
    return moved;
}

/* A mapping of exactly n bytes between two unmapped gaps, and a model with room to grow. */
static struct memory mapping_new(size_t n) {
    byte *room = map_private(n + 512 * PAGE);
    munmap(room, 256 * PAGE);
    munmap(room + 256 * PAGE + n, 256 * PAGE);
    struct memory made = {room + 256 * PAGE, map_private(4 * MIB), n};
    memory_set(&made, 0, 0x13, n);
    return made;
}

static struct memory received_mapping(void) {
    struct memory made = mapping_new(size);
    memory_feed(&made, 0, size);
    return made;
}

/* Received in its middle only, so that just a part of the mapping can be registered. */
static struct memory partly_received_mapping(void) {
    struct memory made = mapping_new(size);
    memory_feed(&made, 10 * PAGE + 5, 20 * PAGE);
    return made;
}

static struct memory copied_mapping(void) {
    static struct memory source;
    source = received_mapping();
    struct memory made = mapping_new(size);
    memory_copy(&made, 0, &source, 0, size);
    return made;
}

/* With a part that was given back, so that no views are left there. */
static struct memory partly_discarded_mapping(void) {
    struct memory made = received_mapping();
    need(madvise(made.at + 20 * PAGE, 4 * PAGE, MADV_DONTNEED) == 0, "madvise");
    model_set(made.model + 20 * PAGE, 0, 4 * PAGE);
    return made;
}

/* With a page that was touched, one that was overwritten and two that were made anew. */
static struct memory partly_used_mapping(void) {
    struct memory made = received_mapping();
    check_range("touched", &made, 5 * PAGE + 9, 1);
    memory_set(&made, 9 * PAGE, 3, PAGE + 7);
    byte *again = mmap(made.at + 30 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    need(again == made.at + 30 * PAGE, "mmap");
    model_set(made.model + 30 * PAGE, 0, 2 * PAGE);
    return made;
}

static struct memory (*const makers[])(void) = {
    received_mapping,         partly_received_mapping, copied_mapping,
    partly_discarded_mapping, partly_used_mapping,
};

static void remap(struct memory *memory, size_t n, int flags, void *to) {
    memory->at = do_mremap(memory->at, memory->n, n, flags, to);
    if (n > memory->n)
        model_set(memory->model + memory->n, 0, n - memory->n);
    memory->n = n;
}

/* Each change is made on each kind of mapping, before and after a copy of it was taken. */
static void on_every_mapping(void (*change)(struct memory *)) {
    for (size_t m = 0; m < LENGTH_OF(makers); m++)
        for (int copied_first = 0; copied_first < 2; copied_first++) {
            struct memory subject = makers[m](), copy = memory_new(HEAP, 0, 4 * size);
            if (copied_first)
                memory_copy(&copy, 0, &subject, 0, size);
            change(&subject);
            if (!copied_first) {
                check_sent("subject", &subject);
                size_t n = subject.n < copy.n ? subject.n : copy.n;
                memory_copy(&copy, 0, &subject, 0, n);
            }
            check_sent("copy", &copy);
            check("subject", &subject);
            check("copy", &copy);
            if (subject.n > 20 * PAGE) {
                memory_feed(&subject, 0, 20 * PAGE);
                memory_copy(&copy, 1, &subject, 0, 20 * PAGE);
            }
            check("copy", &copy);
            check("subject", &subject);
            munmap(subject.at, subject.n);
        }
}

static void grow_in_place(struct memory *subject) {
    byte *before = subject->at;
    remap(subject, size + 30 * PAGE, 0, NULL);
    need(subject->at == before, "growing in place");
}

static void grown_in_place(void) {
    on_every_mapping(grow_in_place);
}

static void grow_elsewhere(struct memory *subject) {
    byte *wall = mmap(subject->at + subject->n, PAGE, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    byte *before = subject->at;
    remap(subject, 3 * size, MREMAP_MAYMOVE, NULL);
    need(subject->at != before, "moving");
    munmap(wall, PAGE);
}

static void grown_elsewhere(void) {
    on_every_mapping(grow_elsewhere);
}

static void shrink(struct memory *subject) {
    remap(subject, 21 * PAGE, 0, NULL);
    remap(subject, 40 * PAGE, MREMAP_MAYMOVE, NULL);
}

static void shrunk_and_grown(void) {
    on_every_mapping(shrink);
}

static void move(struct memory *subject) {
    byte *place = map_private(size);
    remap(subject, size, MREMAP_MAYMOVE | MREMAP_FIXED, place);
    need(subject->at == place, "moving to a fixed place");
    remap(subject, size - 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, map_private(size));
}

static void moved_to_fixed_place(void) {
    on_every_mapping(move);
}

static void move_over_views(struct memory *subject) {
    struct memory covered = received_mapping(), kept = memory_new(MAPPED, 0, size);
    memory_copy(&kept, 0, &covered, 0, size);
    remap(subject, size, MREMAP_MAYMOVE | MREMAP_FIXED, covered.at);
    check_sent("kept", &kept);
    check("kept", &kept);
}

static void moved_over_views(void) {
    on_every_mapping(move_over_views);
}

/* A part was mapped anew, so the kernel may have several mappings to move. Whether it does that is
 * the kernel's affair; whether it fails halfway is not. */
static void moved_in_pieces(void) {
    static const size_t firsts[] = {0, 7, 47};
    for (size_t i = 0; i < LENGTH_OF(firsts); i++) {
        struct memory subject = copied_mapping();
        byte *part = subject.at + firsts[i] * PAGE, *target = map_private(size);
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
        need(mmap(part, PAGE, PROT_READ | PROT_WRITE, flags, -1, 0) == part, "mmap");
        model_set(subject.model + firsts[i] * PAGE, 0, PAGE);
        flags = MREMAP_MAYMOVE | MREMAP_FIXED;
        byte *moved = raw() ? (byte *)syscall(SYS_mremap, subject.at, size, size, flags, target)
                            : mremap(subject.at, size, size, flags, target);
        say("%s", moved == target ? "moved" : strerror(errno));
        if (moved == target)
            subject.at = target;
        check("in pieces", &subject);
    }
}

/* Two mappings trade places through a third. */
static void trade(struct memory *subject) {
    struct memory other = received_mapping();
    byte *first = subject->at, *second = other.at;
    remap(&other, size, MREMAP_MAYMOVE | MREMAP_FIXED, map_private(size));
    remap(subject, size, MREMAP_MAYMOVE | MREMAP_FIXED, second);
    remap(&other, size, MREMAP_MAYMOVE | MREMAP_FIXED, first);
    check_sent("other", &other);
    check("other", &other);
    munmap(other.at, size);
}

static void traded_places(void) {
    on_every_mapping(trade);
}

static void leave_behind(struct memory *subject) {
    byte *before = subject->at;
    remap(subject, size, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    need(subject->at != before, "moving");
    expect_bytes("left behind", before, size, 0);
    uint64_t from = feed(before, size);
    memcpy(before, before + 20 * PAGE, 20 * PAGE);
    expect_stream("received where it was", before, 20 * PAGE, from + 20 * PAGE);
    check_sent("subject", subject);
}

static void left_behind(void) {
    on_every_mapping(leave_behind);
}

/* Only the middle moves away; the ends stay. */
static void move_middle(struct memory *subject) {
    static const struct { size_t at, n; } middle = {8 * PAGE, 9 * PAGE};
    byte *place = do_mremap(subject->at + middle.at, middle.n, middle.n,
                            MREMAP_MAYMOVE | MREMAP_FIXED, map_private(size));
    struct memory moved = {place, subject->model + middle.at, middle.n};
    check_sent("moved middle", &moved);
    check("moved middle", &moved);
    byte *hole = mmap(subject->at + middle.at, middle.n, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    need(hole == subject->at + middle.at, "mmap into the hole");
    model_set(subject->model + middle.at, 0, middle.n);
}

static void moved_middle(void) {
    on_every_mapping(move_middle);
}

/* ---- the program break ------------------------------------------------------------------------
 */

static byte *break_now(void) {
    return raw() ? (byte *)syscall(SYS_brk, 0L) : sbrk(0);
}

static void break_to(byte *end) {
    if (raw())
        need((byte *)syscall(SYS_brk, end) == end, "SYS_brk");
    else
        need(brk(end) == 0, "brk");
}

/* malloc owns what lies below the break: a piece is taken above it and given back. */
static void moved_break(void) {
    for (int round = 0; round < 8; round++) {
        byte *before = break_now();
        break_to(before + 64 * PAGE);
        struct memory subject = {before, map_private(64 * PAGE), 64 * PAGE};
        memory_set(&subject, 0, 0, subject.n);
        memory_feed(&subject, 40, 60 * PAGE);
        struct memory copy = memory_new(MAPPED, 0, 64 * PAGE);
        memory_copy(&copy, 0, &subject, 0, subject.n);
        size_t kept = (size_t)round * 7 * PAGE + 100;
        break_to(before + kept);
        break_to(before + 64 * PAGE);
        size_t page_end =
            (size_t)(((uintptr_t)before + kept + PAGE - 1) & -PAGE) - (uintptr_t)before;
        if (page_end < subject.n)
            model_set(subject.model + page_end, 0, subject.n - page_end);
        check_sent("copy", &copy);
        check("subject", &subject);
        check("copy", &copy);
        memory_feed(&subject, 0, subject.n);
        break_to(before);
    }
}

static const struct sub_case cases[] = {
    {"grown-in-place", grown_in_place},     {"grown-elsewhere", grown_elsewhere},
    {"shrunk-and-grown", shrunk_and_grown}, {"moved-to-fixed-place", moved_to_fixed_place},
    {"moved-over-views", moved_over_views}, {"moved-in-pieces", moved_in_pieces},
    {"traded-places", traded_places},       {"left-behind", left_behind},
    {"moved-middle", moved_middle},         {"moved-break", moved_break},
};
VICTIM_MAIN(cases)
