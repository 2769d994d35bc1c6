/* Several processes in one pool. Four of them append to one file, read, sync and digest; one after
 * the other is killed at a random moment and another one comes in its place, by fork or by opening
 * the pool. In the end every write that had returned is there, whole and in order, and the pool is
 * empty. Sometimes all are killed, and the next ones recover.
 *
 * usage: tree_test DIRECTORY SEED KILLS */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "frames.h"

enum { POOL = 2 << 20, RING = 128 << 10, WRITERS = 4, MOST = 4000, LONGEST_ROUND = 16 << 20 };

struct progress {
    _Atomic uint32_t completed[MOST], begun[MOST]; /* frames, by writer */
    _Atomic uint64_t bytes;
    _Atomic int stop;
};
static struct progress *progress;
static unsigned char bytes[FRAME_ROOM];
static uint64_t state;
static uint32_t started, killed, reads;
static bool background; /* in this round digests are made by threads as well */

static struct zio_nvm_pool *open_tree(void) {
    struct zio_nvm_open_options options = {.tree = "a tree", .background = background};
    struct zio_nvm_pool *pool;
    ASSERT_EQUAL(told(zio_nvm_open(pool_path, &options, &pool, NULL, &problem)), 0);
    return pool;
}

static void read_some(struct zio_nvm_file *file) {
    static unsigned char some[FRAME_ROOM];
    static uint32_t counts[MOST];
    struct iovec into = {some, sizeof some};
    ssize_t got = zio_nvm_read(file, 0, &into, 1);
    ASSERT_COMPARE(got, >=, 0);
    ASSERT(are_frames_good(some, (size_t)got, counts, MOST));
}

static void write_on(struct zio_nvm_pool *pool, struct zio_nvm_file *file, uint32_t writer) {
    for (uint32_t number = 0; !atomic_load(&progress->stop); number++) {
        while (atomic_load(&progress->bytes) >= LONGEST_ROUND && !atomic_load(&progress->stop))
            usleep(1000);
        size_t length =
            random_below(&state, 4) ? random_below(&state, 300) : random_below(&state, 30000);
        atomic_store(&progress->begun[writer], number + 1);
        ssize_t result = append_frame(pool, file, writer, number, length, random_below(&state, 2));
        ASSERT_COMPARE(result, >, 0);
        atomic_store(&progress->completed[writer], number + 1);
        atomic_fetch_add(&progress->bytes, (uint64_t)result);
        uint64_t what = random_below(&state, 200);
        if (what < 20)
            ASSERT_EQUAL(zio_nvm_sync(pool), 0);
        if (what == 20)
            ASSERT_EQUAL(told(zio_nvm_digest(pool, &problem)), 0);
        if (what == 21)
            read_some(file);
        if (what == 22)
            ASSERT_EQUAL(zio_nvm_settle(file), 0);
    }
}

/* With a pool: by fork; without: by itself. */
static pid_t start_writer(struct zio_nvm_pool *pool, struct zio_nvm_file *file) {
    uint32_t writer = started++;
    ASSERT_COMPARE(writer, <, MOST);
    random_next(&state);
    if (pool)
        zio_nvm_before_fork(pool);
    pid_t child = fork();
    ASSERT_COMPARE(child, >=, 0);
    if (child == 0) {
        state += writer * 7919;
        alarm(100);
        if (pool) {
            zio_nvm_after_fork(pool, true);
        } else {
            pool = open_tree();
            file = attach_path(pool, file_path);
        }
        write_on(pool, file, writer);
        if (random_below(&state, 2))
            ASSERT_EQUAL(told(zio_nvm_close(pool, &problem)), 0);
        _exit(0);
    }
    if (pool)
        zio_nvm_after_fork(pool, false);
    return child;
}

static void reap(pid_t child) {
    int status;
    ASSERT_EQUAL(waitpid(child, &status, 0), child);
    if (WIFEXITED(status))
        ASSERT_EQUAL(WEXITSTATUS(status), 0);
    else
        ASSERT_EQUAL(WTERMSIG(status), SIGKILL);
}

static void check_all(size_t length) {
    static uint32_t counts[MOST];
    ASSERT(are_frames_good(bytes, length, counts, MOST));
    for (uint32_t i = 0; i < started; i++) {
        ASSERT_COMPARE(counts[i], >=, atomic_load(&progress->completed[i]));
        ASSERT_COMPARE(counts[i], <=, atomic_load(&progress->begun[i]));
    }
}

/* One file's worth of it. The parent is of the tree, or is not. */
static void run_round(uint32_t kills, bool member) {
    pid_t writers[WRITERS];
    struct zio_nvm_pool *pool = member ? open_tree() : NULL;
    struct zio_nvm_file *file = member ? attach_path(pool, file_path) : NULL;
    atomic_store(&progress->stop, 0);
    for (int i = 0; i < WRITERS; i++)
        writers[i] = start_writer(i % 2 ? pool : NULL, file);
    while (kills > 0 && atomic_load(&progress->bytes) < LONGEST_ROUND) {
        usleep((useconds_t)random_below(&state, 4000));
        int all = random_below(&state, 12) == 0 ? WRITERS : 1;
        for (int i = 0; i < all; i++) {
            int one = all > 1 ? i : (int)random_below(&state, WRITERS);
            kill(writers[one], SIGKILL);
            if (all == 1)
                reap(writers[one]);
            if (all == 1)
                writers[one] = start_writer(random_below(&state, 2) ? pool : NULL, file);
            killed++;
        }
        for (int i = 0; i < all && all > 1; i++)
            reap(writers[i]);
        for (int i = 0; i < all && all > 1; i++)
            writers[i] = start_writer(random_below(&state, 2) ? pool : NULL, file);
        kills -= (uint32_t)all < kills ? (uint32_t)all : kills;
        if (member && random_below(&state, 8) == 0) {
            read_some(file);
            reads++;
        }
    }
    atomic_store(&progress->stop, 1);
    for (int i = 0; i < WRITERS; i++)
        reap(writers[i]);
    if (member) {
        struct iovec into = {bytes, sizeof bytes};
        ssize_t got = zio_nvm_read(file, 0, &into, 1);
        ASSERT_COMPARE(got, >, 0);
        check_all((size_t)got);
        ASSERT_EQUAL(told(zio_nvm_digest(pool, &problem)), 0);
        struct zio_nvm_stats stats;
        zio_nvm_stats(pool, &stats);
        ASSERT_EQUAL(stats.data_free, stats.data_bytes);
    } else {
        pool = open_tree();
    }
    ASSERT_EQUAL(told(zio_nvm_close(pool, &problem)), 0);
    check_all(read_whole(file_path, bytes, sizeof bytes));
}

int main(int count, char **arguments) {
    ASSERT_EQUAL(count, 4);
    state = strtoull(arguments[2], NULL, 10);
    uint32_t kills = (uint32_t)atoi(arguments[3]), rounds = 0;
    uint64_t written = 0;
    make_directory(arguments[1]);
    progress =
        mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    while (killed < kills) {
        memset(progress, 0, sizeof *progress);
        started = 0;
        create_pool(POOL, RING, 2, rounds % 3 == 2);
        background = rounds % 4 < 2;
        run_round(kills - killed < 100 ? kills - killed : 100, rounds % 2 == 0);
        written += atomic_load(&progress->bytes);
        rounds++;
        unlink(pool_path);
        unlink(file_path);
    }
    printf("%u killed in %u rounds, %llu bytes, %u reads\n", killed, rounds,
           (unsigned long long)written, reads);
    remove_directory();
    return 0;
}
