/* Opening a userfaultfd, its reasons, and what its ioctls return. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "zone.h"

static struct zio_uffd uffd;
static struct zio_uffd_reason reason;

static unsigned char *registered_pages(size_t pages) {
    unsigned char *base = zio_pages_alloc(pages * PAGE);
    CHECK(base);
    CHECK_EQ(zio_uffd_register(&uffd, (uintptr_t)base, pages * PAGE), 0);
    return base;
}

static bool is_open(int fd) {
    return fcntl(fd, F_GETFD) >= 0;
}

static void opens_out_of_the_way_and_closes_on_exec(void) {
    require_userfaultfd(&uffd, 0);
    CHECK(uffd.fd >= 512);
    CHECK_EQ(fcntl(uffd.fd, F_GETFD), FD_CLOEXEC);
    CHECK(fcntl(uffd.fd, F_GETFL) & O_NONBLOCK);
    if (uffd.device_fd >= 0)
        CHECK_EQ(fcntl(uffd.device_fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(dup(0), 3); /* the low numbers are the program's */
    CHECK((uffd.features & UFFD_FEATURE_EVENT_UNMAP) && (uffd.features & UFFD_FEATURE_EVENT_REMAP));
    CHECK(uffd.features & UFFD_FEATURE_EVENT_REMOVE);
    CHECK(!uffd.user_mode_only);
    CHECK_EQ(zio_uffd_probe(&uffd), 0);
}

static void never_takes_a_standard_descriptor(void) {
    require_userfaultfd(&uffd, 0);
    zio_uffd_close(&uffd);
    if (uffd.device_fd >= 0)
        close(uffd.device_fd);
    for (rlim_t count = 5; count <= 8; count += 3) {
        struct rlimit limit = {count, 8};
        for (int fd = 0; fd < 8; fd++)
            close(fd);
        setrlimit(RLIMIT_NOFILE, &limit);
        int code = zio_uffd_open(&uffd, NULL, 0, &reason);
        int low[3];
        for (int i = 0; i < 3; i++)
            low[i] = open("/dev/null", O_RDWR);
        dup2(low[2], 2); /* for the messages below */
        CHECK_EQ(low[0], 0);
        CHECK_EQ(low[1], 1);
        CHECK_EQ(low[2], 2);
        CHECK_EQ(code, 0);
        CHECK(uffd.fd > 2);
    }
}

static void reports_a_full_descriptor_table(void) {
    require_userfaultfd(&uffd, 0);
    zio_uffd_close(&uffd);
    struct rlimit limit = {64, 64};
    setrlimit(RLIMIT_NOFILE, &limit);
    while (dup(0) >= 0)
        ;
    CHECK_EQ(zio_uffd_open(&uffd, NULL, 0, &reason), -EMFILE);
    CHECK(strstr(reason.text, "ulimit -n"));
    CHECK_EQ(uffd.fd, -1);
}

static void each_way_works_without_the_other(void) {
    require_userfaultfd(&uffd, 0);
    struct zio_uffd by_call, by_device;
    int code = zio_uffd_open(&by_call, NULL, ZIO_FEATURE_DEVICE, &reason);
    if (code != 0)
        SKIP("the system call alone: %s", reason.text);
    CHECK_EQ(by_call.device_fd, -1);
    CHECK_EQ(reason.device_error, ZIO_ENOSYS);
    code = zio_uffd_open(&by_device, NULL, ZIO_FEATURE_SYSCALL, &reason);
    if (code != 0)
        SKIP("the device alone: %s", reason.text);
    CHECK(by_device.device_fd > 2);
}

static void masks_say_so(void) {
    CHECK_EQ(zio_uffd_open(&uffd, NULL, ZIO_FEATURE_USERFAULTFD, &reason), ZIO_ENOSYS);
    CHECK(strstr(reason.text, "ZIO_DISABLE"));
    CHECK_EQ(uffd.fd, -1);
    CHECK(zio_uffd_open(&uffd, NULL, ZIO_FEATURE_DEVICE | ZIO_FEATURE_SYSCALL, &reason) < 0);
    CHECK(strstr(reason.text, "ZIO_DISABLE"));
    CHECK_EQ(reason.syscall_error, ZIO_ENOSYS);
    CHECK_EQ(reason.device_error, ZIO_ENOSYS);
    CHECK(zio_uffd_open(&uffd, NULL, ZIO_FEATURE_DEVICE | ZIO_FEATURE_SYSCALL, NULL) < 0);
}

