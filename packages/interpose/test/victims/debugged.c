/* Case 22: who looks at a process with views from outside. A core dump ends; what /proc/self/mem
 * cannot read it can after the program, or a debugger in its name, has asked for plain memory. */
#include "channels.h"
#include <dlfcn.h>

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

SUBCASES({"dumps-core", dumps_core}, {"reads-its-memory", reads_its_memory})
