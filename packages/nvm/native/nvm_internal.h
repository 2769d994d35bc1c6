/* What the sources of the pool share. Locks, in the order in which they are taken: a file's, digest,
 * commit, table, index, state; the first two kinds and the last are of the whole tree (nvm_lock.c),
 * table and index of the process. Whoever holds one has blocked signals. Memory of the caller is
 * touched under a file's lock at most, for which only writers to that file wait. */
#ifndef ZIO_NVM_INTERNAL_H
#define ZIO_NVM_INTERNAL_H

#include <stdatomic.h>

#include <zio/lock.h>
#include <zio/nvm.h>
#include <zio/signals.h>
#include <zio/view_tree.h>

#include "nvm_format.h"
#include "nvm_persist.h"
#include "nvm_shared.h"

enum {
    NVM_INLINE_MAX = 2048, /* longer data go to blocks; staged on the stack, TRAPS 11 */
    NVM_GROUP_MAX = 16,    /* records of a write that come or go together */
    NVM_GROUP_SPAN = NVM_GROUP_MAX * NVM_LINE + NVM_INLINE_MAX + NVM_GROUP_MAX * NVM_LINE,
    NVM_COPY_MAX = 1 << 20,
    NVM_DRAM_LOG = 12 << 20, /* data that is logged before a digest, where it costs little */
    NVM_ELSEWHERE = -EREMOTE, /* others have the targets that cannot be opened here */
    NVM_COUNT_BYTES = sizeof(uint32_t) + sizeof(uint16_t), /* of a block */
};

/* A descriptor of ours in a table that belongs to the program, which may close any number. */
struct nvm_descriptor {
    _Atomic int number; /* -1: none */
    uint64_t device, inode;
};

/* What this process knows of a file; the rest is in `shared`. */
struct zio_nvm_file {
    struct zio_nvm_pool *pool;
    struct nvm_shared_file *shared;
    struct zio_view_tree tree; /* what of the file lies in the log: offset in file -> in pool */
    struct nvm_descriptor target;
    _Atomic bool is_other; /* the target is another file, found under the same name */
    _Atomic bool reads_only; /* the target is open for reading: this user may do no more */
    uint32_t slot;
    uint32_t users;                /* in this process; under the table's lock */
    uint32_t use;                  /* of the entry, that target and tree belong to */
    bool touched;                  /* by the digest that runs */
    uint64_t signals;              /* of who changes the target: the mask to restore */
    uint64_t records, logged_bytes; /* that a scan found */
    struct nvm_file_entry *entry;  /* a copy to work on; under the state lock */
};

/* What of the log the trees of this process hold. */
struct nvm_index {
    bool valid;
    uint64_t retired;              /* what they begin with */
    uint64_t at;                   /* where in the ring they end */
    _Atomic uint64_t sequence;     /* the next record that they lack */
};

/* From before_fork to after_fork: the member that the child will be. */
struct nvm_heir {
    bool ready;
    uint32_t slot, name;
    void *life;
    int descriptor;
};

/* The thread that digests in the background: nvm_worker.c. */
struct nvm_worker {
    struct zio_nvm_pool *pool; /* its own handle */
    unsigned char *memory;     /* stack and thread pointer; NULL: there is none */
    _Atomic int32_t thread;    /* 0 once it has ended */
    _Atomic int stop;
};

struct zio_nvm_pool {
    struct zio_pm pm;
    uint64_t bytes, mapped;
    uint64_t shared_offset, ring_offset, ring_bytes, data_offset;
    uint32_t file_slots, flags, seed;
    struct nvm_descriptor own; /* of the pool's file */
    int gate;                  /* while it is closed: the descriptor that holds it */
    char *path;                /* a copy, of NVM_PATH_BYTES */
    bool read_only, same_boot, sole; /* sole: it has no tree */
    uint8_t boot[16];
    uint8_t uuid[16];
    enum zio_nvm_medium medium;

    uint32_t slot, name;      /* of this member */
    void *life;               /* the mapping that keeps its lock */
    _Atomic uint64_t *sentinel; /* 0 in a child that was made behind our back */
    struct nvm_heir heir;
    struct nvm_worker worker;
    bool wants_worker; /* in a child too */
    bool background;   /* a worker is to be started by the first write */
    bool is_worker;
    bool closes; /* as the last one */
    bool guarded; /* whoever calls has blocked signals */
    bool one_fence; /* a commit waits for the medium once: what it covers has checksums */

    struct nvm_shared *shared;
    uint32_t *block_uses;   /* by the log; in the pool, behind the data */
    uint16_t *block_owners; /* member + 1 */
    uint64_t blocks;
    uint32_t *extent_blocks; /* of this process's extents, at the first block */

