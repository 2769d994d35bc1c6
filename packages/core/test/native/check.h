/* What the C tests of core share: assertions that print both values, and random numbers. */
#ifndef ZIO_TEST_CHECK_H
#define ZIO_TEST_CHECK_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define ASSERT_COMPARE(left, op, right)                                                            \
    do {                                                                                           \
        int64_t left_ = (int64_t)(left), right_ = (int64_t)(right);                                \
        if (!(left_ op right_)) {                                                                  \
            fprintf(stderr, "%s:%d: %s %s %s: %" PRId64 " %s %" PRId64 "\n", __FILE__, __LINE__,   \
                    #left, #op, #right, left_, #op, right_);                                       \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define ASSERT_EQUAL(left, right) ASSERT_COMPARE(left, ==, right)
#define ASSERT(condition)         ASSERT_COMPARE((condition) != 0, ==, 1)

/* splitmix64 */
static inline uint64_t random_next(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Uniform enough in [0, bound). */
static inline uint64_t random_below(uint64_t *state, uint64_t bound) {
    return random_next(state) % bound;
}

#endif
