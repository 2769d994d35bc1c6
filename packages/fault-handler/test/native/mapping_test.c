/* What zio_mapping_query makes of memory, with PROCMAP_QUERY and with the parser. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/wait.h>

#include "zone.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA           0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

static struct zio_uffd way = {.fd = -1, .device_fd = -1}; /* `disabled` and what is kept are looked at */

static struct zio_mapping mapping_at(const void *address) {
    struct zio_mapping mapping;
    CHECK_EQ(zio_mapping_query(&way, (uintptr_t)address, &mapping), 0);
    CHECK(mapping.start <= (uintptr_t)address && (uintptr_t)address < mapping.end);
    return mapping;
}

static bool eligible(const void *address) {
    return mapping_at(address).private_anonymous;
}

static void *map(int flags, int fd) {
    void *address = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
    CHECK(address != MAP_FAILED);
    return address;
}

static void *thread_main(void *unused) {
    (void)unused;
    int local = 0;
    CHECK(eligible(&local)); /* a thread's stack is ordinary memory to the kernel */
    return NULL;
}

static void tells_memory_apart(void) {
    int local = 0;
    /* a hole on both sides, so that nothing merges with it */
    unsigned char *hole = mmap(NULL, 6 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *plain = hole + PAGE;
    CHECK_EQ(mprotect(plain, 4 * PAGE, PROT_READ | PROT_WRITE), 0);
    struct zio_mapping mapping = mapping_at(plain + 2 * PAGE + 17);
    CHECK_EQ(mapping.start, (uintptr_t)plain);
    CHECK_EQ(mapping.end, (uintptr_t)plain + 4 * PAGE);
    CHECK(mapping.private_anonymous && mapping.readable && mapping.writable && !mapping.grows_down);

    mprotect(plain, PAGE, PROT_READ);
    mapping = mapping_at(plain);
    CHECK(mapping.private_anonymous && mapping.readable && !mapping.writable);
    CHECK_EQ(mapping.end, (uintptr_t)plain + PAGE);
    mapping = mapping_at(hole);
    CHECK(!mapping.readable && !mapping.writable);

    CHECK(!eligible(&local));
    CHECK(mapping_at(&local).grows_down); /* [stack] */
    CHECK(!eligible((void *)(uintptr_t)tells_memory_apart));
    CHECK(eligible(malloc(1))); /* [heap] */
    CHECK(!eligible(map(MAP_SHARED | MAP_ANONYMOUS, -1)));
    CHECK(!eligible(map(MAP_PRIVATE, open("/proc/self/exe", O_RDONLY))));
    CHECK(!eligible(map(MAP_PRIVATE, memfd_create("a memfd", 0))));
    CHECK(!eligible(map(MAP_SHARED, memfd_create("a memfd", 0))));
    CHECK(!eligible(map(MAP_PRIVATE, open("/dev/zero", O_RDWR))));
    int segment = shmget(IPC_PRIVATE, 4 * PAGE, IPC_CREAT | 0600);
    if (segment >= 0) {
        CHECK(!eligible(shmat(segment, NULL, 0)));
        shmctl(segment, IPC_RMID, NULL);
    }

    unsigned char *down = map(MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1);
    mapping = mapping_at(down + 3 * PAGE);
    CHECK(!mapping.private_anonymous && mapping.grows_down);
    CHECK(mapping.readable && mapping.writable);
    struct zio_mapping again = mapping_at(down + 3 * PAGE);
    CHECK_EQ(again.start, mapping.start); /* the question changed nothing */
    CHECK_EQ(again.end, mapping.end);
    CHECK(again.writable);

    pthread_t thread;
    pthread_create(&thread, NULL, thread_main, NULL);
    pthread_join(thread, NULL);
}

static void tells_names_apart(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512], name[256];
    int special = 0;
    while (fgets(line, sizeof line, maps)) {
        unsigned long start;
        name[0] = '\0';
        sscanf(line, "%lx-%*x %*s %*s %*s %*s %255s", &start, name);
        if (strncmp(name, "[v", 2) != 0)
            continue;
        struct zio_mapping mapping;
        int code = zio_mapping_query(&way, start, &mapping);
        if (code == 0)
            CHECK(!mapping.private_anonymous);
        special++; /* [vdso], [vvar], [vvar_vclock], [vsyscall] */
    }
    CHECK(special >= 2);
    unsigned char *named = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, named, 4 * PAGE, "short") == 0) {
        CHECK(eligible(named));
        prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, named, 4 * PAGE,
              "a name that is much longer than the buffer that the query offers for it");
        CHECK(eligible(named));
    }
    char path[] = "/tmp/zio-a-file-whose-name-is-longer-than-the-buffer-for-names-XXXXXX";
    int file = mkstemp(path);
    CHECK(file >= 0);
    CHECK_EQ(ftruncate(file, 4 * PAGE), 0);
    unsigned char *mapped = map(MAP_PRIVATE, file);
    CHECK(!eligible(mapped));
    unlink(path);
    CHECK(!eligible(mapped));
}

static void finds_nothing_in_holes_and_beyond(void) {
    struct zio_mapping mapping;
    unsigned char *hole = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    munmap(hole + PAGE, PAGE);
    CHECK_EQ(zio_mapping_query(&way, (uintptr_t)hole + PAGE, &mapping), ZIO_ENOENT);
    CHECK_EQ(zio_mapping_query(&way, (uintptr_t)hole + 2 * PAGE - 1, &mapping), ZIO_ENOENT);
    CHECK_EQ(zio_mapping_query(&way, (uintptr_t)hole + 2 * PAGE, &mapping), 0);
    CHECK_EQ(zio_mapping_query(&way, 0, &mapping), ZIO_ENOENT);
    CHECK(zio_mapping_query(&way, UINT64_MAX - 4096, &mapping) != 0);
}

