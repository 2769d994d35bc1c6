/* What the sources of the pool share. Locks, in the order in which they are taken: append (of a
 * file), digest, table, file, commit, log, tree (of a file), blocks. Whoever holds one has blocked
 * signals. Memory of the caller is touched under the first at most, for which only appends wait. */
#ifndef ZIO_NVM_INTERNAL_H
#define ZIO_NVM_INTERNAL_H

#include <stdatomic.h>

#include <zio/lock.h>
#include <zio/nvm.h>
#include <zio/view_tree.h>

#include "nvm_format.h"
#include "nvm_persist.h"

enum {
    NVM_INLINE_MAX = 2048, /* longer data go to blocks; staged on the stack, TRAPS 11 */
    NVM_GROUP_MAX = 16,    /* records of a write that come or go together */
    NVM_COPY_MAX = 1 << 20,
};

/* Crossed by readers; what they may still look at is not given back before they are through. */
struct nvm_gate {
    _Atomic uint32_t phase;
    _Atomic uint32_t readers[2];
};

struct zio_nvm_file {
    struct zio_nvm_pool *pool;
    struct zio_lock position_lock; /* outermost: of descriptors, by those who go by them */
    struct zio_lock append_lock;   /* these two are the only ones under which memory is touched */
    struct zio_lock lock;        /* orders writes; what is reserved */
    struct zio_lock tree_lock;
    struct zio_view_tree tree; /* what of the file lies in the log: offset in file -> in pool */
    _Atomic uint64_t bytes;    /* as readers see it */
    uint64_t reserved_from, reserved_to; /* the target has blocks there */
    uint32_t slot;
    uint32_t users;
    int descriptor;                 /* -1: not open */
    bool touched;                   /* by the digest that runs */
    bool changing;                  /* the digest is writing to the target; under the file's lock */
    bool known;                     /* it has an entry; under the table's lock */
    _Atomic bool left;              /* to the kernel, until nobody uses it any more */
    uint64_t signals;               /* of who changes the target: the mask to restore */
    uint64_t device, inode;         /* as stat gives them */
    _Atomic uint64_t modified_ns;   /* when it was last logged to; 0: what the target says */
    unsigned copy;                  /* of the entry, the newest */
    _Atomic uint64_t last_sequence; /* of its newest record */
    uint64_t records, logged_bytes; /* that a scan found */
    struct nvm_file_entry *entry;   /* the volatile copy of what is in the pool */
};

struct nvm_ring {
    uint64_t head; /* where the next record comes */
    uint64_t next; /* its sequence number */
    uint64_t used; /* bytes from the tail that readers have left */
};

struct zio_nvm_pool {
    struct zio_pm pm;
    uint64_t bytes, mapped;
    uint64_t ring_offset, ring_bytes, data_offset;
    uint32_t file_slots, flags, seed;
    int descriptor;
    int32_t pid;
    uint64_t device, inode;
    bool read_only, same_boot;
    uint64_t generation; /* of the superblock, for records; under the log's lock */
    uint8_t boot[16];
    uint8_t uuid[16];
    enum zio_nvm_medium medium;

    struct zio_lock digest_lock, table_lock, commit_lock, log_lock, blocks_lock;
    struct nvm_ring ring;
    uint64_t committed, committed_at;   /* last durable sequence; where in the ring the next lies */
    _Atomic uint64_t durable, appended; /* the same for whoever holds no lock */
    _Atomic uint64_t retired;           /* everything before it was applied */
    _Atomic int failed;
    _Atomic uint32_t staged;     /* extents with data of writes that are not logged yet */
    struct nvm_superblock super; /* what the newest copy says */
    unsigned super_copy;

    uint32_t *block_uses, *extent_blocks; /* by block; the second at the first block of an extent */
    uint64_t blocks, blocks_free, block_hint;
    struct zio_nvm_file *files; /* by slot */
    struct zio_slab nodes;
    struct nvm_gate gate;

    _Atomic uint64_t appended_bytes, referenced_bytes, digested_bytes, commits, digests, waits;
};

