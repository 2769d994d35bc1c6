/* Case 13: system calls that nobody hooks, on viewed memory, as source and as destination. */
#include "channels.h"
#include "direct_call.h"
#include <aio.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/utsname.h>

enum { OLD = 1, NEW = 2, OTHER = 3 };
#define SIZE (256 * KIB)

/* By syscall(3), which can be hooked, and by the instruction, which cannot. */
#define CALL(...) (direct ? DIRECT(__VA_ARGS__) : syscall(__VA_ARGS__))
static void raw_calls_by(int direct) {
    struct channel c = unix_pair(SOCK_STREAM);
    byte *from = stream_bytes(SIZE, NEW, 0);
    for (int way = 0; way < 4; way++) {
        byte *at = viewed(SIZE, OLD), *copied = region(SIZE), *into = viewed(SIZE, OLD);
        struct iovec parts[2] = {{at, 100000}, {at + 100000, SIZE - 100000}},
                     in[2] = {{into, 70000}, {into + 70001, SIZE - 70001}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2},
                      received = {.msg_iov = in, .msg_iovlen = 2};
        if (way == 0)
            EXPECT(CALL(SYS_write, c.out, at, SIZE), SIZE);
        if (way == 1)
            EXPECT(CALL(SYS_writev, c.out, parts, 2), SIZE);
        if (way == 2)
            EXPECT(CALL(SYS_sendto, c.out, at, SIZE, 0, NULL, 0), SIZE);
        if (way == 3)
            EXPECT(CALL(SYS_sendmsg, c.out, &message, 0), SIZE);
        EXPECT_STREAM(c.in, SIZE, OLD, 0);
        copy(copied, at, SIZE);
        write_all(c.out, from, 200000);
        if (way == 0)
            EXPECT(CALL(SYS_read, c.in, at, SIZE), 200000);
        if (way == 1)
            EXPECT(CALL(SYS_recvfrom, c.in, at, SIZE, 0, NULL, NULL), 200000);
        if (way == 2)
            EXPECT(CALL(SYS_readv, c.in, in, 2), 200000);
        if (way == 3)
            EXPECT(CALL(SYS_recvmsg, c.in, &received, 0), 200000);
        EXPECT_BYTES(copied, SIZE, OLD, 0);
        if (way < 2) {
            EXPECT_BYTES(at, 200000, NEW, 0);
            EXPECT_BYTES(at + 200000, SIZE - 200000, OLD, 200000);
        } else {
            EXPECT_BYTES(into, 70000, NEW, 0);
            EXPECT(into[70000], byte_of(OLD, 70000));
            EXPECT_BYTES(into + 70001, 130000, NEW, 70000);
            EXPECT_BYTES(into + 200001, SIZE - 200001, OLD, 200001);
        }
        copy(copied, at, SIZE);
        munmap(at, SIZE + PAGE);
        EXPECT_BYTES(copied, 1, way < 2 ? NEW : OLD, 0);
    }
    int file = temporary_file(0);
    byte *at = viewed(SIZE, OLD);
    EXPECT(CALL(SYS_pwrite64, file, at, SIZE, 0), SIZE);
    EXPECT(CALL(SYS_pread64, file, at + 8192, 65536, 0), 65536);
    EXPECT_BYTES(at, 8192, OLD, 0);
    EXPECT_BYTES(at + 8192, 65536, OLD, 0);
    EXPECT_BYTES(at + 73728, SIZE - 73728, OLD, 73728);
}
static void raw_calls(void) {
    raw_calls_by(0);
}
static void direct_calls(void) {
    raw_calls_by(1);
}

