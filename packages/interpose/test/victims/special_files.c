/* Case 9: input with large buffers from files that are not data files. Each has rules of
 * its own about buffer sizes and counts, and the buffer may be a view. */
#include "channels.h"
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <pty.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <termios.h>

enum { OLD = 1, NEW = 2 };
#define SIZE (128 * KIB)

static void expect_rest(byte *at, size_t from) {
    byte *copied = region(SIZE);
    copy(copied, at, SIZE);
    EXPECT_BYTES(copied + from, SIZE - from, OLD, from);
    EXPECT_BYTES(at + from, SIZE - from, OLD, from);
}

static void event_files(void) {
    byte *at = viewed(SIZE, OLD);
    int event = eventfd(7, EFD_NONBLOCK), timer = timerfd_create(CLOCK_MONOTONIC, 0);
    EXPECT_QUIET(8, read(event, at, SIZE));
    EXPECT(*(uint64_t *)at, 7);
    EXPECT_ERROR(EAGAIN, read(event, at, SIZE));
    EXPECT_ERROR(EINVAL, read(event, at, 7));
    *(uint64_t *)at = 5;
    say_result("a long write to an eventfd", write(event, at, SIZE)); /* refused since Linux 6.7 */
    EXPECT_QUIET(8, write(event, at, 8));
    EXPECT_QUIET(8, readv(event, (struct iovec[]){{at, 4}, {at + 4, SIZE - 4}}, 2));
    say("%d\n", (int)*(uint64_t *)at);
    expect_rest(at, 8);
    struct itimerspec once = {.it_value.tv_nsec = 1000000};
    timerfd_settime(timer, 0, &once, NULL);
    EXPECT_QUIET(8, read(timer, at, SIZE));
    EXPECT(*(uint64_t *)at, 1);
    expect_rest(at, 8);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int signals = signalfd(-1, &set, SFD_NONBLOCK);
    EXPECT_ERROR(EAGAIN, read(signals, at, SIZE));
    raise(SIGUSR1);
    EXPECT_QUIET(sizeof(struct signalfd_siginfo), read(signals, at, SIZE));
    EXPECT(((struct signalfd_siginfo *)at)->ssi_signo, SIGUSR1);
    expect_rest(at, sizeof(struct signalfd_siginfo));
}

static void inotify(void) {
    char directory[] = "watched-XXXXXX", path[64];
    if (!mkdtemp(directory))
        die("mkdtemp");
    int fd = inotify_init1(IN_NONBLOCK);
    byte *at = viewed(SIZE, OLD);
    EXPECT(inotify_add_watch(fd, directory, IN_CREATE | IN_DELETE) > 0, 1);
    EXPECT_ERROR(EAGAIN, read(fd, at, SIZE));
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/entry-%d", directory, i);
        close(open(path, O_CREAT | O_WRONLY, 0600));
        unlink(path);
    }
    EXPECT_ERROR(EINVAL, read(fd, at, 10));
    ssize_t n = read(fd, at, SIZE);
    say_result("inotify", n);
    for (ssize_t i = 0; i < n;) {
        struct inotify_event *event = (void *)(at + i);
        say("%x %s\n", event->mask, event->name);
        i += (ssize_t)(sizeof *event + event->len);
    }
    if (n > 0)
        expect_rest(at, (size_t)n);
    rmdir(directory);
}

/* Files of /proc come in pieces of their own choosing: the same ones. */
static void procfs(void) {
    static const char *const paths[] = {
        "/proc/version",   "/proc/cpuinfo",     "/proc/sys/kernel/ostype",
        "/proc/self/comm", "/proc/filesystems", "/sys/kernel/mm/transparent_hugepage/enabled"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        int fd = open(paths[i], O_RDONLY);
        if (fd < 0)
            continue;
        byte *at = viewed(SIZE, OLD), *small = region(SIZE);
        size_t total = 0, slow = 0;
        ssize_t n;
        if (i == 1) { /* its frequencies change: only the first line is compared */
            n = read(fd, at, SIZE);
            say("%s: %.*s\n", paths[i], (int)strcspn((char *)at, "\n"), (char *)at);
            expect_rest(at, (size_t)n);
            continue;
        }
        while ((n = read(fd, at + total, SIZE - total)) > 0)
            total += (size_t)n;
        EXPECT(n, 0);
        lseek(fd, 0, SEEK_SET);
        while ((n = read(fd, small + slow, 100)) > 0)
            slow += (size_t)n;
        EXPECT(total, slow);
        for (size_t at_byte = 0; at_byte < total; at_byte++)
            if (at[at_byte] != small[at_byte])
                EXPECT(at_byte, -1);
        say("%s: %zu\n", paths[i], i == 3 ? 0 : total);
        expect_rest(at, total);
        close(fd);
    }
    /* A process reads its own memory into a view. */
    byte *into = viewed(SIZE, OLD);
    int memory = open("/proc/self/mem", O_RDWR);
    if (memory >= 0) {
        byte *plain = stream_bytes(SIZE, NEW, 0);
        EXPECT_QUIET(SIZE, pread(memory, into, SIZE, (off_t)(uintptr_t)plain));
        EXPECT_BYTES(into, SIZE, NEW, 0);
    }
}

