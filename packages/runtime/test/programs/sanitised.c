/* Copies standard input as copy_through does, and says on standard error that it was here. With an
 * argument it ends by the mistake that its sanitizer finds. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PIECE = 256 * 1024 };
static int shared;
static atomic_int toucher;

static void *touch(void *argument) {
    (void)argument;
    shared++;
    atomic_store_explicit(&toucher, gettid(), memory_order_relaxed);
    return NULL;
}

/* Always in this order, with the thread gone, so that the report is the same each time; what is relaxed
 * synchronises nothing. */
static void race(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, touch, NULL);
    for (int id = 0; id == 0 || syscall(SYS_tgkill, getpid(), id, 0) == 0; usleep(1000))
        id = atomic_load_explicit(&toucher, memory_order_relaxed);
    shared++;
    pthread_join(thread, NULL);
}

int main(int argc, char **argv) {
    char *first = malloc(PIECE), *second = malloc(PIECE);
    for (ssize_t length; (length = read(STDIN_FILENO, first, PIECE)) > 0;) {
        memcpy(second, first, (size_t)length);
        for (ssize_t done = 0, n; done < length; done += n)
            if ((n = write(STDOUT_FILENO, second + done, (size_t)(length - done))) < 0)
                return 1;
    }
    free(first);
    free(second);
    fprintf(stderr, "%s: done\n", argv[0]);
    if (argc > 1 && !strcmp(argv[1], "race"))
        race();
    if (argc > 1 && !strcmp(argv[1], "freed"))
        return *(volatile char *)first;
    return 7;
}
