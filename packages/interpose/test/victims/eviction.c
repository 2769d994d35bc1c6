/* TRAPS 14 to 17: memory that is resident, pinned, shared, locked or huge becomes the destination
 * of views. Taking its pages away may be refused or would be wrong; the bytes must come out right
 * either way. */
#include "modelled.h"
#include <linux/io_uring.h>
#include <sys/uio.h>

static const size_t size = 64 * PAGE;

/* Views of a fresh message over all of `to`, in the ways memory is given up for them. */
static void cover(struct memory *to, struct memory *source, int way) {
    switch (way % 4) {
    case 0:
        memory_feed(source, 0, size);
        memory_copy_by(memcpy, to, 0, source, 0, to->n);
        break;
    case 1:
        memory_feed(to, 0, to->n);
        break;
    case 2:
        memory_feed(source, 0, size);
        memory_copy_by(memcpy, to, 5, source, 100, to->n - 200);
        break;
    default:
        memory_feed_by_read(to, 300, to->n - 300);
    }
}

/* ---- ordinary resident memory -----------------------------------------------------------------
 */

static void resident_again_and_again(void) {
    struct memory source = memory_new(HEAP, 0, size), target = memory_new(HEAP, 0, size);
    for (int i = 0; i < 24; i++) {
        if (i % 3 == 0)
            memory_store(&target, 0, (byte)i, size); /* every page is present */
        if (i % 3 == 1)
            memory_store(&target, 20 * PAGE, (byte)i, 9 * PAGE + 5); /* some are */
        cover(&target, &source, i);
        check_sent("target", &target);
        if (i % 2)
            check("target", &target);
    }
    check("source", &source);
}

static void overwritten_for_real(void) {
    struct memory source = memory_new(HEAP, 0, size), target = memory_new(HEAP, 0, size);
    struct memory plain = memory_new(HEAP, 0, size);
    for (int i = 0; i < 16; i++) {
        memory_store(&target, 0, 1, size);
        cover(&target, &source, i);
        size_t at = (size_t)i * 777, n = size - at - 3;
        if (i % 3 == 0)
            memory_set(&target, at, (byte)i, n);
        else if (i % 3 == 1)
            memory_copy_by(memcpy, &target, at, &plain, 0, n);
        else
            memory_store(&target, at, (byte)i, n);
        check("target", &target);
        memory_store(&plain, 0, (byte)(i + 1), size);
        check_sent("plain", &plain);
    }
    check("source", &source);
}

/* Views cleared by memset leave missing pages; whoever writes to one of them, the kernel, its
 * parent and its child see it. */
static void cleared_then_written(void) {
    static const size_t lengths[] = {1, 100, 4096, 9000};
    for (int i = 0; i < 48; i++) {
        size_t at = 5 * PAGE - 1000, n = lengths[i % 4];
        /* new memory, as pages that were shared with a child cannot be taken away */
        struct memory source = memory_new(HEAP, 0, size), target = memory_new(HEAP, 0, size);
        cover(&target, &source, i / 24 ? 1 : 0);
        memory_set(&target, 2443, i % 3 ? 0 : 9, 30 * PAGE);
        switch (i / 4 % 6) {
        case 0:
            memory_store(&target, at, 1, n);
            break;
        case 1:
            memory_feed(&target, at, n);
            break;
        case 2:
            stream_fill(target.model + at, n, feed_raw(target.at + at, n));
            break;
        case 3:
            memory_feed_by_read(&target, at, n);
            break;
        case 4:
            memory_copy(&target, at, &source, 7, n);
            break;
        default:
            memory_set(&target, at, 5, n);
        }
        pid_t child = fork();
        need(child >= 0, "fork");
        if (child == 0) {
            check("the child's target", &target);
            _exit(0);
        }
        int status;
        need(waitpid(child, &status, 0) == child && status == 0, "waitpid");
        check_sent("target", &target);
        check("target", &target);
        memory_free(&source, HEAP);
        memory_free(&target, HEAP);
    }
}

/* ---- pages shared with a child ----------------------------------------------------------------
 */

