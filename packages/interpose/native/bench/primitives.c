/* What the operations cost on this machine that zIO saves or needs: copies, faults, userfaultfd,
 * views. Each is timed so many times; the median counts. Prints one JSON object, nanoseconds per
 * unit. Uses the data plane's own sources, no hook. */
#include "../demo/command_line.h"
#include "../demo/usage_clock.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <zio/tracker.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum {
    PAGE = 4096,
    MESSAGE = 512 << 10,
    PAGES = MESSAGE / PAGE,
    WINDOW = 64 << 10,
    HOT = 4 << 20,
    COLD = 128 << 20,
};

static long rounds = 200, cpu = -1;
static const struct option_row options[] = {
    {"--rounds", "N", "times that each operation is timed (200)", &rounds, NULL, NULL},
    {"--cpu", "N", "run on this core only", &cpu, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};

static unsigned char *hot_from, *hot_to, *cold;
static size_t cold_at;
static int uffd = -1;
static unsigned char *region, *moved_to,
    *filled;                         /* MESSAGE each: registered, for moves, ordinary */
static _Atomic size_t window = PAGE; /* that the thread fills */
static volatile unsigned char sink;

static struct zio_tracker tracker;
static struct zio_stats_counter counters[ZIO_COUNTER_COUNT];
static unsigned char *view_from, *view_to;
static struct zio_origin *origin;

static void fail(const char *what) {
    fprintf(stderr, "zio-primitives: %s: %m\n", what);
    exit(1);
}

static unsigned char *map(size_t bytes) {
    unsigned char *at =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        fail("mmap");
    madvise(at, bytes, MADV_NOHUGEPAGE);
    return at;
}

static unsigned char *map_filled(size_t bytes) {
    unsigned char *at = map(bytes);
    memset(at, 1, bytes);
    return at;
}

/* --- copies --- */

static void copy_hot(long bytes) {
    memcpy(hot_to, hot_from, (size_t)bytes);
}
static void copy_cold(long bytes) {
    cold_at = (cold_at + (size_t)bytes) % (COLD / 2 - HOT);
    memcpy(cold + COLD / 2 + cold_at, cold + cold_at, (size_t)bytes);
}

/* --- ordinary memory --- */

static void touch_each_page(long bytes) {
    for (long at = 0; at < bytes; at += PAGE)
        filled[at] = 1;
}
static void populate(long bytes) {
    madvise(filled, (size_t)bytes, MADV_POPULATE_WRITE);
}
static void empty_filled(long bytes) {
    madvise(filled, (size_t)bytes, MADV_DONTNEED);
}
static void remap_away(long bytes) {
    if (mremap(filled, (size_t)bytes, (size_t)bytes, MREMAP_MAYMOVE | MREMAP_FIXED | 4, moved_to) ==
        MAP_FAILED)
        fail("mremap");
}

/* --- userfaultfd --- */

static void must(unsigned long request, void *argument, const char *what) {
    if (ioctl(uffd, request, argument) != 0)
        fail(what);
}
static void empty_region(long bytes) {
    (void)bytes;
    madvise(region, MESSAGE, MADV_DONTNEED);
}
static void fill_by_copy(long bytes) {
    struct uffdio_copy copy = {.dst = (uint64_t)(uintptr_t)region,
                               .src = (uint64_t)(uintptr_t)hot_from,
                               .len = (uint64_t)bytes};
    must(UFFDIO_COPY, &copy, "UFFDIO_COPY");
}
static void fill_by_zeros(long bytes) {
    struct uffdio_zeropage zero = {
        .range = {.start = (uint64_t)(uintptr_t)region, .len = (uint64_t)bytes}};
    must(UFFDIO_ZEROPAGE, &zero, "UFFDIO_ZEROPAGE");
}
static void before_move(long bytes) {
    empty_region(bytes);
    touch_each_page(bytes);
}
static void fill_by_move(long bytes) {
    struct uffdio_move move = {.dst = (uint64_t)(uintptr_t)region,
                               .src = (uint64_t)(uintptr_t)filled,
                               .len = (uint64_t)bytes};
    must(UFFDIO_MOVE, &move, "UFFDIO_MOVE");
}
static void register_range(long bytes) {
    struct uffdio_register range = {
        .range = {.start = (uint64_t)(uintptr_t)moved_to, .len = (uint64_t)bytes},
        .mode = UFFDIO_REGISTER_MODE_MISSING};
    must(UFFDIO_REGISTER, &range, "UFFDIO_REGISTER");
}
static void unregister_range(long bytes) {
    struct uffdio_range range = {.start = (uint64_t)(uintptr_t)moved_to, .len = (uint64_t)bytes};
    must(UFFDIO_UNREGISTER, &range, "UFFDIO_UNREGISTER");
}
static void fault_each(long bytes) {
    for (long at = 0; at < bytes; at += (long)atomic_load(&window))
        sink = region[at];
}
static void before_single_faults(long bytes) {
    empty_region(bytes);
    atomic_store(&window, PAGE);
}
static void before_window_faults(long bytes) {
    empty_region(bytes);
    atomic_store(&window, WINDOW);
}

static void *serve_faults(void *unused) {
    struct uffd_msg message;
    struct pollfd polled = {.fd = uffd, .events = POLLIN};
    (void)unused;
    while (poll(&polled, 1, -1) == 1)
        while (read(uffd, &message, sizeof message) == sizeof message) {
            struct uffdio_copy copy = {.dst = message.arg.pagefault.address & ~UINT64_C(4095),
                                       .src = (uint64_t)(uintptr_t)hot_from,
                                       .len = atomic_load(&window)};
            must(UFFDIO_COPY, &copy, "UFFDIO_COPY for a fault");
        }
    return NULL;
}

static void open_uffd(void) {
    int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    if (device >= 0)
        uffd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
    if (uffd < 0)
        uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (uffd < 0)
        fail("userfaultfd");
    struct uffdio_api api = {.api = UFFD_API};
    must(UFFDIO_API, &api, "UFFDIO_API");
    struct uffdio_register range = {.range = {.start = (uint64_t)(uintptr_t)region, .len = MESSAGE},
                                    .mode = UFFDIO_REGISTER_MODE_MISSING};
    must(UFFDIO_REGISTER, &range, "UFFDIO_REGISTER");
    pthread_t thread;
    if (pthread_create(&thread, NULL, serve_faults, NULL) != 0)
        fail("no thread");
}

/* --- views --- */

static void publish(long bytes) {
    size_t delivered;
    zio_tracker_publish(&tracker, view_from, (size_t)bytes, origin, 0, 1, &delivered);
}
static void copy_views(long bytes) {
    if (!zio_tracker_copy(&tracker, view_to, view_from, (size_t)bytes))
        fail("no views");
}
static void translate(long bytes) {
    struct iovec pieces[8];
    struct zio_origin *origins[8];
    struct zio_tracker_holds holds = {0};
    int count = zio_tracker_translate(&tracker, view_to, (size_t)bytes, pieces, origins, 8, &holds);
    if (count > 0)
        zio_tracker_release(&tracker, origins, count, &holds);
}
static void look_up_nothing(long times) {
    unsigned seen = 0;
    for (long i = 0; i < times; i++)
        seen += zio_tracker_may_hold(&tracker, hot_from + i * 64, 64);
    sink = (unsigned char)seen;
}
static void before_views_filled(long bytes) {
    publish(bytes);
    copy_views(bytes);
}
static void materialise(long bytes) {
    zio_tracker_materialise(&tracker, view_to, (size_t)bytes);
}

/* --- the table --- */

struct operation {
    const char *name, *unit;
    void (*before)(long argument);
    void (*run)(long argument);
    long argument, units; /* what one run does */
};

#define COPIES(size, bytes)                                                                        \
    {"memcpy " size ", hot", "copy", NULL, copy_hot, bytes, 1}, {                                  \
        "memcpy " size ", cold", "copy", NULL, copy_cold, bytes, 1                                 \
    }

static const struct operation operations[] = {
    COPIES("4 KiB", 4 << 10),
    COPIES("16 KiB", 16 << 10),
    COPIES("64 KiB", 64 << 10),
    COPIES("512 KiB", 512 << 10),
    COPIES("4 MiB", 4 << 20),
    {"fault of an anonymous page", "page", empty_filled, touch_each_page, MESSAGE, PAGES},
    {"pages populated in bulk", "page", empty_filled, populate, MESSAGE, PAGES},
    {"MADV_DONTNEED, populated", "512 KiB", touch_each_page, empty_filled, MESSAGE, 1},
    {"MADV_DONTNEED, empty", "512 KiB", empty_filled, empty_filled, MESSAGE, 1},
    {"mremap with DONTUNMAP", "page", touch_each_page, remap_away, MESSAGE, PAGES},
    {"userfaultfd register", "call", NULL, register_range, MESSAGE, 1},
    {"userfaultfd unregister", "call", register_range, unregister_range, MESSAGE, 1},
    {"userfaultfd fault, page by page", "page", before_single_faults, fault_each, MESSAGE, PAGES},
    {"userfaultfd fault, 64 KiB windows", "page", before_window_faults, fault_each, MESSAGE, PAGES},
    {"UFFDIO_COPY, one page", "page", empty_region, fill_by_copy, PAGE, 1},
    {"UFFDIO_COPY, in bulk", "page", empty_region, fill_by_copy, MESSAGE, PAGES},
    {"UFFDIO_ZEROPAGE, in bulk", "page", empty_region, fill_by_zeros, MESSAGE, PAGES},
    {"UFFDIO_MOVE, one page", "page", before_move, fill_by_move, PAGE, 1},
    {"UFFDIO_MOVE, in bulk", "page", before_move, fill_by_move, MESSAGE, PAGES},
    {"look-up where nothing is tracked", "look-up", NULL, look_up_nothing, 1024, 1024},
    {"publish 512 KiB again", "call", NULL, publish, MESSAGE, 1},
    {"copy of 512 KiB of views", "copy", publish, copy_views, MESSAGE, 1},
    {"translate 512 KiB for output", "call", before_views_filled, translate, MESSAGE, 1},
    {"materialise views", "page", before_views_filled, materialise, MESSAGE, PAGES},
};

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double clock_reading_ns; /* what every time has in it */

static void nothing(long argument) {
    (void)argument;
}

static double measure(const struct operation *operation, double *times) {
    for (long i = -rounds / 10; i < rounds; i++) {
        if (operation->before)
            operation->before(operation->argument);
        uint64_t from = now_ns();
        operation->run(operation->argument);
        if (i >= 0)
            times[i] = ((double)(now_ns() - from) - clock_reading_ns) / (double)operation->units;
        if (operation->run == register_range)
            unregister_range(operation->argument);
    }
    qsort(times, (size_t)rounds, sizeof *times, compare);
    return times[rounds / 2];
}

int main(int argc, char **argv) {
    parse_options(argc, argv, options);
    double *times = rounds > 0 ? calloc((size_t)rounds, sizeof *times) : NULL;
    if (!times)
        fail("--rounds");
    if (cpu >= 0)
        pin_to_cpu(argv[0], cpu);
    hot_from = map_filled(HOT);
    hot_to = map_filled(HOT);
    cold = map_filled(COLD);
    region = map(MESSAGE);
    moved_to = map(MESSAGE);
    filled = map_filled(MESSAGE);
    open_uffd();
    view_from = map_filled(MESSAGE);
    view_to = map_filled(MESSAGE);
    if (zio_tracker_init(&tracker, 64 << 20, 0, counters) != 0 || !zio_tracker_ready(&tracker))
        fail("the tracker");
    origin = zio_origin_acquire(&tracker.pool, MESSAGE);
    if (!origin)
        fail("no origin");
    memset(origin->data, 1, MESSAGE);
    atomic_store(&origin->filled, MESSAGE);
    clock_reading_ns = measure(&(struct operation){.run = nothing, .units = 1}, times);
    size_t count = sizeof operations / sizeof *operations;
    printf("{\"version\":1,\"rounds\":%ld,\"operations\":[", rounds);
    for (size_t i = 0; i < count; i++)
        printf("%s{\"name\":\"%s\",\"unit\":\"%s\",\"ns\":%.2f}", i ? "," : "", operations[i].name,
               operations[i].unit, measure(&operations[i], times));
    printf("]}\n");
    return 0;
}
