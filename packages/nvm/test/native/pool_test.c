/* The pool, its log and its files, one case by its name.
 * usage: pool_test DIRECTORY CASE [SEED [ROUNDS]] | pool_test --list */
#include <errno.h>
#include <sys/wait.h>

#include "support.h"

enum { POOL = 1 << 20, RING = 64 << 10, ROOM = 4 << 20 };

static unsigned char model[ROOM], bytes[ROOM], found[ROOM];
static uint64_t seed = 42;
static int rounds = 6000;

static ssize_t read_log(struct zio_nvm_file *file, int64_t offset, void *to, size_t length) {
    struct iovec piece = {to, length};
    return zio_nvm_read(file, offset, &piece, 1);
}

static void expect_file(const char *path, size_t length) {
    size_t got = read_whole(path, found, ROOM);
    ASSERT_EQUAL(got, length);
    ASSERT_EQUAL(memcmp(found, model, length), 0);
}

static void what_was_written_is_read_and_digested(void) {
    create_pool(POOL, RING, 4, false);
    struct zio_nvm_pool *pool = open_pool();
    struct zio_nvm_file *file = attach_path(pool, file_path);
    fill_pattern(model, 70000, 1);
    ASSERT_EQUAL(log_plain(file, -1, model, 100), 100);           /* inline */
    ASSERT_EQUAL(log_plain(file, -1, model + 100, 69900), 69900); /* in blocks */
    ASSERT_EQUAL(zio_nvm_file_bytes(file), 70000);
    ASSERT_EQUAL(read_log(file, 0, found, ROOM), 70000);
    ASSERT_EQUAL(memcmp(found, model, 70000), 0);
    struct stat target;
    ASSERT_EQUAL(stat(file_path, &target), 0);
    ASSERT_EQUAL(target.st_size, 0); /* nothing was applied yet */
    ASSERT_EQUAL(told(zio_nvm_digest(pool, &problem)), 0);
    expect_file(file_path, 70000);
    struct zio_nvm_stats stats;
    zio_nvm_stats(pool, &stats);
    ASSERT_EQUAL(stats.data_free, stats.data_bytes);
    ASSERT_EQUAL(read_log(file, 50, found, 100), 100);
    ASSERT_EQUAL(memcmp(found, model + 50, 100), 0);
    zio_nvm_detach(file);
    ASSERT_EQUAL(told(zio_nvm_close(pool, &problem)), 0);
}

static void a_write_by_reference_keeps_only_its_blocks(void) {
    create_pool(POOL, RING, 4, false);
    struct zio_nvm_pool *pool = open_pool();
    struct zio_nvm_file *file = attach_path(pool, file_path);
    struct zio_storage_extent extent;
    ASSERT_EQUAL(zio_nvm_allocate(pool, 256 << 10, &extent), 0);
    fill_pattern(extent.data, extent.bytes, 2);
    memcpy(model, extent.data + 8000, 300);
    struct zio_storage_piece piece = {extent.data + 8000, 300, extent.token};
    ASSERT_EQUAL(zio_nvm_log(file, 0, &piece, 1, NULL), 300);
    zio_nvm_release(pool, extent.token);
    struct zio_nvm_stats stats;
    zio_nvm_stats(pool, &stats);
    ASSERT_EQUAL(stats.data_bytes - stats.data_free, 8192); /* the two pages that it touches */
    ASSERT_EQUAL(read_log(file, 0, found, 1000), 300);
    ASSERT_EQUAL(memcmp(found, model, 300), 0);
    ASSERT_EQUAL(zio_nvm_sync(pool), 0);
    ASSERT_EQUAL(told(zio_nvm_close(pool, &problem)), 0);
    expect_file(file_path, 300);
}