static void agrees_with_proc_maps_on_many_mappings(void) {
    enum { COUNT = 2000 };
    unsigned char *base = mmap(NULL, COUNT * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < COUNT; i += 2)
        mprotect(base + (size_t)i * PAGE, PAGE, PROT_READ | PROT_WRITE);
    for (int i = 1; i < COUNT - 1; i += 97) {
        struct zio_mapping mapping = mapping_at(base + (size_t)i * PAGE + 5);
        CHECK_EQ(mapping.start, (uintptr_t)base + (size_t)i * PAGE);
        CHECK_EQ(mapping.end, mapping.start + PAGE);
        CHECK_EQ(mapping.writable, i % 2 == 0);
        CHECK(mapping.private_anonymous);
    }
}

static void both_ways(void (*body)(void)) {
    way.disabled = 0;
    body();
    way.disabled = ZIO_FEATURE_PROCMAP_QUERY;
    body();
}

static void memory_is_told_apart(void) {
    both_ways(tells_memory_apart);
}
static void special_mappings_are_told_by_name(void) {
    both_ways(tells_names_apart);
}
static void holes_are_not_mapped(void) {
    both_ways(finds_nothing_in_holes_and_beyond);
}
static void many_mappings_are_found(void) {
    both_ways(agrees_with_proc_maps_on_many_mappings);
}

static void huge_pages_are_not_eligible(void) {
    unsigned char *huge = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);
    if (huge == MAP_FAILED)
        SKIP("MAP_HUGETLB: %s", strerror(errno));
    way.disabled = 0;
    CHECK(!eligible(huge));
    way.disabled = ZIO_FEATURE_PROCMAP_QUERY;
    CHECK(!eligible(huge));
}

static void no_free_descriptor_is_an_error_not_a_hole(void) {
    struct zio_mapping mapping;
    while (dup(0) >= 0)
        ;
    CHECK_EQ(zio_mapping_query(&way, (uintptr_t)&way, &mapping), -EMFILE);
}

/* What is kept needs neither a free descriptor nor the path. */
static void kept_mappings_need_no_path(void) {
    way.disabled = 0;
    if (!zio_mapping_can_query())
        SKIP("PROCMAP_QUERY: Linux 6.11");
    CHECK_EQ(zio_uffd_keep_maps(&way), 0);
    CHECK(way.maps.number > 2 && zio_kept_is_ours(&way.maps));
    CHECK_EQ(fcntl(way.maps.number, F_GETFD), FD_CLOEXEC);
    while (dup(0) >= 0)
        ;
    CHECK(eligible(malloc(1)));
    CHECK(!eligible((void *)(uintptr_t)kept_mappings_need_no_path));
}

/* The number may name another process's mappings meanwhile, which would answer too. */
static void stolen_mappings_are_not_asked(void) {
    char path[32];
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    CHECK_EQ(zio_uffd_keep_maps(&way), 0);
    unsigned char *own = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    snprintf(path, sizeof path, "/proc/%d/maps", child);
    int other = open(path, O_RDONLY);
    CHECK(other >= 0);
    CHECK_EQ(dup2(other, way.maps.number), way.maps.number);
    CHECK(!zio_kept_is_ours(&way.maps));
    CHECK(eligible(own));
    CHECK_EQ(zio_uffd_leave_number(&way, way.maps.number), 0);
    zio_kept_close(&way.maps);
    CHECK(fcntl(other, F_GETFD) >= 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void a_number_is_left_to_the_program(void) {
    CHECK_EQ(zio_uffd_keep_maps(&way), 0);
    int number = way.maps.number, null = open("/dev/null", O_RDONLY);
    CHECK(zio_uffd_owns_number(&way, number));
    CHECK_EQ(zio_uffd_leave_number(&way, number), 0);
    CHECK(way.maps.number != number && zio_kept_is_ours(&way.maps));
    CHECK_EQ(dup2(null, number), number);
    CHECK(!zio_uffd_owns_number(&way, number));
    CHECK(eligible(malloc(1)));
}

static void a_child_asks_for_its_own(void) {
    CHECK_EQ(zio_uffd_keep_maps(&way), 0);
    pid_t child = fork();
    if (child == 0) {
        int number = way.maps.number;
        uint64_t parents = way.maps.identity;
        zio_uffd_abandon(&way, false);
        CHECK(fcntl(number, F_GETFD) < 0);
        CHECK_EQ(zio_uffd_keep_maps(&way), 0);
        CHECK(way.maps.identity != parents);
        CHECK(eligible(map(MAP_PRIVATE | MAP_ANONYMOUS, -1)));
        _exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CHECK_EQ(status, 0);
    CHECK(zio_kept_is_ours(&way.maps));
}

static const struct test tests[] = {
#define TEST(name)                                                                                 \
    { #name, name }
    TEST(memory_is_told_apart),        TEST(special_mappings_are_told_by_name),
    TEST(holes_are_not_mapped),        TEST(many_mappings_are_found),
    TEST(huge_pages_are_not_eligible), TEST(no_free_descriptor_is_an_error_not_a_hole),
    TEST(kept_mappings_need_no_path),  TEST(stolen_mappings_are_not_asked),
    TEST(a_number_is_left_to_the_program), TEST(a_child_asks_for_its_own),
};
TEST_MAIN(tests)