    struct nvm_superblock super; /* under the digest lock: what the newest copy says */
    unsigned super_copy;
    struct zio_nvm_file *files; /* by slot */
    struct zio_lock table_lock, index_lock, clear_lock;
    struct zio_slab nodes;
    struct nvm_index index;
};

#define nvm__at(pool, offset) ((void *)((pool)->pm.base + (offset)))

static inline struct nvm_member *nvm__self(struct zio_nvm_pool *pool) {
    return &pool->shared->members[pool->slot];
}

/* Whether records have checksums of the data that lie in blocks. */
static inline bool nvm__checks_data(const struct zio_nvm_pool *pool) {
    return pool->one_fence || pool->flags & NVM_FLAG_CHECKSUM_DATA;
}

/* The mask to restore. */
static inline uint64_t nvm__block_signals(const struct zio_nvm_pool *pool) {
    return pool->guarded ? 0 : zio_signals_block();
}

static inline void nvm__restore_signals(const struct zio_nvm_pool *pool, uint64_t mask) {
    if (!pool->guarded)
        zio_signals_restore(mask);
}

/* Loads that come before are done before those that come after. (ThreadSanitizer knows no fence.) */
static inline void nvm__loads_done(void) {
#if defined(__x86_64__)
    __asm__ volatile("" ::: "memory");
#else
    __asm__ volatile("dmb ishld" ::: "memory");
#endif
}

/* crc32c.c */
uint32_t nvm__crc32c(uint32_t crc, const void *data, size_t bytes);

/* nvm_problem.c */
int nvm__problem(struct zio_nvm_problem *problem, enum zio_nvm_problem_kind kind, int code,
                 uint64_t offset, const char *text);
int nvm__system(struct zio_nvm_problem *problem, int code, const char *action, const char *path);

/* nvm_descriptor.c */
/* Takes over fd, which is moved to a high number. 0 or what was wrong with fd. */
int nvm__keep(struct nvm_descriptor *kept, long fd);
/* The same, where it is: for a file on which the program may hold record locks. */
int nvm__keep_at(struct nvm_descriptor *kept, long fd);
bool nvm__is_kept(const struct nvm_descriptor *kept);
void nvm__drop(struct nvm_descriptor *kept);
void nvm__descriptor_path(int fd, char path[32]);
/* Another description of the same file, to read and write. */
long nvm__reopen(int fd);
/* Whether there may be a record lock, of this process perhaps, on the file behind a descriptor. */
bool nvm__has_locks(int fd);

/* nvm_map.c: the pool's file */
int nvm__open_file(struct zio_nvm_pool *pool, const char *path, struct zio_nvm_problem *problem);
int nvm__map_file(struct zio_nvm_pool *pool, struct zio_nvm_problem *problem);
int nvm__find_medium(struct zio_nvm_pool *pool, int fd, const char *path,
                     struct zio_nvm_problem *problem);
int nvm__map(struct zio_nvm_pool *pool, int fd, uint64_t bytes, struct zio_nvm_problem *problem);
void nvm__unmap(struct zio_nvm_pool *pool);
void nvm__read_boot(uint8_t boot[16]);

/* nvm_lock.c */
uint32_t nvm__lock_name(uint32_t slot, uint32_t incarnation);
void nvm__lock(struct zio_nvm_pool *pool, struct nvm_lock *lock);
bool nvm__try_lock(struct zio_nvm_pool *pool, struct nvm_lock *lock);
void nvm__unlock(struct nvm_lock *lock);
/* The state lock, with what a dead holder left put right. Returns the mask of signals. */
uint64_t nvm__enter_state(struct zio_nvm_pool *pool);
void nvm__leave_state(struct zio_nvm_pool *pool, uint64_t mask);

/* nvm_member.c */
/* Keeps everybody else from opening and closing. */
int nvm__close_gate(struct zio_nvm_pool *pool, struct zio_nvm_problem *problem);
void nvm__open_gate(struct zio_nvm_pool *pool);
/* Under the gate: whether there is a member that lives, this one apart; *pid is one's. */
bool nvm__has_members(struct zio_nvm_pool *pool, int32_t *pid);
int nvm__look_lock(struct zio_nvm_pool *pool, struct zio_nvm_problem *problem);
bool nvm__keeps_locks(int fd);
int nvm__join(struct zio_nvm_pool *pool);
/* Gives back what this member holds. */
void nvm__clear_self(struct zio_nvm_pool *pool);
bool nvm__is_dead(struct zio_nvm_pool *pool, uint32_t slot);
/* Takes back what dead members held. Not under the state lock. */
void nvm__clear_dead(struct zio_nvm_pool *pool);
/* The verified number of the pool's own descriptor, opened anew where it was lost; -1. */
int nvm__own_number(struct zio_nvm_pool *pool);

