/* The counters page of this process: zio/stats.h describes it. With ZIO_STATS a file in that
 * directory that stays after exit; otherwise one in a private directory of the user under
 * /dev/shm that goes with the process. A forked child that can have none (another user, another
 * root directory) counts on its parent's; without any the counters are private memory. */
#include "instance.h"

#include <fcntl.h>
#include <linux/stat.h>
#include <sys/mman.h>
#include <zio/syscall.h>

#include "bytes.h"
#include "nvm_origins.h"
#include "nvm_pool.h"

enum { HEADER_BYTES = 256, ATTEMPTS = 64, NAME_BYTES = 96, CALLS_BETWEEN = 64 };
#define PAGE_BYTES (HEADER_BYTES + ZIO_COUNTER_COUNT * sizeof(struct zio_stats_counter))

static struct zio_stats_counter fallback[ZIO_COUNTER_COUNT];
static struct zio_stats_header *page;
static char page_path[ZIO__PATH_BYTES + NAME_BYTES];
static int page_pid;    /* whose it is */
static bool is_parents; /* it is the parent's, and shows the parent's state and gauges */

static size_t put_text(char *to, size_t at, size_t room, const char *text) {
    while (*text && at + 1 < room)
        to[at++] = *text++;
    to[at] = 0;
    return at;
}

static size_t put_number(char *to, size_t at, size_t room, uint64_t number) {
    char digits[24];
    size_t count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    while (count > 0 && at + 1 < room)
        to[at++] = digits[--count];
    to[at] = 0;
    return at;
}

/* Field 22 of /proc/self/stat, counted after the command's closing bracket. */
static uint64_t start_ticks(void) {
    char text[1024];
    size_t length = zio__read_small_file("/proc/self/stat", text, sizeof text), at = length;
    while (at > 0 && text[at] != ')')
        at--;
    for (int field = 2; at < length && field < 22; at++)
        if (text[at] == ' ')
            field++;
    uint64_t value = 0;
    for (; at < length && text[at] >= '0' && text[at] <= '9'; at++)
        value = value * 10 + (uint64_t)(text[at] - '0');
    return value;
}

/* <directory>/<pid>.<start>.<n>: a pid that execs makes a further file. */
static long create_page(uint64_t ticks) {
    char base[ZIO__PATH_BYTES];
    size_t length;
    int pid = (int)zio_syscall(SYS_getpid);
    if (zio__settings.stats) {
        length = put_text(base, 0, sizeof base, zio__settings.stats);
    } else {
        length = put_text(base, 0, sizeof base, "/dev/shm/zio-");
        length = put_number(base, length, sizeof base, (uint64_t)zio_syscall(SYS_geteuid));
        zio_syscall(SYS_mkdirat, AT_FDCWD, base, 0700);
    }
    long directory =
        zio_syscall(SYS_openat, AT_FDCWD, base, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0)
        return directory;
    long fd = -1;
    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        char name[NAME_BYTES];
        size_t at = put_number(name, 0, sizeof name, (uint64_t)pid);
        at = put_text(name, at, sizeof name, ".");
        at = put_number(name, at, sizeof name, ticks);
        at = put_text(name, at, sizeof name, ".");
        put_number(name, at, sizeof name, attempt);
        fd = zio_syscall(SYS_openat, directory, name,
                         O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd != -EEXIST) {
            length = put_text(page_path,
                              put_text(page_path, put_text(page_path, 0, sizeof page_path, base),
                                       sizeof page_path, "/"),
                              sizeof page_path, name);
            break;
        }
    }
    zio_syscall(SYS_close, directory);
    (void)length;
    return fd;
}

static void describe(struct zio_stats_counter *counters) {
    size_t i = 0;
#define DESCRIBE(id, path, unit)                                                                   \
    put_text(counters[i].name, 0, sizeof counters[i].name, path);                                  \
    counters[i++].kind = unit;
    ZIO_TRACKER_COUNTERS(DESCRIBE)
#undef DESCRIBE
}