static void pseudo_terminal(void) {
    int master, slave;
    struct termios raw;
    if (openpty(&master, &slave, NULL, NULL, NULL))
        skip("no pseudo terminals here");
    tcgetattr(slave, &raw);
    byte *at = viewed(SIZE, OLD);
    /* Cooked: a line at a time, however large the buffer. */
    raw.c_lflag &= (tcflag_t)~ECHO;
    tcsetattr(slave, TCSANOW, &raw);
    EXPECT_QUIET(12, write(master, "hello\nworld\n", 12));
    EXPECT_QUIET(6, read(slave, at, SIZE));
    EXPECT(memcmp(at, "hello\n", 6), 0);
    expect_rest(at, 6);
    EXPECT_QUIET(6, read(slave, at, SIZE));
    EXPECT(memcmp(at, "world\n", 6), 0);
    EXPECT_QUIET(1, write(master, "\4", 1));
    EXPECT_QUIET(0, read(slave, at, SIZE)); /* ^D */
    expect_rest(at, 6);
    cfmakeraw(&raw);
    tcsetattr(slave, TCSANOW, &raw);
    byte *out = viewed(SIZE, NEW), *got = region(SIZE);
    EXPECT_QUIET(3000, write(master, out, 3000));
    size_t done = 0;
    while (done < 3000) {
        ssize_t n = read(slave, got + done, SIZE - done);
        if (n <= 0)
            die("pty");
        done += (size_t)n;
    }
    EXPECT_BYTES(got, 3000, NEW, 0);
    /* Out through the slave, by large writes, while another thread drains. */
    pid_t child = fork();
    if (child == 0) {
        for (size_t sent = 0; sent < SIZE;) {
            ssize_t n = write(slave, out + sent, SIZE - sent);
            if (n <= 0)
                _exit(1);
            sent += (size_t)n;
        }
        _exit(0);
    }
    for (done = 0; done < SIZE;) {
        ssize_t n = read(master, at + done, SIZE - done);
        if (n <= 0)
            die("pty master");
        done += (size_t)n;
    }
    int status;
    waitpid(child, &status, 0);
    EXPECT(status, 0);
    EXPECT_BYTES(at, SIZE, NEW, 0);
    close(slave);
    EXPECT_ERROR(EIO, read(master, at, SIZE));
    EXPECT_BYTES(at, SIZE, NEW, 0);
}

static void devices(void) {
    byte *at = viewed(SIZE, OLD), *copied = region(SIZE), *second = viewed(SIZE, OLD);
    int zero = open("/dev/zero", O_RDWR), random = open("/dev/urandom", O_RDONLY);
    EXPECT_QUIET(SIZE - 100, read(zero, at, SIZE - 100));
    EXPECT_ALL(at, SIZE - 100, 0);
    EXPECT_BYTES(at + SIZE - 100, 100, OLD, SIZE - 100);
    EXPECT_QUIET(SIZE - 9, pread(zero, second + 9, SIZE - 9, 12345));
    copy(copied, second, SIZE);
    EXPECT_BYTES(copied, 9, OLD, 0);
    EXPECT_ALL(copied + 9, SIZE - 9, 0);
    EXPECT_QUIET(SIZE, write(zero, at, SIZE));
    /* Random bytes stay what they were through copies. */
    byte *noise = viewed(SIZE, OLD), *twin = region(SIZE);
    EXPECT_QUIET(SIZE, read(random, noise, SIZE));
    copy(twin, noise, SIZE);
    struct channel c = wide_pipe();
    write_all(c.out, twin, SIZE);
    read_all(c.in, copied, SIZE);
    size_t changed = 0, differs = 0;
    for (size_t i = 0; i < SIZE; i++) {
        changed += noise[i] != byte_of(OLD, i);
        differs += noise[i] != twin[i] || noise[i] != copied[i];
    }
    EXPECT(changed > SIZE * 9 / 10, 1);
    EXPECT(differs, 0);
    noise = viewed(SIZE, OLD);
    for (size_t done = 0; done < SIZE - 5;) {
        ssize_t n = getrandom(noise + done, SIZE - 5 - done, 0);
        if (n <= 0)
            die("getrandom");
        done += (size_t)n;
    }
    EXPECT_BYTES(noise + SIZE - 5, 5, OLD, SIZE - 5);
    copy(twin, noise, SIZE);
    for (differs = changed = 0, changed = 0; changed < SIZE; changed++)
        differs += noise[changed] != twin[changed];
    EXPECT(differs, 0);
}

