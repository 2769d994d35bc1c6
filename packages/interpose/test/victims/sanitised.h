/* A program built with a sanitizer: whatever the sanitizer does to memory, and when it stops all
 * threads at the end to look for leaks, the program ends as it does plain. */
#include "channels.h"

#define SIZE (192 * KIB)

static void messages(void) {
    struct channel c = wide_pipe();
    byte *source = stream_bytes(SIZE, 3, 0), *a = malloc(SIZE), *b = malloc(SIZE);
    for (int i = 0; i < 5; i++) {
        write_all(c.out, source, SIZE);
        read_all(c.in, a, SIZE);
        copy(b, a, SIZE);
        a[i * 999] ^= 1;
        write_all(c.out, b, SIZE);
        EXPECT_STREAM(c.in, SIZE, 3, 0);
        EXPECT_BYTES(b, SIZE, 3, 0);
    }
    pid_t child = fork();
    if (child == 0) {
        EXPECT_BYTES(b, SIZE, 3, 0);
        exit(failures != 0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT(status, 0);
    /* Views that nobody has touched when the leaks are looked for, in memory that is in use. */
    static byte *volatile kept[4];
    for (int i = 0; i < 4; i++) {
        write_all(c.out, source, SIZE);
        read_all(c.in, a, SIZE);
        kept[i] = malloc(SIZE);
        copy(kept[i], a, SIZE);
    }
    free(a), free(b);
}

SUBCASES({"messages", messages})
