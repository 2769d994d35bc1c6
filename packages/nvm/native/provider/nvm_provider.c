/* The pool as a storage provider: libzio-nvm.so. It is loaded into programs, below their malloc, so
 * it needs no library and exports nothing but the table. */
#include <zio/nvm.h>
#include <zio/storage.h>
#include <zio/syscall.h>

#include "bytes.h"
#include "nvm_internal.h"

static struct zio_nvm_pool *pool_of(const struct zio_storage_pool *pool) {
    return (struct zio_nvm_pool *)pool;
}

static struct zio_nvm_file *file_of(const struct zio_storage_file *file) {
    return (struct zio_nvm_file *)file;
}

static size_t add_text(struct zio_storage_refusal *refusal, size_t at, const char *text) {
    for (; text && *text && at + 1 < sizeof refusal->text; text++)
        refusal->text[at++] = *text == '\n' ? ' ' : *text;
    refusal->text[at] = 0;
    return at;
}

static size_t add_number(struct zio_storage_refusal *refusal, size_t at, uint64_t number) {
    char digits[21];
    int count = 20;
    digits[20] = 0;
    do
        digits[--count] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return add_text(refusal, at, digits + count);
}

/* One line: what, where, and for a failed system call which and with what result. */
static void refuse(struct zio_storage_refusal *refusal, const struct zio_nvm_problem *problem) {
    if (!refusal)
        return;
    size_t at = add_text(refusal, 0, problem->path);
    at = add_text(refusal, at, problem->path[0] ? ": " : "");
    if (problem->kind == ZIO_NVM_SYSTEM) {
        at = add_text(refusal, at, problem->action);
        at = add_text(refusal, at, " failed with errno ");
        add_number(refusal, at, (uint64_t)-problem->code);
        return;
    }
    at = add_text(refusal, at, zio_nvm_problem_text(problem->kind));
    if (problem->owner_pid > 0) {
        at = add_text(refusal, at, " ");
        add_number(refusal, at, (uint64_t)problem->owner_pid);
    } else if (problem->offset > 0) {
        at = add_text(refusal, at, " (at offset ");
        at = add_number(refusal, at, problem->offset);
        add_text(refusal, at, ")");
    }
}

static int open_pool(const struct zio_storage_options *options, struct zio_storage_pool **pool,
                     struct zio_storage_refusal *refusal) {
    /* Too large for the stack of a thread that may be anyone's. */
    struct zio_nvm_problem *problem = zio_pages_alloc(sizeof *problem);
    if (!problem)
        return ZIO_ENOMEM;
    struct zio_nvm_pool *opened = NULL;
    struct zio_nvm_open_options how = {.tree = options->tree, .background = true, .signals_blocked = true};
    int result = zio_nvm_open(options->path, &how, &opened, NULL, problem);
    if (result == ZIO_ENOENT && problem->kind == ZIO_NVM_SYSTEM && options->bytes > 0) {
        struct zio_nvm_create_options create = {.bytes = options->bytes & ~(uint64_t)4095,
                                                .checksum_data = options->checks_data};
        result = zio_nvm_create(options->path, &create, problem);
        if (result == 0 || result == ZIO_EEXIST)
            result = zio_nvm_open(options->path, &how, &opened, NULL, problem);
    }
    if (result < 0)
        refuse(refusal, problem);
    else
        *pool = (struct zio_storage_pool *)opened;
    zio_pages_free(problem, sizeof *problem);
    return result;
}

static int close_pool(struct zio_storage_pool *pool) {
    bool last;
    int result = zio_nvm_close_telling(pool_of(pool), &last, NULL);
    return result < 0 ? result : last;
}

static uint64_t pool_capabilities(const struct zio_storage_pool *pool) {
    const struct zio_nvm_pool *opened = pool_of(pool);
    uint64_t capabilities = ZIO_STORAGE_SURVIVES_PROCESS | ZIO_STORAGE_LOGS_FILES;
    if (opened->medium != ZIO_NVM_MEDIUM_DRAM)
        capabilities |= ZIO_STORAGE_SURVIVES_POWER;
    if (opened->pm.flush != ZIO_PM_MSYNC)
        capabilities |= ZIO_STORAGE_TAKES_INPUT;
    if (opened->flags & NVM_FLAG_CHECKSUM_DATA)
        capabilities |= ZIO_STORAGE_CHECKS_DATA;
    return capabilities;
}

static int allocate(struct zio_storage_pool *pool, size_t bytes,
                    struct zio_storage_extent *extent) {
    return zio_nvm_allocate(pool_of(pool), bytes, extent);
}

static void release(struct zio_storage_pool *pool, uint64_t token) {
    zio_nvm_release(pool_of(pool), token);
}

