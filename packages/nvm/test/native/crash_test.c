/* Power cuts, enumerated. At each crash point combinations of what may be on the medium are built
 * as files and recovered, and the target must hold a prefix of the writes in their order, with at
 * least all that were acknowledged.
 *
 * Crash points are the moments just before a fence or an fsync takes effect, and the end: between
 * two of these, stores only add to what may be on the medium, so the states of every earlier moment
 * are among those of the later one, and nothing is acknowledged in between but at its beginning,
 * which asks for more. Few combinations are tried all; of many, the extremes and a sample.
 * Recovery is cut short in the same way, and must then come to the same end.
 * In most histories two processes (here two handles) write in turn, one of them goes and another one
 * comes, and sometimes what they share is built anew as after a death.
 *
 * usage: crash_test DIRECTORY SEED HISTORIES */
#include "ahead.h"
#include "recorder.h"

enum {
    WRITES = 40,
    EXHAUSTIVE = 128,
    SAMPLES = 24,
};

static struct recorder recorders[2];
static unsigned char contents[WRITES + 1][FILE_ROOM]; /* after each number of writes */
static uint64_t content_bytes[WRITES + 1];
static int written, acknowledged;
static uint64_t seed, states, points, repairs;
static char target_path[512], crash_path[512], image_path[2][512];
static int history;

/* What one crash leaves. */
struct crash {
    unsigned char pool[POOL], file[FILE_ROOM];
    uint64_t file_bytes;
};

static int make_file(const char *path, const unsigned char *bytes, uint64_t length) {
    unlink(path);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ASSERT_COMPARE(fd, >=, 0);
    ASSERT_EQUAL(pwrite(fd, bytes, length, 0), length);
    return fd;
}

static void fail(const char *what, int prefix) {
    fprintf(stderr,
            "crash state %llu of history %d, seed %llu: %s (prefix %d; %d acknowledged, %d "
            "written)\n",
            (unsigned long long)states, history, (unsigned long long)seed, what, prefix,
            acknowledged, written);
    exit(1);
}

/* Recovers what a crash left; the number of writes that the target then holds. */
static int recover(const struct crash *crash, int depth, struct recorder *nested, int exact) {
    int pool_fd = make_file(image_path[depth], crash->pool, POOL);
    int fd = make_file(crash_path, crash->file, crash->file_bytes);
    close(pool_fd);
    struct zio_nvm_open_options options = {.boot = "after the crash.", .accept_changed = true};
    struct zio_nvm_pool *pool;
    if (nested) {
        start_recorder(nested, depth + 1, crash->pool, crash->file, crash->file_bytes);
        nested->exact = exact;
        options.observer = &nested->observer;
    }
    if (told(zio_nvm_open(image_path[depth], &options, &pool, NULL, &problem)) != 0)
        fail("recovery is refused", -1);
    if (told(zio_nvm_close(pool, &problem)) != 0)
        fail("the pool does not close", -1);
    static unsigned char found[FILE_ROOM];
    ssize_t bytes = pread(fd, found, FILE_ROOM, 0);
    close(fd);
    for (int prefix = written; prefix >= 0; prefix--)
        if ((uint64_t)bytes == content_bytes[prefix] &&
            memcmp(found, contents[prefix], (size_t)bytes) == 0)
            return prefix;
    return -1;
}

static void check_crash(struct recorder *recorder, const struct crash *crash, bool deep) {
    states++;
    int prefix = recover(crash, recorder->depth, NULL, -1);
    if (prefix < 0)
        fail("the file holds what no prefix of the writes gives", prefix);
    if (recorder->exact >= 0 ? prefix != recorder->exact : prefix < acknowledged)
        fail(recorder->exact >= 0 ? "a second crash changes the result"
                                  : "an acknowledged write is lost",
             prefix);
    if (deep && recorder->depth == 0)
        recover(crash, 0, &recorders[1], prefix);
}

/* Chooses for each pending line one of its versions (0: none of them), for each chunk yes or no. */
static void build(const struct recorder *recorder, struct crash *crash,
                  unsigned (*choose)(unsigned item, unsigned choices, void *context),
                  void *context) {
    unsigned item = 0;
    memcpy(crash->pool, recorder->media, POOL);
    memcpy(crash->file, recorder->file, FILE_ROOM);
    crash->file_bytes = recorder->file_bytes;
    for (unsigned i = 0; i < LINES; i++) {
        const struct line *line = &recorder->lines[i];
        if (line->count == 0)
            continue;
        unsigned version = choose(item++, line->count + 1, context);
        if (version > 0)
            memcpy(crash->pool + i * LINE, line->versions[version - 1], LINE);
    }
    for (unsigned i = 0; i < recorder->chunk_count; i++)
        if (choose(item++, 2, context))
            apply_chunk(crash->file, &crash->file_bytes, &recorder->chunks[i]);
}

