/* A process dies at each basic block of what it does in a pool that another one has open as well,
 * which then must find every write that had returned, go on, and get all space back; or that has it
 * open alone, and another one recovers. Compiled with
 * -fsanitize-coverage=trace-pc, which calls __sanitizer_cov_trace_pc in each block.
 *
 * usage: steps_test DIRECTORY FIRST STRIDE */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "ahead.h"
#include "frames.h"

enum { POOL = 1 << 20, RING = 32 << 10, PARENT = 0, CHILD = 1, WRITERS = 2 };

struct progress {
    _Atomic uint64_t steps; /* that were made; the last is where the child died */
    _Atomic uint32_t completed, begun;
    _Atomic uint32_t stage;
    _Atomic(void *) where; /* it died; addr2line knows */
};
static struct progress *progress;
static uint64_t stop_at; /* 0: this process goes on for ever */

__attribute__((no_sanitize_coverage)) void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void) {
    if (stop_at && atomic_fetch_add(&progress->steps, 1) + 1 == stop_at) {
        atomic_store(&progress->where, __builtin_return_address(0));
        kill(getpid(), SIGKILL);
    }
}

static void write_one(struct zio_nvm_pool *pool, struct zio_nvm_file *file, size_t length,
                      bool by_reference) {
    uint32_t number = atomic_load(&progress->completed);
    atomic_store(&progress->begun, number + 1);
    ASSERT_EQUAL(append_frame(pool, file, CHILD, number, length, by_reference) > 0, 1);
    atomic_store(&progress->completed, number + 1);
}

/* By the kernel, while nobody else may: whoever comes after a death in between looks anew. */
static void write_plainly(struct zio_nvm_file *file) {
    static unsigned char bytes[FRAME_LONGEST];
    uint32_t number = atomic_load(&progress->completed);
    ASSERT_EQUAL(zio_nvm_begin_change(file), 0);
    int fd = open(file_path, O_WRONLY | O_APPEND | O_CLOEXEC);
    size_t length = make_frame(bytes, CHILD, number, 300);
    atomic_store(&progress->begun, number + 1);
    ASSERT_EQUAL(write(fd, bytes, length), length);
    atomic_store(&progress->completed, number + 1);
    close(fd);
    ASSERT_EQUAL(zio_nvm_end_change(file, NULL), 0);
}

static void stage(uint32_t number) {
    atomic_store(&progress->stage, number);
}

/* All that a process does with a pool. */
static void work(struct zio_nvm_pool *pool, struct zio_nvm_file *file) {
    char other[600], renamed[600], bytes[4000];
    stage(1);
    write_one(pool, file, 100, false);
    write_one(pool, file, 6000, false);
    write_one(pool, file, 9000, true);
    stage(2);
    struct zio_storage_extent extent;
    ASSERT_EQUAL(zio_nvm_allocate(pool, 20000, &extent), 0);
    ASSERT_EQUAL(zio_nvm_sync(pool), 0);
    stage(3);
    struct zio_storage_piece pieces[3] = {{extent.data, 3000, extent.token},
                                          {(unsigned char *)bytes, 30, 0},
                                          {extent.data + 9000, 50, extent.token}};
    memset(extent.data, 1, 20000);
    snprintf(other, sizeof other, "%s.other", file_path);
    snprintf(renamed, sizeof renamed, "%s.renamed", file_path);
    unlink(renamed);
    struct zio_nvm_file *second = attach_path(pool, other);
    stage(4);
    ASSERT_EQUAL(zio_nvm_log(second, 0, pieces, 3, NULL), 3080);
    struct iovec into = {bytes, sizeof bytes};
    stage(5);
    ASSERT_EQUAL(zio_nvm_read(second, 0, &into, 1) >= 3080, 1);
    write_one(pool, file, 1500, false);
    stage(6);
    ASSERT_EQUAL(told(zio_nvm_digest(pool, &problem)), 0);
    stage(7);
    ASSERT_COMPARE(allocate_ahead(file), >=, 0); /* nothing of the file is in the log */
    write_one(pool, file, 200, true);
    write_plainly(file);
    ASSERT_EQUAL(zio_nvm_begin_change(second), 0);
    ASSERT_EQUAL(rename(other, renamed), 0);
    ASSERT_EQUAL(truncate(renamed, 100), 0);
    ASSERT_EQUAL(zio_nvm_end_change(second, renamed), 0);
    stage(8);
    ASSERT_EQUAL(zio_nvm_log(second, 5000, pieces, 1, NULL), 3000);
    ASSERT_EQUAL(zio_nvm_leave(second), 0);
    ASSERT_EQUAL(zio_nvm_detach(second), 0);
    unlink(renamed);
    stage(9);
    zio_nvm_release(pool, extent.token);
    write_one(pool, file, 3000, false);
    zio_nvm_before_fork(pool);
    zio_nvm_after_fork(pool, false); /* as where fork fails */
    write_one(pool, file, 64, false);
    ASSERT_EQUAL(zio_nvm_detach(file), 0);
    stage(10);
    ASSERT_EQUAL(told(zio_nvm_close(pool, &problem)), 0);
    stage(11);
}