static void shared_by_fork(bool child_lives) {
    struct memory source = memory_new(HEAP, 0, size), target = memory_new(HEAP, 0, size);
    for (int i = 0; i < 8; i++) {
        memory_store(&target, 0, (byte)(0x30 + i), size);
        cover(&source, &target, 1);
        if (i % 2)
            memory_copy(&target, 0, &source, 4096, size - 4096);
        int go[2], done[2];
        need(pipe(go) == 0 && pipe(done) == 0, "pipe");
        pid_t child = fork();
        need(child >= 0, "fork");
        if (child == 0) {
            char c;
            close(go[1]);
            if (child_lives && read(go[0], &c, 1) != 1)
                _exit(1);
            check("the child's target", &target); /* as at the fork */
            memory_store(&target, 0, 0x3f, 10 * PAGE);
            check("the child's source", &source);
            memory_copy(&target, 12 * PAGE, &source, 5, 20 * PAGE);
            check("the child's target", &target);
            write_all(done[1], "x", 1);
            _exit(0);
        }
        char c;
        if (!child_lives)
            need(read(done[0], &c, 1) == 1, "child");
        struct memory after = target, before = source;
        cover(&after, &before, i); /* the pages are still shared, or were until the child ended */
        check_sent("the parent's target", &after);
        check("the parent's target", &after);
        memory_store(&after, 7, 0x2f, size - 7);
        cover(&after, &before, i + 1);
        check_sent("the parent's target", &after);
        if (child_lives) {
            write_all(go[1], "x", 1);
            need(read(done[0], &c, 1) == 1, "child");
        }
        int status;
        need(waitpid(child, &status, 0) == child && status == 0, "waitpid");
        check("the parent's target", &after);
        check("the parent's source", &before);
        close(go[0]), close(go[1]), close(done[0]), close(done[1]);
    }
}

static void shared_with_living_child(void) {
    shared_by_fork(true);
}

static void shared_with_dead_child(void) {
    shared_by_fork(false);
}

/* ---- huge pages -------------------------------------------------------------------------------
 */

static void transparent_huge_pages(void) {
    size_t n = 8 * MIB;
    byte *room = map_private(n + 2 * MIB);
    byte *at = (byte *)(((uintptr_t)room + 2 * MIB - 1) & -(2 * MIB));
    if (madvise(at, n, MADV_HUGEPAGE) != 0)
        skip("transparent huge pages are off");
    struct memory huge = {at, map_private(n), n}, source = memory_new(HEAP, 0, size);
    for (int i = 0; i < 6; i++) {
        memory_store(&huge, 0, (byte)(0x70 + i), n);
        struct memory part = {huge.at + (size_t)i * 300000, huge.model + (size_t)i * 300000, size};
        cover(&part, &source, i);
        memory_feed(&huge, 2 * MIB - 5 * PAGE + (size_t)i * 100,
                    70 * PAGE);               /* across two huge pages */
        memory_feed(&huge, 4 * MIB, 2 * MIB); /* all of one */
        memory_copy(&huge, 6 * MIB - 4096, &huge, 4 * MIB - 3000, 2 * MIB);
        check_sent("huge", &huge);
        if (i % 2)
            madvise(at, n, MADV_HUGEPAGE);
        check("huge", &huge);
    }
}

/* Pages that khugepaged, or the program, collapses into huge ones between uses. */
static void collapsed(void) {
    enum { COLLAPSE = 25 };
    size_t n = 4 * MIB;
    byte *room = map_private(n + 2 * MIB);
    byte *at = (byte *)(((uintptr_t)room + 2 * MIB - 1) & -(2 * MIB));
    struct memory huge = {at, map_private(n), n};
    memory_set(&huge, 0, 1, n);
    for (int i = 0; i < 6; i++) {
        memory_feed(&huge, (size_t)i * 5000, 3 * MIB);
        memory_copy(&huge, MIB, &huge, 4097, 2 * MIB);
        int refused = madvise(at, n, COLLAPSE); /* may be refused: its result is not the point */
        (void)refused;
        check_sent("collapsed", &huge);
        memory_store(&huge, choose(n), (byte)i, 1);
        check("collapsed", &huge);
    }
}

/* ---- pages that the kernel still reads or writes ----------------------------------------------
 */

static void read_pipe(int fd, byte *to, size_t n) {
    for (size_t done = 0; done < n;) {
        ssize_t got = syscall(SYS_read, fd, to + done, n - done);
        need(got > 0, "read of the pipe");
        done += (size_t)got;
    }
}

