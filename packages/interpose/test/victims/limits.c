/* CASE 20, the part of memory: what the library would like to have is not to be had. A real copy
 * has to do. */
#include "modelled.h"

static const size_t size = 48 * PAGE;

static struct memory a, b, c;

static void prepare(void) {
    a = memory_new(MAPPED, 0, size);
    b = memory_new(HEAP, 0, size);
    c = memory_new(MAPPED, 100, size);
}

static void work(int rounds) {
    for (int i = 0; i < rounds; i++) {
        memory_feed(&a, (size_t)i, size - (size_t)i);
        memory_copy_by(memcpy, &b, 0, &a, 0, size);
        memory_copy_by(memcpy, &c, 3, &b, 0, size - 3);
        memory_copy(&b, 0, &b, 4000, size - 5000);
        if (i % 2)
            memory_store(&a, choose(size), 1, 1);
        check_sent("b", &b);
        check_sent("c", &c);
        if (i % 3 == 0)
            check("b", &b);
    }
    check("a", &a);
    check("b", &b);
    check("c", &c);
}

/* ---- mappings ---------------------------------------------------------------------------------
 */

/* Splits a region into single pages until the kernel allows no more mappings, then gives back
 * `spare` of them. */
static byte *split_region;
static const size_t split_pages = 150000;

static void use_up_mappings(size_t spare) {
    split_region = mmap(NULL, split_pages * PAGE, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    need(split_region != MAP_FAILED, "mmap");
    size_t page = 1;
    while (page < split_pages && mprotect(split_region + page * PAGE, PAGE, PROT_READ) == 0)
        page += 2;
    if (page >= split_pages)
        skip("the limit of mappings (vm.max_map_count) is too high for this test");
    for (size_t i = 0; i < spare / 2 + 1; i++) {
        page -= 2;
        need(mprotect(split_region + page * PAGE, PAGE, PROT_NONE) == 0, "mprotect");
    }
}

static void give_back_mappings(void) {
    munmap(split_region, split_pages * PAGE);
}

static void no_mappings_left(void) {
    prepare();
    size_t spare = argument(0, 2);
    work(4);
    use_up_mappings(spare);
    work(12);
    give_back_mappings();
    work(4);
}

static void no_mappings_from_the_start(void) {
    prepare();
    use_up_mappings(argument(0, 2));
    work(8);
    give_back_mappings();
    work(4);
}

/* Thousands of small views: each second page of a large copy is touched. */
static void many_small_views(void) {
    size_t n = 24 * MIB;
    struct memory large = memory_new(MAPPED, 0, n), copy = memory_new(MAPPED, 0, n);
    memory_feed(&large, 0, n);
    memory_copy(&copy, 0, &large, 0, n);
    for (size_t page = 0; page < n / PAGE; page += 2) {
        memory_store(&copy, page * PAGE, 1, 1);
        if (page % 8 == 0)
            memory_store(&large, (page + 1) * PAGE, 2, 1);
    }
    check_sent("copy", &copy);
    check_sent("large", &large);
    memory_copy(&copy, 5, &large, 0, n - 5);
    check("copy", &copy);
    check("large", &large);
}

/* Many buffers, each a view of its own, freed in another order. */
static void many_buffers(void) {
    enum { count = 3000, each = 20000 };
    static byte *buffer[count];
    static uint64_t from[count];
    byte *first = heap(each);
    for (size_t i = 0; i < count; i++) {
        buffer[i] = i % 3 ? malloc(each) : map_private(each);
        from[i] = feed(first, each);
        memcpy(buffer[i], first, each);
    }
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = i * 769 % count;
        for (size_t j = i % 600; j < each; j += 601)
            wrong += ((volatile byte *)buffer[at])[j] != stream_byte(from[at] + j);
        if (at % 3)
            free(buffer[at]);
        else
            munmap(buffer[at], each);
    }
    say("%zu wrong bytes", wrong);
}

/* ---- address space and descriptors ------------------------------------------------------------
 */

static size_t address_space_now(void) {
    size_t pages = 0;
    FILE *stream = fopen("/proc/self/statm", "r");
    need(stream != NULL && fscanf(stream, "%zu", &pages) == 1, "statm");
    fclose(stream);
    return pages * PAGE;
}

static void little_address_space(bool from_the_start) {
    prepare();
    if (!from_the_start)
        work(3);
    struct rlimit limit = {address_space_now() + 3 * MIB, RLIM_INFINITY};
    need(setrlimit(RLIMIT_AS, &limit) == 0, "setrlimit");
    for (int i = 0; i < 6; i++) {
        work(3);
        byte *block = malloc(600 * KIB); /* what fits without the library has to fit with it */
        need(block != NULL, "malloc");
        uint64_t from = feed(block, 600 * KIB);
        block = realloc(block, MIB);
        need(block != NULL, "realloc");
        expect_stream("block", block, 600 * KIB, from);
        free(block);
    }
}

static void address_space_runs_out(void) {
    little_address_space(false);
}

static void address_space_is_short(void) {
    little_address_space(true);
}

static void no_descriptors_left(void) {
    prepare();
    if (argument(0, 0))
        work(3);
    struct rlimit limit = {64, 64};
    need(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
    while (dup(1) >= 0) {
    }
    need(errno == EMFILE, "dup");
    work(6);
}

/* Close everything that is not ours, as a daemon does, by libc and by raw system calls. */
static void foreign_descriptors_closed(void) {
    prepare();
    work(3);
    int kept[] = {feed_fd, sink_fd, sink_control};
    for (int fd = 3; fd < 1024; fd++)
        if (fd != kept[0] && fd != kept[1] && fd != kept[2]) {
            if (argument(0, 0))
                syscall(SYS_close, fd);
            else
                close(fd);
        }
    work(6);
    int spare = dup(1);
    say("lowest descriptor is one of the first hundred: %d", spare < 100);
}

static const struct sub_case cases[] = {
    {"no-mappings-left", no_mappings_left},
    {"no-mappings-from-the-start", no_mappings_from_the_start},
    {"many-small-views", many_small_views},
    {"many-buffers", many_buffers},
    {"address-space-runs-out", address_space_runs_out},
    {"address-space-is-short", address_space_is_short},
    {"no-descriptors-left", no_descriptors_left},
    {"foreign-descriptors-closed", foreign_descriptors_closed},
};
VICTIM_MAIN(cases)
