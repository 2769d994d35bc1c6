/* The workload of scripts/power-cuts.mjs on the library itself: appends records to a file under the
 * log of a pool, syncs, and prints the number of the last record that is durable. After a power cut
 * it opens the pool, which recovers it, and says what the file holds. What a byte is follows from
 * where it lies, and so does the length of each record: the file must be a beginning of one stream.
 *
 * usage: records check|append|recover POOL FILE SEED
 * `recover` opens the pool and closes it again, as `zio run` does before it starts a program. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zio/nvm.h>

#include "../../packages/core/test/native/check.h"
#include "say.h"

enum { POOL = 24 << 20, RING = 2 << 20, LONGEST = 300000, MOST_UNSYNCED = 12, CHUNK = 64 << 10 };

static struct zio_nvm_problem problem;
static uint64_t seed;

static int told(int code) {
    if (code != 0)
        SAY("zio-problem %d: %s at %llu: %s %s", code, zio_nvm_problem_text(problem.kind),
            (unsigned long long)problem.offset, problem.action ? problem.action : "", problem.path);
    return code;
}

static uint64_t length_of(uint64_t number) {
    uint64_t state = seed ^ (number * 0x9e3779b97f4a7c15);
    uint64_t most = random_below(&state, 4) ? 4000 : LONGEST;
    return 1 + random_below(&state, most);
}

static void fill(unsigned char *to, uint64_t offset, size_t length) {
    for (size_t i = 0; i < length;) {
        uint64_t state = seed ^ (offset + i) / 8, word = random_next(&state);
        size_t skip = (offset + i) % 8, now = 8 - skip < length - i ? 8 - skip : length - i;
        for (size_t j = 0; j < now; j++)
            to[i + j] = (unsigned char)(word >> 8 * (skip + j));
        i += now;
    }
}

/* How many whole records so many bytes are; *rest: bytes of the next one. */
static uint64_t records_in(uint64_t bytes, uint64_t *rest) {
    uint64_t number = 0;
    for (; bytes >= length_of(number); number++)
        bytes -= length_of(number);
    *rest = bytes;
    return number;
}

static void check(const char *path) {
    static unsigned char found[CHUNK], wanted[CHUNK];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t at = 0, rest;
    for (ssize_t got; fd >= 0 && (got = pread(fd, found, CHUNK, (off_t)at)) > 0; at += (uint64_t)got) {
        fill(wanted, at, (size_t)got);
        for (ssize_t i = 0; i < got; i++)
            if (found[i] != wanted[i]) {
                SAY("zio-wrong byte %llu is %d and not %d", (unsigned long long)at + i, found[i],
                    wanted[i]);
                exit(1);
            }
    }
    uint64_t whole = records_in(at, &rest);
    SAY("zio-found %llu %llu %llu", (unsigned long long)whole, (unsigned long long)rest,
        (unsigned long long)at);
}

/* Every other large record by reference to an extent. */
static void append(struct zio_nvm_pool *pool, struct zio_nvm_file *file, uint64_t number,
                   uint64_t offset) {
    static unsigned char bytes[LONGEST];
    uint64_t length = length_of(number);
    struct zio_storage_extent extent = {.data = bytes};
    if (length > 4000 && number % 2 && zio_nvm_allocate(pool, length, &extent) != 0)
        extent.token = 0;
    fill(extent.data, offset, length);
    struct zio_storage_piece piece = {extent.data, length, extent.token};
    ASSERT_EQUAL(zio_nvm_log(file, -1, &piece, 1, NULL), length);
    if (extent.token)
        zio_nvm_release(pool, extent.token);
}

static void work(struct zio_nvm_pool *pool, const char *path) {
    struct zio_nvm_file *file;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_EQUAL(told(zio_nvm_attach(pool, fd, path, &file, &problem)), 0);
    uint64_t rest, offset = zio_nvm_file_bytes(file), number = records_in(offset, &rest);
    if (rest) { /* the beginning of a record that a power cut left: starts it anew */
        offset -= rest;
        ASSERT_EQUAL(zio_nvm_detach(file), 0);
        ASSERT_EQUAL(told(zio_nvm_digest(pool, &problem)), 0);
        ASSERT_EQUAL(ftruncate(fd, (off_t)offset), 0);
        ASSERT_EQUAL(fsync(fd), 0);
        ASSERT_EQUAL(told(zio_nvm_attach(pool, fd, path, &file, &problem)), 0);
    }
    SAY("zio-working from %llu", (unsigned long long)number);
    uint64_t state = seed + number;
    for (;;) {
        for (uint64_t some = 1 + random_below(&state, MOST_UNSYNCED); some > 0; some--) {
            append(pool, file, number, offset);
            offset += length_of(number++);
        }
        ASSERT_EQUAL(zio_nvm_sync(pool), 0);
        SAY("zio-acknowledged %llu", (unsigned long long)number);
        if (zio_nvm_pressure(pool) > 50)
            ASSERT_EQUAL(told(zio_nvm_digest(pool, &problem)), 0);
    }
}

int main(int count, char **arguments) {
    if (count != 5)
        return 2;
    const char *pool_path = arguments[2], *path = arguments[3];
    seed = strtoull(arguments[4], NULL, 10);
    struct zio_nvm_create_options options = {POOL, RING, 2, false};
    if (arguments[1][0] == 'r')
        options.bytes = 64 << 20; /* for a program, which has more in it */
    if (access(pool_path, F_OK) != 0)
        ASSERT_EQUAL(told(zio_nvm_create(pool_path, &options, &problem)), 0);
    struct zio_nvm_open_options opening = {.boot = NULL};
    struct zio_nvm_recovery recovery;
    struct zio_nvm_pool *pool;
    SAY("zio-recovering");
    ASSERT_EQUAL(told(zio_nvm_open(pool_path, &opening, &pool, &recovery, &problem)), 0);
    struct zio_nvm_stats stats;
    zio_nvm_stats(pool, &stats);
    SAY("zio-recovered clean=%d same-boot=%d records=%llu dropped=%llu medium=%d flush=%s",
        recovery.was_clean, recovery.same_boot, (unsigned long long)recovery.records,
        (unsigned long long)recovery.dropped, stats.medium, stats.flush);
    if (arguments[1][0] != 'r')
        check(path);
    if (arguments[1][0] == 'a')
        work(pool, path);
    return told(zio_nvm_close(pool, &problem)) == 0 ? 0 : 1;
}