/* What was vmspliced and then freed stays as it was in the pipe, whatever is received meanwhile. */
static void spliced_then_freed(void) {
    int ends[2];
    need(pipe(ends) == 0 && fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) > 0, "pipe");
    struct memory a = memory_new(HEAP, 0, size), b = memory_new(HEAP, 0, size);
    byte *arrived = map_private(size);
    for (int i = 0; i < 24; i++) {
        bool mapped = i % 2, viewed = i / 2 % 2;
        byte *sent = mapped ? map_private(size) : heap_at(0, size);
        uint64_t from = feed_position;
        if (viewed) {
            memory_feed(&a, 0, size);
            memcpy(sent, a.at, size);
        } else
            feed_raw(sent, size);
        struct iovec piece = {sent, size};
        ssize_t n = vmsplice(ends[1], &piece, 1, i % 3 ? 0 : SPLICE_F_GIFT);
        need(n == (ssize_t)size, "vmsplice");
        if (i % 5 == 0) /* given up for views first */
            memory_copy(&b, 0, &a, 0, size);
        if (mapped)
            munmap(sent, size);
        else
            free(sent);
        for (int j = 0; j < 3; j++) {
            memory_feed(&a, 0, size);
            memory_copy(&b, 0, &a, 0, size);
            byte *other = heap_at(0, size);
            memcpy(other, b.at, size);
            memset(other, 0x99, size / 2);
            free(other);
        }
        read_pipe(ends[0], arrived, size);
        expect_stream("spliced", arrived, size, from);
    }
    check("b", &b);
}

/* A buffer overwritten while it is in the pipe: the reader sees its old bytes or its new ones, but
 * no others. */
static void spliced_then_overwritten(void) {
    int ends[2];
    need(pipe(ends) == 0 && fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) > 0, "pipe");
    struct memory a = memory_new(HEAP, 0, size), b = memory_new(HEAP, 0, size);
    byte *arrived = map_private(size);
    for (int i = 0; i < 16; i++) {
        memory_store(&b, 0, 0x41, size);
        struct iovec piece = {b.at, size};
        need(vmsplice(ends[1], &piece, 1, 0) == (ssize_t)size, "vmsplice");
        memory_feed(&a, 0, size);
        byte *old = map_private(size);
        model_copy(old, b.model, size);
        if (i % 2)
            memory_copy(&b, 0, &a, 0, size);
        else
            memory_feed(&b, 0, size);
        for (int j = 0; j < 4; j++) { /* other traffic */
            memory_feed(&a, 0, size);
            struct memory c = memory_new(HEAP, 0, size);
            memory_copy(&c, 0, &a, 0, size);
            check_sent("c", &c);
            memory_free(&c, HEAP);
        }
        read_pipe(ends[0], arrived, size);
        size_t strange = 0;
        for (size_t at = 0; at < size; at++)
            strange += arrived[at] != old[at] && arrived[at] != b.model[at];
        say("%zu strange bytes", strange);
        check("b", &b);
        munmap(old, size);
    }
}

/* ---- io_uring with registered buffers ---------------------------------------------------------
 */

static struct {
    int fd;
    unsigned *submit_head, *submit_tail, *submit_array, *complete_head, *complete_tail;
    struct io_uring_sqe *entries;
    struct io_uring_cqe *completions;
    unsigned submit_mask, complete_mask;
} ring;

static void ring_open(void) {
    struct io_uring_params p = {0};
    ring.fd = (int)syscall(SYS_io_uring_setup, 8, &p);
    if (ring.fd < 0)
        skip("io_uring is unavailable");
    byte *submit = mmap(NULL, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED,
                        ring.fd, IORING_OFF_SQ_RING);
    byte *complete = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof *ring.completions,
                          PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, IORING_OFF_CQ_RING);
    ring.entries = mmap(NULL, p.sq_entries * sizeof *ring.entries, PROT_READ | PROT_WRITE,
                        MAP_SHARED, ring.fd, (off_t)IORING_OFF_SQES);
    ring.submit_tail = (unsigned *)(void *)(submit + p.sq_off.tail);
    ring.submit_mask = *(unsigned *)(void *)(submit + p.sq_off.ring_mask);
    ring.submit_array = (unsigned *)(void *)(submit + p.sq_off.array);
    ring.complete_head = (unsigned *)(void *)(complete + p.cq_off.head);
    ring.complete_tail = (unsigned *)(void *)(complete + p.cq_off.tail);
    ring.complete_mask = *(unsigned *)(void *)(complete + p.cq_off.ring_mask);
    ring.completions = (struct io_uring_cqe *)(void *)(complete + p.cq_off.cqes);
}

