/* Space ahead of the end of a file: allocated by the worker, what it left behind where its process
 * died in the middle, and changes by the kernel that come at the same time.
 *
 * usage: ahead_test DIRECTORY */
#include "ahead.h"
#include "support.h"

enum { POOL = 4 << 20, RING = 64 << 10, LONG_SECONDS = 20 };

static unsigned char bytes[100 << 10];

static uint64_t allocated(void) {
    struct stat found;
    ASSERT_EQUAL(stat(file_path, &found), 0);
    return (uint64_t)found.st_blocks * 512;
}

/* The entry as recovery would find it. */
static uint32_t state_of(struct zio_nvm_file *file) {
    nvm__fetch_entry(file);
    return file->entry->state;
}

static void the_worker_allocates_what_is_lacking(struct zio_nvm_file *file) {
    struct nvm_shared_file *shared = file->shared;
    ASSERT_EQUAL(log_plain(file, -1, bytes, 5000), 5000);
    ASSERT(!nvm__lacks_space(file));
    uint64_t before = allocated();
    ASSERT_EQUAL(nvm__reserve_ahead(file->pool), 0);
    ASSERT_EQUAL(allocate_ahead(file), 1);
    ASSERT(!nvm__lacks_space(file));
    ASSERT_EQUAL(shared->reserved_to - atomic_load(&shared->bytes), nvm__space_ahead(file->pool));
    ASSERT_COMPARE(allocated(), >=, before);
    ASSERT_COMPARE(allocated(), >=, nvm__space_ahead(file->pool));
    ASSERT_EQUAL(atomic_load(&shared->digesting), 0);
    ASSERT_EQUAL(state_of(file), NVM_FILE_USED);
}

/* As a worker leaves it that is killed while the kernel allocates. */
static void die_while_allocating(struct zio_nvm_file *file) {
    uint64_t mask = nvm__enter_state(file->pool);
    ASSERT_EQUAL(nvm__mark_file(file), 0);
    nvm__leave_state(file->pool, mask);
    ASSERT_EQUAL(state_of(file), NVM_FILE_CHANGING);
}

static void a_change_waits_for_nobody_who_is_dead(struct zio_nvm_file *file) {
    ASSERT_EQUAL(told(zio_nvm_digest(file->pool, &problem)), 0);
    die_while_allocating(file);
    ASSERT_EQUAL(zio_nvm_begin_change(file), 0);
    ASSERT_EQUAL(truncate(file_path, 100), 0);
    ASSERT_EQUAL(zio_nvm_end_change(file, NULL), 0);
    ASSERT_EQUAL(state_of(file), NVM_FILE_USED);
    ASSERT_EQUAL(zio_nvm_file_bytes(file), 100);
}

/* Its time is noted anew, or the whole tree's death would be taken for a change by somebody else. */
static void what_a_dead_worker_marked_is_looked_at(struct zio_nvm_file *file) {
    ASSERT_EQUAL(log_plain(file, -1, bytes, 300), 300);
    ASSERT_EQUAL(told(zio_nvm_digest(file->pool, &problem)), 0);
    die_while_allocating(file);
    ASSERT_EQUAL(told(zio_nvm_digest(file->pool, &problem)), 0);
    ASSERT_EQUAL(atomic_load(&file->shared->digesting), 0);
    ASSERT_EQUAL(state_of(file), NVM_FILE_USED);
}

static void nothing_is_allocated_during_a_change(struct zio_nvm_file *file) {
    ASSERT_EQUAL(zio_nvm_begin_change(file), 0);
    ASSERT_EQUAL(allocate_ahead(file), 0);
    ASSERT_EQUAL(state_of(file), NVM_FILE_FREE);
    ASSERT_EQUAL(zio_nvm_end_change(file, NULL), 0);
}

/* The path leads elsewhere: the writer allocates with the descriptor that it has. */
static void a_file_that_cannot_be_had_is_left_to_its_writer(struct zio_nvm_file *file) {
    char moved[600];
    snprintf(moved, sizeof moved, "%s.moved", file_path);
    ASSERT_EQUAL(log_plain(file, -1, bytes, 3000), 3000);
    ASSERT_EQUAL(rename(file_path, moved), 0);
    nvm__drop(&file->target);
    ASSERT_EQUAL(allocate_ahead(file), 0);
    ASSERT(!nvm__lacks_space(file));
    ASSERT_EQUAL(atomic_load(&file->shared->digesting), 0);
    ASSERT_EQUAL(rename(moved, file_path), 0);
    ASSERT_EQUAL(log_plain(file, -1, bytes, sizeof bytes), sizeof bytes);
}

/* Nothing has been logged to it, so its time is what the target says. */
static void to_allocate_is_no_write(void) {
    const struct timespec long_ago[2] = {{.tv_sec = 749389}, {.tv_sec = 749389}};
    struct stat found;
    create_pool(POOL, RING, 1, false);
    struct zio_nvm_pool *pool = open_pool();
    int fd = open(file_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ASSERT_EQUAL(write(fd, bytes, 3000), 3000);
    ASSERT_EQUAL(futimens(fd, long_ago), 0);
    struct zio_nvm_file *file = attach_path(pool, file_path);
    file->shared->reserved_from = 0; /* as after a write before its end */
    ASSERT_EQUAL(allocate_ahead(file), 1);
    ASSERT_EQUAL(fstat(fd, &found), 0);
    ASSERT_EQUAL(found.st_mtim.tv_sec, 749389);
    ASSERT_EQUAL(told(zio_nvm_close(pool, &problem)), 0);
    close(fd);
    unlink(pool_path);
    unlink(file_path);
}

int main(int count, char **arguments) {
    ASSERT_EQUAL(count, 2);
    make_directory(arguments[1]);
    alarm(LONG_SECONDS);
    to_allocate_is_no_write();
    create_pool(POOL, RING, 2, false);
    struct zio_nvm_pool *pool = open_pool();
    struct zio_nvm_file *file = attach_path(pool, file_path);
    the_worker_allocates_what_is_lacking(file);
    a_change_waits_for_nobody_who_is_dead(file);
    what_a_dead_worker_marked_is_looked_at(file);
    nothing_is_allocated_during_a_change(file);
    a_file_that_cannot_be_had_is_left_to_its_writer(file);
    ASSERT_EQUAL(told(zio_nvm_close(pool, &problem)), 0);
    remove_directory();
    return 0;
}
