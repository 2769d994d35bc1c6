/* The futex lock: exclusion, sharing, timeouts, and that no wake-up is ever lost (a lost one makes
 * this program hang).
 *
 * usage: lock_test ROUNDS */
#include <zio/lock.h>

#include <pthread.h>
#include <time.h>

#include "check.h"

enum { THREADS = 6 };

static struct zio_lock lock;
static uint64_t left, right; /* equal whenever the lock is free */
static _Atomic uint64_t timeouts;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void nap(long ns) {
    nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

struct worker {
    pthread_t thread;
    uint64_t seed, rounds, writes;
};

static void *work(void *argument) {
    struct worker *worker = argument;
    uint64_t state = worker->seed;
    for (uint64_t i = 0; i < worker->rounds; i++) {
        uint64_t dice = random_below(&state, 16);
        int slow = random_below(&state, 64) == 0;
        if (dice < 8) {
            zio_lock_shared(&lock);
            ASSERT_EQUAL(left, right);
            if (slow)
                nap(20000);
            zio_unlock_shared(&lock);
            continue;
        }
        if (dice < 12)
            zio_lock_exclusive(&lock);
        else if (!zio_lock_exclusive_timed(&lock, random_below(&state, 4) * 10000)) {
            atomic_fetch_add(&timeouts, 1);
            continue;
        }
        left++;
        if (slow)
            nap(20000);
        right++;
        worker->writes++;
        zio_unlock_exclusive(&lock);
    }
    return NULL;
}

static void test_exclusion(uint64_t rounds) {
    struct worker workers[THREADS];
    uint64_t writes = 0;
    for (uint64_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.seed = i, .rounds = rounds};
        ASSERT_EQUAL(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        writes += workers[i].writes;
    }
    ASSERT_EQUAL(left, writes);
    ASSERT_EQUAL(right, writes);
    ASSERT_EQUAL(atomic_load(&lock.writers), 0);
    printf("%" PRIu64 " writes, %" PRIu64 " timeouts\n", writes, atomic_load(&timeouts));
}

static void test_timeout(void) {
    struct zio_lock held = {0};
    zio_lock_shared(&held);
    zio_lock_shared(&held); /* readers share */
    ASSERT(!zio_lock_exclusive_timed(&held, 0));
    uint64_t begin = now_ns();
    ASSERT(!zio_lock_exclusive_timed(&held, 3000000));
    ASSERT_COMPARE(now_ns() - begin, >=, 3000000);
    ASSERT_EQUAL(atomic_load(&held.writers), 0);
    zio_unlock_shared(&held);
    ASSERT(!zio_lock_exclusive_timed(&held, 0));
    zio_unlock_shared(&held);
    ASSERT(zio_lock_exclusive_timed(&held, 0));
    zio_unlock_exclusive(&held);
}

static struct zio_lock handed;
static _Atomic int stage;

static void *write_once(void *argument) {
    zio_lock_exclusive(&handed);
    atomic_store(&stage, 1);
    zio_unlock_exclusive(&handed);
    return argument;
}

static void *read_once(void *argument) {
    zio_lock_shared(&handed);
    /* The writer that waited when this reader came has been first. */
    ASSERT_EQUAL(atomic_load(&stage), 1);
    zio_unlock_shared(&handed);
    return argument;
}

static void test_writer_preference(void) {
    pthread_t writer, reader;
    zio_lock_shared(&handed);
    ASSERT_EQUAL(pthread_create(&writer, NULL, write_once, NULL), 0);
    while (atomic_load(&handed.writers) == 0)
        nap(1000);
    ASSERT_EQUAL(pthread_create(&reader, NULL, read_once, NULL), 0);
    nap(5000000);
    zio_unlock_shared(&handed);
    pthread_join(writer, NULL);
    pthread_join(reader, NULL);
}

static struct zio_lock abandoned;

static void *give_up(void *argument) {
    ASSERT(!zio_lock_exclusive_timed(&abandoned, 20000000));
    return argument;
}

static void *read_abandoned(void *argument) {
    zio_lock_shared(&abandoned);
    zio_unlock_shared(&abandoned);
    return argument;
}

/* A reader that sleeps because of a waiting writer goes on when that writer gives up, although
 * the lock never changes hands. */
static void test_writer_gives_up(void) {
    pthread_t writer, reader;
    zio_lock_shared(&abandoned);
    ASSERT_EQUAL(pthread_create(&writer, NULL, give_up, NULL), 0);
    while (atomic_load(&abandoned.writers) == 0)
        nap(1000);
    ASSERT_EQUAL(pthread_create(&reader, NULL, read_abandoned, NULL), 0);
    pthread_join(writer, NULL);
    pthread_join(reader, NULL);
    zio_unlock_shared(&abandoned);
}

int main(int argc, char **argv) {
    ASSERT_EQUAL(argc, 2);
    test_timeout();
    test_writer_preference();
    test_writer_gives_up();
    test_exclusion(strtoull(argv[1], NULL, 10));
    return 0;
}