/* nvm_repair.c */
uint64_t nvm__shared_bytes(uint32_t file_slots);
/* Under the gate, without members: the state that follows from superblock and entries. */
void nvm__reset_shared(struct zio_nvm_pool *pool);
void nvm__start_at(struct nvm_shared *shared, const struct nvm_superblock *super);
/* Under the state lock, after a holder died: the state that follows from the log. */
void nvm__repair(struct zio_nvm_pool *pool);

/* nvm_super.c */
int nvm__check_header(struct zio_nvm_pool *pool, uint64_t file_bytes, uint32_t *repaired,
                      struct zio_nvm_problem *problem);
/* The newest good copy; -EIO where none is. */
int nvm__newest_super(const struct zio_nvm_pool *pool, struct nvm_superblock *super, unsigned *copy,
                      unsigned *damaged);
int nvm__choose_super(struct zio_nvm_pool *pool, uint32_t *repaired,
                      struct zio_nvm_problem *problem);
int nvm__write_super(struct zio_nvm_pool *pool); /* both copies, one after the other */
uint32_t nvm__header_crc(const struct nvm_header *header);

/* nvm_files.c: under the state lock */
/* What this process has of its own; `load`: and the shared part, from the entries. */
int nvm__init_files(struct zio_nvm_pool *pool, bool load, uint32_t *repaired,
                    struct zio_nvm_problem *problem);
/* The newest good copy of a slot's entry; -EIO. */
int nvm__choose_entry(struct zio_nvm_pool *pool, uint32_t slot, uint32_t *copy, uint32_t *damaged);
void nvm__fetch_entry(struct zio_nvm_file *file); /* into file->entry */
int nvm__write_entry(struct zio_nvm_file *file);  /* from there */
/* Nothing of the file is in the log, and recovery is not to look for it. */
int nvm__free_entry(struct zio_nvm_file *file);
uint64_t nvm__device_of_stat(uint64_t device);
int nvm__note_target(struct zio_nvm_file *file); /* remembers what the target looks like now */
int nvm__check_target(struct zio_nvm_file *file, bool accept_changed,
                      struct zio_nvm_problem *problem);
int nvm__open_target(struct zio_nvm_file *file, struct zio_nvm_problem *problem);
/* The same for reading, where the user may not write to it. */
int nvm__open_target_to_read(struct zio_nvm_file *file);
bool nvm__has_target(const struct zio_nvm_file *file);
int nvm__forget_file(struct zio_nvm_file *file);
bool nvm__is_used(const struct nvm_shared_file *shared);

/* nvm_mark.c: with the target open */
void nvm__mark_target(const struct zio_nvm_file *file);
void nvm__unmark_target(const struct zio_nvm_file *file);

/* nvm_reserve.c: under the state lock */
/* How much of a file that grows is allocated ahead of its end. */
uint64_t nvm__space_ahead(const struct zio_nvm_pool *pool);
int nvm__reserve(struct zio_nvm_file *file, uint64_t offset, uint64_t length);
void nvm__trim_target(struct zio_nvm_file *file);
/* fallocate(2) of the open target, which keeps its size and its time of modification. */
int nvm__allocate_space(struct zio_nvm_file *file, uint64_t from, uint64_t length);
bool nvm__exceeds_limit(uint64_t end);

/* nvm_ahead.c */
/* Whether the worker is to allocate more for it. Under the state lock. */
bool nvm__lacks_space(const struct zio_nvm_file *file);
/* Under the digest lock. One step for each file: how many took one, or an error. */
int nvm__reserve_ahead(struct zio_nvm_pool *pool);
int nvm__end_abandoned(struct zio_nvm_pool *pool);

/* nvm_blocks.c */
uint64_t nvm__count_blocks(uint64_t data_bytes);
int nvm__init_blocks(struct zio_nvm_pool *pool);
void nvm__clear_counts(struct zio_nvm_pool *pool);
/* Under the state lock. */
void nvm__use_blocks(struct zio_nvm_pool *pool, uint64_t data, uint64_t length);
void nvm__leave_blocks(struct zio_nvm_pool *pool, uint64_t data, uint64_t length);
void nvm__disown(struct zio_nvm_pool *pool, uint64_t token);
void nvm__disown_all(struct zio_nvm_pool *pool, uint32_t slot);

/* nvm_scan.c: the records of the ring, in order */
struct nvm_cursor {
    uint64_t at, sequence; /* of the next record */
    uint64_t walked;       /* bytes */
    uint32_t damaged;      /* commits that were passed over */
    bool twin_next;        /* the last record was the first of a pair of commits */
};
/* 1 and *record where a valid record comes next, and the cursor passes it; else 0. */
int nvm__next_record(const struct zio_nvm_pool *pool, struct nvm_cursor *cursor,
                     const struct nvm_record **record);
/* The same for the next record of data before `end`: 1, 0 at the end, or -EIO. */
int nvm__next_data(const struct zio_nvm_pool *pool, struct nvm_cursor *cursor, uint64_t end,
                   const struct nvm_record **record);
