/* Pools that were damaged: every byte of what describes a pool has a bit flipped, and the file ends
 * early at every page. Either it is said what is wrong and where, or nothing is lost.
 *
 * usage: damage_test DIRECTORY SEED */
#include <errno.h>

#include "support.h"

#include "nvm_format.h"

enum { POOL = 128 << 10, RING = 16384, ROOM = 64 << 10 };

static unsigned char image[POOL], model[ROOM], found[ROOM];
static uint64_t state, length;
static unsigned refused[ZIO_NVM_PROBLEM_COUNT], survived;

static void write_file(const char *path, const void *bytes, size_t count) {
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ASSERT_EQUAL(pwrite(fd, bytes, count, 0), count);
    close(fd);
}

/* Writes of both kinds, commits between them, all of it acknowledged. */
static void make_image(bool checksum) {
    create_pool(POOL, RING, 1, checksum);
    struct zio_nvm_pool *pool = open_pool();
    struct zio_nvm_file *file = attach_path(pool, file_path);
    length = 0;
    for (int i = 0; i < 9; i++) {
        size_t bytes = i % 3 == 2 ? 5000 : 40 + 10 * (size_t)i;
        fill_pattern(model + length, bytes, random_next(&state));
        ASSERT_EQUAL(log_plain(file, -1, model + length, bytes), bytes);
        length += bytes;
        if (i % 2 == 0)
            ASSERT_EQUAL(zio_nvm_sync(pool), 0);
    }
    ASSERT_EQUAL(zio_nvm_sync(pool), 0);
    zio_nvm_abandon(pool);
    ASSERT_EQUAL(read_whole(pool_path, image, POOL), POOL);
}

/* Opens what is there as after a power cut, or as after the death of the process. */
static void try_open(size_t bytes, bool power_cut, bool may_differ, uint64_t flipped) {
    write_file(pool_path, image, bytes);
    write_file(file_path, "", 0);
    struct zio_nvm_open_options options = {.boot = power_cut ? "another boot id." : NULL,
                                           .accept_changed = true};
    struct zio_nvm_pool *pool;
    int code = zio_nvm_open(pool_path, &options, &pool, NULL, &problem);
    if (code != 0) {
        ASSERT_COMPARE(problem.kind, !=, ZIO_NVM_NONE);
        ASSERT_COMPARE(problem.kind, !=, ZIO_NVM_SYSTEM);
        ASSERT_EQUAL(problem.code, code);
        refused[problem.kind]++;
        return;
    }
    survived++;
    ASSERT_EQUAL(told(zio_nvm_close(pool, &problem)), 0);
    size_t got = read_whole(file_path, found, ROOM);
    if (got != length || (!may_differ && memcmp(found, model, length) != 0)) {
        fprintf(stderr, "byte %llu flipped: %zu of %llu bytes, or other ones, are recovered\n",
                (unsigned long long)flipped, got, (unsigned long long)length);
        exit(1);
    }
}

static void flip_range(uint64_t from, uint64_t to, uint64_t step, bool may_differ) {
    for (uint64_t at = from; at < to; at += step) {
        unsigned char bit = (unsigned char)(1 << random_below(&state, 8));
        image[at] ^= bit;
        try_open(POOL, random_below(&state, 2), may_differ, at);
        image[at] ^= bit;
    }
}

int main(int count, char **arguments) {
    ASSERT_EQUAL(count, 3);
    state = strtoull(arguments[2], NULL, 10);
    make_directory(arguments[1]);
    for (int checksum = 0; checksum < 2; checksum++) {
        make_image(checksum);
        struct nvm_header header;
        memcpy(&header, image, sizeof header);
        flip_range(0, sizeof header, 1, false);
        flip_range(NVM_HEADER_COPY, NVM_HEADER_COPY + sizeof header, 1, false);
        for (int copy = 0; copy < 2; copy++) {
            uint64_t super = NVM_SUPERBLOCKS + copy * NVM_PAGE;
            flip_range(super, super + sizeof(struct nvm_superblock), 1, false);
            uint64_t entry = NVM_FILES + copy * NVM_PAGE;
            flip_range(entry, entry + 160, 1, false);
            flip_range(entry, entry + sizeof(struct nvm_file_entry), 97, false);
        }
        flip_range(header.ring_offset, header.ring_offset + 2400, 1, false);
        /* Without checksums of the data nothing tells that they changed, and it is documented. */
        flip_range(header.data_offset, header.data_offset + 6 * NVM_PAGE, 61, !checksum);
        for (size_t bytes = 0; bytes < POOL; bytes += NVM_PAGE)
            try_open(bytes + random_below(&state, NVM_PAGE), true, false, bytes);
        uint32_t version = 3;
        memcpy(image + 8, &version, sizeof version);
        memcpy(image + NVM_HEADER_COPY + 8, &version, sizeof version);
        try_open(POOL, true, false, 8);
        ASSERT_EQUAL(problem.kind, ZIO_NVM_FOREIGN_VERSION);
        ASSERT_EQUAL(problem.offset, 8);
        unlink(pool_path);
        unlink(file_path);
    }
    /* A pool without the log's last lap: both copies of the superblock from before a digest. */
    make_image(false);
    static unsigned char old[2 * NVM_PAGE];
    memcpy(old, image + NVM_SUPERBLOCKS, sizeof old);
    struct zio_nvm_pool *pool = open_pool();
    struct zio_nvm_file *file = attach_path(pool, file_path);
    ASSERT_EQUAL(log_plain(file, -1, "more", 4), 4);
    ASSERT_EQUAL(zio_nvm_sync(pool), 0);
    zio_nvm_abandon(pool);
    ASSERT_EQUAL(read_whole(pool_path, image, POOL), POOL);
    memcpy(image + NVM_SUPERBLOCKS, old, sizeof old);
    write_file(pool_path, image, POOL);
    struct zio_nvm_open_options options = {.boot = "another boot id."};
    int code = zio_nvm_open(pool_path, &options, &pool, NULL, &problem);
    printf("%u survived; refused:", survived);
    for (int kind = 0; kind < ZIO_NVM_PROBLEM_COUNT; kind++)
        if (refused[kind])
            printf(" %s %u", zio_nvm_problem_name((enum zio_nvm_problem_kind)kind), refused[kind]);
    printf("; stale: %s\n", code ? zio_nvm_problem_name(problem.kind) : "accepted");
    ASSERT_EQUAL(code, -EIO);
    ASSERT_EQUAL(problem.kind, ZIO_NVM_SUPERBLOCK_STALE);
    ASSERT_EQUAL(refused[ZIO_NVM_SUPERBLOCK_STALE], 0); /* one copy is enough */
    ASSERT_COMPARE(survived, >, 0);
    ASSERT_COMPARE(refused[ZIO_NVM_RECORD_DAMAGED], >, 0);
    ASSERT_COMPARE(refused[ZIO_NVM_DATA_DAMAGED], >, 0);
    ASSERT_COMPARE(refused[ZIO_NVM_TRUNCATED], >, 0);
    remove_directory();
    return 0;
}
