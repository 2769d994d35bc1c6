/* Threads on one pool. usage: threads_test DIRECTORY */
#include <pthread.h>

#include "support.h"

enum { POOL = 1 << 20, RING = 64 << 10, WRITES = 4, THREADS = 4, THREAD_WRITES = 400 };
static struct zio_nvm_pool *shared_pool;
static struct zio_nvm_file *shared_file;

static void *write_and_sync(void *number) {
    uint64_t id = (uint64_t)(uintptr_t)number, state = id + 7;
    unsigned char mine[6000], back[6000];
    for (uint64_t i = 0; i < THREAD_WRITES; i++) {
        size_t length = 1 + random_below(&state, sizeof mine);
        uint64_t where = 0;
        memset(mine, (int)(1 + id), length);
        struct zio_storage_piece piece = {mine, length, 0};
        ASSERT_EQUAL(zio_nvm_log(shared_file, -1, &piece, 1, &where), length);
        if (i % 7 == 0)
            ASSERT_EQUAL(zio_nvm_sync(shared_pool), 0);
        struct iovec into = {back, length};
        ASSERT_EQUAL(zio_nvm_read(shared_file, (int64_t)where, &into, 1), length);
        ASSERT_EQUAL(memcmp(back, mine, length), 0);
    }
    return NULL;
}

static void threads_append_sync_read_and_digest_at_once(void) {
    create_pool(POOL, RING, 4, false);
    shared_pool = open_pool();
    shared_file = attach_path(shared_pool, file_path);
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        ASSERT_EQUAL(pthread_create(&threads[i], NULL, write_and_sync, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    uint64_t length = zio_nvm_file_bytes(shared_file);
    ASSERT_EQUAL(told(zio_nvm_close(shared_pool, &problem)), 0);
    struct stat target;
    ASSERT_EQUAL(stat(file_path, &target), 0);
    ASSERT_EQUAL(target.st_size, length);
}

static void *write_much(void *file) {
    static unsigned char much[150000];
    for (int i = 0; i < WRITES; i++)
        for (size_t done = 0; done < sizeof much;) {
            /* Short where another writes to the same file, as write may be; never refused. */
            ssize_t now = log_plain(file, -1, much + done, sizeof much - done);
            ASSERT_COMPARE(now, >, 0);
            done += (size_t)now;
        }
    return NULL;
}

static void threads_that_fill_a_small_pool_wait_for_each_other(void) {
    create_pool(256 << 10, 16 << 10, 4, false);
    struct zio_nvm_pool *pool = open_pool();
    pthread_t threads[THREADS];
    char path[600];
    for (int i = 0; i < THREADS; i++) {
        snprintf(path, sizeof path, "%s.%d", file_path, i / 2);
        struct zio_nvm_file *file = attach_path(pool, path);
        ASSERT_EQUAL(pthread_create(&threads[i], NULL, write_much, file), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ASSERT_EQUAL(told(zio_nvm_close(pool, &problem)), 0);
    for (int i = 0; i < THREADS / 2; i++) {
        struct stat target;
        snprintf(path, sizeof path, "%s.%d", file_path, i);
        ASSERT_EQUAL(stat(path, &target), 0);
        ASSERT_EQUAL(target.st_size, 2 * WRITES * 150000);
        unlink(path);
    }
}

int main(int count, char **arguments) {
    ASSERT_EQUAL(count, 2);
    make_directory(arguments[1]);
    threads_append_sync_read_and_digest_at_once();
    unlink(pool_path);
    threads_that_fill_a_small_pool_wait_for_each_other();
    remove_directory();
    return 0;
}
