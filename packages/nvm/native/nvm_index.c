/* What of the files lies in the log, as this process knows it: trees that follow from the records,
 * read on when somebody reads. Once the log's beginning has moved they are made anew from there. */
#include "nvm_internal.h"


enum { CATCH_ATTEMPTS = 4 };

static void clear_trees(struct zio_nvm_pool *pool) {
    for (uint32_t slot = 0; slot < pool->file_slots; slot++)
        zio_view_tree_clear(&pool->files[slot].tree);
}

/* Records between the two lie still, unless the log is retired beyond them meanwhile. */
static int add_records(struct zio_nvm_pool *pool, struct nvm_cursor *cursor, uint64_t end) {
    const struct nvm_record *record;
    int result;
    while ((result = nvm__next_data(pool, cursor, end, &record)) > 0) {
        struct zio_nvm_file *file = &pool->files[record->slot];
        if (file->users == 0)
            continue;
        result = zio_view_tree_insert(&file->tree, record->offset, record->length, 1, record->data,
                                      0);
        if (result < 0)
            return result;
    }
    return result;
}

/* Under the index's lock. Whether the trees are those of the log as it was when this began. */
static bool read_on(struct zio_nvm_pool *pool, int *result) {
    struct nvm_shared *shared = pool->shared;
    struct nvm_index *index = &pool->index;
    uint64_t mask = nvm__enter_state(pool);
    uint64_t end = shared->ring.next, retired = atomic_load(&shared->retired);
    struct nvm_cursor start = {.at = shared->retired_at, .sequence = retired};
    nvm__leave_state(pool, mask);
    if (index->valid && index->retired == retired) {
        start.at = index->at;
        start.sequence = atomic_load(&index->sequence);
    } else {
        clear_trees(pool);
    }
    index->valid = false;
    *result = add_records(pool, &start, end);
    nvm__loads_done();
    if (*result < 0 || atomic_load(&shared->retired) != retired)
        return false;
    index->at = start.at;
    index->retired = retired;
    index->valid = true;
    atomic_store(&index->sequence, start.sequence);
    return true;
}

static bool is_up_to_date(struct zio_nvm_pool *pool) {
    return pool->index.valid && pool->index.retired == atomic_load(&pool->shared->retired) &&
           atomic_load(&pool->index.sequence) > atomic_load(&pool->shared->appended);
}

int nvm__catch_up(struct zio_nvm_pool *pool, uint64_t *retired) {
    int result = 0;
    uint64_t mask = nvm__block_signals(pool);
    zio_lock_shared(&pool->index_lock);
    bool good = is_up_to_date(pool);
    *retired = pool->index.retired;
    zio_unlock_shared(&pool->index_lock);
    if (!good) {
        zio_lock_exclusive(&pool->index_lock);
        good = is_up_to_date(pool);
        for (int attempt = 0; attempt < CATCH_ATTEMPTS && !good; attempt++)
            good = read_on(pool, &result);
        *retired = pool->index.retired;
        zio_unlock_exclusive(&pool->index_lock);
    }
    nvm__restore_signals(pool, mask);
    return good ? 0 : result < 0 && result != -EIO ? result : ZIO_EAGAIN;
}
