/* TRAP 13 and CASES 16 and 17: threads that touch the same views, while others overwrite, free or
 * unmap them. What is printed depends on correctness only, never on who came first. */
#include "modelled.h"
#include <stdatomic.h>

enum { threads = 8 };
static const size_t size = 32 * PAGE;

static atomic_ulong errors;
static atomic_bool over;
static pthread_barrier_t barrier;

static void start(pthread_t *thread, void *(*run)(void *), uintptr_t argument) {
    need(pthread_create(thread, NULL, run, (void *)argument) == 0, "pthread_create");
}

static void report(const char *label) {
    say("%s: %lu errors", label, atomic_load(&errors));
}

/* ---- many threads on one fresh view -----------------------------------------------------------
 */

static byte *source, *shared;
static uint64_t shared_from;
static size_t shared_rounds;

/* The order in which thread `self` goes through the pages, and what it does there. */
enum manner { SAME_PAGE, SAME_ORDER, OWN_ORDER, BACKWARDS, WRITING };
static enum manner manner;

static void look_at_page(size_t page, size_t self) {
    volatile byte *at = shared + page * PAGE;
    if (manner == WRITING) {
        at[self * 500] = (byte)(0x80 + self);
        return;
    }
    for (size_t i = self * 64; i < PAGE; i += 509)
        if (at[i] != stream_byte(shared_from + page * PAGE + i))
            atomic_fetch_add(&errors, 1);
}