static int ring_do(int opcode, int fd, void *at, size_t n, int buffer) {
    unsigned tail = *ring.submit_tail, slot = tail & ring.submit_mask;
    ring.entries[slot] = (struct io_uring_sqe){.opcode = (__u8)opcode,
                                               .fd = fd,
                                               .addr = (uintptr_t)at,
                                               .len = (unsigned)n,
                                               .buf_index = (__u16)buffer};
    ring.submit_array[slot] = slot;
    __atomic_store_n(ring.submit_tail, tail + 1, __ATOMIC_RELEASE);
    need(syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1,
         "io_uring_enter");
    unsigned head = *ring.complete_head;
    need(head != __atomic_load_n(ring.complete_tail, __ATOMIC_ACQUIRE), "completion");
    int result = ring.completions[head & ring.complete_mask].res;
    __atomic_store_n(ring.complete_head, head + 1, __ATOMIC_RELEASE);
    return result;
}

static void registered_with_io_uring(void) {
    ring_open();
    struct memory fixed = memory_new(MAPPED, 0, size), source = memory_new(HEAP, 0, size);
    memory_feed(&fixed, 0,
                size); /* views when they are registered, so the kernel has to fault them in */
    struct iovec buffer = {fixed.at, size};
    if (syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_BUFFERS, &buffer, 1) != 0)
        skip("io_uring refuses to register buffers");
    int out = stream_file(size, 0), in = stream_file(size, 4242);
    byte *written = map_private(size);
    for (int i = 0; i < 12; i++) {
        cover(&fixed, &source, i);
        need(ring_do(IORING_OP_WRITE_FIXED, out, fixed.at, size, 0) == (int)size, "WRITE_FIXED");
        need(syscall(SYS_pread64, out, written, size, 0L) == (long)size, "pread");
        say("written by io_uring: %d", fnv(written, size) == fnv(fixed.model, size));
        need(ring_do(IORING_OP_READ_FIXED, in, fixed.at + 4096, 30 * PAGE, 0) == (int)(30 * PAGE),
             "READ_FIXED");
        stream_fill(fixed.model + 4096, 30 * PAGE, 4242);
        if (i % 2)
            check_sent("fixed", &fixed);
        check("fixed", &fixed);
    }
    check("source", &source);
}

static void with_plain_io_uring(void) {
    ring_open();
    struct memory a = memory_new(HEAP, 0, size), b = memory_new(HEAP, 0, size);
    int in = stream_file(size, 777);
    for (int i = 0; i < 12; i++) {
        int out = stream_file(size, 0);
        byte *written = map_private(size);
        cover(&a, &b, i);
        memory_copy(&b, 0, &a, 100, size - 100);
        need(ring_do(IORING_OP_WRITE, out, b.at, size, 0) == (int)size, "WRITE");
        need(syscall(SYS_pread64, out, written, size, 0L) == (long)size, "pread");
        say("written by io_uring: %d", fnv(written, size) == fnv(b.model, size));
        need(ring_do(IORING_OP_READ, in, a.at + 5000, 20 * PAGE, 0) == (int)(20 * PAGE), "READ");
        stream_fill(a.model + 5000, 20 * PAGE, 777);
        check_sent("b", &b);
        check("a", &a);
        close(out);
        munmap(written, size);
    }
    check("b", &b);
}

static const struct sub_case cases[] = {
    {"resident", resident_again_and_again},
    {"overwritten-for-real", overwritten_for_real},
    {"cleared-then-written", cleared_then_written},
    {"shared-with-living-child", shared_with_living_child},
    {"shared-with-dead-child", shared_with_dead_child},
    {"huge-pages", transparent_huge_pages},
    {"collapsed", collapsed},
    {"spliced-then-freed", spliced_then_freed},
    {"spliced-then-overwritten", spliced_then_overwritten},
    {"registered-with-io-uring", registered_with_io_uring},
    {"with-plain-io-uring", with_plain_io_uring},
};
VICTIM_MAIN(cases)
