/* The recorder of stores, flushes and fences: keeps, for each cache line, the contents that may be
 * on the medium (what the last fence made durable, and every later one, a store in 8-byte pieces
 * included), and for the target file every page-sized write since its last fsync. */
#ifndef ZIO_NVM_TEST_RECORDER_H
#define ZIO_NVM_TEST_RECORDER_H

#include "support.h"

#include "nvm_persist.h"

enum {
    POOL = 26 * 4096,
    RING = 16384,
    LINE = 64,
    LINES = POOL / LINE,
    FILE_ROOM = 32768,
    PENDING = 4096,
    VERSIONS = 32,
};

static uint64_t state; /* of the random numbers */

struct line {
    unsigned count, flushed; /* versions; how many of them are flushed */
    unsigned char versions[VERSIONS][LINE];
};

struct chunk {
    uint64_t offset;
    size_t bytes;
    unsigned char data[4096];
};

struct recorder {
    struct zio_nvm_observer observer;
    bool quiet; /* not begun yet */
    unsigned char media[POOL];
    struct line lines[LINES];
    unsigned char file[FILE_ROOM];
    uint64_t file_bytes;
    struct chunk chunks[PENDING];
    unsigned chunk_count;
    int depth;
    int exact; /* the prefix that must come out; -1: any that is allowed */
};

/* Called just before a fence or an fsync takes effect. */
static void check_point(struct recorder *recorder);

static void push_version(struct line *line, const unsigned char *bytes) {
    const unsigned char *last = line->count ? line->versions[line->count - 1] : NULL;
    if (last && memcmp(last, bytes, LINE) == 0)
        return;
    if (line->count == VERSIONS) { /* forgets one from the middle: fewer states, none wrong */
        memmove(line->versions[10], line->versions[11], (VERSIONS - 11) * LINE);
        line->count--;
        if (line->flushed > 10)
            line->flushed--;
    }
    memcpy(line->versions[line->count++], bytes, LINE);
}

static void on_store(void *context, const unsigned char *pool, uint64_t offset, size_t bytes) {
    struct recorder *recorder = context;
    if (recorder->quiet)
        return;
    for (uint64_t i = offset / LINE; i <= (offset + bytes - 1) / LINE; i++) {
        struct line *line = &recorder->lines[i];
        const unsigned char *now = pool + i * LINE;
        unsigned char torn[LINE];
        memcpy(torn, line->count ? line->versions[line->count - 1] : recorder->media + i * LINE,
               LINE);
        size_t cut = 8 * (1 + random_below(&state, 7));
        memcpy(torn, now, cut); /* the first words only */
        if (line->count + 2 < VERSIONS)
            push_version(line, torn);
        push_version(line, now);
    }
}

static void on_flush(void *context, uint64_t offset, size_t bytes) {
    struct recorder *recorder = context;
    for (uint64_t i = offset / LINE; i <= (offset + bytes - 1) / LINE; i++)
        recorder->lines[i].flushed = recorder->lines[i].count;
}

static void on_fence(void *context) {
    struct recorder *recorder = context;
    if (recorder->quiet)
        return;
    check_point(recorder);
    for (unsigned i = 0; i < LINES; i++) {
        struct line *line = &recorder->lines[i];
        if (line->flushed == 0)
            continue;
        memcpy(recorder->media + i * LINE, line->versions[line->flushed - 1], LINE);
        line->count -= line->flushed;
        memmove(line->versions[0], line->versions[line->flushed], line->count * LINE);
        line->flushed = 0;
    }
}

static void apply_chunk(unsigned char *file, uint64_t *bytes, const struct chunk *chunk) {
    memcpy(file + chunk->offset, chunk->data, chunk->bytes);
    if (chunk->offset + chunk->bytes > *bytes)
        *bytes = chunk->offset + chunk->bytes;
}

static void on_file_write(void *context, int descriptor, uint64_t offset, const void *data,
                          size_t bytes) {
    struct recorder *recorder = context;
    (void)descriptor;
    if (recorder->quiet)
        return;
    for (size_t done = 0, now; done < bytes; done += now) {
        ASSERT_COMPARE(recorder->chunk_count, <, PENDING);
        struct chunk *chunk = &recorder->chunks[recorder->chunk_count++];
        now = 4096 - (offset + done) % 4096;
        if (now > bytes - done)
            now = bytes - done;
        chunk->offset = offset + done;
        chunk->bytes = now;
        memcpy(chunk->data, (const unsigned char *)data + done, now);
    }
}

static void on_file_sync(void *context, int descriptor) {
    struct recorder *recorder = context;
    (void)descriptor;
    if (recorder->quiet)
        return;
    check_point(recorder);
    for (unsigned i = 0; i < recorder->chunk_count; i++)
        apply_chunk(recorder->file, &recorder->file_bytes, &recorder->chunks[i]);
    recorder->chunk_count = 0;
}

static void start_recorder(struct recorder *recorder, int depth, const unsigned char *media,
                           const unsigned char *file, uint64_t file_bytes) {
    memmove(recorder->media, media, POOL);
    for (unsigned i = 0; i < LINES; i++)
        recorder->lines[i].count = recorder->lines[i].flushed = 0;
    memset(recorder->file, 0, FILE_ROOM);
    memcpy(recorder->file, file, file_bytes);
    recorder->file_bytes = file_bytes;
    recorder->chunk_count = 0;
    recorder->depth = depth;
    recorder->exact = -1;
    recorder->quiet = false;
    recorder->observer = (struct zio_nvm_observer){recorder, on_store,      on_flush,
                                                   on_fence, on_file_write, on_file_sync};
}

#endif
