/* Cases 19 and 20: maps, address space, memory for origins and pinned memory at their end. A
 * real copy instead of a view, and the plain result of every call. */
#include "channels.h"
#include <sys/prctl.h>

enum { OLD = 1, NEW = 2, OTHER = 3 };
#define SIZE (192 * KIB)

/* Memory and a channel made before anything runs out. */
struct kit {
    struct channel c;
    byte *source, *a, *b, *d;
};
static struct kit prepare(void) {
    return (struct kit){wide_pipe(), region(SIZE), region(SIZE), region(SIZE), region(SIZE)};
}
static void work(struct kit *k, int rounds) {
    for (int i = 0; i < rounds; i++) {
        unsigned stream = 20 + (unsigned)i % 10;
        fill(k->source, SIZE, stream, 0);
        write_all(k->c.out, k->source, SIZE);
        read_all(k->c.in, k->a, SIZE);
        copy(k->b, k->a, SIZE);
        copy(k->d, k->b, SIZE);
        k->b[(size_t)i * 5000 % SIZE] ^= 1;
        write_all(k->c.out, k->d, SIZE);
        for (size_t done = 0; done < SIZE; done += 8192) {
            read_all(k->c.in, k->source, 8192);
            EXPECT_BYTES(k->source, 8192, stream, done);
        }
        EXPECT_BYTES(k->a, SIZE, stream, 0);
        EXPECT_BYTES(k->d, SIZE, stream, 0);
    }
}