static void masked_features_are_not_negotiated(void) {
    require_userfaultfd(&uffd, ZIO_FEATURE_MOVE | ZIO_FEATURE_THREAD_ID | ZIO_FEATURE_POISON);
    CHECK(!uffd.can_move && !uffd.can_poison);
    CHECK(!(uffd.features & (UFFD_FEATURE_MOVE | UFFD_FEATURE_THREAD_ID | UFFD_FEATURE_POISON)));
    unsigned char *base = registered_pages(1);
    uint64_t done = 7;
    CHECK_EQ(
        zio_uffd_move(&uffd, (uintptr_t)base, (uintptr_t)zio_pages_alloc(PAGE), PAGE, true, &done),
        ZIO_ENOSYS);
    CHECK_EQ(done, 0);
    CHECK_EQ(zio_uffd_poison(&uffd, (uintptr_t)base, PAGE, &done), ZIO_ENOSYS);
}

static void list_of_features_is_parsed(void) {
    size_t bad = 99;
    CHECK_EQ(zio_kernel_features_parse("", &bad), 0);
    CHECK_EQ(zio_kernel_features_parse(NULL, &bad), 0);
    CHECK_EQ(zio_kernel_features_parse("move", &bad), ZIO_FEATURE_MOVE);
    CHECK_EQ(zio_kernel_features_parse(" move , device,,thread-id ", &bad),
             ZIO_FEATURE_MOVE | ZIO_FEATURE_DEVICE | ZIO_FEATURE_THREAD_ID);
    CHECK_EQ(zio_kernel_features_parse("userfaultfd,syscall,procmap-query,poison", NULL),
             ZIO_FEATURE_USERFAULTFD | ZIO_FEATURE_SYSCALL | ZIO_FEATURE_PROCMAP_QUERY |
                 ZIO_FEATURE_POISON);
    CHECK_EQ(zio_kernel_features_parse("move,mov", &bad), ZIO_EINVAL);
    CHECK_EQ(bad, 5);
    CHECK_EQ(zio_kernel_features_parse("moved", &bad), ZIO_EINVAL);
    CHECK_EQ(zio_kernel_features_parse("move device", &bad), ZIO_EINVAL);
    CHECK_EQ(bad, 0);
}

static void ordinary_user_learns_why_and_what_to_do(void) {
    if (getuid() != 0)
        SKIP("needs root to become an ordinary user");
    require_userfaultfd(&uffd, 0);
    CHECK_EQ(setresgid(65534, 65534, 65534), 0);
    CHECK_EQ(setresuid(65534, 65534, 65534), 0);
    struct zio_uffd own;
    int code = zio_uffd_open(&own, NULL, 0, &reason);
    if (code == 0)
        SKIP("an ordinary user may use userfaultfd here");
    CHECK_EQ(code, ZIO_EPERM);
    CHECK_EQ(own.fd, -1);
    CHECK_EQ(reason.syscall_error, ZIO_EPERM);
    CHECK(reason.device_error == -EACCES || reason.device_error == ZIO_ENOENT);
    CHECK(own.user_mode_only);
    CHECK(strstr(reason.text, "vm.unprivileged_userfaultfd=1"));
    CHECK(strlen(reason.text) < sizeof reason.text - 1); /* not cut off */
    /* The device that was opened before still serves. */
    if (uffd.device_fd < 0)
        SKIP("no /dev/userfaultfd");
    CHECK_EQ(zio_uffd_open(&own, &uffd, 0, &reason), 0);
    CHECK_EQ(own.device_fd, uffd.device_fd);
}

static void stolen_device_number_is_not_trusted(void) {
    require_userfaultfd(&uffd, 0);
    if (uffd.device_fd < 0)
        SKIP("no /dev/userfaultfd");
    int null = open("/dev/null", O_RDWR);
    dup2(null, uffd.device_fd);
    struct zio_uffd second;
    CHECK_EQ(zio_uffd_open(&second, &uffd, 0, &reason), 0);
    CHECK(second.device_fd != uffd.device_fd);
    CHECK(is_open(uffd.device_fd)); /* the program's */
}

