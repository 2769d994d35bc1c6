/* The interpreter of zio-fuzz: it executes a program of memory and IO operations and prints what an
 * observer could see of each. It knows nothing of zIO. Three rules make its programs comparable and
 * shrinkable: every operation is defined in every state (ranges are clamped, an empty slot is
 * skipped), so any line can be left out; nothing printed depends on an address, on time, or on how
 * many bytes one call happened to move; memory whose contents C leaves open is written first. */
#ifndef ZIO_FUZZ_H
#define ZIO_FUZZ_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

typedef unsigned char byte;

#define PAGE             ((size_t)4096)
#define LENGTH_OF(array) (sizeof(array) / sizeof((array)[0]))

enum {
    SLOTS = 16,
    SHARED_SLOTS = 4, /* the last ones: threads of a block only look at them */
    ARGUMENTS = 9,
    MOST = 1 << 20,          /* bytes of a slot */
    SMALL = 8192,            /* pieces of our own IO: below any threshold */
    FILE_BYTES = 512 * 1024, /* of a context's file */
    MOST_THREADS = 4,
    HANDLES = 8,      /* descriptors of named files */
    NAMES = 6,        /* of files; the last two match no pattern */
    NAME_BYTES = 64,
    NAMED_BYTES = 4 << 20, /* about the largest that a named file gets */
};

enum slot_kind {
    EMPTY,
    HEAP,
    MAPPED,      /* private, anonymous */
    FILE_MAPPED, /* private, of a file */
    SHARED,      /* anonymous or of a memfd; gone in children */
};

struct slot {
    byte *at;
    size_t n;
    enum slot_kind kind;
};

/* Part of a slot, clamped to what there is; n is 0 where there is nothing. */
struct range {
    struct slot *slot;
    byte *at;
    size_t n;
};

/* What a process or thread prints, until it is printed for good. */
struct output {
    char *text;
    size_t used, room;
};

enum channel_kind { PIPE, UNIX_STREAM, TCP, CHANNELS };

struct channel {
    int in, out;
    size_t capacity; /* that certainly goes in before a write would block */
};

/* One per process and one per thread of a block: its own channels, files, stream and output. */
struct context {
    struct channel channels[CHANNELS];
    struct channel packets; /* SEQPACKET */
    int file;
    int handles[HANDLES];  /* descriptors and one more; 0: none */
    char own[NAME_BYTES / 2]; /* what the names of its files begin with */
    uint64_t stream, position;
    size_t thread, threads; /* 0 of 1 outside a block */
    size_t limit;           /* the end of the block that it executes */
    struct output *output;
    bool has_channels, has_file, is_child;
};

struct operation {
    const struct verb *verb;
    int number; /* its line, by which output and shrinking name it */
    long a[ARGUMENTS];
};

struct verb {
    const char *name;
    void (*run)(struct context *, const long *a);
};

/* ---- main.c: the program and what is printed ------------------------------------------------- */

extern struct slot fuzz_slots[SLOTS];

/* Executes operations [from, to). */
void fuzz_execute(struct context *context, size_t from, size_t to);
__attribute__((format(printf, 2, 3))) void fuzz_say(struct context *context, const char *format,
                                                    ...);
void fuzz_flush(struct output *output);
/* Something that must work everywhere did not: ends the process with status 98. */
_Noreturn void fuzz_die(const char *what);

struct slot *fuzz_slot(const struct context *context, long index);
/* For operations that only look: threads of a block may look at the shared slots. */
struct slot *fuzz_source_slot(const struct context *context, long index);
/* Whether slot number i may be looked at, or changed, while other threads run. */
bool fuzz_may_look(const struct context *context, size_t i);
bool fuzz_may_change(const struct context *context, const struct slot *slot);
struct range fuzz_range(struct slot *slot, long offset, long length);
/* The whole pages of a range in a private mapping; none of other slots. */
struct range fuzz_pages(struct slot *slot, long offset, long length);

/* ---- stream.c: bytes that anyone can compute again ------------------------------------------- */

byte fuzz_stream_byte(uint64_t stream, uint64_t position);
void fuzz_stream_fill(byte *to, size_t n, uint64_t stream, uint64_t position);
#define FUZZ_HASH_START UINT64_C(0xcbf29ce484222325)
/* By plain loads. */
uint64_t fuzz_hash(uint64_t hash, const byte *from, size_t n);
/* Stores without a call. */
void fuzz_store(byte *to, byte value, size_t n);

/* ---- channels.c ------------------------------------------------------------------------------ */

/* A program that is being made smaller has -1 anywhere. */
static inline enum channel_kind fuzz_kind(long number) {
  return (enum channel_kind)((unsigned long)number % CHANNELS);
}
void fuzz_open_channels(struct context *context);
void fuzz_close_context(struct context *context);
int fuzz_file(struct context *context);
/* Puts the next n bytes of the context's stream into a channel, in pieces nobody tracks. */
void fuzz_supply(struct context *context, int out, size_t n);
/* Takes n bytes out in such pieces and goes on with the hash. */
uint64_t fuzz_drain(int in, size_t n, uint64_t hash);

/* ---- handle.c: named files, which may be logged ----------------------------------------------- */

/* A descriptor, or -1, which every call refuses alike. */
int fuzz_handle(const struct context *context, long index);
const char *fuzz_name(const struct context *context, long index, char room[NAME_BYTES]);
/* The call's result, or its error. Returns the result. */
long fuzz_tell(struct context *context, long result);
/* Keeps files from growing for ever: empties one that is large. */
void fuzz_bound(struct context *context, int fd);
/* For a block: no handles, and names of its own. */
void fuzz_separate(struct context *context, const struct context *outer, size_t number);
/* Sizes and sums of all named files of this context. */
void fuzz_tell_files(struct context *context);

/* ---- the operations, a table per file, ended by an empty entry --------------------------------
 */

extern const struct verb fuzz_memory_verbs[], fuzz_mapping_verbs[], fuzz_copy_verbs[],
    fuzz_input_verbs[], fuzz_output_verbs[], fuzz_file_verbs[], fuzz_process_verbs[],
    fuzz_thread_verbs[], fuzz_signal_verbs[], fuzz_handle_verbs[], fuzz_content_verbs[],
    fuzz_name_verbs[], fuzz_transfer_verbs[], fuzz_company_verbs[];

/* Where the operation after the one with these arguments stands. */
size_t fuzz_next(const long *a);
/* The number of an operation so many further on, at most the end of the block. */
size_t fuzz_further(const struct context *context, size_t from, long count);
/* What this program does when it is started by `spawn`. */
int fuzz_relay(void);

/* ---- process.c, company.c: children ------------------------------------------------------------ */

pid_t fuzz_make_child(long how);
int fuzz_wait_for(pid_t child);
enum fuzz_ending { BY_EXIT_AT_ONCE, BY_SIGNAL, BY_EXIT, BY_QUICK_EXIT, ENDINGS };
/* A child of kind `how` executes the operations [from, to) while the parent executes up to `end`;
 * with `shares` it uses the parent's named files, which the parent must leave alone. */
void fuzz_divide(struct context *context, size_t from, size_t to, size_t end, long how,
                 enum fuzz_ending ending, bool shares);
/* What this program does when it is started by `run`. */
int fuzz_visit(const char *what, const char *fd, const char *name);

#endif