static int persist(struct zio_storage_pool *pool, uint64_t token, size_t offset, size_t bytes) {
    return zio_nvm_persist(pool_of(pool), token, offset, bytes);
}

static int attach(struct zio_storage_pool *pool, int descriptor, const char *path,
                  struct zio_storage_file **file) {
    struct zio_nvm_file *attached;
    int result = zio_nvm_attach(pool_of(pool), descriptor, path, &attached, NULL);
    if (result == 0)
        *file = (struct zio_storage_file *)attached;
    return result;
}

static int find(struct zio_storage_pool *pool, uint64_t device, uint64_t inode,
                struct zio_storage_file **file) {
    struct zio_nvm_file *found;
    int result = zio_nvm_find(pool_of(pool), device, inode, &found);
    if (result == 0)
        *file = (struct zio_storage_file *)found;
    return result;
}

static int detach(struct zio_storage_file *file) {
    return zio_nvm_detach(file_of(file));
}

static ssize_t log_pieces(struct zio_storage_file *file, struct zio_storage_place place,
                          const struct zio_storage_piece *pieces, size_t count,
                          uint64_t *sequence) {
    return zio_nvm_log_at(file_of(file), place, pieces, count, sequence);
}

static ssize_t read_pieces(struct zio_storage_file *file, struct zio_storage_place place,
                           const struct iovec *pieces, size_t count) {
    return zio_nvm_read_at(file_of(file), place, pieces, count);
}

/* The log is one: whatever came before is durable too. */
static int sync_file(struct zio_storage_file *file, int data_only) {
    (void)data_only;
    return zio_nvm_sync(file_of(file)->pool);
}

static int status_of(struct zio_storage_file *file, struct zio_storage_status *status) {
    return zio_nvm_status(file_of(file), status);
}

static uint64_t retired(struct zio_storage_pool *pool) {
    return zio_nvm_retired(pool_of(pool));
}

static int settle(struct zio_storage_file *file) {
    return zio_nvm_settle(file_of(file));
}

static int settle_all(struct zio_storage_pool *pool) {
    return zio_nvm_settle_all(pool_of(pool));
}

static void quiesce(struct zio_storage_pool *pool) {
    nvm__pause_worker(pool_of(pool));
}

static int begin_change(struct zio_storage_file *file) {
    return zio_nvm_begin_change(file_of(file));
}

static int end_change(struct zio_storage_file *file, const char *path) {
    return zio_nvm_end_change(file_of(file), path);
}

static int leave(struct zio_storage_file *file) {
    return zio_nvm_leave(file_of(file));
}

static void usage_of(struct zio_storage_pool *pool, struct zio_storage_usage *usage) {
    struct zio_nvm_stats stats;
    zio_nvm_stats(pool_of(pool), &stats);
    usage->bytes = stats.data_bytes;
    usage->used_bytes = stats.data_bytes - stats.data_free;
    usage->log_bytes = stats.ring_bytes;
    usage->used_log_bytes = stats.ring_used;
    usage->logged_bytes = stats.appended_bytes;
    usage->referenced_bytes = stats.referenced_bytes;
    usage->digested_bytes = stats.digested_bytes;
    usage->waits = stats.waits;
}

static void before_fork(struct zio_storage_pool *pool) {
    zio_nvm_before_fork(pool_of(pool));
}

static void after_fork(struct zio_storage_pool *pool, int child) {
    zio_nvm_after_fork(pool_of(pool), child != 0);
}

__attribute__((visibility("default"))) extern const struct zio_storage zio_storage;
const struct zio_storage zio_storage = {
    .abi_version = ZIO_STORAGE_ABI_VERSION,
    .table_bytes = sizeof(struct zio_storage),
    .capabilities = ZIO_STORAGE_SURVIVES_PROCESS | ZIO_STORAGE_SURVIVES_POWER |
                    ZIO_STORAGE_LOGS_FILES | ZIO_STORAGE_CHECKS_DATA |
                    ZIO_STORAGE_TAKES_INPUT,
    .name = "nvm",
    .open = open_pool,
    .close = close_pool,
    .pool_capabilities = pool_capabilities,
    .allocate = allocate,
    .release = release,
    .persist = persist,
    .attach = attach,
    .find = find,
    .detach = detach,
    .log = log_pieces,
    .read = read_pieces,
    .sync = sync_file,
    .status = status_of,
    .retired = retired,
    .settle = settle,
    .begin_change = begin_change,
    .end_change = end_change,
    .leave = leave,
    .usage = usage_of,
    .before_fork = before_fork,
    .after_fork = after_fork,
    .settle_all = settle_all,
    .quiesce = quiesce,
};