static void copy_fills_and_says_how_far_it_came(void) {
    require_userfaultfd(&uffd, 0);
    unsigned char *base = registered_pages(8);
    unsigned char *source = zio_pages_alloc(9 * PAGE);
    for (size_t i = 0; i < 9 * PAGE; i++)
        source[i] = (unsigned char)(i * 31 >> 3);
    uint64_t done = 1;
    CHECK_EQ(zio_uffd_copy(&uffd, (uintptr_t)base + 3 * PAGE, source, PAGE, &done), 0);
    CHECK_EQ(done, PAGE);
    CHECK_EQ(zio_uffd_copy(&uffd, (uintptr_t)base, source + 5, 8 * PAGE, &done), ZIO_EEXIST);
    CHECK_EQ(done, 3 * PAGE);
    CHECK_EQ(memcmp(base, source + 5, 3 * PAGE), 0);
    CHECK_EQ(memcmp(base + 3 * PAGE, source, PAGE), 0);
    CHECK_EQ(zio_uffd_zero(&uffd, (uintptr_t)base + 4 * PAGE, 4 * PAGE, &done), 0);
    CHECK_EQ(done, 4 * PAGE);
    CHECK_EQ(base[5 * PAGE], 0);
    CHECK_EQ(zio_uffd_zero(&uffd, (uintptr_t)base + 7 * PAGE, PAGE, &done), ZIO_EEXIST);
}

/* TRAPS 10: a window that leaves the mapping fails whole; one page at a time works. */
static void window_beyond_the_range_fails_whole(void) {
    require_userfaultfd(&uffd, 0);
    unsigned char *base = zio_pages_alloc(8 * PAGE), *source = zio_pages_alloc(8 * PAGE);
    CHECK_EQ(zio_uffd_register(&uffd, (uintptr_t)base, 4 * PAGE), 0);
    uint64_t done;
    CHECK_EQ(zio_uffd_copy(&uffd, (uintptr_t)base + 2 * PAGE, source, 4 * PAGE, &done), ZIO_ENOENT);
    CHECK_EQ(done, 0);
    CHECK_EQ(zio_uffd_zero(&uffd, (uintptr_t)base + 2 * PAGE, 4 * PAGE, &done), ZIO_ENOENT);
    CHECK_EQ(zio_uffd_copy(&uffd, (uintptr_t)base + 3 * PAGE, source, PAGE, &done), 0);
    CHECK_EQ(zio_uffd_copy(&uffd, (uintptr_t)base + 6 * PAGE, source, PAGE, &done), ZIO_ENOENT);
}

static void bad_arguments_are_told_apart(void) {
    require_userfaultfd(&uffd, 0);
    unsigned char *base = registered_pages(4);
    uint64_t done;
    CHECK_EQ(zio_uffd_copy(&uffd, (uintptr_t)base + 1, base, PAGE, &done), ZIO_EINVAL);
    CHECK_EQ(zio_uffd_copy(&uffd, (uintptr_t)base, (void *)16, PAGE, &done), -EFAULT);
    CHECK_EQ(zio_uffd_register(&uffd, (uintptr_t)base, 4 * PAGE), 0); /* idempotent */
    struct zio_uffd other;
    CHECK_EQ(zio_uffd_open(&other, NULL, 0, NULL), 0);
    CHECK_EQ(zio_uffd_register(&other, (uintptr_t)base, 4 * PAGE), ZIO_EBUSY);
    CHECK_EQ(zio_uffd_unregister(&uffd, (uintptr_t)base, 4 * PAGE), 0);
    CHECK_EQ(zio_uffd_register(&other, (uintptr_t)base, 4 * PAGE), 0);
}

static void closed_descriptor_is_told_from_a_bad_range(void) {
    require_userfaultfd(&uffd, 0);
    unsigned char *base = registered_pages(2);
    uint64_t done;
    int number = uffd.fd;
    close(number);
    CHECK_EQ(zio_uffd_probe(&uffd), ZIO_EBADF);
    CHECK(!zio_uffd_is_ours(&uffd));
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(dup2(ends[0], number), number);
    CHECK_EQ(zio_uffd_probe(&uffd), ZIO_EBADF);
    CHECK_EQ(zio_uffd_copy(&uffd, (uintptr_t)base, base, PAGE, &done), ZIO_EBADF);
    zio_uffd_close(&uffd);
    CHECK(is_open(number)); /* it was the program's */
    CHECK_EQ(uffd.fd, -1);
    CHECK_EQ(zio_uffd_probe(&uffd), ZIO_EBADF);
}

