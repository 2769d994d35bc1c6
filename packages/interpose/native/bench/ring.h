/* An io_uring of one thread, by the system calls themselves: just enough to send without a copy. */
#ifndef ZIO_BENCH_RING_H
#define ZIO_BENCH_RING_H

#include <stddef.h>

struct ring {
    int fd;
    unsigned *submission_tail, *submission_array, submission_mask;
    unsigned *completion_head, *completion_tail, completion_mask;
    void *submissions, *completions;
};

/* 0 when the kernel offers none. Lives as long as the process. */
int ring_open(struct ring *ring);
/* Sends it all and waits until the kernel no longer needs `data`. 0 after an error. */
int ring_send_zerocopy(struct ring *ring, int socket, const void *data, size_t length);

#endif
