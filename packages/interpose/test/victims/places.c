/* CASE 8: destinations that may not become views: shared, file-backed, hugetlb, memfd, stack,
 * locked and growing memory. They get the plain result, and whoever else maps them sees it. */
#include "modelled.h"
#include <alloca.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/syscall.h>

static const size_t size = 40 * PAGE;

/* Received into, copied to, overwritten in part, copied within and read from: all that happens to
 * ordinary memory. `other` is a second address of the same bytes, or NULL. */
static void use(byte *at, size_t n, const byte *other) {
    struct memory place = {at, map_private(n), n}, source = memory_new(HEAP, 0, n),
                  copy = memory_new(HEAP, 0, n);
    struct memory second = {(byte *)other, place.model, n};
    memory_set(&place, 0, 0x20, n);
    memory_feed(&source, 0, n);
    memory_copy_by(memcpy, &place, 0, &source, 0, n);
    check_sent("copied to", &place);
    if (other)
        check("the other mapping", &second);
    memory_feed(&place, 100, n - 200);
    if (other)
        check("the other mapping", &second);
    memory_copy_by(memcpy, &copy, 0, &place, 0, n);
    memory_store(&place, n / 2, 0x21, 5000);
    if (other)
        check("the other mapping", &second);
    check_sent("copied from", &copy);
    memory_feed_by_read(&place, 0, n);
    memory_copy_by(memcpy, &place, 5000, &source, 0, n - 5000);
    memory_copy(&place, 64, &place, 4096 + 13, n - 8192);
    if (other)
        check_sent("the other mapping", &second);
    memory_set(&place, 4000, 0, 20000);
    memory_copy_by(memcpy, &source, 1, &place, 0, n - 1);
    check("place", &place);
    check("source", &source);
    check("copy", &copy);
    if (other)
        check("the other mapping", &second);
    munmap(place.model, n);
    memory_free(&source, HEAP);
    memory_free(&copy, HEAP);
}

static byte *map_fd(int fd, int kind) {
    byte *at = mmap(NULL, size, PROT_READ | PROT_WRITE, kind, fd, 0);
    need(at != MAP_FAILED, "mmap");
    return at;
}

static void shared_anonymous(void) {
    byte *at = map_fd(-1, MAP_SHARED | MAP_ANONYMOUS);
    use(at, size, NULL);
    /* the second address of anonymous shared memory: mremap with an old size of zero */
    byte *other = mremap(at, 0, size, MREMAP_MAYMOVE);
    need(other != MAP_FAILED, "mremap");
    use(at, size, other);
}

static void shared_with_child(void) {
    byte *at = map_fd(-1, MAP_SHARED | MAP_ANONYMOUS), *source = heap(size);
    int ready[2], done[2];
    need(pipe(ready) == 0 && pipe(done) == 0, "pipe");
    pid_t child = fork();
    need(child >= 0, "fork");
    if (child == 0) {
        char c;
        for (int round = 0; round < 3; round++) {
            if (read(ready[0], &c, 1) != 1)
                _exit(1);
            expect_stream("seen by the child", at, size, (uint64_t)round * size);
            model_set(at, 0x40, size);
            write_all(done[1], "x", 1);
        }
        _exit(0);
    }
    for (int round = 0; round < 3; round++) {
        char c;
        if (round < 2) {
            feed(source, size);
            memcpy(at, source, size);
        } else
            feed(at, size);
        write_all(ready[1], "x", 1);
        need(read(done[0], &c, 1) == 1, "child");
        expect_bytes("written by the child", at, size, 0x40);
    }
    int status;
    need(waitpid(child, &status, 0) == child, "waitpid");
    say("child: %d", status);
}

static void shared_file(void) {
    int fd = stream_file(size, 0);
    byte *at = map_fd(fd, MAP_SHARED), *other = map_fd(fd, MAP_SHARED);
    use(at, size, other);
    byte *read_back = map_private(size);
    feed(at, size);
    need(syscall(SYS_pread64, fd, read_back, size, 0L) == (long)size, "pread");
    expect_stream("the file", read_back, size, feed_position - size);
    need(msync(at, size, MS_SYNC) == 0, "msync");
}

static void private_file(void) {
    int fd = stream_file(size, 0);
    byte *at = map_fd(fd, MAP_PRIVATE), *untouched = map_fd(fd, MAP_PRIVATE);
    use(at, size, NULL);
    expect_stream("the file", untouched, size, 0);
    need(madvise(at, size, MADV_DONTNEED) == 0, "madvise");
    expect_stream("the file again", at, size, 0);
}

static void memfd(void) {
    int fd = memfd_create("place", MFD_CLOEXEC);
    need(fd >= 0 && ftruncate(fd, (off_t)size) == 0, "memfd_create");
    use(map_fd(fd, MAP_SHARED), size, map_fd(fd, MAP_SHARED));
    byte *at = map_fd(fd, MAP_PRIVATE);
    byte *shared = map_fd(fd, MAP_SHARED);
    model_set(shared, 0x50, size);
    use(at, size, NULL);
    expect_bytes("the memfd", shared, size, 0x50);
}

static void system_v(void) {
    int id = shmget(IPC_PRIVATE, size, IPC_CREAT | 0600);
    need(id >= 0, "shmget");
    byte *at = shmat(id, NULL, 0), *other = shmat(id, NULL, 0);
    shmctl(id, IPC_RMID, NULL);
    need(at != (void *)-1 && other != (void *)-1, "shmat");
    use(at, size, other);
}

