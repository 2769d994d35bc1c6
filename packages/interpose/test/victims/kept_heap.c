/* How often fresh pages are asked of the kernel by a program that receives, allocates, fills and
 * frees large blocks. Prints the minor faults of 100 rounds. */
#include "victim.h"

enum { size = 1 << 20, rounds = 20 };

/* Three times what glibc has learned to keep, which is twice the largest block freed. */
static void round_of(int number) {
    byte *received = heap(size), *copies[5];
    feed(received, size);
    for (size_t i = 0; i < LENGTH_OF(copies); i++) {
        copies[i] = heap(size);
        memcpy(copies[i], received, size);
        memset(copies[i], number, size);
    }
    free(received);
    for (size_t i = 0; i < LENGTH_OF(copies); i++)
        free(copies[i]);
}

static void churn(void) {
    byte *before = sbrk(0);
    for (int i = 0; i < rounds; i++)
        round_of(i);
    printf("kept %td\n", (byte *)sbrk(0) - before);
    fflush(stdout);
}

static const struct sub_case cases[] = {{"churn", churn}};
VICTIM_MAIN(cases)