#define nvm__at(pool, offset) ((void *)((pool)->pm.base + (offset)))

/* crc32c.c */
uint32_t nvm__crc32c(uint32_t crc, const void *data, size_t bytes);

/* nvm_problem.c */
int nvm__problem(struct zio_nvm_problem *problem, enum zio_nvm_problem_kind kind, int code,
                 uint64_t offset, const char *text);
int nvm__system(struct zio_nvm_problem *problem, int code, const char *action, const char *path);

/* nvm_map.c: the pool's file */
int nvm__map_file(struct zio_nvm_pool *pool, const char *path, struct zio_nvm_problem *problem);
int nvm__find_medium(struct zio_nvm_pool *pool, const char *path, struct zio_nvm_problem *problem);
int nvm__map(struct zio_nvm_pool *pool, uint64_t bytes, struct zio_nvm_problem *problem);
void nvm__unmap(struct zio_nvm_pool *pool);
void nvm__read_boot(uint8_t boot[16]);

/* nvm_super.c */
int nvm__check_header(struct zio_nvm_pool *pool, uint64_t file_bytes, uint32_t *repaired,
                      struct zio_nvm_problem *problem);
int nvm__choose_super(struct zio_nvm_pool *pool, uint32_t *repaired,
                      struct zio_nvm_problem *problem);
int nvm__write_super(struct zio_nvm_pool *pool); /* both copies, one after the other */
uint32_t nvm__header_crc(const struct nvm_header *header);

/* nvm_files.c */
int nvm__load_files(struct zio_nvm_pool *pool, uint32_t *repaired, struct zio_nvm_problem *problem);
int nvm__write_entry(struct zio_nvm_file *file);
int nvm__note_target(struct zio_nvm_file *file); /* remembers what the target looks like now */
int nvm__check_target(struct zio_nvm_file *file, bool accept_changed,
                      struct zio_nvm_problem *problem);
int nvm__open_target(struct zio_nvm_file *file, struct zio_nvm_problem *problem);
void nvm__forget_file(struct zio_nvm_file *file);
int nvm__reserve(struct zio_nvm_file *file, uint64_t offset, uint64_t length);

/* nvm_blocks.c */
int nvm__init_blocks(struct zio_nvm_pool *pool);
void nvm__use_blocks(struct zio_nvm_pool *pool, uint64_t data, uint64_t length);
void nvm__leave_blocks(struct zio_nvm_pool *pool, uint64_t data, uint64_t length);

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
    uint64_t bytes;
    unsigned char staging[NVM_INLINE_MAX];
};

/* Fills a group from piece *index, byte *done on. */
int nvm__stage_group(struct zio_nvm_pool *pool, struct nvm_group *group,
                     const struct zio_storage_piece *pieces, size_t count, size_t *index,
                     uint64_t *done);

/* nvm_log.c */
uint32_t nvm__record_crc(const struct zio_nvm_pool *pool, const struct nvm_record *record,
                         const void *inline_data);
int nvm__commit(struct zio_nvm_pool *pool);
/* zio_nvm_log; *sequence is that of the next record. */
ssize_t nvm__log(struct zio_nvm_file *file, int64_t offset, const struct zio_storage_piece *pieces,
                 size_t count, uint64_t *where, uint64_t *sequence);

/* nvm_apply.c */
int nvm__apply(struct zio_nvm_pool *pool, struct nvm_cursor end, bool accept_changed,
               struct zio_nvm_problem *problem);
int nvm__forget_files(struct zio_nvm_pool *pool, uint64_t end);
int nvm__retire(struct zio_nvm_pool *pool, struct nvm_cursor end, uint64_t next);

/* nvm_read.c */
uint32_t nvm__enter(struct zio_nvm_pool *pool);
void nvm__leave(struct zio_nvm_pool *pool, uint32_t phase);
void nvm__wait_for_readers(struct zio_nvm_pool *pool);

/* Whether the caller may change the pool: 0, the error that ended it, or ZIO_ENOTSUP in a child. */
int nvm__usable(struct zio_nvm_pool *pool);

#endif