/* Small structures that system calls read or write inside a view. */
static void structures(void) {
    byte *at = viewed(SIZE, OLD);
    struct channel c = wide_pipe();
    byte *slot = at + PAGE - 4; /* crosses into a page nobody touched, each time another */
#define NEXT (slot += 2 * PAGE)
    EXPECT(uname((struct utsname *)NEXT), 0);
    say("%s\n", ((struct utsname *)slot)->sysname);
    EXPECT(fstat(c.in, (struct stat *)NEXT), 0);
    EXPECT(S_ISFIFO(((struct stat *)slot)->st_mode), 1);
    strcpy((char *)NEXT, "/dev/null");
    int null = open((char *)slot, O_RDWR);
    EXPECT(null >= 0, 1);
    EXPECT(pipe((int *)NEXT), 0);
    EXPECT(write(((int *)slot)[1], "x", 1), 1);
    close(((int *)slot)[0]), close(((int *)slot)[1]);
    EXPECT(readlink("/proc/self/exe", (char *)NEXT, PAGE) > 1, 1);
    NEXT;
    EXPECT(getcwd((char *)slot, PAGE) == (char *)slot && slot[0] == '/', 1);
    struct pollfd *polled = (void *)NEXT;
    polled[0] = (struct pollfd){.fd = c.out, .events = POLLOUT},
    polled[1] = (struct pollfd){.fd = c.in, .events = POLLIN};
    EXPECT(poll(polled, 2, 0), 1);
    EXPECT(polled[0].revents, POLLOUT);
    fd_set *set = (void *)NEXT;
    FD_ZERO(set);
    FD_SET(c.out, set);
    EXPECT(select(c.out + 1, NULL, set, NULL, &(struct timeval){0, 0}), 1);
    int epoll = epoll_create1(0);
    struct epoll_event *event = (void *)NEXT;
    *event = (struct epoll_event){.events = EPOLLOUT, .data.u64 = 77};
    EXPECT(epoll_ctl(epoll, EPOLL_CTL_ADD, c.out, event), 0);
    event = (void *)NEXT;
    EXPECT(epoll_wait(epoll, event, 10, 0), 1);
    EXPECT(event->data.u64, 77);
    EXPECT(write(c.out, "12345", 5), 5);
    EXPECT(ioctl(c.in, 0x541B /* FIONREAD */, NEXT), 0);
    EXPECT(*(int *)slot, 5);
    EXPECT(clock_gettime(CLOCK_MONOTONIC, (struct timespec *)NEXT), 0);
    EXPECT(sched_getaffinity(0, 128, (cpu_set_t *)NEXT), 0);
    EXPECT(getsockname(unix_pair(SOCK_STREAM).in, (void *)NEXT,
                       &(socklen_t){sizeof(struct sockaddr_un)}),
           0);
    EXPECT(((struct sockaddr *)slot)->sa_family, AF_UNIX);
    *(int *)NEXT = 12345;
    EXPECT(setsockopt(unix_pair(SOCK_STREAM).in, SOL_SOCKET, SO_RCVLOWAT, slot, 4), 0);
    EXPECT(prctl(PR_GET_NAME, NEXT), 0);
    say("%.15s\n", (char *)slot);
    int directory = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
    EXPECT(syscall(SYS_getdents64, directory, NEXT, 4 * PAGE) > 0, 1);
    slot += 6 * PAGE;
    EXPECT(slot < at + SIZE, 1);
    EXPECT_BYTES(at, PAGE, OLD, 0);
    EXPECT_BYTES(slot + PAGE, (size_t)(at + SIZE - slot) - PAGE, OLD, (uint64_t)(slot + PAGE - at));
}

static void process_vm(void) {
    byte *at = viewed(SIZE, NEW), *into = viewed(SIZE, OLD);
    EXPECT(
        process_vm_readv(getpid(), &(struct iovec){into, SIZE}, 1, &(struct iovec){at, SIZE}, 1, 0),
        SIZE);
    EXPECT_BYTES(into, SIZE, NEW, 0);
    into = viewed(SIZE, OLD);
    EXPECT(process_vm_writev(getpid(), &(struct iovec){into, SIZE}, 1, &(struct iovec){at, SIZE}, 1,
                             0),
           SIZE);
    EXPECT_BYTES(at, SIZE, OLD, 0);
    /* Another process reads and writes this one's views while it runs. */
    at = viewed(SIZE, NEW);
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        byte *copied = region(SIZE), *out = stream_bytes(16 * KIB, OTHER, 0);
        ssize_t n = process_vm_readv(parent, &(struct iovec){copied, SIZE}, 1,
                                     &(struct iovec){at, SIZE}, 1, 0);
        if (n < 0 && errno == EPERM)
            _exit(2);
        EXPECT(n, SIZE);
        EXPECT_BYTES(copied, SIZE, NEW, 0);
        EXPECT(process_vm_writev(parent, &(struct iovec){out, 16 * KIB}, 1,
                                 &(struct iovec){at + 32 * KIB, 16 * KIB}, 1, 0),
               16 * KIB);
        _exit(failures != 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WEXITSTATUS(status) == 2)
        skip("no process may read another's memory here");
    EXPECT(status, 0);
    EXPECT_BYTES(at, 32 * KIB, NEW, 0);
    EXPECT_BYTES(at + 32 * KIB, 16 * KIB, OTHER, 0);
    EXPECT_BYTES(at + 48 * KIB, SIZE - 48 * KIB, NEW, 48 * KIB);
}