/* A memfd and a FIFO behave like a file and a pipe; a memfd mapped shared shows what was
 * written and is no place for views. */
static void named(void) {
    byte *at = viewed(SIZE, NEW), *into = viewed(SIZE, OLD);
    int memory = memfd_create("victim", MFD_CLOEXEC);
    EXPECT_QUIET(SIZE, write(memory, at, SIZE));
    byte *shared = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    EXPECT_BYTES(shared, SIZE, NEW, 0);
    EXPECT_QUIET(SIZE, pread(memory, into, SIZE, 0));
    shared[5] ^= 1; /* the copy in `into` is not the file */
    EXPECT_BYTES(into, SIZE, NEW, 0);
    shared[5] ^= 1;
    copy(shared, viewed(SIZE, OLD), SIZE);
    EXPECT_QUIET(SIZE, pread(memory, into, SIZE, 0));
    EXPECT_BYTES(into, SIZE, OLD, 0);
    feed(shared, SIZE, NEW, 0);
    EXPECT_QUIET(SIZE, pread(memory, into, SIZE, 0));
    EXPECT_BYTES(into, SIZE, NEW, 0);
    if (mkfifo("fifo", 0600))
        die("mkfifo");
    int fifo = open("fifo", O_RDWR);
    unlink("fifo");
    EXPECT_QUIET(65536, write(fifo, at, 65536));
    EXPECT_QUIET(65536, read(fifo, into + 1, SIZE - 1));
    EXPECT_BYTES(into + 1, 65536, NEW, 0);
}

/* A file that changes after it was read, truncated, punched, mapped: views keep the bytes. */
static void changing_file(void) {
    int fd = temporary_file(0);
    byte *from = stream_bytes(SIZE, NEW, 0), *other = stream_bytes(SIZE, OLD, 0);
    for (int way = 0; way < 5; way++) {
        byte *at = region(SIZE), *copied = region(SIZE);
        EXPECT_QUIET(SIZE, pwrite(fd, from, SIZE, 0));
        EXPECT_QUIET(SIZE, pread(fd, at, SIZE, 0));
        copy(copied, at, SIZE);
        if (way == 0)
            EXPECT_QUIET(SIZE, pwrite(fd, other, SIZE, 0));
        if (way == 1)
            EXPECT(ftruncate(fd, 0), 0);
        if (way == 2)
            fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SIZE);
        if (way == 3) {
            byte *mapped = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            for (size_t i = 0; i < SIZE; i++)
                ((volatile byte *)mapped)[i] = 0;
            munmap(mapped, SIZE);
        }
        if (way == 4)
            EXPECT_QUIET(SIZE - 4096,
                         pwrite(fd, at, SIZE - 4096, 4096)); /* shifted within itself */
        EXPECT_BYTES(at, SIZE, NEW, 0);
        EXPECT_BYTES(copied, SIZE, NEW, 0);
    }
}

/* Netlink: a peek for the length, then datagrams into a large buffer. */
static void netlink(void) {
    struct {
        struct nlmsghdr header;
        struct rtgenmsg family;
    } request = {{sizeof request, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}, {AF_UNSPEC}};
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    byte *at = viewed(SIZE, OLD);
    if (fd < 0)
        skip("no netlink sockets here");
    EXPECT_QUIET(sizeof request, send(fd, &request, sizeof request, 0));
    int links = 0;
    for (int done = 0; !done;) {
        struct sockaddr_nl from;
        struct iovec whole = {at, SIZE};
        struct msghdr message = {
            .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &whole, .msg_iovlen = 1};
        ssize_t length = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC), n = recvmsg(fd, &message, 0);
        EXPECT(n, length);
        EXPECT(message.msg_namelen, sizeof from);
        if (n <= 0)
            break;
        byte *copied = region(SIZE);
        copy(copied, at, SIZE);
        EXPECT_BYTES(copied + n, SIZE - (size_t)n, OLD, (uint64_t)n);
        unsigned left = (unsigned)n;
        for (struct nlmsghdr *h = (void *)copied; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
            links += h->nlmsg_type == RTM_NEWLINK;
            done |= h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR;
        }
        feed(at, SIZE, OLD, 0);
    }
    EXPECT(links > 0, 1);
    close(fd);
}

SUBCASES({"event-files", event_files}, {"inotify", inotify}, {"procfs", procfs},
         {"pty", pseudo_terminal}, {"devices", devices}, {"named", named},
         {"changing-file", changing_file}, {"netlink", netlink})
