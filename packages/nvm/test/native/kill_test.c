/* SIGKILL at random moments. A child appends to a file under the log, syncs and digests; it is
 * killed, sometimes the recovery is killed too, and then the file must hold every write that had
 * returned, and of the one that had not, a beginning. What a byte is follows from where it lies.
 *
 * usage: kill_test DIRECTORY SEED CYCLES */
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "support.h"

enum { POOL = 2 << 20, RING = 128 << 10, CHUNK = 64 << 10, LONGEST = 200000 };

struct progress {
    _Atomic uint64_t completed; /* bytes whose write has returned */
    _Atomic uint64_t begun;     /* and of which it was called */
    _Atomic int ready;
};
static struct progress *progress;
static uint64_t state;

static void fill_stream(unsigned char *to, uint64_t offset, size_t length) {
    for (size_t i = 0; i < length;) {
        uint64_t word = (offset + i) / 8, key = word;
        word = random_next(&key);
        size_t skip = (offset + i) % 8, now = 8 - skip < length - i ? 8 - skip : length - i;
        memcpy(to + i, (unsigned char *)&word + skip, now);
        i += now;
    }
}

/* By reference, where there is an extent for it. */
static ssize_t write_stream(struct zio_nvm_pool *pool, struct zio_nvm_file *file, uint64_t offset,
                            size_t length) {
    static unsigned char bytes[LONGEST];
    struct zio_storage_extent extent;
    if (random_below(&state, 2) == 0 && zio_nvm_allocate(pool, length, &extent) == 0) {
        fill_stream(extent.data, offset, length);
        struct zio_storage_piece piece = {extent.data, length, extent.token};
        ssize_t result = zio_nvm_log(file, -1, &piece, 1, NULL);
        zio_nvm_release(pool, extent.token);
        return result;
    }
    fill_stream(bytes, offset, length);
    return log_plain(file, -1, bytes, length);
}

static void work(void) {
    struct zio_nvm_pool *pool = open_pool();
    struct zio_nvm_file *file = attach_path(pool, file_path);
    uint64_t offset = zio_nvm_file_bytes(file);
    atomic_store(&progress->ready, 1);
    for (;;) {
        size_t length = 1 + random_below(&state, random_below(&state, 8) ? 3000 : LONGEST);
        atomic_store(&progress->begun, offset + length);
        ASSERT_EQUAL(write_stream(pool, file, offset, length), length);
        offset += length;
        atomic_store(&progress->completed, offset);
        if (random_below(&state, 20) == 0)
            ASSERT_EQUAL(zio_nvm_sync(pool), 0);
        if (random_below(&state, 60) == 0)
            ASSERT_EQUAL(told(zio_nvm_digest(pool, &problem)), 0);
    }
}

/* Lets a child run for a while, kills it; whether that was what ended it. */
static void run_and_kill(void (*run)(void), uint64_t least_us, uint64_t most_us) {
    atomic_store(&progress->ready, 0);
    pid_t child = fork();
    ASSERT_COMPARE(child, >=, 0);
    if (child == 0) {
        run();
        _exit(0);
    }
    int status = 0;
    for (int i = 0; i < 20000 && !atomic_load(&progress->ready); i++)
        usleep(100);
    usleep((useconds_t)(least_us + random_below(&state, most_us - least_us)));
    kill(child, SIGKILL);
    ASSERT_EQUAL(waitpid(child, &status, 0), child);
    if (WIFEXITED(status))
        ASSERT_EQUAL(WEXITSTATUS(status), 0);
}

static void only_recover(void) {
    atomic_store(&progress->ready, 1);
    ASSERT_EQUAL(told(zio_nvm_close(open_pool(), &problem)), 0);
}

static void check_file(void) {
    static unsigned char found[CHUNK], wanted[CHUNK];
    struct stat target;
    ASSERT_EQUAL(stat(file_path, &target), 0);
    ASSERT_COMPARE(target.st_size, >=, atomic_load(&progress->completed));
    ASSERT_COMPARE(target.st_size, <=, atomic_load(&progress->begun));
    int fd = open(file_path, O_RDONLY | O_CLOEXEC);
    for (uint64_t at = 0; at < (uint64_t)target.st_size; at += CHUNK) {
        ssize_t got = pread(fd, found, CHUNK, (off_t)at);
        ASSERT_COMPARE(got, >, 0);
        fill_stream(wanted, at, (size_t)got);
        ASSERT_EQUAL(memcmp(found, wanted, (size_t)got), 0);
    }
    close(fd);
}

int main(int count, char **arguments) {
    ASSERT_EQUAL(count, 4);
    state = strtoull(arguments[2], NULL, 10);
    int cycles = atoi(arguments[3]);
    make_directory(arguments[1]);
    progress =
        mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t bytes = 0, records = 0;
    for (int cycle = 0; cycle < cycles; cycle++) {
        if (cycle % 10 == 0) { /* before the file grows too large to be checked quickly */
            bytes += atomic_load(&progress->completed);
            atomic_store(&progress->completed, 0);
            atomic_store(&progress->begun, 0);
            unlink(pool_path);
            unlink(file_path);
            create_pool(POOL, RING, 2, cycle % 20 == 0);
        }
        random_next(&state);
        run_and_kill(work, 0, 25000);
        if (access(file_path, F_OK) != 0)
            continue;
        if (random_below(&state, 2) == 0)
            run_and_kill(only_recover, 0, 4000);
        struct zio_nvm_open_options options = {.boot = NULL};
        struct zio_nvm_recovery recovery;
        struct zio_nvm_pool *pool;
        ASSERT_EQUAL(told(zio_nvm_open(pool_path, &options, &pool, &recovery, &problem)), 0);
        records += recovery.records;
        check_file();
        ASSERT_EQUAL(told(zio_nvm_close(pool, &problem)), 0);
        check_file();
    }
    printf("%d cycles, %llu bytes, %llu records recovered\n", cycles,
           (unsigned long long)(bytes + atomic_load(&progress->completed)),
           (unsigned long long)records);
    ASSERT_COMPARE(records, >, 0);
    remove_directory();
    return 0;
}
