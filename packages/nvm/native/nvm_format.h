/* What a pool looks like in its file, format 2. Little-endian. Every structure carries a CRC32C
 * of itself without the CRC; that of a record is seeded by the pool's UUID, so that what an older
 * pool left behind never looks like one of this pool.
 *
 *   0       header: never changes after the creation
 *   4096    superblock, copy 0
 *   8192    superblock, copy 1
 *   12288   the header again
 *   16384   entries of files: two copies of 4096 bytes each, side by side
 *   shared  the volatile region, nvm_shared.h: means nothing once no process has the pool open
 *   ring    records, from any multiple of 64 on; a record never wraps
 *   data    blocks of 4096 bytes; behind them, to the end of the pool, their counts, volatile too
 *
 * A record counts after a power cut where a commit record covers it that is valid, and proved by what
 * it covers where it says so; after the death of a
 * process every valid record counts. docs/decisions/0019-a-pool-is-a-ring-and-blocks.md */
#ifndef ZIO_NVM_FORMAT_H
#define ZIO_NVM_FORMAT_H

#include <stdint.h>

#define NVM_MAGIC   UINT64_C(0x0a1a4d564e4f495a) /* "ZIONVM\x1a\n" */
#define NVM_VERSION 2u

enum {
    NVM_PAGE = 4096,
    NVM_LINE = 64,
    NVM_SUPERBLOCKS = 4096,
    NVM_HEADER_COPY = 12288,
    NVM_FILES = 16384,
    NVM_FILE_BYTES = 2 * NVM_PAGE,
    NVM_FLAG_CHECKSUM_DATA = 1,
};

struct nvm_header {
    uint64_t magic;
    uint32_t version;
    uint32_t crc; /* of the header with this field 0 */
    uint8_t uuid[16];
    uint32_t flags;
    uint32_t file_slots;
    uint64_t ring_offset, ring_bytes;
    uint64_t data_offset;
    uint64_t created_s;
    uint64_t shared_bytes;
};

enum { NVM_CLEAN = 1, NVM_OPEN = 2 };

/* The copy with the higher generation counts. */
struct nvm_superblock {
    uint32_t crc;
    uint32_t state;
    uint64_t generation;
    uint64_t pool_bytes;
    uint64_t tail;          /* in the ring: the first record that is not applied */
    uint64_t tail_sequence; /* its sequence number */
    uint8_t boot[16];       /* the start of the machine in which it was opened */
    uint64_t device, inode; /* of the pool's file then */
    uint32_t owner_pid;
    uint32_t unused;
};

enum {
    NVM_FILE_FREE = 0,
    NVM_FILE_USED = 1,
    /* The pool itself is changing the file: its size and time of modification say nothing. */
    NVM_FILE_CHANGING = 2,
    NVM_PATH_BYTES = 3856,
};

struct nvm_file_entry {
    uint32_t crc;
    uint32_t state;
    uint64_t generation;
    uint32_t use; /* counts the files that have had this entry; records name it */
    uint32_t path_bytes;
    uint64_t device, inode;
    uint64_t birth_s, birth_ns; /* 0 where the file system knows none */
    uint64_t bytes;
    uint64_t modified_s, modified_ns;
    char path[NVM_PATH_BYTES]; /* ends with a zero byte */
};

enum {
    NVM_RECORD_DATA = 1,   /* the data lie in the blocks */
    NVM_RECORD_INLINE = 2, /* the data follow the record */
    NVM_RECORD_COMMIT = 3, /* `offset` is the last sequence number that is durable */
    NVM_RECORD_PAD = 4,    /* nothing up to the end of the ring */
    NVM_RECORD_MORE = 1,   /* the next record belongs to the same write */
    NVM_RECORD_CRC = 2,    /* data_crc is there */
    NVM_RECORD_TWIN = 4,   /* the second of a pair of commits */
    NVM_RECORD_ALONE = 8,  /* of a commit: nothing was fenced before it but what `data`, a sequence
                              number, covers: it counts where all records after that are good, with
                              their data; they have checksums */
};

struct nvm_record {
    uint32_t crc;
    uint16_t kind, flags;
    uint64_t sequence;
    uint32_t slot, use; /* of the file */
    uint64_t offset;    /* in the file */
    uint64_t length;    /* of the data */
    uint64_t data;      /* where in the pool */
    uint32_t data_crc;
    uint32_t span;       /* bytes in the ring, a multiple of 64 */
    uint64_t generation; /* of the superblock when it was written */
};

_Static_assert(sizeof(struct nvm_record) == NVM_LINE, "a record is a cache line");
_Static_assert(sizeof(struct nvm_file_entry) <= NVM_PAGE, "a copy of an entry is a page");

#endif