/* Cuts one mapping into single pages of unequal protection until the kernel refuses. */
static byte *use_up_maps(size_t pages, size_t *used) {
    byte *at =
        mmap(NULL, pages * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        die("mmap");
    for (*used = 0; *used < pages; *used += 2)
        if (mprotect(at + *used * PAGE, PAGE, PROT_READ))
            break;
    return at;
}

static size_t map_limit(void) {
    char text[32] = "65530";
    int fd = open("/proc/sys/vm/max_map_count", O_RDONLY);
    if (fd >= 0 && read(fd, text, sizeof text - 1) <= 0)
        die("max_map_count");
    close(fd);
    size_t limit = strtoul(text, NULL, 10);
    if (limit > 300000)
        skip("vm.max_map_count is too large to use up");
    return limit;
}

/* Views exist before the end of maps, and are made, touched, copied and freed at it. */
static void no_more_maps(void) {
    size_t pages = map_limit() * 2 + 1000, used;
    for (int first = 0; first < 2; first++) {
        struct kit k = prepare();
        byte *old = first ? viewed(SIZE, OLD) : NULL, *copied = region(SIZE),
             *striped = region(SIZE);
        if (!first)
            work(&k, 1);
        byte *at = use_up_maps(pages, &used);
        EXPECT(used < pages, 1);
        work(&k, 5);
        if (old) {
            copy(copied, old, SIZE);
            for (size_t i = 0; i < SIZE; i += 2 * PAGE)
                EXPECT(copied[i], byte_of(OLD, i));
            EXPECT_BYTES(old, SIZE, OLD, 0);
            EXPECT_BYTES(copied, SIZE, OLD, 0);
        }
        /* Views of every second page: each wants a map of its own. */
        for (size_t i = 0; i < SIZE; i += 2 * PAGE)
            copy(striped + i, k.a + i, PAGE);
        EXPECT_BYTES(striped, PAGE, 24, 0);
        pid_t child = first ? fork() : 0;
        if (first && child == 0) {
            EXPECT_BYTES(k.a, SIZE, 24, 0);
            work(&k, 2);
            _exit(failures != 0);
        }
        int status = 0;
        if (first)
            EXPECT(waitpid(child, &status, 0), child);
        EXPECT(status, 0);
        EXPECT(munmap(at, pages * PAGE), 0);
        work(&k, 3);
        if (old)
            EXPECT_BYTES(copied, SIZE, OLD, 0);
    }
}

/* Little room: what is free for the program plain is enough for it with zIO. */
static void few_maps(void) {
    size_t pages = map_limit() * 2 + 1000, used;
    struct kit k = prepare();
    work(&k, 1);
    byte *at = use_up_maps(pages, &used);
    EXPECT(mprotect(at, used / 2 * PAGE, PROT_NONE), 0); /* gives half of them back */
    work(&k, 3);
    byte *more[100];
    for (int i = 0; i < 100; i++) {
        more[i] = viewed(64 * KIB, (unsigned)i);
        if (mprotect(more[i] + PAGE, PAGE, PROT_READ))
            die("mprotect");
    }
    for (int i = 0; i < 100; i++)
        EXPECT_BYTES(more[i], 64 * KIB, (unsigned)i, 0);
}

/* Many live views: more than the memory for origins holds, and several generations. */
static void much_data(void) {
    enum { VALUES = 160 };
    byte *values[VALUES], *copies[VALUES];
    for (unsigned i = 0; i < VALUES; i++) {
        values[i] = viewed(SIZE, i);
        copies[i] = region(SIZE);
        copy(copies[i], values[i], SIZE);
        if (i % 3 == 0)
            feed(values[i], SIZE, 500 + i, 0);
    }
    struct kit k = prepare();
    work(&k, 10);
    for (unsigned i = 0; i < VALUES; i++)
        EXPECT_BYTES(copies[i], SIZE, i, 0);
    for (unsigned i = 0; i < VALUES; i++)
        EXPECT_BYTES(values[i], SIZE, i % 3 ? i : 500 + i, 0);
}

/* One input larger than all memory for origins; and tiny shares of large origins kept. */
static void large_input(void) {
    size_t large = 8 * MIB;
    byte *at = region(large), *copied = region(large);
    feed(at, large, OLD, 0);
    copy(copied, at, large);
    int file = temporary_file(0);
    write_all(file, copied, large);
    feed(at, large, NEW, 0);
    EXPECT(pread(file, at, large, 0), large);
    EXPECT_BYTES(at, large, OLD, 0);
    EXPECT_BYTES(copied, large, OLD, 0);
    enum { CRUMBS = 300 };
    byte *crumbs[CRUMBS];
    for (unsigned i = 0; i < CRUMBS; i++) {
        feed(at, 256 * KIB, i, 0);
        crumbs[i] = region(20 * KIB);
        copy(crumbs[i], at + 100 * KIB + i, 20 * KIB);
    }
    for (unsigned i = 0; i < CRUMBS; i++)
        EXPECT_BYTES(crumbs[i], 20 * KIB, i, 100 * KIB + i);
}

static size_t status_kib(const char *name) {
    static char text[8192];
    int fd = open("/proc/self/status", O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    char *at = strstr(text, name);
    return at ? strtoul(at + strlen(name) + 1, NULL, 10) : 0;
}

static char self[PATH_MAX];
static void run_self(const char *what) {
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    execl(self, self, what, NULL);
    die("exec");
}

/* `limit` bytes more of address space or data than the process has now. */
static void limited(int resource, const char *name) {
    struct rlimit limit;
    limit.rlim_cur = limit.rlim_max = status_kib(name) * KIB + 24 * MIB;
    setrlimit(resource, &limit);
    struct kit k = prepare();
    work(&k, 5);
    byte *large = malloc(12 * MIB);
    EXPECT(large != NULL, 1);
    if (large) {
        feed(large, 12 * MIB, OLD, 0);
        EXPECT_BYTES(large, 12 * MIB, OLD, 0);
    }
    work(&k, 5);
    free(large);
    byte *grown = malloc(MIB);
    feed(grown, MIB, NEW, 0);
    grown = realloc(grown, 8 * MIB);
    EXPECT(grown != NULL, 1);
    if (grown)
        EXPECT_BYTES(grown, MIB, NEW, 0);
    work(&k, 2);
    EXPECT(malloc(200 * MIB) == NULL, 1);
    EXPECT(errno, ENOMEM);
}
static void address_space(void) {
    limited(RLIMIT_AS, "VmSize:");
}
static void data_limit(void) {
    limited(RLIMIT_DATA, "VmData:");
}

/* The limits were there before the program started. */
static void address_space_at_start(void) {
    struct rlimit limit = {64 * MIB, 64 * MIB};
    setrlimit(RLIMIT_AS, &limit);
    run_self("be-small");
}
static void be_small(void) {
    struct kit k = prepare();
    work(&k, 5);
    byte *large = malloc(30 * MIB);
    EXPECT(large != NULL, 1);
    if (large)
        feed(large, 30 * MIB, OLD, 0);
    if (large)
        EXPECT_BYTES(large, 30 * MIB, OLD, 0);
    work(&k, 5);
    say("small: %s\n", failures ? "failed" : "done");
    exit(failures != 0);
}

/* Locked memory does not explode, and everything works. */
static void locked_memory(void) {
    if (mlockall(MCL_CURRENT | MCL_FUTURE))
        skip("no memory may be locked here");
    struct kit k = prepare();
    work(&k, 10);
    byte *at = viewed(SIZE, OLD);
    EXPECT(status_kib("VmRSS:") < 256 * KIB, 1);
    munlockall();
    work(&k, 5);
    EXPECT(mlockall(MCL_CURRENT), 0);
    EXPECT(status_kib("VmRSS:") < 256 * KIB, 1);
    EXPECT_BYTES(at, SIZE, OLD, 0);
}

int main(int argc, char **argv) {
    static const struct subcase cases[] = {{"no-more-maps", no_more_maps},
                                           {"few-maps", few_maps},
                                           {"much-data", much_data},
                                           {"large-input", large_input},
                                           {"address-space", address_space},
                                           {"data-limit", data_limit},
                                           {"address-space-at-start", address_space_at_start},
                                           {"locked-memory", locked_memory}};
    if (argc > 1 && strcmp(argv[1], "be-small") == 0)
        be_small();
    return run_subcase(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