static void huge_pages(void) {
    byte *at = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    if (at == MAP_FAILED)
        skip("no huge pages are reserved (/proc/sys/vm/nr_hugepages)");
    use(at, size, NULL);
    use(at + 5000, 2 * MIB - 5000, NULL);
    int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);
    need(fd >= 0 && ftruncate(fd, 2 * MIB) == 0, "memfd_create");
    byte *shared = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    byte *other = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED || other == MAP_FAILED)
        skip("a second huge page is not reserved (/proc/sys/vm/nr_hugepages)");
    use(shared, 300 * KIB, other);
}

/* ---- private memory that still may not go away ------------------------------------------------
 */

static void stack(void) {
    byte local[160 * KIB];
    use(local, sizeof local, NULL);
    use(alloca(size + 4096), size, NULL);
}

static void *on_thread_stack(void *unused) {
    stack();
    return unused;
}

static void thread_stack(void) {
    pthread_t thread;
    need(pthread_create(&thread, NULL, on_thread_stack, NULL) == 0, "pthread_create");
    pthread_join(thread, NULL);
}

static void growing(void) {
    byte *at = mmap(NULL, 400 * PAGE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
    need(at != MAP_FAILED, "mmap");
    use(at + 300 * PAGE, size, NULL);
}

static byte in_bss[160 * KIB] __attribute__((aligned(4096)));
static byte in_data[160 * KIB] __attribute__((aligned(4096))) = {1};
static __thread byte in_tls[80 * KIB];

static void static_memory(void) {
    use(in_bss, sizeof in_bss, NULL);
    use(in_data, sizeof in_data, NULL);
    use(in_tls, sizeof in_tls, NULL);
}

/* Counts the pages of a range that are present, which must be all of locked memory. */
static size_t resident(byte *at, size_t n) {
    static unsigned char map[4096];
    size_t count = 0;
    need(mincore(at, n, map) == 0, "mincore");
    for (size_t i = 0; i < n / PAGE; i++)
        count += map[i] & 1;
    return count;
}

static void locked(void) {
    byte *at = map_private(size);
    if (mlock(at, size) != 0)
        skip("mlock is refused");
    use(at, size, NULL);
    say("%zu pages resident", resident(at, size));
    need(munlock(at, size) == 0, "munlock");
    use(at, size, NULL);
}

static void locked_later(void) {
    struct memory a = memory_new(MAPPED, 0, size), b = memory_new(MAPPED, 0, size);
    memory_feed(&a, 0, size);
    memory_copy(&b, 0, &a, 0, size);
    if (mlock(b.at, size) != 0)
        skip("mlock is refused");
    say("%zu pages resident", resident(b.at, size));
    check_sent("b", &b);
    memory_feed(&b, 0, size);
    say("%zu pages resident", resident(b.at, size));
    memory_copy(&b, 100, &a, 0, size - 100);
    say("%zu pages resident", resident(b.at, size));
    check("b", &b);
    need(syscall(SYS_mlock2, a.at, size, 1) == 0, "mlock2"); /* MLOCK_ONFAULT */
    memory_feed(&a, 0, size);
    memory_copy(&a, 0, &b, 4000, size - 4000);
    check("a", &a);
    need(munlock(a.at, size) == 0 && munlock(b.at, size) == 0, "munlock");
    memory_feed(&a, 0, size);
    memory_copy(&b, 0, &a, 0, size);
    check("b", &b);
}

static void all_locked(void) {
    struct memory a = memory_new(MAPPED, 0, size), b = memory_new(MAPPED, 0, size);
    memory_feed(&a, 0, size);
    memory_copy(&b, 0, &a, 0, size);
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        skip("mlockall is refused");
    check_sent("b", &b);
    say("%zu pages resident", resident(b.at, size));
    struct memory c = memory_new(MAPPED, 0, size);
    memory_feed(&c, 0, size);
    memory_copy(&b, 0, &c, 0, size);
    say("%zu pages resident", resident(b.at, size));
    say("%zu pages resident", resident(c.at, size));
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    long locked_kib = -1;
    while (fgets(line, sizeof line, status))
        sscanf(line, "VmLck: %ld kB", &locked_kib);
    fclose(status);
    say("less than 512 MiB locked: %d", locked_kib < 512 * 1024);
    munlockall();
    memory_feed(&a, 0, size);
    memory_copy(&c, 0, &a, 0, size);
    check("a", &a);
    check("b", &b);
    check("c", &c);
}

/* Half of one mapping of each kind, side by side, are the destination of one copy. */
static void across_kinds(void) {
    byte *at = map_private(4 * size);
    int fd = memfd_create("part", MFD_CLOEXEC);
    need(fd >= 0 && ftruncate(fd, (off_t)size) == 0, "memfd_create");
    need(mmap(at + size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == at + size,
         "mmap");
    need(mmap(at + 3 * size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
              -1, 0) == at + 3 * size,
         "mmap");
    use(at + 17, 4 * size - 17, NULL);
    byte *other = map_fd(fd, MAP_SHARED);
    uint64_t from = feed(at, 4 * size);
    expect_stream("the other mapping", other, size, from + size);
}

static const struct sub_case cases[] = {
    {"shared-anonymous", shared_anonymous},
    {"shared-with-child", shared_with_child},
    {"shared-file", shared_file},
    {"private-file", private_file},
    {"memfd", memfd},
    {"system-v", system_v},
    {"huge-pages", huge_pages},
    {"stack", stack},
    {"thread-stack", thread_stack},
    {"growing", growing},
    {"static-memory", static_memory},
    {"locked", locked},
    {"locked-later", locked_later},
    {"all-locked", all_locked},
    {"across-kinds", across_kinds},
};
VICTIM_MAIN(cases)