static void random_writes_agree_with_an_array(void) {
    create_pool(POOL, RING, 4, true);
    struct zio_nvm_pool *pool = open_pool();
    struct zio_nvm_file *file = attach_path(pool, file_path);
    size_t length = 0;
    for (int round = 0; round < rounds; round++) {
        uint64_t what = random_below(&seed, 100);
        size_t bytes_now = 1 + random_below(&seed, what < 90 ? 3000 : 100000);
        size_t at = random_below(&seed, (1 << 20) - bytes_now);
        if (what < 60) {
            bool append = random_below(&seed, 4) == 0 && length + bytes_now < 1 << 20;
            fill_pattern(bytes, bytes_now, seed);
            if (append)
                at = length;
            struct zio_storage_piece pieces[3] = {
                {bytes, bytes_now / 3, 0},
                {bytes + bytes_now / 3, 0, 0},
                {bytes + bytes_now / 3, bytes_now - bytes_now / 3, 0}};
            uint64_t where = 0;
            ASSERT_EQUAL(zio_nvm_log(file, append ? -1 : (int64_t)at, pieces, 3, &where),
                         bytes_now);
            ASSERT_EQUAL(where, at);
            memcpy(model + at, bytes, bytes_now);
            if (at + bytes_now > length)
                length = at + bytes_now;
        } else if (what < 97) {
            size_t wanted = at >= length ? 0 : length - at < bytes_now ? length - at : bytes_now;
            struct iovec pieces[2] = {{found, bytes_now / 2},
                                      {found + bytes_now / 2, bytes_now - bytes_now / 2}};
            ASSERT_EQUAL(zio_nvm_read(file, (int64_t)at, pieces, 2), wanted);
            ASSERT_EQUAL(memcmp(found, model + at, wanted), 0);
        } else if (what == 97) {
            ASSERT_EQUAL(told(zio_nvm_digest(pool, &problem)), 0);
        } else if (what == 98) {
            ASSERT_EQUAL(zio_nvm_sync(pool), 0);
        } else {
            /* As a dead process leaves it, and found again. */
            zio_nvm_abandon(pool);
            pool = open_pool();
            expect_file(file_path, length);
            file = attach_path(pool, file_path);
        }
        ASSERT_EQUAL(zio_nvm_file_bytes(file), length);
    }
    zio_nvm_detach(file);
    ASSERT_EQUAL(told(zio_nvm_close(pool, &problem)), 0);
    expect_file(file_path, length);
}

static void a_full_pool_makes_writers_wait_for_a_digest(void) {
    create_pool(256 << 10, 16 << 10, 1, false);
    struct zio_nvm_pool *pool = open_pool();
    struct zio_nvm_file *file = attach_path(pool, file_path);
    fill_pattern(model, 3 << 20, 3);
    size_t at = 0;
    while (at < 1 << 20) { /* blocks run out */
        ASSERT_EQUAL(log_plain(file, -1, model + at, 5000), 5000);
        at += 5000;
    }
    while (at < 2 << 20) { /* the ring runs out */
        ASSERT_EQUAL(log_plain(file, -1, model + at, 777), 777);
        at += 777;
    }
    /* More than the pool has room for, at once. */
    ASSERT_EQUAL(log_plain(file, -1, model + at, 900000), 900000);
    at += 900000;
    struct zio_nvm_stats stats;
    zio_nvm_stats(pool, &stats);
    ASSERT_COMPARE(stats.waits, >, 4);
    ASSERT_EQUAL(read_log(file, 0, found, ROOM), at);
    ASSERT_EQUAL(memcmp(found, model, at), 0);
    ASSERT_EQUAL(told(zio_nvm_close(pool, &problem)), 0);
    expect_file(file_path, at);
}

static void extents_that_are_held_leave_no_space_and_it_is_said(void) {
    create_pool(256 << 10, 16 << 10, 1, false);
    struct zio_nvm_pool *pool = open_pool();
    struct zio_nvm_file *file = attach_path(pool, file_path);
    struct zio_storage_extent extent;
    uint64_t first = 0;
    while (zio_nvm_allocate(pool, 4096, &extent) == 0)
        if (!first)
            first = extent.token;
    ASSERT_EQUAL(log_plain(file, -1, model, 10000), -ENOSPC);
    ASSERT_EQUAL(log_plain(file, -1, model, 1000), 1000); /* goes into the ring */
    zio_nvm_release(pool, first);
    ASSERT_EQUAL(log_plain(file, 0, model, 10000), 10000);
    ASSERT_EQUAL(told(zio_nvm_close(pool, &problem)), 0);
}

static void a_second_owner_is_told_who_has_the_pool(void) {
    create_pool(POOL, RING, 4, false);
    struct zio_nvm_pool *pool = open_pool(), *second = NULL;
    struct zio_nvm_open_options options = {.boot = NULL};
    ASSERT_EQUAL(zio_nvm_open(pool_path, &options, &second, NULL, &problem), ZIO_EBUSY);
    ASSERT_EQUAL(problem.kind, ZIO_NVM_IN_USE);
    ASSERT_EQUAL(problem.owner_pid, getpid());
    ASSERT_EQUAL(told(zio_nvm_close(pool, &problem)), 0);
    ASSERT_EQUAL(told(zio_nvm_close(open_pool(), &problem)), 0);
}

