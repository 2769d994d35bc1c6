/* Setting up what the processes of a tree share, and building it anew after one of them died while
 * it changed it. What counts then is what recovery after the death of a process would find: the
 * newest superblock says where the log begins, and every record from there to the first gap is
 * complete. Nobody else is in the state meanwhile; who commits or digests goes by what he has
 * locked, and looks at the tail anew before he frees anything. */
#include "nvm_internal.h"

#include "bytes.h"

uint64_t nvm__shared_bytes(uint32_t file_slots) {
    uint64_t bytes =
        sizeof(struct nvm_shared) + (uint64_t)file_slots * sizeof(struct nvm_shared_file);
    return (bytes + NVM_PAGE - 1) & ~(uint64_t)(NVM_PAGE - 1);
}

void nvm__start_at(struct nvm_shared *shared, const struct nvm_superblock *super) {
    shared->tail = shared->retired_at = super->tail;
    shared->tail_sequence = super->tail_sequence;
    atomic_store(&shared->retired, super->tail_sequence);
    shared->generation = super->generation - 1; /* that of the older copy, which is enough */
    shared->committed = super->tail_sequence - 1;
    shared->committed_at = super->tail;
    atomic_store(&shared->durable, shared->committed);
    shared->doubtful = 1;
}

void nvm__reset_shared(struct zio_nvm_pool *pool) {
    struct nvm_shared *shared = pool->shared;
    zio__zero_bytes(shared, nvm__shared_bytes(pool->file_slots));
    nvm__start_at(shared, &pool->super);
    shared->ring.head = pool->super.tail;
    shared->ring.next = pool->super.tail_sequence;
    atomic_store(&shared->appended, shared->committed);
}

/* A write that was cut short may have left records which would look good behind what comes next:
 * those of one group, with a pad before one of them. */
static void blot_out(struct zio_nvm_pool *pool, struct nvm_cursor end) {
    static const struct nvm_record nothing;
    uint64_t room = pool->ring_bytes - end.walked, at = end.at;
    if (room > 2 * NVM_GROUP_SPAN)
        room = 2 * NVM_GROUP_SPAN;
    for (uint64_t done = 0; done < room; done += NVM_LINE) {
        zio_pm_store(&pool->pm, pool->ring_offset + at, &nothing, sizeof nothing);
        at = at + NVM_LINE == pool->ring_bytes ? 0 : at + NVM_LINE;
    }
}

static int repair_files(struct zio_nvm_pool *pool) {
    for (uint32_t slot = 0; slot < pool->file_slots; slot++) {
        struct nvm_shared_file *file = &pool->shared->files[slot];
        uint32_t copy = 0, damaged = 0;
        if (nvm__choose_entry(pool, slot, &copy, &damaged) < 0)
            return -EIO;
        file->copy = copy;
        nvm__fetch_entry(&pool->files[slot]);
        const struct nvm_file_entry *entry = pool->files[slot].entry;
        if (entry->state != NVM_FILE_FREE && !atomic_load(&file->known)) {
            file->use = entry->use;
            file->device = entry->device;
            file->inode = entry->inode;
            atomic_store(&file->bytes, entry->bytes);
            atomic_store(&file->known, 1);
        }
        if (entry->state == NVM_FILE_FREE && !atomic_load(&file->left) && !file->altering)
            atomic_store(&file->known, 0);
        file->reserved_from = file->reserved_to = 0;
    }
    return 0;
}

static void count_free(struct zio_nvm_pool *pool) {
    uint64_t free = 0;
    for (uint64_t block = 0; block < pool->blocks; block++)
        free += pool->block_uses[block] == 0 && pool->block_owners[block] == 0;
    pool->shared->blocks_free = free;
}

void nvm__repair(struct zio_nvm_pool *pool) {
    struct nvm_shared *shared = pool->shared;
    struct nvm_superblock super;
    unsigned copy, damaged;
    if (nvm__newest_super(pool, &super, &copy, &damaged) < 0 || repair_files(pool) < 0) {
        atomic_store(&shared->failed, -EIO);
        return;
    }
    nvm__start_at(shared, &super);
    for (uint64_t block = 0; block < pool->blocks; block++)
        pool->block_uses[block] = 0;
    shared->blocks_free = 0; /* counted at the end */
    shared->log_data = 0;
    struct nvm_cursor cursor = {.at = super.tail, .sequence = super.tail_sequence};
    uint64_t newest = 0;
    struct nvm_cursor end = nvm__find_end(pool, cursor, &newest);
    const struct nvm_record *record;
    while (nvm__next_data(pool, &cursor, end.sequence, &record) > 0)
        nvm__count_record(pool, record);
    count_free(pool);
    blot_out(pool, end);
    shared->ring.head = end.at;
    shared->ring.next = end.sequence;
    shared->ring.used = end.walked;
    atomic_store(&shared->appended, end.sequence - 1);
    atomic_fetch_add(&shared->repairs, 1);
    atomic_store(&shared->pressed, 0); /* who appends looks anew */
}