struct number {
    uint64_t rest;
};
static unsigned by_number(unsigned item, unsigned choices, void *context) {
    struct number *number = context;
    (void)item;
    unsigned choice = (unsigned)(number->rest % choices);
    number->rest /= choices;
    return choice;
}

struct odd_one {
    unsigned item;
    bool old;
};
/* All new but one that is old, or the reverse. */
static unsigned but_one(unsigned item, unsigned choices, void *context) {
    const struct odd_one *odd = context;
    return (item == odd->item) == odd->old ? 0 : choices - 1;
}

static unsigned at_random(unsigned item, unsigned choices, void *context) {
    (void)item;
    uint64_t old_in = *(uint64_t *)context; /* one in so many stays old */
    if (random_below(&state, old_in) == 0)
        return 0;
    return random_below(&state, 4) == 0 ? (unsigned)random_below(&state, choices) : choices - 1;
}

static void check_point(struct recorder *recorder) {
    static struct crash crashes[2];
    struct crash *crash = &crashes[recorder->depth];
    uint64_t combinations = 1;
    unsigned items = recorder->chunk_count;
    for (unsigned i = 0; i < LINES; i++)
        if (recorder->lines[i].count > 0) {
            items++;
            if (combinations <= EXHAUSTIVE)
                combinations *= recorder->lines[i].count + 1;
        }
    for (unsigned i = 0; i < recorder->chunk_count && combinations <= EXHAUSTIVE; i++)
        combinations *= 2;
    uint64_t most = recorder->depth ? 6 : EXHAUSTIVE;
    points++;
    if (combinations <= most) {
        for (uint64_t i = 0; i < combinations; i++) {
            struct number number = {i};
            build(recorder, crash, by_number, &number);
            check_crash(recorder, crash, i == combinations / 2);
        }
        return;
    }
    unsigned step = recorder->depth ? items : items / 24 + 1;
    for (unsigned item = (unsigned)random_below(&state, step); item <= items; item += step)
        for (int old = 0; old < 2; old++) {
            struct odd_one odd = {item, old};
            build(recorder, crash, but_one, &odd);
            check_crash(recorder, crash, false);
        }
    for (int i = 0; i < (recorder->depth ? 3 : SAMPLES); i++) {
        uint64_t old_in = 2 + random_below(&state, 20);
        build(recorder, crash, at_random, &old_in);
        check_crash(recorder, crash, i == 0);
    }
}

static void note_write(uint64_t offset, const unsigned char *bytes, size_t length) {
    ASSERT_COMPARE(written, <, WRITES);
    memcpy(contents[written + 1], contents[written], FILE_ROOM);
    memcpy(contents[written + 1] + offset, bytes, length);
    content_bytes[written + 1] = content_bytes[written];
    if (offset + length > content_bytes[written])
        content_bytes[written + 1] = offset + length;
    written++;
}

/* By reference, as data from the network would be: the pool sees no store of it. */
static void write_referenced(struct zio_nvm_pool *pool, struct zio_nvm_file *file, uint64_t offset,
                             size_t length) {
    struct zio_storage_extent extent;
    if (zio_nvm_allocate(pool, length, &extent) != 0)
        return;
    struct recorder *recorder = &recorders[0];
    fill_pattern(extent.data, length, random_next(&state));
    on_store(recorder, extent.data - extent.token, extent.token, length);
    note_write(offset, extent.data, length);
    struct zio_storage_piece piece = {extent.data, length, extent.token};
    ASSERT_EQUAL(zio_nvm_log(file, (int64_t)offset, &piece, 1, NULL), length);
    zio_nvm_release(pool, extent.token);
}

static void write_small(struct zio_nvm_file *file, uint64_t offset, size_t length) {
    unsigned char bytes[2048];
    fill_pattern(bytes, length, random_next(&state));
    note_write(offset, bytes, length);
    ASSERT_EQUAL(log_plain(file, (int64_t)offset, bytes, length), length);
}

static struct zio_nvm_open_options member_options = {.boot = "before the crash",
                                                     .observer = &recorders[0].observer,
                                                     .tree = "crash"};

static struct zio_nvm_file *join_in(struct zio_nvm_pool **pool) {
    struct zio_nvm_file *file;
    ASSERT_EQUAL(told(zio_nvm_open(pool_path, &member_options, pool, NULL, &problem)), 0);
    int fd = open(target_path, O_RDWR | O_CLOEXEC);
    ASSERT_EQUAL(told(zio_nvm_attach(*pool, fd, crash_path, &file, &problem)), 0);
    close(fd);
    return file;
}

static uint64_t steps_ahead;

