/* What a process does to show that it elides: messages that are copied on.
 * Three quarters of each can be elided again in every round. */
#ifndef WORKLOAD_H
#define WORKLOAD_H
#include "channels.h"

enum { OTHER = 3 };
#define SIZE (192 * KIB)

static void work(int rounds) {
    struct channel c = wide_pipe();
    byte *source = stream_bytes(SIZE, OTHER, 0), *a = region(SIZE), *b = region(SIZE);
    for (int i = 0; i < rounds; i++) {
        write_all(c.out, source, SIZE);
        EXPECT(read(c.in, a, SIZE), SIZE);
        copy(b, a, SIZE);
        a[i * 1000] ^= 1;
        EXPECT(write(c.out, b, SIZE), SIZE);
        EXPECT_STREAM(c.in, SIZE, OTHER, 0);
        EXPECT_BYTES(b, SIZE, OTHER, 0);
    }
    munmap(source, SIZE + PAGE), munmap(a, SIZE + PAGE), munmap(b, SIZE + PAGE);
    close_channel(c);
}

/* A child, however it was made, that ends well. */
UNUSED static void waited(pid_t child) {
    int status = -1;
    if (waitpid(child, &status, __WALL) != child)
        die("waitpid");
    EXPECT(status, 0);
}

#endif
