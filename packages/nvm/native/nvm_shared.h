/* What the processes of a tree share besides the medium's structures: the pool's volatile region.
 * It lies in the pool's file, is mapped by all of them, and means nothing once none of them lives:
 * whoever opens a pool without members sets it up anew. All of it follows from superblock, entries
 * and ring, so that it can be rebuilt after a process died while it changed it (nvm_repair.c).
 * docs/decisions/0023-processes-share-a-pool.md */
#ifndef ZIO_NVM_SHARED_H
#define ZIO_NVM_SHARED_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    NVM_MEMBERS = 1023,
    NVM_MEMBER_WORDS = 16, /* 64 bits each */
    NVM_TREE_BYTES = 128,
};

/* Held by a process of the tree, whose death gives it up: see nvm_lock.c. */
struct nvm_lock {
    _Atomic uint32_t word;
    uint32_t line[15]; /* a cache line of its own */
};

struct nvm_member {
    _Atomic uint32_t incarnation; /* counts the processes that have had this place */
    _Atomic int32_t pid;          /* 0: nothing of it is left */
    _Atomic uint32_t staged;      /* extents with data of writes that are not logged yet */
    _Atomic uint32_t owns;        /* extents, perhaps */
};

struct nvm_shared_file {
    struct nvm_lock lock;               /* who writes to it, or changes it */
    uint64_t device, inode;             /* as its entry has them */
    _Atomic uint64_t bytes;             /* as readers see it */
    _Atomic uint64_t modified_ns;       /* when it was last logged to; 0: what the target says */
    _Atomic uint64_t last_sequence;     /* of its newest record */
    uint64_t reserved_from, reserved_to; /* the target has blocks there */
    uint32_t use;                       /* of the entry */
    uint32_t copy;                      /* of the entry, the newest */
    _Atomic uint32_t known;             /* it has an entry */
    _Atomic uint32_t left;              /* to the kernel, until nobody uses it any more */
    _Atomic uint32_t digesting;         /* the pool writes to the target; its times say nothing */
    uint32_t altering;                  /* between begin_change and end_change */
    uint32_t unaided;                   /* the worker cannot allocate space for it */
    uint64_t users[NVM_MEMBER_WORDS];   /* by member */
};

struct nvm_ring {
    uint64_t head; /* where the next record comes */
    uint64_t next; /* its sequence number */
    uint64_t used; /* bytes from the tail */
};

struct nvm_shared {
    char tree[NVM_TREE_BYTES];
    /* Set up and recovered, and not closed yet: a process that is being killed while it opens or
     * closes the pool may lose the gate before it is seen to be dead. */
    _Atomic uint32_t founded;
    struct nvm_lock digest_lock, commit_lock, state_lock;

    /* The rest but the counters is changed under the state lock alone. */
    _Atomic uint32_t busy; /* somebody is at it, or died there */
    _Atomic int32_t failed;
    struct nvm_ring ring;
    uint64_t tail, tail_sequence; /* what comes before is free */
    uint64_t retired_at;
    _Atomic uint64_t retired; /* what comes before is applied: readers start here */
    uint64_t generation;      /* of the superblock, for records */
    uint64_t committed, committed_at; /* last durable sequence; where in the ring the next lies */
    _Atomic uint64_t durable, appended; /* the same for whoever holds no lock */
    uint64_t doubtful; /* more may be durable than `committed` says: a commit must not name it alone */
    uint64_t blocks_free, block_hint;
    uint64_t log_data;            /* bytes in blocks that the log refers to */
    _Atomic uint32_t pressed;     /* it is time for a digest */
    _Atomic uint32_t stuck;       /* whoever was woken for it could not do it */
    _Atomic uint32_t lacking;     /* space ahead of a file's end */
    _Atomic uint32_t call;        /* changes when workers are to look again */

    _Atomic uint64_t appended_bytes, referenced_bytes, digested_bytes, commits, digests, waits;
    _Atomic uint64_t repairs;
    _Atomic uint32_t next_member;
    struct nvm_member members[NVM_MEMBERS];
    struct nvm_shared_file files[]; /* by slot */
};

#endif
