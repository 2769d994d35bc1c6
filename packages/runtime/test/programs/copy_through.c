/* Copies standard input to standard output in large pieces, each by way of two more buffers. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 256 * 1024 };

int main(void) {
    char *first = malloc(PIECE), *second = malloc(PIECE), *third = malloc(PIECE);
    if (!first || !second || !third)
        return 2;
    for (;;) {
        ssize_t length = read(STDIN_FILENO, first, PIECE);
        if (length <= 0)
            return length < 0;
        memcpy(second, first, (size_t)length);
        memcpy(third, second, (size_t)length);
        for (ssize_t done = 0, n; done < length; done += n)
            if ((n = write(STDOUT_FILENO, third + done, (size_t)(length - done))) < 0)
                return 1;
    }
}
