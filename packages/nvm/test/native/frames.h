/* Appends that can be told apart: each says who wrote it, the how many-eth of his it is, and how long;
 * what else is in it follows from that. A file of them is checked as a whole. */
#ifndef ZIO_NVM_TEST_FRAMES_H
#define ZIO_NVM_TEST_FRAMES_H

#include "support.h"

enum { FRAME_LONGEST = 40000, FRAME_ROOM = 24 << 20 };

struct frame {
    uint32_t magic, writer, number, length; /* length: with this */
};

static inline size_t make_frame(unsigned char *to, uint32_t writer, uint32_t number,
                                size_t length) {
    struct frame frame = {0x5a494f21, writer, number, (uint32_t)(length & ~(size_t)7)};
    if (frame.length < sizeof frame)
        frame.length = sizeof frame;
    fill_pattern(to, frame.length, (uint64_t)writer << 32 | number);
    memcpy(to, &frame, sizeof frame);
    return frame.length;
}

/* By reference, where there is an extent for it and `by_reference` says so. */
static inline ssize_t append_frame(struct zio_nvm_pool *pool, struct zio_nvm_file *file,
                                   uint32_t writer, uint32_t number, size_t length,
                                   bool by_reference) {
    static _Thread_local unsigned char bytes[FRAME_LONGEST + 16];
    struct zio_storage_extent extent;
    struct zio_storage_piece piece = {bytes, 0, 0};
    ASSERT_COMPARE(length, <=, FRAME_LONGEST);
    if (by_reference && zio_nvm_allocate(pool, length + 16, &extent) == 0) {
        piece.data = extent.data;
        piece.token = extent.token;
    }
    piece.length = make_frame((unsigned char *)(uintptr_t)piece.data, writer, number, length);
    ssize_t wanted = (ssize_t)piece.length, result = zio_nvm_log(file, -1, &piece, 1, NULL);
    if (piece.token)
        zio_nvm_release(pool, piece.token);
    return result == wanted ? wanted : result < 0 ? result : -EIO;
}

/* Whether `bytes` are whole frames, and those of each writer all there and in order. counts[writer]
 * becomes how many he has. */
static inline bool are_frames_good(const unsigned char *bytes, size_t length, uint32_t *counts,
                                   uint32_t writers) {
    static unsigned char wanted[FRAME_LONGEST + 16];
    memset(counts, 0, writers * sizeof *counts);
    for (size_t at = 0; at < length;) {
        struct frame frame;
        if (length - at < sizeof frame) {
            fprintf(stderr, "%zu bytes too many at %zu\n", length - at, at);
            return false;
        }
        memcpy(&frame, bytes + at, sizeof frame);
        if (frame.magic != 0x5a494f21 || frame.writer >= writers ||
            frame.length > FRAME_LONGEST + 16 || frame.length > length - at ||
            frame.number != counts[frame.writer]) {
            fprintf(stderr, "at %zu of %zu: magic %x, writer %u, number %u, length %u\n", at, length,
                    frame.magic, frame.writer, frame.number, frame.length);
            return false;
        }
        make_frame(wanted, frame.writer, frame.number, frame.length);
        if (memcmp(wanted, bytes + at, frame.length) != 0) {
            fprintf(stderr, "other bytes in frame %u of writer %u\n", frame.number, frame.writer);
            return false;
        }
        counts[frame.writer]++;
        at += frame.length;
    }
    return true;
}

#endif
