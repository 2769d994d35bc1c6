/* Case 22: who looks at a process with views from outside. A core dump ends; what /proc/self/mem
 * cannot read it can after the program, or a debugger in its name, has asked for plain memory. */
#include "channels.h"
#include <dlfcn.h>
#include <sys/uio.h>

#define SIZE (192 * KIB)

/* Dumping core meets views and does not wait for them. */
static void dumps_core(void) {
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        if (child == 0) {
            struct rlimit limit;
            getrlimit(RLIMIT_CORE, &limit);
            limit.rlim_cur = limit.rlim_max;
            setrlimit(RLIMIT_CORE, &limit);
            byte *kept = viewed(SIZE, 1);
            if (i)
                kept = NULL, *(volatile int *)kept = 1;
            abort();
        }
        int status = -1;
        waitpid(child, &status, 0);
        say("ended by signal %d\n", WTERMSIG(status));
    }
    EXPECT_BYTES(viewed(SIZE, 1), SIZE, 1, 0);
}

static void reads_its_memory(void) {
    byte *kept = viewed(SIZE, 1), *seen = region(SIZE);
    void (*materialise)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "zio_materialise_all");
    if (materialise)
        materialise();
    int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    EXPECT(pread(fd, seen, SIZE, (off_t)(uintptr_t)kept), SIZE);
    EXPECT_BYTES(seen, SIZE, 1, 0);
    EXPECT_BYTES(kept, SIZE, 1, 0);
    EXPECT_BYTES(viewed(SIZE, 1), SIZE, 1, 0);
}

/* Through /proc/self/mem a program reads and writes its own memory, whatever it shows. A page is memory
 * before: plain calls reach both. */
static void is_a_file(void) {
    byte *seen = region(SIZE), *source = stream_bytes(SIZE, 2, 0);
    int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    struct iovec into = {seen, SIZE}, from = {source, 10000};
    for (int way = 0; way < 10; way++) {
        byte *received = viewed(SIZE, 1), *at = region(SIZE);
        copy(at, received, SIZE);
        off_t place = (off_t)(uintptr_t)at, inside = place + 100;
        if (way % 2)
            EXPECT(((volatile byte *)at)[7 * PAGE], byte_of(1, 7 * PAGE));
        memset(seen, 0, SIZE);
        lseek(fd, way < 5 ? place : inside, SEEK_SET);
        switch (way) {
        case 0:
            EXPECT(pread(fd, seen, SIZE, place), SIZE);
            break;
        case 1:
            EXPECT(preadv(fd, &into, 1, place), SIZE);
            break;
        case 2:
            EXPECT(read(fd, seen, SIZE), SIZE);
            break;
        case 3:
            EXPECT(syscall(SYS_pread64, fd, seen, SIZE, place), SIZE);
            break;
        case 4:
            EXPECT(syscall(SYS_read, fd, seen, SIZE), SIZE);
            break;
        case 5:
            EXPECT(pwrite(fd, source, 10000, inside), 10000);
            break;
        case 6:
            EXPECT(pwritev(fd, &from, 1, inside), 10000);
            break;
        case 7:
            EXPECT(syscall(SYS_pwrite64, fd, source, 10000, inside), 10000);
            break;
        case 8:
            EXPECT(write(fd, source, 10000), 10000);
            break;
        default:
            EXPECT(syscall(SYS_pwrite64, fd, source, 10000L, inside), 10000);
        }
        if (way < 5) {
            EXPECT_BYTES(seen, SIZE, 1, 0);
            EXPECT_BYTES(at, SIZE, 1, 0);
        } else {
            EXPECT_BYTES(at, 100, 1, 0);
            EXPECT_BYTES(at + 100, 10000, 2, 0);
            EXPECT_BYTES(at + 10100, SIZE - 10100, 1, 10100);
        }
        EXPECT_BYTES(received, SIZE, 1, 0);
    }
}

SUBCASES({"dumps-core", dumps_core}, {"reads-its-memory", reads_its_memory}, {"is-a-file", is_a_file})