static void another_userfaultfd_under_our_number_is_not_ours(void) {
    require_userfaultfd(&uffd, 0);
    struct zio_uffd other;
    CHECK_EQ(zio_uffd_open(&other, NULL, 0, NULL), 0);
    if (other.identity == uffd.identity)
        SKIP("this kernel gives all userfaultfds one inode");
    CHECK(zio_uffd_is_ours(&uffd) && zio_uffd_is_ours(&other));
    CHECK_EQ(dup2(other.fd, uffd.fd), uffd.fd);
    CHECK(!zio_uffd_is_ours(&uffd));
    zio_uffd_close(&uffd);
    CHECK(is_open(other.fd));
}

static void child_lets_go_of_the_parents(void) {
    require_userfaultfd(&uffd, 0);
    pid_t child = fork();
    if (child == 0) {
        int number = uffd.fd;
        zio_uffd_abandon(&uffd, false);
        _exit(is_open(number) || uffd.fd != -1 ||
              (uffd.device_fd >= 0 && !is_open(uffd.device_fd)));
    }
    int status;
    waitpid(child, &status, 0);
    CHECK_EQ(status, 0);
    CHECK_EQ(zio_uffd_probe(&uffd), 0);
}

static int received_descriptor(int channel) {
    char control[CMSG_SPACE(sizeof(int))], byte;
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    CHECK_EQ(recvmsg(channel, &message, 0), 1);
    int fd;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

static void send_descriptor(int channel, int fd) {
    char control[CMSG_SPACE(sizeof(int))] = {0}, byte = 'x';
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    sendmsg(channel, &message, 0);
}

static void dead_process_is_told(void) {
    require_userfaultfd(&uffd, 0);
    int channel[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, channel), 0);
    unsigned char *base = registered_pages(1); /* mapped at the same address in the child */
    pid_t child = fork();
    if (child == 0) {
        struct zio_uffd own;
        if (zio_uffd_open(&own, NULL, 0, NULL) != 0)
            _exit(1);
        if (zio_uffd_register(&own, (uintptr_t)base, PAGE) != 0)
            _exit(2);
        send_descriptor(channel[1], own.fd);
        _exit(0);
    }
    struct zio_uffd of_child = {.fd = received_descriptor(channel[0])};
    int status;
    waitpid(child, &status, 0);
    CHECK_EQ(status, 0);
    static unsigned char source[PAGE];
    uint64_t done;
    CHECK_EQ(zio_uffd_copy(&of_child, (uintptr_t)base, source, PAGE, &done), ZIO_ESRCH);
}

static void *reads_first_byte(void *address) {
    return (void *)(uintptr_t) * (volatile unsigned char *)address;
}

/* The page was filled without waking; whoever finds it present wakes those who wait. */
static void present_page_wakes_its_waiters(void) {
    require_userfaultfd(&uffd, 0);
    unsigned char *base = registered_pages(1);
    static unsigned char source[PAGE] = {42};
    pthread_t thread;
    pthread_create(&thread, NULL, reads_first_byte, base);
    usleep(20000);
    struct uffdio_copy quiet = {.dst = (uintptr_t)base,
                                .src = (uintptr_t)source,
                                .len = PAGE,
                                .mode = UFFDIO_COPY_MODE_DONTWAKE};
    CHECK_EQ(zio_syscall(SYS_ioctl, uffd.fd, UFFDIO_COPY, &quiet), 0);
    uint64_t done;
    CHECK_EQ(zio_uffd_copy(&uffd, (uintptr_t)base, source, PAGE, &done), ZIO_EEXIST);
    void *value;
    pthread_join(thread, &value);
    CHECK_EQ((uintptr_t)value, 42);
}

static void require_move(void) {
    require_userfaultfd(&uffd, 0);
    if (!uffd.can_move)
        SKIP("no UFFDIO_MOVE: Linux 6.8");
}

static void move_takes_pages_and_skips_holes(void) {
    require_move();
    unsigned char *base = registered_pages(8), *source = zio_pages_alloc(8 * PAGE);
    memset(source, 1, 2 * PAGE);
    memset(source + 4 * PAGE, 5, PAGE);
    uint64_t done;
    CHECK_EQ(zio_uffd_move(&uffd, (uintptr_t)base, (uintptr_t)source, 8 * PAGE, false, &done),
             ZIO_ENOENT);
    CHECK_EQ(done, 2 * PAGE);
    CHECK_EQ(zio_uffd_move(&uffd, (uintptr_t)base + 2 * PAGE, (uintptr_t)source + 2 * PAGE,
                           6 * PAGE, true, &done),
             0);
    CHECK_EQ(done, 6 * PAGE);
    CHECK_EQ(base[0], 1);
    CHECK_EQ(base[4 * PAGE], 5);
    CHECK_EQ(source[0], 0);
    uint64_t zeroed; /* the hole stayed one */
    CHECK_EQ(zio_uffd_zero(&uffd, (uintptr_t)base + 3 * PAGE, PAGE, &zeroed), 0);
    CHECK_EQ(zio_uffd_move(&uffd, (uintptr_t)base, (uintptr_t)source, PAGE, true, &done),
             ZIO_EEXIST);
}