/* The shortest history, all of whose states are tried; then random ones. */
static void run_history(struct zio_nvm_pool *pool, struct zio_nvm_file *file) {
    struct zio_nvm_pool *pools[2] = {pool, NULL};
    struct zio_nvm_file *files[2] = {file, NULL};
    if (history == 0) {
        write_small(file, 0, 8);
        ASSERT_EQUAL(zio_nvm_sync(pool), 0);
        acknowledged = written;
        write_small(file, 8, 8);
        ASSERT_EQUAL(zio_nvm_sync(pool), 0);
        acknowledged = written;
        return;
    }
    int steps = 3 + (int)random_below(&state, 12);
    for (int step = 0; step < steps; step++) {
        uint64_t what = random_below(&state, 11), offset = random_below(&state, 12000);
        if (history % 4 > 0) {
            if (!pools[1])
                files[1] = join_in(&pools[1]);
            int who = (int)random_below(&state, 2);
            pool = pools[who];
            file = files[who];
            if (random_below(&state, 6) == 0 || (history == 1 && step == 0))
                atomic_store(&pool->shared->busy, 1); /* as who dies there leaves it */
            if (who == 0 && random_below(&state, 6) == 0) {
                zio_nvm_abandon(pools[1]);
                pools[1] = NULL;
            }
        }
        /* What was logged before a sync that is under way may come out of it or not. */
        if (what < 4)
            write_small(file, offset, 1 + random_below(&state, 200));
        else if (what < 6)
            write_referenced(pool, file, offset, 1 + random_below(&state, 6000));
        else if (what < 9)
            ASSERT_EQUAL(zio_nvm_sync(pool), 0);
        else if (what < 10)
            ASSERT_EQUAL(told(zio_nvm_digest(pool, &problem)), 0);
        else
            steps_ahead += allocate_ahead(file);
        if (what >= 6 && what < 10)
            acknowledged = written;
    }
    repairs += atomic_load(&pools[0]->shared->repairs);
    if (pools[1])
        zio_nvm_abandon(pools[1]);
}

/* A pool whose ring begins to be used somewhere, so that it wraps in some histories. */
static void prepare(struct zio_nvm_file *file, struct zio_nvm_pool *pool) {
    static unsigned char filler[2000];
    int fillers = history < 2 ? 0 : (int)random_below(&state, 9);
    fill_pattern(filler, sizeof filler, seed);
    for (int i = 0; i < fillers; i++)
        ASSERT_EQUAL(log_plain(file, 0, filler, sizeof filler), sizeof filler);
    ASSERT_EQUAL(told(zio_nvm_digest(pool, &problem)), 0);
    written = acknowledged = 0;
    memset(contents[0], 0, FILE_ROOM);
    content_bytes[0] = fillers ? sizeof filler : 0;
    memcpy(contents[0], filler, content_bytes[0]);
}

int main(int count, char **arguments) {
    ASSERT_EQUAL(count, 4);
    seed = state = strtoull(arguments[2], NULL, 10);
    int histories = atoi(arguments[3]);
    make_directory(arguments[1]);
    snprintf(crash_path, sizeof crash_path, "%s/crashed", directory_path);
    for (int i = 0; i < 2; i++)
        snprintf(image_path[i], sizeof image_path[i], "%s/image%d", directory_path, i);
    for (history = 0; history < histories; history++) {
        create_pool(POOL, RING, 1, history % 3 == 2);
        struct recorder *recorder = &recorders[0];
        snprintf(target_path, sizeof target_path, "%s", file_path);
        int fd = open(target_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        struct zio_nvm_pool *pool;
        struct zio_nvm_file *file;
        start_recorder(recorder, 0, recorder->media, contents[0], 0);
        recorder->quiet = true;
        member_options.one_fence = history / 4 % 2;
        struct zio_nvm_open_options options = member_options;
        ASSERT_EQUAL(told(zio_nvm_open(pool_path, &options, &pool, NULL, &problem)), 0);
        ASSERT_EQUAL(told(zio_nvm_attach(pool, fd, crash_path, &file, &problem)), 0);
        prepare(file, pool);
        struct zio_storage_extent any;
        ASSERT_EQUAL(zio_nvm_allocate(pool, 1, &any), 0);
        zio_nvm_release(pool, any.token);
        start_recorder(recorder, 0, any.data - any.token, contents[0], content_bytes[0]);
        run_history(pool, file);
        check_point(recorder);
        zio_nvm_abandon(pool);
        close(fd);
        if (history % 2) { /* the process dies first, and the power is cut while it is recovered */
            close(make_file(crash_path, recorder->file, recorder->file_bytes));
            options.accept_changed = true;
            ASSERT_EQUAL(told(zio_nvm_open(pool_path, &options, &pool, NULL, &problem)), 0);
            check_point(recorder);
            zio_nvm_abandon(pool);
        }
        unlink(pool_path);
    }
    ASSERT(histories < 20 || steps_ahead > 0);
    printf("%llu states at %llu points, built anew %llu times\n", (unsigned long long)states,
           (unsigned long long)points, (unsigned long long)repairs);
    unlink(crash_path);
    unlink(image_path[0]);
    unlink(image_path[1]);
    remove_directory();
    return 0;
}
