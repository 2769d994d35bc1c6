/* The storage provider as a program finds it: loaded, by its table alone.
 * usage: provider_test PROVIDER DIRECTORY */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zio/storage.h>

#include "../../../core/test/native/check.h"

static const struct zio_storage *storage;
static struct zio_storage_pool *pool;
static struct zio_storage_file *file;
static struct zio_storage_refusal refusal;
static char pool_path[512], file_path[512], other_path[512];
static int fd;

static struct zio_storage_place place(int64_t offset) {
    return (struct zio_storage_place){offset, offset < 0 ? fd : -1, 0};
}

static void expect_file(const char *path, const char *wanted) {
    char found[256];
    int other = open(path, O_RDONLY);
    ssize_t got = read(other, found, sizeof found);
    close(other);
    ASSERT_EQUAL(got, strlen(wanted));
    ASSERT_EQUAL(memcmp(found, wanted, strlen(wanted)), 0);
}

static ssize_t log_text(int64_t where, const char *text) {
    struct zio_storage_piece piece = {(const unsigned char *)text, strlen(text), 0};
    return storage->log(file, place(where), &piece, 1, NULL);
}

static void positions_are_the_descriptors(void) {
    char back[64] = {0};
    ASSERT_EQUAL(log_text(ZIO_STORAGE_AT_POSITION, "hello "), 6);
    ASSERT_EQUAL(lseek(fd, 0, SEEK_CUR), 6);
    ASSERT_EQUAL(log_text(0, "H"), 1);
    ASSERT_EQUAL(lseek(fd, 0, SEEK_CUR), 6);
    ASSERT_EQUAL(lseek(fd, 0, SEEK_SET), 0);
    ASSERT_EQUAL(log_text(ZIO_STORAGE_AT_END, "world"), 5);
    ASSERT_EQUAL(lseek(fd, 0, SEEK_CUR), 11);
    ASSERT_EQUAL(lseek(fd, 1, SEEK_SET), 1);
    struct iovec into[2] = {{back, 3}, {back + 3, 30}};
    ASSERT_EQUAL(storage->read(file, place(ZIO_STORAGE_AT_POSITION), into, 2), 10);
    ASSERT_EQUAL(strcmp(back, "ello world"), 0);
    ASSERT_EQUAL(lseek(fd, 0, SEEK_CUR), 11);
    ASSERT_EQUAL(storage->read(file, place(ZIO_STORAGE_AT_POSITION), into, 2), 0);
    struct zio_storage_status status;
    ASSERT_EQUAL(storage->status(file, &status), 0);
    ASSERT_EQUAL(status.bytes, 11);
}

static void extents_are_free_once_their_writes_are_retired(void) {
    struct zio_storage_extent extent;
    struct zio_storage_usage before, after;
    uint64_t sequence = 0;
    storage->usage(pool, &before);
    ASSERT_EQUAL(storage->allocate(pool, 5000, &extent), 0);
    memset(extent.data, '!', 5000);
    struct zio_storage_piece piece = {extent.data + 4999, 1, extent.token};
    ASSERT_EQUAL(storage->log(file, place(ZIO_STORAGE_AT_END), &piece, 1, &sequence), 1);
    ASSERT_COMPARE(storage->retired(pool), <, sequence);
    ASSERT_EQUAL(storage->sync(file, 1), 0);
    ASSERT_COMPARE(storage->retired(pool), <, sequence);
    ASSERT_EQUAL(storage->settle(file), 0);
    ASSERT_COMPARE(storage->retired(pool), >=, sequence);
    storage->release(pool, extent.token);
    storage->usage(pool, &after);
    ASSERT_EQUAL(after.used_bytes, before.used_bytes);
    ASSERT_EQUAL(after.logged_bytes - before.logged_bytes, 1);
    ASSERT_EQUAL(after.referenced_bytes - before.referenced_bytes, 1);
    expect_file(file_path, "Hello world!");
}

