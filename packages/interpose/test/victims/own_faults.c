/* Trap 22: the program has a userfaultfd of its own, for memory that holds views, or did. */
#include "channels.h"
#include "direct_call.h"
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#ifndef UFFDIO_MOVE
struct uffdio_move {
    uint64_t dst, src, len, mode;
    int64_t move;
};
#define UFFDIO_MOVE _IOWR(UFFDIO, 5, struct uffdio_move)
#endif

enum { OLD = 1, NEW = 2, OTHER = 3 };
#define SIZE (192 * KIB)

static int faults = -1;
static byte *source; /* what missing pages are filled with; a view too */
static byte *served;
static atomic_int count;

static void *serve(void *unused) {
    (void)unused;
    struct pollfd poll_for = {.fd = faults, .events = POLLIN};
    struct uffd_msg message;
    while (poll(&poll_for, 1, -1) > 0)
        while (read(faults, &message, sizeof message) == sizeof message) {
            uint64_t page = message.arg.pagefault.address & ~(uint64_t)4095;
            struct uffdio_copy copy = {.dst = page,
                                       .src = (uintptr_t)source + (page - (uintptr_t)served),
                                       .len = PAGE};
            count++; /* before the page is there, and looked at */
            ioctl(faults, UFFDIO_COPY, &copy);
        }
    return NULL;
}

static void own_descriptor(void) {
    faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    struct uffdio_api api = {.api = UFFD_API};
    if (faults < 0 || ioctl(faults, UFFDIO_API, &api))
        skip("no userfaultfd");
}

static int asks(byte *at, size_t bytes, int raw) {
    struct uffdio_register wanted = {.range = {(uintptr_t)at, bytes},
                                     .mode = UFFDIO_REGISTER_MODE_MISSING};
    return raw ? (int)syscall(SYS_ioctl, faults, UFFDIO_REGISTER, &wanted)
               : ioctl(faults, UFFDIO_REGISTER, &wanted);
}

static void gives_back(byte *at, size_t bytes) {
    struct uffdio_range range = {(uintptr_t)at, bytes};
    EXPECT(ioctl(faults, UFFDIO_UNREGISTER, &range), 0);
}

/* Memory that shows what was received is registered whole, in part, and by a raw call. */
static void registers(void) {
    own_descriptor();
    for (int round = 0; round < 6; round++) {
        byte *at = viewed(SIZE, OLD), *copied = region(SIZE);
        size_t from = round % 3 == 1 ? 8 * PAGE : 0, bytes = round % 3 == 2 ? 5 * PAGE : SIZE - from;
        copy(copied, at, SIZE);
        EXPECT(asks(at + from, bytes, round % 2), 0);
        EXPECT_BYTES(at, SIZE, OLD, 0);
        EXPECT_BYTES(copied, SIZE, OLD, 0);
        gives_back(at + from, bytes);
        feed(at, SIZE, NEW, 0);
        copy(copied, at, SIZE);
        EXPECT_BYTES(copied, SIZE, NEW, 0);
        munmap(at, SIZE + PAGE), munmap(copied, SIZE + PAGE);
    }
}

/* The program serves faults of its own, from a view, in memory that zIO had; by loads, input, copies
 * and output. */
static void serves(void) {
    own_descriptor();
    served = viewed(SIZE, OLD);
    source = viewed(SIZE, OTHER);
    EXPECT(asks(served, SIZE, 0), 0);
    start(serve, NULL);
    struct channel c = wide_pipe();
    byte *other = viewed(SIZE, NEW);
    for (int round = 0; round < 4; round++) {
        EXPECT(madvise(served, SIZE, MADV_DONTNEED), 0);
        count = 0;
        switch (round) {
        case 0:
            EXPECT_BYTES(served, SIZE, OTHER, 0);
            break;
        case 1:
            EXPECT(write(c.out, served, SIZE), SIZE);
            EXPECT_STREAM(c.in, SIZE, OTHER, 0);
            break;
        case 2:
            copy(served + 100, other, SIZE - 4 * PAGE);
            EXPECT_BYTES(served, 100, OTHER, 0);
            EXPECT_BYTES(served + 100, SIZE - 4 * PAGE, NEW, 0);
            EXPECT_BYTES(served + SIZE - 3 * PAGE, 3 * PAGE, OTHER, SIZE - 3 * PAGE);
            break;
        default:
            feed(served, SIZE, NEW, 0);
            EXPECT_BYTES(served, SIZE, NEW, 0);
        }
        say("round %d: %d faults\n", round, (int)count);
    }
    EXPECT_BYTES(source, SIZE, OTHER, 0);
}

/* UFFDIO_MOVE takes the pages of received memory. */
static void moves(void) {
    own_descriptor();
    byte *at = viewed(SIZE, OLD), *to = region(SIZE);
    *(volatile byte *)to = 1; /* the kernel wants memory that was in use once */
    EXPECT(asks(to, SIZE, 0), 0);
    EXPECT(madvise(to, SIZE, MADV_DONTNEED), 0);
    struct uffdio_move wanted = {.dst = (uintptr_t)to, .src = (uintptr_t)at, .len = SIZE};
    errno = 0;
    int result = ioctl(faults, UFFDIO_MOVE, &wanted);
    say("moved: %d %s %d\n", result, errno_name(errno), (int)wanted.move);
    if (result == 0) {
        EXPECT_BYTES(to, SIZE, OLD, 0);
        int left = 0;
        for (size_t i = 0; i < SIZE; i++)
            left += ((volatile byte *)at)[i] != 0;
        EXPECT(left, 0);
    } else {
        EXPECT_BYTES(at, SIZE, OLD, 0);
    }
}

/* Requests that make no sense fail as they do plain. */
static void refused(void) {
    own_descriptor();
    byte *at = viewed(SIZE, OLD);
    EXPECT_ERROR(EFAULT, ioctl(faults, UFFDIO_REGISTER, (void *)8));
    EXPECT_ERROR(EINVAL, asks(at + 1, SIZE, 0));
    EXPECT_ERROR(EINVAL, asks(at, 0, 0));
    EXPECT_ERROR(EINVAL, asks((byte *)~PAGE, SIZE, 0));
    int null = open("/dev/null", O_RDWR);
    struct uffdio_register wanted = {.range = {(uintptr_t)at, SIZE}, .mode = 1};
    EXPECT_ERROR(ENOTTY, ioctl(null, UFFDIO_REGISTER, &wanted));
    EXPECT_ERROR(EBADF, ioctl(-1, UFFDIO_REGISTER, &wanted));
    EXPECT_BYTES(at, SIZE, OLD, 0);
}

SUBCASES({"registers", registers}, {"serves", serves}, {"moves", moves}, {"refused", refused})
