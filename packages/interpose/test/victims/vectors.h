/* Buffers in four pieces, for the calls that take vectors. */
#ifndef VECTORS_H
#define VECTORS_H
#include "channels.h"

/* They follow one another; the second is empty, the third tiny. */
static int pieces(struct iovec parts[4], byte *at, size_t count) {
    size_t first = count / 3, tiny = count > 9 ? 7 : 0;
    parts[0] = (struct iovec){at, first};
    parts[1] = (struct iovec){NULL, 0};
    parts[2] = (struct iovec){at + first, tiny};
    parts[3] = (struct iovec){at + first + tiny, count - first - tiny};
    return 4;
}

static void expect_same_pieces(const struct iovec parts[4], const struct iovec before[4]) {
    for (int i = 0; i < 4; i++)
        EXPECT(before[i].iov_base == parts[i].iov_base && before[i].iov_len == parts[i].iov_len, 1);
}

#endif
