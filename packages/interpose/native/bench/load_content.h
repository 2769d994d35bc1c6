/* The values that the load client stores and expects. A value depends on its key and on how often
 * that key was written, so an old, misplaced or torn one is told from the right one. Either every
 * word does (verification), or one in each page, at a place that moves (measurement). */
#ifndef ZIO_BENCH_LOAD_CONTENT_H
#define ZIO_BENCH_LOAD_CONTENT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum content_check { CONTENT_ALL, CONTENT_SAMPLE, CONTENT_NONE };

enum { CONTENT_PAGE_WORDS = 512 };

/* The finaliser of splitmix64. */
static inline uint64_t content_mix(uint64_t z) {
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint64_t content_word(uint64_t key, uint64_t generation, size_t index) {
    return content_mix((key << 40) + generation * UINT64_C(0x9e3779b97f4a7c15) + index + 1);
}

static inline size_t content_first(uint64_t key, uint64_t generation, size_t words,
                                   enum content_check check, size_t *step) {
    *step = check == CONTENT_ALL ? 1 : CONTENT_PAGE_WORDS;
    if (check == CONTENT_NONE || words == 0)
        return words;
    size_t span = words < CONTENT_PAGE_WORDS ? words : CONTENT_PAGE_WORDS;
    return check == CONTENT_ALL ? 0 : (size_t)(key * 31 + generation * 17) % span;
}

/* `bytes` is a multiple of 8. */
static inline void content_fill(unsigned char *value, size_t bytes, uint64_t key,
                                uint64_t generation, enum content_check check) {
    size_t step, words = bytes / sizeof(uint64_t);
    for (size_t i = content_first(key, generation, words, check, &step); i < words; i += step) {
        uint64_t word = content_word(key, generation, i);
        memcpy(value + i * sizeof word, &word, sizeof word);
    }
}

static inline int content_is_right(const unsigned char *value, size_t bytes, uint64_t key,
                                   uint64_t generation, enum content_check check) {
    size_t step, words = bytes / sizeof(uint64_t);
    for (size_t i = content_first(key, generation, words, check, &step); i < words; i += step) {
        uint64_t word;
        memcpy(&word, value + i * sizeof word, sizeof word);
        if (word != content_word(key, generation, i))
            return 0;
    }
    return 1;
}

#endif