static void the_kernel_changes_a_file_in_between(void) {
    struct zio_storage_status status;
    ASSERT_EQUAL(log_text(ZIO_STORAGE_AT_END, "???"), 3);
    ASSERT_EQUAL(storage->begin_change(file), 0);
    expect_file(file_path, "Hello world!???");
    ASSERT_EQUAL(ftruncate(fd, 5), 0);
    ASSERT_EQUAL(rename(file_path, other_path), 0);
    ASSERT_EQUAL(storage->end_change(file, other_path), 0);
    ASSERT_EQUAL(storage->status(file, &status), 0);
    ASSERT_EQUAL(status.bytes, 5);
    ASSERT_EQUAL(log_text(ZIO_STORAGE_AT_END, ", you"), 5);
    ASSERT_EQUAL(storage->settle(file), 0);
    expect_file(other_path, "Hello, you");
}

static void a_file_that_is_left_is_the_kernels(void) {
    struct stat target;
    struct zio_storage_file *found;
    char byte;
    struct iovec into = {&byte, 1};
    struct zio_storage_status status;
    ASSERT_EQUAL(fstat(fd, &target), 0);
    ASSERT_EQUAL(storage->find(pool, target.st_dev, target.st_ino, &found), 0);
    ASSERT_EQUAL(found == file, 1);
    ASSERT_EQUAL(storage->detach(found), 0);
    ASSERT_EQUAL(storage->find(pool, target.st_dev, target.st_ino + 1, &found), ZIO_ENOENT);
    ASSERT_EQUAL(log_text(ZIO_STORAGE_AT_END, "."), 1);
    ASSERT_EQUAL(storage->leave(file), 0);
    expect_file(other_path, "Hello, you.");
    ASSERT_EQUAL(log_text(ZIO_STORAGE_AT_END, "."), ZIO_ENOTSUP);
    ASSERT_EQUAL(storage->read(file, place(0), &into, 1), ZIO_ENOTSUP);
    ASSERT_EQUAL(storage->status(file, &status), ZIO_ENOTSUP);
    ASSERT_EQUAL(storage->attach(pool, fd, other_path, &found), ZIO_ENOTSUP);
    ASSERT_EQUAL(storage->detach(file), 0);
    ASSERT_EQUAL(pwrite(fd, "h", 1, 0), 1);
    ASSERT_EQUAL(storage->attach(pool, fd, other_path, &file), 0);
    ASSERT_EQUAL(log_text(ZIO_STORAGE_AT_END, "!"), 1);
}

/* More than half of the pool's data and less than all: nobody waits for room. */
static void the_log_is_applied_in_the_background(void) {
    static unsigned char bytes[65536];
    struct zio_storage_usage usage;
    struct zio_storage_piece piece = {bytes, sizeof bytes, 0};
    storage->usage(pool, &usage);
    uint64_t before = usage.digested_bytes;
    for (int i = 0; i < 28; i++)
        ASSERT_EQUAL(storage->log(file, place(100 + i * 65536), &piece, 1, NULL), sizeof bytes);
    for (int i = 0; i < 10000 && usage.digested_bytes - before < 24 * 65536; i++) {
        usleep(1000);
        storage->usage(pool, &usage);
    }
    ASSERT_COMPARE(usage.digested_bytes - before, >=, 24 * 65536);
    ASSERT_EQUAL(storage->begin_change(file), 0);
    ASSERT_EQUAL(ftruncate(fd, 12), 0);
    ASSERT_EQUAL(storage->end_change(file, NULL), 0);
}

static void a_child_is_one_more_process_of_the_tree(void) {
    char back[64] = {0};
    struct iovec into = {back, sizeof back};
    int status = 0;
    storage->before_fork(pool);
    pid_t child = fork();
    if (child == 0) {
        struct zio_storage_extent extent;
        storage->after_fork(pool, 1);
        ASSERT_EQUAL(log_text(ZIO_STORAGE_AT_END, "child"), 5);
        ASSERT_EQUAL(storage->allocate(pool, 100000, &extent), 0);
        ASSERT_EQUAL(log_text(ZIO_STORAGE_AT_POSITION, "'s"), 2);
        _exit(0);
    }
    storage->after_fork(pool, 0);
    ASSERT_EQUAL(waitpid(child, &status, 0), child);
    ASSERT_EQUAL(status, 0);
    ASSERT_EQUAL(lseek(fd, 0, SEEK_CUR), 19); /* the descriptor's position is the child's too */
    ASSERT_EQUAL(storage->read(file, place(0), &into, 1), 19);
    ASSERT_EQUAL(strcmp(back, "hello, you.!child's"), 0);
    child = fork();
    if (child == 0) { /* who says nothing is refused */
        ASSERT_EQUAL(log_text(ZIO_STORAGE_AT_END, "raw"), ZIO_ENOTSUP);
        ASSERT_EQUAL(storage->read(file, place(0), &into, 1), ZIO_ENOTSUP);
        ASSERT_EQUAL(storage->settle(file), ZIO_ENOTSUP);
        ASSERT_EQUAL(storage->detach(file), ZIO_ENOTSUP);
        _exit(0);
    }
    ASSERT_EQUAL(waitpid(child, &status, 0), child);
    ASSERT_EQUAL(status, 0);
}