static void *wait_on_word(void *argument) {
    while (__atomic_load_n((uint32_t *)argument, __ATOMIC_SEQ_CST) == 0)
        syscall(SYS_futex, argument, FUTEX_WAIT, 0, NULL, NULL, 0);
    return NULL;
}

/* Mutexes, conditions and futex words in memory that was viewed when they were made. */
static void futexes(void) {
    for (int round = 0; round < 8; round++) {
        byte *at = viewed(SIZE, OLD), *zeros = region(SIZE);
        uint32_t *word = (void *)(at + 40960), old = *(uint32_t *)(at + 81920);
        struct timespec at_once = {0, 1000};
        EXPECT_ERROR(EAGAIN, syscall(SYS_futex, at + 122880, FUTEX_WAIT, 1, &at_once, NULL, 0));
        EXPECT_ERROR(ETIMEDOUT, syscall(SYS_futex, at + 81920, FUTEX_WAIT, old, &at_once, NULL, 0));
        *word = 0;
        pthread_t thread = start(wait_on_word, word);
        copy(zeros, at, SIZE); /* a copy of the page while it is waited on */
        pause_ms(1);
        __atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
        syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
        pthread_join(thread, NULL);
        EXPECT(*(uint32_t *)(zeros + 40960), 0);
        pthread_mutex_t *mutex = (void *)(at + 163840);
        pthread_mutex_init(mutex, NULL);
        pthread_mutex_lock(mutex);
        EXPECT(pthread_mutex_trylock(mutex), EBUSY);
        pthread_mutex_unlock(mutex);
    }
}

static void files_and_queues(void) {
    byte *at = viewed(SIZE, NEW), *into = viewed(SIZE, OLD);
    int file = temporary_file(0), second = temporary_file(0);
    struct channel c = wide_pipe(), socket = unix_pair(SOCK_STREAM);
    EXPECT(write(file, at, SIZE), SIZE);
    off_t position = 0;
    EXPECT(sendfile(socket.out, file, &position, 100000), 100000);
    EXPECT(recv(socket.in, into, 100000, MSG_WAITALL), 100000);
    EXPECT_BYTES(into, 100000, NEW, 0);
    loff_t from = 0, to = 0;
    EXPECT(copy_file_range(file, &from, second, &to, SIZE, 0), SIZE);
    EXPECT(pread(second, into, SIZE, 0), SIZE);
    EXPECT_BYTES(into, SIZE, NEW, 0);
    /* A write to a file, then splice from it; input by splice and read. */
    from = 0;
    EXPECT(splice(file, &from, c.out, NULL, 65536, 0), 65536);
    feed(into, SIZE, OLD, 0);
    EXPECT(read(c.in, into, SIZE), 65536);
    EXPECT_BYTES(into, 65536, NEW, 0);
    EXPECT_BYTES(into + 65536, SIZE - 65536, OLD, 65536);
    EXPECT(write(c.out, at, 65536), 65536);
    struct channel twin = wide_pipe();
    EXPECT(tee(c.in, twin.out, 65536, 0), 65536);
    memset(at, 0, SIZE);
    feed(at, SIZE, OTHER, 0);
    EXPECT_STREAM(c.in, 65536, NEW, 0);
    EXPECT_STREAM(twin.in, 65536, NEW, 0);
    /* System V messages carry a header inside the buffer. */
    int queue = msgget(IPC_PRIVATE, 0600);
    byte *message = viewed(SIZE, OLD);
    *(long *)message = 3;
    if (queue >= 0) {
        EXPECT(msgsnd(queue, message, 8000, 0), 0);
        EXPECT(msgrcv(queue, into + 3 * PAGE - 8, 8000, 3, 0), 8000);
        EXPECT_BYTES(into + 3 * PAGE, 8000, OLD, 8);
        msgctl(queue, IPC_RMID, NULL);
    }
}