static void a_forked_child_can_do_nothing(void) {
    create_pool(POOL, RING, 4, false);
    struct zio_nvm_pool *pool = open_pool();
    struct zio_nvm_file *file = attach_path(pool, file_path);
    ASSERT_EQUAL(log_plain(file, -1, "parent", 6), 6);
    pid_t child = fork();
    if (child == 0) {
        struct zio_storage_extent extent;
        char byte;
        ASSERT_EQUAL(log_plain(file, -1, "child", 5), ZIO_ENOTSUP);
        ASSERT_EQUAL(read_log(file, 0, &byte, 1), ZIO_ENOTSUP);
        ASSERT_EQUAL(zio_nvm_sync(pool), ZIO_ENOTSUP);
        ASSERT_EQUAL(zio_nvm_digest(pool, NULL), ZIO_ENOTSUP);
        ASSERT_EQUAL(zio_nvm_allocate(pool, 1, &extent), ZIO_ENOTSUP);
        _exit(0);
    }
    int status = 0;
    ASSERT_EQUAL(waitpid(child, &status, 0), child);
    ASSERT_EQUAL(status, 0);
    ASSERT_EQUAL(log_plain(file, -1, "!", 1), 1);
    ASSERT_EQUAL(told(zio_nvm_close(pool, &problem)), 0);
    memcpy(model, "parent!", 7);
    expect_file(file_path, 7);
}

static void a_file_that_changed_meanwhile_is_not_overwritten(void) {
    for (int how = 0; how < 4; how++) {
        create_pool(POOL, RING, 4, false);
        struct zio_nvm_pool *pool = open_pool();
        struct zio_nvm_file *file = attach_path(pool, file_path);
        ASSERT_EQUAL(log_plain(file, 0, "logged", 6), 6);
        ASSERT_EQUAL(zio_nvm_sync(pool), 0);
        zio_nvm_abandon(pool);
        struct stat target;
        ASSERT_EQUAL(stat(file_path, &target), 0);
        usleep(20000); /* the clock of files ticks every few milliseconds */
        if (how == 1 || how == 3)
            unlink(file_path);
        if (how == 2) { /* of the same size and time */
            char other[600];
            snprintf(other, sizeof other, "%s.other", file_path);
            close(open(other, O_RDWR | O_CREAT, 0600));
            struct timespec times[2] = {target.st_atim, target.st_mtim};
            ASSERT_EQUAL(utimensat(AT_FDCWD, other, times, 0), 0);
            ASSERT_EQUAL(rename(other, file_path), 0);
        } else if (how != 1) {
            int fd = open(file_path, O_RDWR | O_CREAT, 0600);
            ASSERT_EQUAL(pwrite(fd, "foreign!", 8, 0), 8);
            close(fd);
        }
        struct zio_nvm_open_options options = {.boot = NULL};
        int code = zio_nvm_open(pool_path, &options, &pool, NULL, &problem);
        ASSERT_EQUAL(code, how == 1 ? -ENOENT : -ESTALE);
        ASSERT_EQUAL(problem.kind, how == 1 ? ZIO_NVM_FILE_MISSING : ZIO_NVM_FILE_CHANGED);
        ASSERT_EQUAL(strcmp(problem.path, file_path), 0);
        if (how != 1 && how != 2) {
            memcpy(model, "foreign!", 8);
            expect_file(file_path, 8);
        }
        options.accept_changed = true;
        ASSERT_EQUAL(told(zio_nvm_open(pool_path, &options, &pool, NULL, &problem)), 0);
        ASSERT_EQUAL(told(zio_nvm_close(pool, &problem)), 0);
        memcpy(model, how == 2 ? "logged" : "loggedn!", 8);
        memcpy(model + 6, "n!", 2);
        if (how == 0 || how == 3)
            expect_file(file_path, 8);
        if (how == 2)
            expect_file(file_path, 6);
        if (how == 1)
            ASSERT_EQUAL(access(file_path, F_OK), -1);
        unlink(pool_path);
        unlink(file_path);
    }
}

static void a_power_cut_takes_what_was_not_synced(void) {
    create_pool(POOL, RING, 4, false);
    struct zio_nvm_pool *pool = open_pool();
    struct zio_nvm_file *file = attach_path(pool, file_path);
    ASSERT_EQUAL(log_plain(file, -1, "durable", 7), 7);
    ASSERT_EQUAL(zio_nvm_sync(pool), 0);
    ASSERT_EQUAL(log_plain(file, -1, " volatile", 9), 9);
    zio_nvm_abandon(pool);
    struct zio_nvm_open_options options = {.boot = "another boot id."};
    struct zio_nvm_recovery recovery;
    ASSERT_EQUAL(told(zio_nvm_open(pool_path, &options, &pool, &recovery, &problem)), 0);
    ASSERT_EQUAL(recovery.same_boot, 0);
    ASSERT_EQUAL(recovery.records, 1);
    ASSERT_COMPARE(recovery.dropped, >=, 1);
    memcpy(model, "durable", 7);
    expect_file(file_path, 7);
    /* What was dropped never comes back, not even behind a record of the same size. */
    file = attach_path(pool, file_path);
    ASSERT_EQUAL(log_plain(file, -1, "NEW data!", 9), 9);
    zio_nvm_abandon(pool);
    ASSERT_EQUAL(told(zio_nvm_open(pool_path, &options, &pool, &recovery, &problem)), 0);
    ASSERT_EQUAL(recovery.same_boot, 1);
    ASSERT_EQUAL(recovery.records, 1);
    ASSERT_EQUAL(told(zio_nvm_close(pool, &problem)), 0);
    memcpy(model + 7, "NEW data!", 9);
    expect_file(file_path, 16);
}