/* A new page of this process, or NULL. */
static struct zio_stats_header *map_page(uint64_t ticks) {
    long fd = create_page(ticks), mapped = -1;
    if (fd < 0)
        return NULL;
    /* Allocated, not only sized: on a full tmpfs the first store would be SIGBUS. */
    if (zio_syscall(SYS_fallocate, fd, 0, 0, PAGE_BYTES) == 0)
        mapped = zio_syscall(SYS_mmap, 0, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    zio_syscall(SYS_close, fd);
    if (mapped < 0 && mapped >= -4095) {
        zio_syscall(SYS_unlinkat, AT_FDCWD, page_path, 0);
        return NULL;
    }
    return (struct zio_stats_header *)mapped;
}

void zio__stats_open(void) {
#define WORD(word, constant) word,
    static const char *const policies[] = {ZIO_POLICY_WORDS(WORD)};
#undef WORD
    uint64_t ticks = start_ticks();
    struct zio_stats_header *own = map_page(ticks);
    is_parents = !own && page;
    if (is_parents)
        return;
    if (!own) {
        describe(fallback);
        zio_tracker_set_counters(&zio__tracker, fallback);
        return;
    }
    page = own;
    page_pid = (int)zio_syscall(SYS_getpid);
    page->version = ZIO_STATS_VERSION;
    page->header_bytes = HEADER_BYTES;
    page->counter_bytes = sizeof(struct zio_stats_counter);
    page->counter_count = ZIO_COUNTER_COUNT;
    page->pid = page_pid;
    page->parent_pid = (int)zio_syscall(SYS_getppid);
    page->start_ticks = ticks;
    put_text(page->policy, 0, sizeof page->policy, policies[zio__settings.policy]);
    put_text(page->state, 0, sizeof page->state, "idle");
    char command[64];
    size_t length = zio__read_small_file("/proc/self/comm", command, sizeof command);
    if (length > 0)
        command[length - 1] = 0;
    put_text(page->command, 0, sizeof page->command, command);
    struct zio_stats_counter *counters = (void *)((char *)page + HEADER_BYTES);
    describe(counters);
    zio_tracker_set_counters(&zio__tracker, counters);
    atomic_thread_fence(memory_order_release);
    page->magic = ZIO_STATS_MAGIC;
}

/* The mapping stays: late calls may still count. */
void zio__stats_close(void) {
    if (!page || is_parents || zio__settings.stats || page_pid != (int)zio_syscall(SYS_getpid))
        return;
    zio_syscall(SYS_unlinkat, AT_FDCWD, page_path, 0);
}

/* Two threads may find at once that the first large input has come. */
void zio__stats_state(const char *state) {
    if (!page || is_parents)
        return;
    size_t length = 0;
    for (; state[length] && length + 1 < sizeof page->state; length++)
        __atomic_store_n(&page->state[length], state[length], __ATOMIC_RELAXED);
    __atomic_store_n(&page->state[length], 0, __ATOMIC_RELAXED);
}

static size_t in_both(const _Atomic size_t *one, const _Atomic size_t *other) {
    return atomic_load(one) + (other ? atomic_load(other) : 0);
}

static void set_gauge(enum zio_counter gauge, uint64_t value) {
    atomic_store_explicit(&zio__tracker.counters[gauge].value, value, memory_order_relaxed);
}

void zio__stats_pool(void) {
    const struct zio_storage *storage = zio__nvm_storage();
    struct zio_storage_usage usage;
    if (!zio__tracker.counters || is_parents || !storage)
        return;
    storage->usage(zio__nvm_pool(), &usage);
    set_gauge(ZIO_COUNT_logged_held_bytes, zio__nvm_origins_held_bytes());
    set_gauge(ZIO_COUNT_pool_bytes, usage.bytes);
    set_gauge(ZIO_COUNT_pool_used_bytes, usage.used_bytes);
    set_gauge(ZIO_COUNT_pool_logged_bytes, usage.logged_bytes);
    set_gauge(ZIO_COUNT_pool_digested_bytes, usage.digested_bytes);
    set_gauge(ZIO_COUNT_pool_undigested_bytes, usage.logged_bytes > usage.digested_bytes
                                                   ? usage.logged_bytes - usage.digested_bytes
                                                   : 0);
    set_gauge(ZIO_COUNT_pool_waits, usage.waits);
}

/* Asking takes longer than to log a little. */
void zio__stats_logged(void) {
    static _Atomic uint32_t calls;
    if (atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) % CALLS_BETWEEN == 0)
        zio__stats_pool();
}

void zio__stats_pool_applied(void) {
    const struct zio_stats_counter *counters = zio__tracker.counters;
    if (!counters || is_parents)
        return;
    set_gauge(ZIO_COUNT_pool_digested_bytes,
              atomic_load(&counters[ZIO_COUNT_pool_logged_bytes].value));
    set_gauge(ZIO_COUNT_pool_undigested_bytes, 0);
    set_gauge(ZIO_COUNT_pool_used_bytes, 0);
}

void zio__stats_gauges(void) {
    const struct zio_origin_pool *other = zio__tracker.other_pool;
    if (!zio__tracker.counters || is_parents)
        return;
    set_gauge(ZIO_COUNT_views, atomic_load(&zio__tracker.map.count));
    set_gauge(ZIO_COUNT_origins,
              in_both(&zio__tracker.pool.live_count, other ? &other->live_count : NULL));
    set_gauge(ZIO_COUNT_origin_bytes,
              in_both(&zio__tracker.pool.capacity_bytes, other ? &other->capacity_bytes : NULL));
}