/* How the process that dies comes by the pool. */
enum mode { OPENS_IT_TOO, BY_FORK, ALONE, MODES };

static void join_tree(struct zio_nvm_pool **pool, struct zio_nvm_file **file) {
    struct zio_nvm_open_options options = {.tree = "steps"};
    ASSERT_EQUAL(told(zio_nvm_open(pool_path, &options, pool, NULL, &problem)), 0);
    *file = attach_path(*pool, file_path);
}

/* Returns whether it died. */
static bool run_child(struct zio_nvm_pool *pool, struct zio_nvm_file *file, uint64_t at,
                      bool forked) {
    atomic_store(&progress->completed, 0);
    atomic_store(&progress->begun, 0);
    atomic_store(&progress->steps, 0);
    if (forked)
        zio_nvm_before_fork(pool);
    pid_t child = fork();
    ASSERT_COMPARE(child, >=, 0);
    if (child == 0) {
        alarm(20);
        stop_at = at;
        stage(0);
        if (forked) {
            zio_nvm_after_fork(pool, true);
        } else {
            join_tree(&pool, &file);
        }
        work(pool, file);
        _exit(0);
    }
    if (forked)
        zio_nvm_after_fork(pool, false);
    int status;
    ASSERT_EQUAL(waitpid(child, &status, 0), child);
    if (WIFEXITED(status))
        ASSERT_EQUAL(WEXITSTATUS(status), 0);
    else
        ASSERT_EQUAL(WTERMSIG(status), SIGKILL);
    return !WIFEXITED(status);
}

static void check(struct zio_nvm_pool *pool, struct zio_nvm_file *file, uint32_t own) {
    static unsigned char bytes[1 << 20], target[1 << 20];
    uint32_t counts[WRITERS];
    struct iovec into = {bytes, sizeof bytes};
    ssize_t got = zio_nvm_read(file, 0, &into, 1);
    ASSERT_COMPARE(got, >, 0);
    ASSERT(are_frames_good(bytes, (size_t)got, counts, WRITERS));
    ASSERT_EQUAL(counts[PARENT], own);
    ASSERT_COMPARE(counts[CHILD], >=, atomic_load(&progress->completed));
    ASSERT_COMPARE(counts[CHILD], <=, atomic_load(&progress->begun));
    ASSERT_EQUAL(told(zio_nvm_digest(pool, &problem)), 0);
    ASSERT_EQUAL(read_whole(file_path, target, sizeof target), got);
    ASSERT_EQUAL(memcmp(target, bytes, (size_t)got), 0);
    struct zio_nvm_stats stats;
    zio_nvm_stats(pool, &stats);
    ASSERT_EQUAL(stats.data_free, stats.data_bytes);
    ASSERT_COMPARE(stats.ring_used, <=, 256);
    ASSERT_COMPARE(stats.files, <=, 2);
}

/* A new file for each death: that of the round before is left behind empty. */
static void start_round(struct zio_nvm_pool *pool, struct zio_nvm_file *file) {
    ASSERT_EQUAL(zio_nvm_begin_change(file), 0);
    ASSERT_EQUAL(truncate(file_path, 0), 0);
    ASSERT_EQUAL(zio_nvm_end_change(file, NULL), 0);
    ASSERT_EQUAL(append_frame(pool, file, PARENT, 0, 500, false), 496);
}

int main(int count, char **arguments) {
    ASSERT_EQUAL(count, 4);
    uint64_t first = strtoull(arguments[2], NULL, 10), stride = strtoull(arguments[3], NULL, 10);
    make_directory(arguments[1]);
    progress =
        mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    create_pool(POOL, RING, 4, false);
    struct zio_nvm_pool *pool;
    struct zio_nvm_file *file;
    join_tree(&pool, &file);
    unsigned deaths = 0, stages[12] = {0};
    for (enum mode mode = 0; mode < MODES; mode++) {
        bool died = true;
        for (uint64_t at = first; died; at += stride) {
            alarm(30);
            start_round(pool, file);
            if (mode == ALONE)
                ASSERT_EQUAL(told(zio_nvm_close(pool, &problem)), 0);
            died = run_child(pool, file, at, mode == BY_FORK);
            if (mode == ALONE)
                join_tree(&pool, &file);
            deaths += died;
            stages[atomic_load(&progress->stage)]++;
            if (getenv("ZIO_STEPS_TALK"))
                fprintf(stderr, "%llu in stage %u at %p\n", (unsigned long long)at,
                        atomic_load(&progress->stage), atomic_load(&progress->where));
            ASSERT_COMPARE(append_frame(pool, file, PARENT, 1, 3000, at % 2), >, 0);
            ASSERT_EQUAL(zio_nvm_sync(pool), 0);
            check(pool, file, 2);
        }
    }
    ASSERT_EQUAL(told(zio_nvm_close(pool, &problem)), 0);
    printf("%u deaths, by stage:", deaths);
    for (int i = 0; i < 12; i++)
        printf(" %u", stages[i]);
    printf("\n");
    char other[600];
    snprintf(other, sizeof other, "%s.other", file_path);
    unlink(other);
    snprintf(other, sizeof other, "%s.renamed", file_path);
    unlink(other);
    remove_directory();
    return 0;
}