/* TRAPS 14. */
static void move_refuses_pages_shared_by_fork_even_after_the_child_is_gone(void) {
    require_move();
    unsigned char *base = registered_pages(4), *source = zio_pages_alloc(4 * PAGE);
    memset(source, 9, 4 * PAGE);
    pid_t child = fork();
    if (child == 0) {
        sleep(10);
        _exit(0);
    }
    memset(source, 8, PAGE); /* a copy of its own again */
    uint64_t done;
    CHECK_EQ(zio_uffd_move(&uffd, (uintptr_t)base, (uintptr_t)source, 4 * PAGE, true, &done),
             ZIO_EBUSY);
    CHECK_EQ(done, PAGE);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    CHECK_EQ(
        zio_uffd_move(&uffd, (uintptr_t)base + PAGE, (uintptr_t)source + PAGE, PAGE, true, &done),
        ZIO_EBUSY);
}

static void move_refuses_locked_read_only_and_foreign_memory(void) {
    require_move();
    unsigned char *base = registered_pages(1);
    uint64_t done;
    unsigned char *locked = zio_pages_alloc(PAGE);
    if (zio_syscall(SYS_mlock, locked, PAGE) == 0) { /* the sanitizers make mlock do nothing */
        CHECK_EQ(zio_uffd_move(&uffd, (uintptr_t)base, (uintptr_t)locked, PAGE, true, &done),
                 ZIO_EINVAL);
    }
    unsigned char *read_only = zio_pages_alloc(PAGE);
    read_only[0] = 1;
    mprotect(read_only, PAGE, PROT_READ);
    CHECK_EQ(zio_uffd_move(&uffd, (uintptr_t)base, (uintptr_t)read_only, PAGE, true, &done),
             ZIO_EINVAL);
    unsigned char *shared =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared[0] = 1;
    CHECK_EQ(zio_uffd_move(&uffd, (uintptr_t)base, (uintptr_t)shared, PAGE, true, &done),
             ZIO_EINVAL);
    CHECK_EQ(done, 0);
}

static void poisoned_page_fails_instead_of_hanging(void) {
    require_userfaultfd(&uffd, 0);
    if (!uffd.can_poison)
        SKIP("no UFFDIO_POISON: Linux 6.6");
    unsigned char *base = registered_pages(2);
    uint64_t done;
    CHECK_EQ(zio_uffd_poison(&uffd, (uintptr_t)base, PAGE, &done), 0);
    CHECK_EQ(done, PAGE);
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(write(ends[1], base, 1), -1);
    CHECK_EQ(errno, EFAULT);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGBUS, SIG_DFL);
        _exit(*(volatile unsigned char *)base);
    }
    int status;
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGBUS : WEXITSTATUS(status) != 0);
}

static const struct test tests[] = {
#define TEST(name)                                                                                 \
    { #name, name }
    TEST(opens_out_of_the_way_and_closes_on_exec),
    TEST(never_takes_a_standard_descriptor),
    TEST(reports_a_full_descriptor_table),
    TEST(each_way_works_without_the_other),
    TEST(masks_say_so),
    TEST(masked_features_are_not_negotiated),
    TEST(list_of_features_is_parsed),
    TEST(ordinary_user_learns_why_and_what_to_do),
    TEST(stolen_device_number_is_not_trusted),
    TEST(copy_fills_and_says_how_far_it_came),
    TEST(window_beyond_the_range_fails_whole),
    TEST(bad_arguments_are_told_apart),
    TEST(closed_descriptor_is_told_from_a_bad_range),
    TEST(another_userfaultfd_under_our_number_is_not_ours),
    TEST(child_lets_go_of_the_parents),
    TEST(dead_process_is_told),
    TEST(present_page_wakes_its_waiters),
    TEST(move_takes_pages_and_skips_holes),
    TEST(move_refuses_pages_shared_by_fork_even_after_the_child_is_gone),
    TEST(move_refuses_locked_read_only_and_foreign_memory),
    TEST(poisoned_page_fails_instead_of_hanging),
};
TEST_MAIN(tests)