static void a_pool_grows_and_shrinks(void) {
    create_pool(POOL, RING, 4, false);
    struct zio_nvm_pool *pool = open_pool();
    struct zio_storage_extent extent;
    ASSERT_EQUAL(zio_nvm_allocate(pool, 2 * POOL, &extent), ZIO_ENOMEM);
    ASSERT_EQUAL(told(zio_nvm_resize(pool, 4 * POOL)), 0);
    ASSERT_EQUAL(zio_nvm_allocate(pool, 2 * POOL, &extent), 0);
    memset(extent.data, 1, extent.bytes);
    ASSERT_EQUAL(zio_nvm_resize(pool, POOL), ZIO_EBUSY);
    zio_nvm_release(pool, extent.token);
    ASSERT_EQUAL(told(zio_nvm_close(pool, &problem)), 0);
    pool = open_pool();
    struct zio_nvm_stats stats;
    zio_nvm_stats(pool, &stats);
    ASSERT_EQUAL(stats.bytes, 4 * POOL);
    ASSERT_EQUAL(zio_nvm_resize(pool, POOL / 2), 0);
    ASSERT_EQUAL(told(zio_nvm_close(pool, &problem)), 0);
    struct stat file;
    ASSERT_EQUAL(stat(pool_path, &file), 0);
    ASSERT_EQUAL(file.st_size, POOL / 2);
    ASSERT_EQUAL(told(zio_nvm_close(open_pool(), &problem)), 0);
}

static void places_of_files_come_free(void) {
    create_pool(POOL, RING, 2, false);
    struct zio_nvm_pool *pool = open_pool();
    for (int i = 0; i < 9; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s.%d", file_path, i);
        struct zio_nvm_file *file = attach_path(pool, path), *again = attach_path(pool, path);
        ASSERT_EQUAL(file == again, 1);
        ASSERT_EQUAL(log_plain(file, -1, path, strlen(path)), strlen(path));
        zio_nvm_detach(file);
        zio_nvm_detach(again);
    }
    ASSERT_EQUAL(told(zio_nvm_close(pool, &problem)), 0);
    for (int i = 0; i < 9; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s.%d", file_path, i);
        memcpy(model, path, strlen(path));
        expect_file(path, strlen(path));
        struct stat target;
        ASSERT_EQUAL(stat(path, &target), 0);
        ASSERT_COMPARE(target.st_blocks, <=, 16); /* what was reserved is given back */
        unlink(path);
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
#define CASE(name)                                                                                 \
    { #name, name }
    CASE(what_was_written_is_read_and_digested),
    CASE(a_write_by_reference_keeps_only_its_blocks),
    CASE(random_writes_agree_with_an_array),
    CASE(a_full_pool_makes_writers_wait_for_a_digest),
    CASE(extents_that_are_held_leave_no_space_and_it_is_said),
    CASE(a_second_owner_is_told_who_has_the_pool),
    CASE(a_forked_child_can_do_nothing),
    CASE(a_file_that_changed_meanwhile_is_not_overwritten),
    CASE(a_power_cut_takes_what_was_not_synced),
    CASE(a_pool_grows_and_shrinks),
    CASE(places_of_files_come_free),
};

int main(int count, char **arguments) {
    size_t all = sizeof cases / sizeof *cases;
    if (count == 2 && strcmp(arguments[1], "--list") == 0) {
        for (size_t i = 0; i < all; i++)
            puts(cases[i].name);
        return 0;
    }
    ASSERT_COMPARE(count, >=, 3);
    if (count > 3)
        seed = strtoull(arguments[3], NULL, 10);
    if (count > 4)
        rounds = atoi(arguments[4]);
    for (size_t i = 0; i < all; i++)
        if (strcmp(cases[i].name, arguments[2]) == 0) {
            make_directory(arguments[1]);
            cases[i].run();
            remove_directory();
            return 0;
        }
    fprintf(stderr, "no case is called %s\n", arguments[2]);
    return 2;
}
