/* CASE 6: realloc, free and reuse of heap memory that holds views, whatever the allocator. */
#include "modelled.h"
#include <dlfcn.h>
#include <malloc.h>

/* A heap block and its model; unlike `memory_new` it starts where malloc says. */
static struct memory block_new(size_t n) {
    struct memory made = {malloc(n), map_private(16 * MIB), n};
    need(made.at != NULL, "malloc");
    memory_set(&made, 0, 0x22, n);
    return made;
}

static struct memory received_block(size_t n) {
    struct memory made = block_new(n);
    memory_feed(&made, 0, n);
    return made;
}

static void block_free(struct memory *block) {
    free(block->at);
    munmap(block->model, 16 * MIB);
}

/* What a larger block holds beyond the old size is not defined, so it is written at once. */
static void resize(struct memory *block, size_t n) {
    size_t kept = n < block->n ? n : block->n;
    byte *moved = realloc(block->at, n);
    need(moved != NULL, "realloc");
    block->at = moved;
    if (n > kept)
        memory_set(block, kept, 0x23, n - kept);
    block->n = n;
}

static const size_t sizes[] = {20000, 70 * KIB, 130 * KIB, 200 * KIB, 512 * KIB, 2 * MIB + 100};

/* ---- realloc ----------------------------------------------------------------------------------
 */

static void grow_and_shrink(void) {
    for (size_t first = 0; first < LENGTH_OF(sizes); first++)
        for (size_t second = 0; second < LENGTH_OF(sizes); second++) {
            struct memory block = received_block(sizes[first]);
            resize(&block, sizes[second]);
            if (first % 2)
                check_sent("resized", &block);
            check("resized", &block);
            block_free(&block);
        }
}

static void grow_step_by_step(void) {
    struct memory block = received_block(20000), copy = block_new(12 * MIB);
    for (size_t n = 30000; n < 4 * MIB; n = n * 5 / 3) {
        size_t old = block.n;
        resize(&block, n);
        memory_feed(&block, old - 100, n - old + 100); /* as a reader that fills what it just got */
        memory_copy(&copy, 13, &block, 0, n);
        check_range("first page", &block, 0, 4096);
    }
    check_sent("block", &block);
    check("block", &block);
    check("copy", &copy);
}

static void copies_of_resized(void) {
    for (size_t i = 0; i < LENGTH_OF(sizes); i++) {
        struct memory a = received_block(sizes[i]), b = block_new(sizes[i]),
                      c = block_new(sizes[i]);
        memory_copy(&b, 0, &a, 0, a.n);
        memory_copy(&c, 0, &b, 0, a.n);
        resize(&a, a.n / 3);
        resize(&b, b.n * 2);
        memory_feed(&a, 0, a.n);
        memory_store(&b, b.n / 4, 1, 1);
        check_sent("c", &c);
        check_sent("b", &b);
        resize(&a, 2 * MIB);
        resize(&b, 18000);
        check("a", &a);
        check("b", &b);
        check("c", &c);
        block_free(&a);
        block_free(&b);
        block_free(&c);
    }
}

/* A neighbour keeps the block from growing in place. */
static void moved_by_neighbour(void) {
    for (size_t i = 0; i < 40; i++) {
        struct memory block = received_block(20000 + i * 1511);
        void *neighbour = malloc(100);
        struct memory copy = block_new(block.n);
        memory_copy(&copy, 0, &block, 0, block.n);
        resize(&block, block.n + 50000);
        check_sent("moved", &block);
        resize(&block, block.n - 49000);
        check("shrunk", &block);
        check("copy", &copy);
        free(neighbour);
        block_free(&block);
        if (i % 2)
            block_free(&copy);
    }
}

/* Not every allocator sets errno here, but each does what it does without zIO. */
static void refuse(const char *label, void *got, int error) {
    say("%s: %s, errno %d", label, got ? "a block" : "no block", error);
}

static void refused(void) {
    volatile size_t many = SIZE_MAX / 2;
    for (size_t i = 0; i < LENGTH_OF(sizes); i++) {
        struct memory block = received_block(sizes[i]), copy = block_new(sizes[i]);
        memory_copy(&copy, 0, &block, 0, block.n);
        errno = 0;
        void *got = realloc(block.at, (size_t)PTRDIFF_MAX - 4096);
        refuse("realloc of half the address space", got, errno);
        errno = 0;
        got = realloc(copy.at, (size_t)1 << 50);
        refuse("realloc of a petabyte", got, errno);
        errno = 0;
        got = reallocarray(block.at, many, 3);
        refuse("reallocarray", got, errno);
        check_sent("block", &block);
        check_sent("copy", &copy);
        check("block", &block);
        check("copy", &copy);
    }
}