/* Machine code that was received and copied runs from the copy. */
static void executed(void) {
#if defined __x86_64__
    static const byte code[] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov eax, 42; ret */
#elif defined __aarch64__
    static const byte code[] = {0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6};
#else
    static const byte code[] = {0};
#endif
    byte *source = stream_bytes(SIZE, NEW, 0), *landed = region(SIZE), *copied = region(SIZE);
    struct channel c = wide_pipe();
    for (size_t page = 0; page < SIZE / PAGE; page++)
        for (size_t i = 0; i < sizeof code; i++)
            source[page * PAGE + 16 + i] = code[i];
    write_all(c.out, source, SIZE);
    EXPECT(read(c.in, landed, SIZE), SIZE);
    copy(copied, landed, SIZE);
    if (mprotect(copied, SIZE, PROT_READ | PROT_EXEC))
        skip("no memory may be made executable here");
    __builtin___clear_cache((char *)copied, (char *)copied + SIZE);
    for (size_t page = 0; sizeof code > 1 && page < SIZE / PAGE; page += 3)
        EXPECT(((int (*)(void))(uintptr_t)(copied + page * PAGE + 16))(), 42);
    EXPECT_BYTES(copied, 16, NEW, 0);
}

static void *die_with_lock(void *mutex) {
    pthread_mutex_lock(mutex);
    return NULL;
}

/* A robust mutex in a view, whose owner dies. The kernel finds it through the page. */
static void robust(void) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    for (int i = 0; i < 8; i++) {
        byte *at = viewed(SIZE, OLD), *copied = region(SIZE);
        pthread_mutex_t *mutex = (void *)(at + 5 * PAGE + 64);
        pthread_mutex_init(mutex, &attributes);
        copy(copied, at, SIZE); /* the page may become a view again */
        copy(at, copied, SIZE);
        pthread_join(start(die_with_lock, mutex), NULL);
        EXPECT(pthread_mutex_lock(mutex), EOWNERDEAD);
        EXPECT(pthread_mutex_consistent(mutex), 0);
        EXPECT(pthread_mutex_unlock(mutex), 0);
        EXPECT_BYTES(at, PAGE, OLD, 0);
    }
}

/* Advice that brings pages in succeeds on views as on other memory, hooked or raw. */
static void populated(void) {
    for (int raw = 0; raw < 2; raw++)
        for (int write = 0; write < 2; write++) {
            byte *at = viewed(SIZE, OLD);
            int advice = write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
            errno = 0;
            say_result("populate",
                       raw ? DIRECT(SYS_madvise, at, SIZE, advice) : madvise(at, SIZE, advice));
            say_result("will need", raw ? DIRECT(SYS_madvise, at, SIZE, MADV_WILLNEED)
                                        : madvise(at, SIZE, MADV_WILLNEED));
            say_result("cold", raw ? DIRECT(SYS_madvise, at, SIZE, MADV_COLD)
                                   : madvise(at, SIZE, MADV_COLD));
            say_result("page out", raw ? DIRECT(SYS_madvise, at, SIZE, MADV_PAGEOUT)
                                       : madvise(at, SIZE, MADV_PAGEOUT));
            EXPECT_BYTES(at, SIZE, OLD, 0);
        }
}

/* POSIX asynchronous IO reads and writes from threads of libc's own. */
static void posix_aio(void) {
    int file = temporary_file(0);
    for (int round = 0; round < 4; round++) {
        byte *at = viewed(SIZE, NEW), *into = viewed(SIZE, OLD), *copied = region(SIZE);
        struct aiocb out = {.aio_fildes = file, .aio_buf = at, .aio_nbytes = SIZE};
        struct aiocb in = {.aio_fildes = file, .aio_buf = into, .aio_nbytes = SIZE};
        const struct aiocb *list[1] = {&out};
        EXPECT(aio_write(&out), 0);
        while (aio_suspend(list, 1, NULL) && errno == EINTR) {
        }
        EXPECT(aio_return(&out), SIZE);
        list[0] = &in;
        EXPECT(aio_read(&in), 0);
        while (aio_suspend(list, 1, NULL) && errno == EINTR) {
        }
        EXPECT(aio_error(&in), 0);
        EXPECT(aio_return(&in), SIZE);
        copy(copied, into, SIZE);
        EXPECT_BYTES(copied, SIZE, NEW, 0);
        EXPECT_BYTES(into, SIZE, NEW, 0);
        EXPECT_BYTES(at, SIZE, NEW, 0);
    }
}

SUBCASES({"raw-calls", raw_calls}, {"direct-calls", direct_calls}, {"structures", structures},
         {"process-vm", process_vm}, {"futexes", futexes}, {"files-and-queues", files_and_queues},
         {"posix-aio", posix_aio}, {"executed", executed}, {"robust", robust},
         {"populated", populated})
