/* See ring.h. */
#include "ring.h"

#include <linux/io_uring.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ENTRIES = 8 };

static unsigned char *map_part(int fd, size_t bytes, off_t offset) {
    void *part = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
    return part == MAP_FAILED ? NULL : part;
}

int ring_open(struct ring *ring) {
    struct io_uring_params params = {.flags = 0};
    ring->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &params);
    if (ring->fd < 0)
        return 0;
    const struct io_sqring_offsets *sq = &params.sq_off;
    const struct io_cqring_offsets *cq = &params.cq_off;
    unsigned char *to =
        map_part(ring->fd, sq->array + params.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
    unsigned char *from = map_part(
        ring->fd, cq->cqes + params.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
    ring->submissions =
        map_part(ring->fd, params.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
    if (!to || !from || !ring->submissions)
        return 0;
    ring->submission_tail = (unsigned *)(void *)(to + sq->tail);
    ring->submission_array = (unsigned *)(void *)(to + sq->array);
    ring->submission_mask = *(unsigned *)(void *)(to + sq->ring_mask);
    ring->completion_head = (unsigned *)(void *)(from + cq->head);
    ring->completion_tail = (unsigned *)(void *)(from + cq->tail);
    ring->completion_mask = *(unsigned *)(void *)(from + cq->ring_mask);
    ring->completions = from + cq->cqes;
    return 1;
}

int ring_send_zerocopy(struct ring *ring, int socket, const void *data, size_t length) {
    unsigned tail = *ring->submission_tail, slot = tail & ring->submission_mask;
    struct io_uring_sqe *entry = (struct io_uring_sqe *)ring->submissions + slot;
    memset(entry, 0, sizeof *entry);
    entry->opcode = IORING_OP_SEND_ZC;
    entry->fd = socket;
    entry->addr = (uint64_t)(uintptr_t)data;
    entry->len = (unsigned)length;
    entry->msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
    ring->submission_array[slot] = slot;
    __atomic_store_n(ring->submission_tail, tail + 1, __ATOMIC_RELEASE);
    /* The result, and where it says so a second completion once the pages are free. */
    unsigned submit = 1, awaited = 1;
    int sent = -1;
    while (awaited > 0) {
        unsigned head = *ring->completion_head;
        if (head == __atomic_load_n(ring->completion_tail, __ATOMIC_ACQUIRE)) {
            if (syscall(SYS_io_uring_enter, ring->fd, submit, 1, IORING_ENTER_GETEVENTS, NULL, 0) <
                0)
                return 0;
            submit = 0;
            continue;
        }
        const struct io_uring_cqe *done =
            (struct io_uring_cqe *)ring->completions + (head & ring->completion_mask);
        awaited += (done->flags & IORING_CQE_F_MORE) ? 1 : 0;
        if (!(done->flags & IORING_CQE_F_NOTIF))
            sent = done->res;
        awaited--;
        __atomic_store_n(ring->completion_head, head + 1, __ATOMIC_RELEASE);
    }
    return sent == (int)length;
}