/* ---- free and reuse ---------------------------------------------------------------------------
 */

static void freed_and_taken_again(void) {
    for (size_t i = 0; i < LENGTH_OF(sizes); i++)
        for (int touch = 0; touch < 2; touch++) {
            struct memory a = received_block(sizes[i]), b = block_new(sizes[i]);
            memory_copy(&b, 0, &a, 0, a.n);
            block_free(&a);
            struct memory other = block_new(sizes[i]); /* most likely the same place */
            if (touch)
                memory_store(&other, 5000, 0x42, 9000);
            check_sent("b", &b);
            check_sent("other", &other);
            memory_feed(&other, 0, other.n);
            block_free(&b);
            struct memory third = block_new(sizes[i] - 1000);
            check("other", &other);
            check("third", &third);
            block_free(&other);
            block_free(&third);
        }
}

/* A viewed block is freed, then cut into many small ones by the allocator. */
static void freed_and_cut_up(void) {
    enum { blocks = 1500 };
    static char *small[blocks];
    for (int round = 0; round < 6; round++) {
        struct memory a = received_block(100 * KIB), b = received_block(110 * KIB),
                      kept = block_new(100 * KIB);
        memory_copy(&kept, 0, &a, 0, a.n);
        block_free(&a);
        block_free(&b);
        for (int i = 0; i < blocks; i++) {
            small[i] = malloc(40 + (size_t)(i % 300));
            sprintf(small[i], "block %d of round %d", i, round);
        }
        size_t wrong = 0;
        for (int i = 0; i < blocks; i++) {
            char wanted[64];
            sprintf(wanted, "block %d of round %d", i, round);
            wrong += strcmp(small[i], wanted) != 0;
            free(small[i]);
        }
        say("%zu wrong blocks", wrong);
        check("kept", &kept);
        block_free(&kept);
    }
}

static void cleared_after_free(void) {
    for (size_t i = 0; i < LENGTH_OF(sizes); i++)
        for (int round = 0; round < 2; round++) {
            struct memory a = received_block(sizes[i]), b = block_new(sizes[i]);
            memory_copy(&b, 0, &a, 0, a.n);
            block_free(&a);
            byte *first = calloc(1, sizes[i]);
            block_free(&b);
            byte *second = calloc(sizes[i] / 8, 8);
            if (round % 2)
                say("sent %d",
                    sink_hash(first, sizes[i] / 8 * 8) == sink_hash(second, sizes[i] / 8 * 8));
            expect_bytes("first", first, sizes[i], 0);
            expect_bytes("second", second, sizes[i] / 8 * 8, 0);
            feed(first, sizes[i]);
            feed(second, sizes[i] / 8 * 8);
            free(first);
            free(second);
            byte *third = calloc(1, sizes[i] / 2);
            expect_bytes("third", third, sizes[i] / 2, 0);
            free(third);
        }
}

/* jemalloc has no pvalloc: glibc's would give a block that its free does not know. */
static void *(*page_allocator(void))(size_t) {
    Dl_info of_pvalloc, of_malloc;
    need(dladdr(dlsym(RTLD_NEXT, "pvalloc"), &of_pvalloc) &&
             dladdr(dlsym(RTLD_NEXT, "malloc"), &of_malloc),
         "dladdr");
    return of_pvalloc.dli_fbase == of_malloc.dli_fbase ? pvalloc : valloc;
}

static void aligned_forms(void) {
    void *(*whole_pages)(size_t) = page_allocator();
    for (size_t alignment = 64; alignment <= 64 * KIB; alignment *= 8)
        for (size_t i = 0; i < 4; i++) {
            void *blocks[5] = {
                aligned_alloc(alignment, sizes[i] / alignment * alignment + alignment),
                memalign(alignment, sizes[i]), valloc(sizes[i]), whole_pages(sizes[i]), NULL};
            need(posix_memalign(&blocks[4], alignment, sizes[i]) == 0, "posix_memalign");
            uint64_t from[5];
            for (size_t b = 0; b < 5; b++) {
                from[b] = feed(blocks[b], sizes[i]);
                if (b > 0)
                    memcpy(blocks[b - 1], blocks[b], sizes[i]);
            }
            for (size_t b = 0; b < 5; b++)
                expect_stream("aligned", blocks[b], sizes[i], from[b < 4 ? b + 1 : 4]);
            blocks[2] = realloc(blocks[2], sizes[i] * 2);
            expect_stream("resized", blocks[2], sizes[i], from[3]);
            for (size_t b = 0; b < 5; b++)
                free(blocks[b]);
        }
}