/* A program that closes all descriptors, and has others with their numbers then. */
static void descriptors_that_the_program_closes_are_opened_anew(void) {
    char back[64] = {0};
    struct iovec into = {back, sizeof back};
    ASSERT_EQUAL(storage->settle(file), 0);
    for (int number = fd + 1; number < 5000; number++) {
        if (fcntl(number, F_GETFD) < 0)
            continue;
        int null = open("/dev/null", O_RDONLY);
        dup2(null, number);
        close(null);
    }
    ASSERT_EQUAL(storage->read(file, place(0), &into, 1), 19);
    ASSERT_EQUAL(strcmp(back, "hello, you.!child's"), 0);
    ASSERT_EQUAL(log_text(12, "!!!!!!!"), 7);
    ASSERT_EQUAL(storage->settle(file), 0);
    expect_file(other_path, "hello, you.!!!!!!!!");
}

static void another_tree_is_told_who_has_the_pool(const struct zio_storage_options *options) {
    struct zio_storage_options others = *options;
    struct zio_storage_pool *second;
    char pid[16];
    for (int i = 0; i < 2; i++) {
        others.tree = i ? "another tree" : NULL;
        ASSERT_EQUAL(storage->open(&others, &second, &refusal), ZIO_EBUSY);
        snprintf(pid, sizeof pid, " %d", getpid());
        ASSERT(strstr(refusal.text, pid) != NULL);
    }
    ASSERT_EQUAL(storage->open(options, &second, &refusal), 0);
    ASSERT_EQUAL(storage->close(second), 0);
}

int main(int count, char **arguments) {
    ASSERT_EQUAL(count, 3);
    void *library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    ASSERT(library != NULL);
    storage = dlsym(library, "zio_storage");
    ASSERT(storage != NULL);
    ASSERT_EQUAL(zio_storage_check(storage), 0);
    char directory[400];
    snprintf(directory, sizeof directory, "%s/zio-provider-XXXXXX", arguments[2]);
    ASSERT(mkdtemp(directory) != NULL);
    snprintf(pool_path, sizeof pool_path, "%s/pool", directory);
    snprintf(file_path, sizeof file_path, "%s/file", directory);
    snprintf(other_path, sizeof other_path, "%s/other", directory);
    struct zio_storage_options options = {.path = pool_path, .tree = "a test"};
    ASSERT_EQUAL(storage->open(&options, &pool, &refusal), ZIO_ENOENT);
    ASSERT(strstr(refusal.text, pool_path) != NULL);
    options.bytes = 4 << 20;
    ASSERT_EQUAL(storage->open(&options, &pool, &refusal), 0);
    ASSERT(storage->pool_capabilities(pool) & ZIO_STORAGE_LOGS_FILES);
    fd = open(file_path, O_RDWR | O_CREAT, 0600);
    ASSERT_EQUAL(storage->attach(pool, fd, file_path, &file), 0);
    positions_are_the_descriptors();
    extents_are_free_once_their_writes_are_retired();
    the_kernel_changes_a_file_in_between();
    a_file_that_is_left_is_the_kernels();
    the_log_is_applied_in_the_background();
    a_child_is_one_more_process_of_the_tree();
    another_tree_is_told_who_has_the_pool(&options);
    descriptors_that_the_program_closes_are_opened_anew();
    ASSERT_EQUAL(storage->detach(file), 0);
    ASSERT_EQUAL(storage->close(pool), 1); /* the last of the tree */
    expect_file(other_path, "hello, you.!!!!!!!!");
    unlink(pool_path);
    unlink(other_path);
    rmdir(directory);
    return 0;
}
