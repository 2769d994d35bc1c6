/* What the C tests of the pool share: a directory of their own, pools in it, patterns. */
#ifndef ZIO_NVM_TEST_SUPPORT_H
#define ZIO_NVM_TEST_SUPPORT_H

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zio/nvm.h>

#include "../../../core/test/native/check.h"

static char pool_path[512], file_path[512], directory_path[400];
static struct zio_nvm_problem problem;

static inline void make_directory(const char *in) {
    snprintf(directory_path, sizeof directory_path, "%s/zio-nvm-XXXXXX", in);
    ASSERT(mkdtemp(directory_path) != NULL);
    snprintf(pool_path, sizeof pool_path, "%s/pool", directory_path);
    snprintf(file_path, sizeof file_path, "%s/file", directory_path);
}

static inline void remove_directory(void) {
    unlink(pool_path);
    unlink(file_path);
    rmdir(directory_path);
}

/* Prints what is wrong, so that a failed ASSERT_EQUAL(code, 0) after it can be understood. */
static inline int told(int code) {
    if (code != 0 && problem.kind != ZIO_NVM_NONE)
        fprintf(stderr, "%s at %llu: %s %s\n", zio_nvm_problem_text(problem.kind),
                (unsigned long long)problem.offset, problem.action ? problem.action : "",
                problem.path);
    return code;
}

static inline void create_pool(uint64_t bytes, uint64_t ring, uint32_t files, bool checksum) {
    struct zio_nvm_create_options options = {bytes, ring, files, checksum};
    ASSERT_EQUAL(told(zio_nvm_create(pool_path, &options, &problem)), 0);
}

static inline struct zio_nvm_pool *open_pool(void) {
    struct zio_nvm_open_options options = {.boot = NULL};
    struct zio_nvm_pool *pool = NULL;
    ASSERT_EQUAL(told(zio_nvm_open(pool_path, &options, &pool, NULL, &problem)), 0);
    return pool;
}

static inline struct zio_nvm_file *attach_path(struct zio_nvm_pool *pool, const char *path) {
    struct zio_nvm_file *file = NULL;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_COMPARE(fd, >=, 0);
    ASSERT_EQUAL(told(zio_nvm_attach(pool, fd, path, &file, &problem)), 0);
    close(fd);
    return file;
}

static inline ssize_t log_plain(struct zio_nvm_file *file, int64_t offset, const void *bytes,
                                size_t length) {
    struct zio_storage_piece piece = {bytes, length, 0};
    return zio_nvm_log(file, offset, &piece, 1, NULL);
}

/* The bytes of a write, told by its number alone. */
static inline void fill_pattern(unsigned char *to, size_t length, uint64_t seed) {
    for (size_t i = 0; i < length; i += 8) {
        uint64_t word = random_next(&seed);
        memcpy(to + i, &word, length - i < 8 ? length - i : 8);
    }
}

static inline size_t read_whole(const char *path, unsigned char *to, size_t room) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ASSERT_COMPARE(fd, >=, 0);
    size_t bytes = 0;
    for (ssize_t got; (got = read(fd, to + bytes, room - bytes)) > 0;)
        bytes += (size_t)got;
    close(fd);
    return bytes;
}

#endif