static void every_usable_byte(void) {
    for (size_t i = 0; i < LENGTH_OF(sizes); i++) {
        byte *a = malloc(sizes[i] + 5), *b = malloc(sizes[i] + 5);
        uint64_t from = feed(a, malloc_usable_size(a));
        memcpy(b, a, sizes[i] + 5);
        model_set(b + sizes[i], 0x31, malloc_usable_size(b) - sizes[i]);
        expect_stream("a", a, sizes[i], from);
        expect_stream("b", b, sizes[i], from);
        free(a);
        free(b);
        /* how much was usable is the allocator's affair: start the stream anew */
        start_feeder();
        feed_position = 0;
    }
}

/* ---- many blocks ------------------------------------------------------------------------------
 */

static void churn(void) {
    enum { slots = 24 };
    static struct memory held[slots];
    choose_from(argument(0, 1));
    for (int step = 0; step < 900; step++) {
        struct memory *block = &held[choose(slots)], *other = &held[choose(slots)];
        if (block->at == NULL) {
            *block = block_new(1 + choose(choose(5) ? 150 * KIB : MIB));
            continue;
        }
        size_t at = choose(block->n), n = choose(block->n - at + 1);
        switch (choose(8)) {
        case 0:
        case 1:
            memory_feed(block, at, n);
            break;
        case 2:
        case 3:
            if (other->at != NULL && n <= other->n)
                memory_copy(other, choose(other->n - n + 1), block, at, n);
            break;
        case 4:
            resize(block, 1 + choose(choose(4) ? 200 * KIB : MIB));
            break;
        case 5:
            check("freed", block);
            block_free(block);
            block->at = NULL;
            break;
        case 6:
            memory_store(block, at, (byte)step, n < 3 ? n : 3);
            break;
        default:
            check_sent_range("sent", block, at, n);
        }
    }
    for (int i = 0; i < slots; i++)
        if (held[i].at != NULL)
            check("left over", &held[i]);
}

static void *free_elsewhere(void *block) {
    free(block);
    void *own = malloc(90 * KIB);
    memset(own, 0x66, 90 * KIB);
    return own;
}

static void freed_by_another_thread(void) {
    for (int i = 0; i < 30; i++) {
        struct memory a = received_block(60 * KIB + (size_t)i * 5000), b = block_new(a.n);
        memory_copy(&b, 0, &a, 0, a.n);
        pthread_t thread;
        void *own;
        need(pthread_create(&thread, NULL, free_elsewhere, a.at) == 0, "pthread_create");
        pthread_join(thread, &own);
        expect_bytes("the thread's block", own, 90 * KIB, 0x66);
        memcpy(own, b.at, 50 * KIB);
        check_sent("b", &b);
        expect_stream("the thread's block", own, 50 * KIB, feed_position - a.n);
        munmap(a.model, 16 * MIB);
        free(own);
        block_free(&b);
    }
}

/* Blocks at the top of the heap are freed and the heap is trimmed below them. */
static void trimmed(void) {
    mallopt(M_MMAP_THRESHOLD, 1 << 28);
    mallopt(M_TRIM_THRESHOLD, 1 << 28);
    struct memory kept = block_new(300 * KIB);
    for (int round = 0; round < 8; round++) {
        struct memory a = received_block(512 * KIB), b = received_block(MIB);
        memory_copy(&kept, 0, &b, 4096, kept.n);
        memory_copy(&a, 0, &b, 0, a.n);
        check_sent("a", &a);
        block_free(round % 2 ? &a : &b);
        block_free(round % 2 ? &b : &a);
        malloc_trim(round % 3 ? 0 : 100 * KIB);
        check("kept", &kept);
        byte *fresh = calloc(1, 2 * MIB);
        expect_bytes("fresh", fresh, 2 * MIB, 0);
        free(fresh);
        malloc_trim(0);
        if (round == 4)
            mallopt(M_PERTURB, 0xa5); /* glibc now writes every block that is freed */
    }
}

static const struct sub_case cases[] = {
    {"grow-and-shrink", grow_and_shrink},
    {"grow-step-by-step", grow_step_by_step},
    {"copies-of-resized", copies_of_resized},
    {"moved-by-neighbour", moved_by_neighbour},
    {"refused", refused},
    {"freed-and-taken-again", freed_and_taken_again},
    {"freed-and-cut-up", freed_and_cut_up},
    {"cleared-after-free", cleared_after_free},
    {"aligned-forms", aligned_forms},
    {"every-usable-byte", every_usable_byte},
    {"churn", churn},
    {"freed-by-another-thread", freed_by_another_thread},
    {"trimmed", trimmed},
};
VICTIM_MAIN(cases)
