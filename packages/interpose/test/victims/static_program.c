/* flags: -O2 -fno-builtin -static */
/* Case 19: a static program, which nothing can be preloaded into. */
#include "channels.h"

#define SIZE (192 * KIB)

static void echo(void) {
    byte *at = viewed(SIZE, 1), *copied = region(SIZE);
    copy(copied, at, SIZE);
    pid_t child = fork();
    if (child == 0) {
        EXPECT_BYTES(copied, SIZE, 1, 0);
        _exit(failures != 0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT(status, 0);
    EXPECT_BYTES(copied, SIZE, 1, 0);
}

SUBCASES({"echo", echo})