static void *look(void *argument) {
    size_t self = (size_t)(uintptr_t)argument;
    for (size_t round = 0; round < shared_rounds; round++) {
        pthread_barrier_wait(&barrier);
        for (size_t i = 0; i < size / PAGE; i++)
            switch (manner) {
            case SAME_PAGE:
                look_at_page(round % (size / PAGE), self);
                break;
            case OWN_ORDER:
                look_at_page((i * 8 + self) % (size / PAGE), self);
                break;
            case BACKWARDS:
                look_at_page(self % 2 ? i : size / PAGE - 1 - i, self);
                break;
            default:
                look_at_page(i, self);
            }
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static void fault_together(enum manner chosen, size_t rounds) {
    pthread_t looker[threads];
    manner = chosen;
    shared_rounds = rounds;
    source = heap_at(0, size);
    shared = heap_at(0, size);
    pthread_barrier_init(&barrier, NULL, threads + 1);
    for (uintptr_t i = 0; i < threads; i++)
        start(&looker[i], look, i);
    for (size_t round = 0; round < rounds; round++) {
        shared_from = feed(source, size);
        memcpy(shared, source, size);
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        if (manner == WRITING) {
            for (size_t i = 0; i < size; i++) {
                bool written = i % PAGE % 500 == 0 && i % PAGE / 500 < threads;
                byte wanted =
                    written ? (byte)(0x80 + i % PAGE / 500) : stream_byte(shared_from + i);
                errors += ((volatile byte *)shared)[i] != wanted;
            }
            expect_stream("source", source, size, shared_from);
        }
    }
    for (size_t i = 0; i < threads; i++)
        pthread_join(looker[i], NULL);
    report("looked");
}

static void on_the_same_page(void) {
    fault_together(SAME_PAGE, 60);
}

static void in_the_same_order(void) {
    fault_together(SAME_ORDER, 60);
}

static void on_different_pages(void) {
    fault_together(OWN_ORDER, 60);
}

static void from_both_ends(void) {
    fault_together(BACKWARDS, 60);
}

static void writing_to_the_same_pages(void) {
    fault_together(WRITING, 40);
}

/* ---- readers against one writer ---------------------------------------------------------------
 */

/* Every byte of the shared range has the value of some generation. A reader that knows that
 * generation g is complete must not see an older one, and never a zero: a page filled by a look-up
 * that is out of date would show it. */
enum { values = 120 };
static atomic_ulong generation, zeros;

static byte value_of(unsigned long g) {
    return (byte)(1 + g % values);
}

static int constant_file(byte value) {
    char path[] = "constant-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    need(fd >= 0, "mkostemp");
    unlink(path);
    static byte piece[32 * 4096];
    model_set(piece, value, size);
    write_all(fd, piece, size);
    return fd;
}

static void *read_generations(void *argument) {
    size_t self = (size_t)(uintptr_t)argument;
    uint64_t state = self;
    while (!over) {
        unsigned long before = atomic_load(&generation);
        state = mix64(state);
        byte seen = ((volatile byte *)shared)[state % size];
        unsigned long after = atomic_load(&generation);
        /* the writer may have begun the generation after `after` */
        unsigned long behind = (seen + (unsigned long)values - value_of(before)) % values;
        if (seen == 0)
            atomic_fetch_add(&zeros, 1);
        else if (seen > values || behind > after + 1 - before)
            atomic_fetch_add(&errors, 1);
    }
    return NULL;
}

enum writer {
    WRITES_VIEWS,
    WRITES_INPUT,
    WRITES_BYTES,
    WRITES_SETS,
    WRITES_VIEWS_AND_BYTES,
    WRITES_INPUT_AND_SETS,
    WRITES_IN_TURN
};

static void readers_against(enum writer writer) {
    pthread_t reader[3];
    byte *plain = map_private(size);
    shared = heap_at(0, size);
    model_set(shared, value_of(0), size);
    int files[values];
    for (size_t v = 0; v < values; v++)
        files[v] = constant_file(value_of(v));
    byte *arrived = heap_at(0, size);
    for (uintptr_t i = 0; i < LENGTH_OF(reader); i++)
        start(&reader[i], read_generations, i);
    for (unsigned long g = 1; g < 1500; g++) {
        switch (writer == WRITES_IN_TURN           ? (enum writer)(g % 4)
                : writer == WRITES_VIEWS_AND_BYTES ? (g % 2 ? WRITES_VIEWS : WRITES_BYTES)
                : writer == WRITES_INPUT_AND_SETS  ? (g % 2 ? WRITES_INPUT : WRITES_SETS)
                                                   : writer) {
        case WRITES_VIEWS:
            need(pread(files[g % values], arrived, size, 0) == (ssize_t)size, "pread");
            memcpy(shared, arrived, size);
            break;
        case WRITES_INPUT:
            need(pread(files[g % values], shared, size, 0) == (ssize_t)size, "pread");
            break;
        case WRITES_BYTES:
            model_set(plain, value_of(g), size);
            memcpy(shared, plain, size);
            break;
        default:
            memset(shared, value_of(g), size);
        }
        atomic_store(&generation, g);
        if (g % 100 == 0)
            usleep(200);
    }
    over = true;
    for (size_t i = 0; i < LENGTH_OF(reader); i++)
        pthread_join(reader[i], NULL);
    expect_bytes("shared", shared, size, value_of(1499));
    say("readers: %lu zeros, %lu bytes out of date", atomic_load(&zeros), atomic_load(&errors));
}

static void readers_against_views(void) {
    readers_against(WRITES_VIEWS);
}

static void readers_against_input(void) {
    readers_against(WRITES_INPUT);
}

static void readers_against_views_and_bytes(void) {
    readers_against(WRITES_VIEWS_AND_BYTES);
}

static void readers_against_input_and_sets(void) {
    readers_against(WRITES_INPUT_AND_SETS);
}

static void readers_against_all_kinds(void) {
    readers_against(WRITES_IN_TURN);
}

/* ---- threads that take each other's addresses -------------------------------------------------
 */

static int stream_of_all;

/* Maps, receives, copies, checks and unmaps, so that the kernel hands one thread's addresses to
 * another at once. */
static void *churn_mappings(void *argument) {
    uint64_t self = (uintptr_t)argument;
    for (size_t i = 0; i < 150; i++) {
        uint64_t from = (self * 977 + i) * 64 % (512 * KIB);
        byte *a = map_private(size), *b = map_private(size);
        need(pread(stream_of_all, a, size, (off_t)from) == (ssize_t)size, "pread");
        memcpy(b, a, size);
        if (i % 3 == 0)
            munmap(a, size);
        if (i % 5 == 0)
            madvise(b + 20 * PAGE, 4 * PAGE, MADV_DONTNEED);
        for (size_t at = (i + self) % 700; at < size; at += 700) {
            bool discarded = i % 5 == 0 && at >= 20 * PAGE && at < 24 * PAGE;
            if (((volatile byte *)b)[at] != (discarded ? 0 : stream_byte(from + at)))
                atomic_fetch_add(&errors, 1);
        }
        b = mremap(b, size, 2 * size, MREMAP_MAYMOVE);
        need(b != MAP_FAILED, "mremap");
        memcpy(b + size, b, size);
        for (size_t at = 0; at < 18 * PAGE; at += 611)
            if (((volatile byte *)b)[size + at] != stream_byte(from + at))
                atomic_fetch_add(&errors, 1);
        if (i % 3)
            munmap(a, size);
        byte *fresh = map_private(size);
        for (size_t at = 0; at < size; at += PAGE)
            if (((volatile byte *)fresh)[at] != 0)
                atomic_fetch_add(&errors, 1);
        munmap(b, 2 * size);
        munmap(fresh, size);
    }
    return NULL;
}

static void *churn_heap(void *argument) {
    uint64_t self = (uintptr_t)argument;
    for (size_t i = 0; i < 300; i++) {
        uint64_t from = (self * 977 + i) * 64 % (512 * KIB);
        size_t n = 20000 + (self * 7919 + i * 4099) % 200000;
        byte *a = malloc(n), *b = malloc(n);
        need(pread(stream_of_all, a, n, (off_t)from) == (ssize_t)n, "pread");
        memcpy(b, a, n);
        free(a);
        a = calloc(1, n);
        b = realloc(b, n * 2);
        for (size_t at = i % 500; at < n; at += 500)
            if (((volatile byte *)b)[at] != stream_byte(from + at) || ((volatile byte *)a)[at] != 0)
                atomic_fetch_add(&errors, 1);
        free(b);
        free(a);
    }
    return NULL;
}

static void churn_in_threads(void *(*run)(void *)) {
    pthread_t churner[4];
    stream_of_all = stream_file(MIB, 0);
    for (uintptr_t i = 0; i < LENGTH_OF(churner); i++)
        start(&churner[i], run, i);
    for (size_t i = 0; i < LENGTH_OF(churner); i++)
        pthread_join(churner[i], NULL);
    report("churn");
}

static void mappings_taken_over(void) {
    churn_in_threads(churn_mappings);
}

static void heap_taken_over(void) {
    churn_in_threads(churn_heap);
}

/* Pages of a view are discarded, unmapped and protected while others fault on its neighbours. */
static void *look_at_even_pages(void *unused) {
    while (!over)
        for (size_t page = 0; page < size / PAGE; page += 2)
            if (((volatile byte *)shared)[page * PAGE + 9] == 0)
                atomic_fetch_add(&errors, 1);
    return unused;
}

static void neighbours_go(void) {
    pthread_t looker[3];
    int file = constant_file(0x77);
    source = map_private(size);
    shared = map_private(size);
    model_set(shared, 0x77, size);
    for (uintptr_t i = 0; i < LENGTH_OF(looker); i++)
        start(&looker[i], look_at_even_pages, i);
    for (size_t round = 0; round < 150; round++) {
        need(pread(file, source, size, 0) == (ssize_t)size, "pread");
        memcpy(shared, source, size);
        for (size_t page = 1; page < size / PAGE; page += 2)
            switch ((round + page / 2) % 4) {
            case 0:
                madvise(shared + page * PAGE, PAGE, MADV_DONTNEED);
                break;
            case 1:
                munmap(shared + page * PAGE, PAGE);
                mmap(shared + page * PAGE, PAGE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
                break;
            case 2:
                mprotect(shared + page * PAGE, PAGE, PROT_NONE);
                mprotect(shared + page * PAGE, PAGE, PROT_READ | PROT_WRITE);
                break;
            default:
                memset(shared + page * PAGE, 0, PAGE);
            }
        for (size_t page = 1; page < size / PAGE; page += 2) {
            byte wanted = (round + page / 2) % 4 == 2 ? 0x77 : 0;
            if (((volatile byte *)shared)[page * PAGE + 77] != wanted)
                atomic_fetch_add(&errors, 1);
        }
    }
    over = true;
    for (size_t i = 0; i < LENGTH_OF(looker); i++)
        pthread_join(looker[i], NULL);
    report("neighbours");
}

static const struct sub_case cases[] = {
    {"same-page", on_the_same_page},
    {"same-order", in_the_same_order},
    {"different-pages", on_different_pages},
    {"both-ends", from_both_ends},
    {"writing", writing_to_the_same_pages},
    {"readers-against-views", readers_against_views},
    {"readers-against-input", readers_against_input},
    {"readers-against-views-and-bytes", readers_against_views_and_bytes},
    {"readers-against-input-and-sets", readers_against_input_and_sets},
    {"readers-against-all-kinds", readers_against_all_kinds},
    {"mappings-taken-over", mappings_taken_over},
    {"heap-taken-over", heap_taken_over},
    {"neighbours-go", neighbours_go},
};
VICTIM_MAIN(cases)
