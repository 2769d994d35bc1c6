/* What the view tree and the view map cost. Prints one JSON object. Times are nanoseconds an
 * operation; a sample is a batch of 64 operations; medians, and the 10th and 90th percentile.
 *
 * usage: views_bench [VIEWS] */
#include <zio/view_map.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    BATCH = 64,
    VIEW_BYTES = 16384,
    THREADS_MAX = 8,
    THREAD_MS = 200,
    THREAD_ROUNDS = 5,
    HOT_VIEWS = 65536, /* those that threads go to: 512 granules */
    FILL_NS = 5000,
};

static const uint64_t base = UINT64_C(0x7f0000000000);

static struct zio_slab slab;
static struct zio_view_tree tree;
static struct zio_view_map map;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t random_next(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void fail(const char *what) {
    fprintf(stderr, "views_bench: %s\n", what);
    exit(1);
}

/* One operation on the view with this number; `round` makes handles that differ from before. */
typedef void (*operation)(uint64_t number, uint64_t round);

static void tree_insert(uint64_t number, uint64_t round) {
    if (zio_view_tree_insert(&tree, base + number * VIEW_BYTES, VIEW_BYTES, 1 + number + round, 0,
                             0))
        fail("out of memory");
}

/* From the middle of one view to the middle of the next: cuts both. */
static void tree_insert_across(uint64_t number, uint64_t round) {
    if (zio_view_tree_insert(&tree, base + number * VIEW_BYTES + VIEW_BYTES / 2, VIEW_BYTES,
                             1 + number + round, 0, 0))
        fail("out of memory");
}

static void tree_translate(uint64_t number, uint64_t round) {
    struct zio_view views[4];
    uint64_t covered;
    (void)round;
    if (zio_view_tree_translate(&tree, base + number * VIEW_BYTES, VIEW_BYTES, views, 4,
                                &covered) == 0)
        fail("a view is missing");
}

static void map_insert(uint64_t number, uint64_t round) {
    uint64_t start = base + number * VIEW_BYTES;
    zio_stripes stripes = zio_view_map_stripes(start, VIEW_BYTES);
    zio_view_map_lock(&map, 0, stripes);
    if (zio_view_map_insert(&map, start, VIEW_BYTES, 1 + number + round, 0, 0))
        fail("out of memory");
    zio_view_map_unlock(&map, 0, stripes);
}

static void map_translate(uint64_t number, uint64_t round) {
    struct zio_view views[4];
    uint64_t covered, start = base + number * VIEW_BYTES;
    (void)round;
    if (!zio_view_map_may_hold(&map, start, VIEW_BYTES))
        fail("the filter denies a view");
    zio_stripes stripes = zio_view_map_stripes(start, VIEW_BYTES);
    zio_view_map_lock(&map, stripes, 0);
    if (zio_view_map_translate(&map, start, VIEW_BYTES, views, 4, &covered) == 0)
        fail("a view is missing");
    zio_view_map_unlock(&map, stripes, 0);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static const char *separator = "";

static void report(const char *name, double *times, size_t samples) {
    qsort(times, samples, sizeof *times, by_value);
    printf("%s\n    \"%s\": {\"p50\": %.1f, \"p10\": %.1f, \"p90\": %.1f}", separator, name,
           times[samples / 2], times[samples / 10], times[samples - 1 - samples / 10]);
    separator = ",";
    free(times);
}

/* Runs the operation once for every view, in the order given (NULL: by address). */
static void measure(const char *name, operation run, const uint32_t *order, uint64_t views,
                    uint64_t round) {
    size_t samples = views / BATCH;
    double *times = malloc(samples * sizeof *times);
    if (!times)
        fail("out of memory");
    for (size_t sample = 0; sample < samples; sample++) {
        uint64_t begin = now_ns();
        for (uint64_t i = sample * BATCH; i < (sample + 1) * BATCH; i++)
            run(order ? order[i] : i, round);
        times[sample] = (double)(now_ns() - begin) / BATCH;
    }
    report(name, times, samples);
}

/* Look-ups where nothing is tracked, inline as in the hooks. */
static void measure_empty(uint64_t views) {
    size_t samples = views / BATCH;
    double *times = malloc(samples * sizeof *times);
    unsigned seen = 0;
    if (!times)
        fail("out of memory");
    for (size_t sample = 0; sample < samples; sample++) {
        uint64_t begin = now_ns();
        for (uint64_t i = sample * BATCH; i < (sample + 1) * BATCH; i++)
            seen +=
                zio_view_map_may_hold(&map, UINT64_C(0x551000000000) + i * VIEW_BYTES, VIEW_BYTES);
        times[sample] = (double)(now_ns() - begin) / BATCH;
    }
    if (seen != 0)
        fail("the filter sees a view where there is none");
    report("map.emptyLookup", times, samples);
}

static void measure_tree(const char *fill, const uint32_t *fill_order, const uint32_t *shuffled,
                         uint64_t views) {
    char name[64];
    if (zio_slab_init(&slab, zio_view_tree_node_bytes(), 0) != 0)
        fail("out of memory");
    zio_view_tree_init(&tree, &slab, NULL);
    snprintf(name, sizeof name, "tree.%s.insert", fill);
    measure(name, tree_insert, fill_order, views, 0);
    double bytes = (double)((slab.total_count - slab.free_count) * slab.object_bytes);
    printf(",\n    \"tree.%s.bytesAView\": %.1f", fill, bytes / (double)tree.count);
    const struct {
        const char *name;
        operation run;
        const uint32_t *order;
    } steps[] = {
        {"translate.inOrder", tree_translate, NULL},
        {"translate.random", tree_translate, shuffled},
        {"insertOver.inOrder", tree_insert, NULL},
        {"insertOver.random", tree_insert, shuffled},
        {"insertAcross.random", tree_insert_across, shuffled},
        {"insertAcross.inOrder", tree_insert_across, NULL},
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        snprintf(name, sizeof name, "tree.%s.%s", fill, steps[i].name);
        measure(name, steps[i].run, steps[i].order, views, (i + 1) * 2 * views);
    }
    bytes = (double)((slab.total_count - slab.free_count) * slab.object_bytes);
    printf(",\n    \"tree.%s.bytesAViewAtTheEnd\": %.1f", fill, bytes / (double)tree.count);
    if (zio_view_tree_check(&tree) != 0)
        fail("the tree is broken");
    zio_slab_destroy(&slab);
}

/* What each thread does: look-ups at random, and every 16th time perhaps something else. */
enum workload { READS, WRITES, FILLS, WORKLOADS };

static const char *const workload_names[WORKLOADS] = {
    "look-ups",
    "1 in 16 inserts",
    "1 in 16 holds the lock for 5 us, as a page that is filled does",
};

struct worker {
    pthread_t thread;
    uint64_t seed, views, operations;
    enum workload workload;
    int one_lock;
};

static struct zio_lock single;
static _Atomic int running;

/* The same work on the same map under the locks of the stripes, or all of it under one lock. */
static void work_once(const struct worker *worker, uint64_t number, uint64_t round) {
    struct zio_view views[4];
    uint64_t covered, start = base + number * VIEW_BYTES;
    zio_stripes stripes = zio_view_map_stripes(start, VIEW_BYTES);
    int change = worker->workload != READS && round % 16 == 0;
    if (worker->one_lock)
        (change ? zio_lock_exclusive : zio_lock_shared)(&single);
    else
        zio_view_map_lock(&map, change ? 0 : stripes, change ? stripes : 0);
    if (!change)
        zio_view_map_translate(&map, start, VIEW_BYTES, views, 4, &covered);
    else if (zio_view_map_insert(&map, start, VIEW_BYTES, 1 + number + round, 0, 0) != 0)
        fail("out of memory");
    if (change && worker->workload == FILLS)
        for (uint64_t begin = now_ns(); now_ns() - begin < FILL_NS;)
            ;
    if (worker->one_lock)
        (change ? zio_unlock_exclusive : zio_unlock_shared)(&single);
    else
        zio_view_map_unlock(&map, change ? 0 : stripes, change ? stripes : 0);
}

static void *work(void *argument) {
    struct worker *worker = argument;
    uint64_t state = worker->seed, round = 0;
    while (!atomic_load_explicit(&running, memory_order_acquire))
        ;
    for (; atomic_load_explicit(&running, memory_order_relaxed) == 1; round++)
        work_once(worker, random_next(&state) % worker->views, round);
    worker->operations = round;
    return NULL;
}

static double measure_threads(int threads, uint64_t views, enum workload workload, int one_lock) {
    struct worker workers[THREADS_MAX];
    atomic_store(&running, 0);
    for (int i = 0; i < threads; i++) {
        workers[i] = (struct worker){
            .seed = (uint64_t)i + 1, .views = views, .workload = workload, .one_lock = one_lock};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            fail("no thread");
    }
    uint64_t begin = now_ns();
    atomic_store(&running, 1);
    nanosleep(&(struct timespec){.tv_nsec = THREAD_MS * 1000000L}, NULL);
    atomic_store(&running, 2);
    uint64_t operations = 0;
    for (int i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        operations += workers[i].operations;
    }
    return (double)operations * 1000 / (double)(now_ns() - begin);
}

/* Medians of rounds in which both ways to lock take turns. */
static void measure_scaling(uint64_t views) {
    for (enum workload workload = READS; workload < WORKLOADS; workload++)
        for (int threads = 1; threads <= THREADS_MAX; threads *= 2) {
            double striped[THREAD_ROUNDS], one_lock[THREAD_ROUNDS];
            for (int i = 0; i < THREAD_ROUNDS; i++) {
                striped[i] = measure_threads(threads, views, workload, 0);
                one_lock[i] = measure_threads(threads, views, workload, 1);
            }
            qsort(striped, THREAD_ROUNDS, sizeof *striped, by_value);
            qsort(one_lock, THREAD_ROUNDS, sizeof *one_lock, by_value);
            printf("%s\n    {\"workload\": \"%s\", \"threads\": %d, \"striped\": %.2f, "
                   "\"oneLock\": %.2f}",
                   separator, workload_names[workload], threads, striped[THREAD_ROUNDS / 2],
                   one_lock[THREAD_ROUNDS / 2]);
            separator = ",";
        }
}

int main(int argc, char **argv) {
    uint64_t views = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    uint32_t *shuffled = malloc(views * sizeof *shuffled);
    uint64_t state = 1;
    if (views < BATCH || !shuffled)
        fail("too few views, or out of memory");
    for (uint64_t i = 0; i < views; i++)
        shuffled[i] = (uint32_t)i;
    for (uint64_t i = views; i-- > 1;) {
        uint64_t other = random_next(&state) % (i + 1);
        uint32_t swap = shuffled[i];
        shuffled[i] = shuffled[other];
        shuffled[other] = swap;
    }

    printf("{\n  \"version\": 1, \"views\": %" PRIu64 ", \"nodeBytes\": %zu,\n  \"nanoseconds\": {",
           views, zio_view_tree_node_bytes());
    measure_tree("filledInOrder", NULL, shuffled, views);
    measure_tree("filledAtRandom", shuffled, shuffled, views);
    if (zio_view_map_init(&map, NULL) != 0)
        fail("out of memory");
    measure("map.insert.inOrder", map_insert, NULL, views, 0);
    measure("map.translate.inOrder", map_translate, NULL, views, 0);
    measure("map.translate.random", map_translate, shuffled, views, 0);
    measure("map.insertOver.inOrder", map_insert, NULL, views, 2 * views);
    measure("map.insertOver.random", map_insert, shuffled, views, 4 * views);
    measure_empty(views);
    double bytes =
        (double)((map.nodes.total_count - map.nodes.free_count) * map.nodes.object_bytes);
    printf(",\n    \"map.bytesAView\": %.1f", bytes / (double)views);
    printf("\n  },\n  \"millionOperationsASecond\": [");
    separator = "";
    measure_scaling(views < HOT_VIEWS ? views : HOT_VIEWS);
    printf("\n  ]\n}\n");
    zio_view_map_destroy(&map);
    free(shuffled);
    return 0;
}