/* From the cursor on, the end of the last write that is complete. */
struct nvm_cursor nvm__find_end(const struct zio_nvm_pool *pool, struct nvm_cursor cursor,
                                uint64_t *newest);
struct nvm_scan {
    struct nvm_cursor end; /* after the last record that counts */
    uint64_t committed;    /* the last sequence number that a commit covers */
    uint64_t records, bytes, dropped, newest;
};
struct nvm_visitor {
    int (*visit)(void *context, const struct zio_nvm_good_record *record);
    void *context;
};
/* Finds out what counts and checks it. Without a visitor what is found is counted in the pool. */
int nvm__scan(struct zio_nvm_pool *pool, bool same_boot, struct nvm_scan *scan,
              const struct nvm_visitor *visitor, struct zio_nvm_problem *problem);
/* Counts a record of data in the state. */
void nvm__count_record(struct zio_nvm_pool *pool, const struct nvm_record *record);

/* nvm_stage.c */
/* A record to be. */
struct nvm_staged {
    uint64_t data, length; /* data: in the pool; inline: in the staging buffer, later in the ring */
    uint32_t crc;
    uint16_t kind;
    bool own; /* the extent was made for this write */
};

struct nvm_group {
    struct nvm_staged records[NVM_GROUP_MAX];
    unsigned count;
    uint32_t staged;
    uint64_t bytes, sequence; /* sequence: of the record after it */
    uint64_t now_ns;          /* 0: to be asked for */
    unsigned char staging[NVM_INLINE_MAX];
};

/* Fills a group from piece *index, byte *done on. */
int nvm__stage_group(struct zio_nvm_pool *pool, struct nvm_group *group,
                     const struct zio_storage_piece *pieces, size_t count, size_t *index,
                     uint64_t *done);

/* nvm_append.c */
/* Appends a staged group; waits for digests. Under the file's lock. */
int nvm__append(struct zio_nvm_file *file, int64_t offset, struct nvm_group *group,
                uint64_t *where);
/* Whether it is time for a digest. Under the state lock. */
bool nvm__is_pressed(const struct zio_nvm_pool *pool);
void nvm__put_record(struct zio_nvm_pool *pool, struct nvm_record *record, const void *inline_data);

/* nvm_log.c */
uint32_t nvm__record_crc(const struct zio_nvm_pool *pool, const struct nvm_record *record,
                         const void *inline_data);
/* Blocks signals and takes the file's lock, with what a dead holder left put right. */
uint64_t nvm__lock_file(struct zio_nvm_file *file);
void nvm__unlock_file(struct zio_nvm_file *file, uint64_t mask);
/* zio_nvm_log under the file's lock; *sequence is that of the next record. */
ssize_t nvm__log(struct zio_nvm_file *file, int64_t offset, uint64_t now_ns,
                 const struct zio_storage_piece *pieces, size_t count, uint64_t *where,
                 uint64_t *sequence);

/* nvm_commit.c */
int nvm__commit(struct zio_nvm_pool *pool);

/* nvm_apply.c */
/* The pool is about to change the target: under the state lock; and it has, and syncs it. */
int nvm__mark_file(struct zio_nvm_file *file);
int nvm__sync_file(struct zio_nvm_file *file);
int nvm__apply(struct zio_nvm_pool *pool, struct nvm_cursor end, bool accept_changed,
               struct zio_nvm_problem *problem);
int nvm__forget_files(struct zio_nvm_pool *pool);
int nvm__retire(struct zio_nvm_pool *pool, struct nvm_cursor end, uint64_t next);
int nvm__digest_locked(struct zio_nvm_pool *pool, struct zio_nvm_problem *problem);

/* nvm_read.c */
/* The number of the target's descriptor, opened anew where the program closed it, or an error. */
int nvm__target_number(struct zio_nvm_file *file);

/* nvm_index.c */
/* Brings the trees up to date. Returns the sequence number with which they begin. */
int nvm__catch_up(struct zio_nvm_pool *pool, uint64_t *retired);

/* nvm_worker.c */
void nvm__start_worker(struct zio_nvm_pool *pool);
void nvm__stop_worker(struct zio_nvm_pool *pool);
/* Until the next write. */
void nvm__pause_worker(struct zio_nvm_pool *pool);
void nvm__free_worker(struct nvm_worker *worker);
void nvm__call_workers(struct zio_nvm_pool *pool, bool all);

/* Whether the caller may change the pool: 0, the error that ended it, or ZIO_ENOTSUP in a child. */
int nvm__usable(struct zio_nvm_pool *pool);

/* nvm_change.c: under the file's lock, after the kernel changed the target. */
int nvm__look_anew(struct zio_nvm_file *file, const char *path);

#endif
