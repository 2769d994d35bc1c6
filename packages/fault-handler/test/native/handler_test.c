/* The life of the handler thread, and that the program does not notice it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "zone.h"

static int thread_count(void) {
    DIR *tasks = opendir("/proc/self/task");
    int count = -2;
    while (readdir(tasks))
        count++;
    closedir(tasks);
    return count;
}

static void touch_is_filled(void) {
    zone_open(64);
    zone_start();
    CHECK(zone_matches(0, 64));
    CHECK_EQ(zio_handler_stop(&zone.handler), 0);
    CHECK_EQ(atomic_load(&zone.faults), 64);
    CHECK_EQ(atomic_load(&zone.last_thread), gettid());
    CHECK_EQ(zio_handler_stop(&zone.handler), 0);
}

static void kernel_access_is_filled(void) {
    zone_open(16);
    zone_start();
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(write(ends[1], zone.base + 100, 3 * PAGE), 3 * PAGE);
    static char got[3 * PAGE];
    CHECK_EQ(read(ends[0], got, sizeof got), sizeof got);
    CHECK_EQ(memcmp(got, zone.pattern + 100, sizeof got), 0);
}

static void no_thread_before_start_nor_after_stop(void) {
    zone_open(4);
    CHECK_EQ(thread_count(), 1);
    for (int i = 0; i < 50; i++) {
        zone_start();
        CHECK_EQ(thread_count(), 2);
        CHECK_EQ(zio_handler_start(&zone.handler, &zone.uffd, &zone_ops), ZIO_EBUSY);
        CHECK_EQ(zio_handler_stop(&zone.handler), 0);
        CHECK_EQ(thread_count(), 1);
    }
}

static void served_after_all_descriptors_are_closed(void) {
    zone_open(32);
    zone_start();
    CHECK(zone_matches(0, 8));
    close_range(3, ~0u, 0);
    CHECK(zone_matches(8, 24));
    CHECK_EQ(zio_uffd_probe(&zone.uffd), ZIO_EBADF);
}

static void lost_descriptor_comes_back_by_stop_and_start(void) {
    zone_open(32);
    zone_start();
    int number = zone.uffd.fd;
    close_range(3, ~0u, 0);
    int null = open("/dev/null", O_RDWR);
    CHECK_EQ(dup2(null, number), number); /* another file under our number */
    CHECK_EQ(zio_uffd_probe(&zone.uffd), ZIO_EBADF);
    int code = zio_handler_stop(&zone.handler);
    if (code != 0) {
        CHECK(zone_matches(0, 32)); /* the thread goes on */
        SKIP("pidfd_open(PIDFD_THREAD) needs Linux 6.9: %s", zio_error_message(code));
    }
    CHECK_EQ(zio_uffd_probe(&zone.uffd), 0);
    CHECK(zone.uffd.fd != number);
    CHECK_EQ(fcntl(number, F_GETFD), 0); /* the program's file is untouched */
    zone_start();
    CHECK(zone_matches(0, 32));
}

static void peer_sees_end_of_file(void) {
    zone_open(4);
    for (int i = 0; i < 300; i++) {
        int pair[2], ends[2];
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        CHECK_EQ(pipe(ends), 0);
        zone_start();
        close(pair[1]);
        close(ends[1]);
        char byte;
        struct pollfd poll_set = {.fd = pair[0], .events = POLLIN};
        CHECK_EQ(poll(&poll_set, 1, 0), 1); /* at once, not some time later */
        CHECK_EQ(read(pair[0], &byte, 1), 0);
        CHECK_EQ(read(ends[0], &byte, 1), 0);
        close(pair[0]);
        close(ends[0]);
        CHECK_EQ(zio_handler_stop(&zone.handler), 0);
    }
}

static void only_the_userfaultfd_is_open_in_the_thread(void) {
    zone_open(4);
    for (int i = 0; i < 300; i++)
        dup(0);
    zone_start();
    char path[64], target[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/fd", atomic_load(&zone.handler.thread));
    DIR *table = opendir(path);
    CHECK(table);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(table));) {
        if (entry->d_name[0] == '.')
            continue;
        ssize_t length = readlinkat(dirfd(table), entry->d_name, target, sizeof target);
        CHECK(length > 0);
        CHECK_EQ(strncmp(target, "anon_inode:[userfaultfd]", (size_t)length), 0);
        count++;
    }
    CHECK_EQ(count, 1);
    snprintf(path, sizeof path, "/proc/self/task/%d/cwd", atomic_load(&zone.handler.thread));
    CHECK_EQ(readlink(path, target, sizeof target), 1);
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", atomic_load(&zone.handler.thread));
    FILE *comm = fopen(path, "r");
    CHECK(fgets(target, sizeof target, comm));
    CHECK_EQ(strcmp(target, "zio-handler\n"), 0);
}

static void *sleep_a_little(void *unused) {
    (void)unused;
    usleep(20000);
    return NULL;
}

static int exit_status_of(void (*body)(void), double timeout_ms) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        body();
        _exit(99);
    }
    int status;
    for (double end = now_ms() + timeout_ms; now_ms() < end; usleep(1000))
        if (waitpid(child, &status, WNOHANG) == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return -1; /* did not end */
}

static void leave_main_by_pthread_exit(void) {
    zone_open(4);
    zone_start();
    CHECK(zone_matches(0, 1));
    pthread_t thread;
    pthread_create(&thread, NULL, sleep_a_little, NULL);
    pthread_exit(NULL);
}

static void pthread_exit_in_main_ends_the_process(void) {
    struct zio_uffd probe;
    require_userfaultfd(&probe, 0);
    CHECK_EQ(exit_status_of(leave_main_by_pthread_exit, 5000), 0);
}

static void unshare_and_setns_work_after_stop(void) {
    zone_open(32);
    zone_start();
    CHECK(zone_matches(0, 4));
    CHECK(unshare(CLONE_NEWUSER) < 0); /* what the hooks must prevent */
    CHECK_EQ(errno, EINVAL);
    int own = open("/proc/self/ns/user", O_RDONLY);
    CHECK(own >= 0);
    CHECK_EQ(zio_handler_stop(&zone.handler), 0);
    if (unshare(CLONE_NEWUSER) != 0)
        SKIP("unshare(CLONE_NEWUSER): %s", strerror(errno));
    zone_start();
    CHECK(zone_matches(4, 4));
    CHECK_EQ(zio_handler_stop(&zone.handler), 0);
    CHECK(setns(own, CLONE_NEWUSER) < 0);
    CHECK_EQ(errno, EPERM); /* and not EINVAL, which several threads would give */
    CHECK_EQ(unshare(CLONE_NEWNS), 0);
    zone_start();
    CHECK(zone_matches(0, 32));
}

/* The kernel tells us of the thread's end before it forgets the thread. */
static void process_is_single_threaded_as_soon_as_stop_returns(void) {
    zone_open(4);
    for (int i = 0; i < 3000; i++) {
        zone_start();
        CHECK_EQ(zio_handler_stop(&zone.handler), 0);
        CHECK_EQ(unshare(CLONE_THREAD), 0); /* does nothing but check */
    }
}

static void setns_works_while_the_thread_runs(void) {
    zone_open(8);
    zone_start();
    int own = open("/proc/self/ns/mnt", O_RDONLY);
    if (setns(own, CLONE_NEWNS) != 0)
        SKIP("setns: %s", strerror(errno)); /* needs its own fs */
    CHECK(zone_matches(0, 8));
}

static void no_restart_after_a_new_pid_namespace(void) {
    zone_open(8);
    zone_start();
    if (unshare(CLONE_NEWPID) != 0)
        SKIP("unshare(CLONE_NEWPID): %s", strerror(errno));
    CHECK(zone_matches(0, 4)); /* the running thread does not mind */
    CHECK_EQ(zio_handler_stop(&zone.handler), 0);
    CHECK_EQ(zio_handler_start(&zone.handler, &zone.uffd, &zone_ops), ZIO_EINVAL);
}

static int uid_of_thread(int32_t tid) {
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
    FILE *status = fopen(path, "r");
    int uid = -1;
    while (status && fgets(line, sizeof line, status))
        sscanf(line, "Uid: %d", &uid);
    if (status)
        fclose(status);
    return uid;
}

static void thread_follows_setuid(void) {
    if (getuid() != 0)
        SKIP("needs root");
    zone_open(32);
    zone_start();
    CHECK(zone_matches(0, 4));
    CHECK_EQ(zio_handler_stop(&zone.handler), 0);
    CHECK_EQ(setresgid(65534, 65534, 65534), 0);
    CHECK_EQ(setresuid(65534, 65534, 65534), 0);
    zone_start();
    CHECK_EQ(uid_of_thread(atomic_load(&zone.handler.thread)), 65534);
    CHECK(zone_matches(4, 28));
    /* A forked child of an ordinary user opens its own from the kept device. */
    if (zone.uffd.device_fd < 0)
        SKIP("no /dev/userfaultfd");
    struct zio_uffd next;
    struct zio_uffd_reason reason;
    CHECK_EQ(zio_uffd_open(&next, &zone.uffd, 0, &reason), 0);
}

static atomic_int signals_in_handler;

static void count_signal(int number) {
    (void)number;
    if ((int32_t)zio_syscall(SYS_gettid, 0) == atomic_load(&zone.handler.thread))
        atomic_fetch_add(&signals_in_handler, 1);
}

static void signals_are_delivered_elsewhere(void) {
    zone_open(4);
    struct sigaction action = {.sa_handler = count_signal};
    for (int number = 1; number <= 64; number++)
        sigaction(number, &action, NULL);
    zone_start();
    for (int i = 0; i < 200; i++) {
        kill(getpid(), SIGUSR1);
        kill(getpid(), SIGRTMIN);
        kill(getpid(), SIGCHLD);
    }
    CHECK(zone_matches(0, 4));
    sigset_t mask, pending;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    CHECK(!sigismember(&mask, SIGUSR1)); /* the caller's mask came back */
    /* With nobody else to take them they stay pending. */
    uint64_t all = ~UINT64_C(0); /* glibc's functions leave out its own two */
    zio_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8);
    kill(getpid(), SIGUSR1);
    zio_syscall(SYS_kill, getpid(), 33); /* for setuid */
    usleep(5000);
    sigpending(&pending);
    CHECK(sigismember(&pending, SIGUSR1));
    CHECK_EQ(atomic_load(&signals_in_handler), 0);
}

static void setuid_of_a_threaded_program_does_not_hang(void) {
    if (getuid() != 0)
        SKIP("needs root");
    zone_open(4);
    zone_start();
    pthread_t thread;
    pthread_create(&thread, NULL, sleep_a_little, NULL);
    CHECK_EQ(setuid(65534), 0);
    CHECK(zone_matches(0, 4));
}

/* Sharing the table makes every descriptor call of the program dearer: 197 to 236 ns. */
static void descriptor_table_and_directory_are_not_shared(void) {
    zone_open(4);
    zone_start();
    enum { KCMP_FILE, KCMP_VM, KCMP_FILES, KCMP_FS };
    pid_t own = gettid(), other = atomic_load(&zone.handler.thread);
    long same = syscall(SYS_kcmp, own, other, KCMP_VM, 0, 0);
    if (same < 0)
        SKIP("kcmp: %s", strerror(errno));
    CHECK_EQ(same, 0);
    CHECK(syscall(SYS_kcmp, own, other, KCMP_FILES, 0, 0) > 0);
    CHECK(syscall(SYS_kcmp, own, other, KCMP_FS, 0, 0) > 0);
}

static void child_of_fork_starts_its_own(void) {
    zone_open(16);
    zone_start();
    CHECK(zone_matches(0, 2));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        zio_handler_after_fork(&zone.handler);
        zio_uffd_abandon(&zone.uffd, false);
        CHECK_EQ(zone.uffd.fd, -1);
        CHECK_EQ(zio_uffd_open(&zone.uffd, &zone.uffd, 0, NULL), 0);
        CHECK_EQ(zio_uffd_register(&zone.uffd, (uintptr_t)zone.base, zone.bytes), 0);
        zone_start();
        CHECK(zone_matches(0, 16));
        CHECK_EQ(zio_handler_stop(&zone.handler), 0);
        zio_handler_destroy(&zone.handler);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    CHECK_EQ(status, 0);
    CHECK(zone_matches(0, 16));
}

static atomic_bool busy, released;

/* As deep as the handler's own functions go, with variables that a sanitizer keeps apart. */
static __attribute__((noinline)) int stay_busy(int depth) {
    volatile char apart[24];
    apart[depth % 24] = 1;
    if (depth > 0)
        return stay_busy(depth - 1) + apart[depth % 24];
    atomic_store(&busy, true);
    for (int i = 0; i < 20000 && !atomic_load(&released); i++)
        zio_syscall(SYS_nanosleep, &(struct timespec){.tv_nsec = 1000000}, NULL);
    return apart[0];
}

static int busy_fault(void *context, uint64_t page, uint64_t flags, uint32_t thread) {
    stay_busy(30);
    return zone_fault(context, page, flags, thread);
}

static void *touch_first_page(void *unused) {
    (void)unused;
    CHECK(zone_matches(0, 1));
    return NULL;
}

static void child_of_fork_starts_its_own_on_the_stack_of_a_busy_one(void) {
    const struct zio_handler_ops ops = {.fault = busy_fault, .context = &zone};
    zone_open(16);
    CHECK_EQ(zio_handler_start(&zone.handler, &zone.uffd, &ops), 0);
    pthread_t thread;
    pthread_create(&thread, NULL, touch_first_page, NULL);
    while (!atomic_load(&busy))
        usleep(100);
    pid_t child = fork();
    if (child == 0) {
        zio_handler_after_fork(&zone.handler);
        zio_uffd_abandon(&zone.uffd, false);
        CHECK_EQ(zio_uffd_open(&zone.uffd, &zone.uffd, 0, NULL), 0);
        CHECK_EQ(zio_uffd_register(&zone.uffd, (uintptr_t)zone.base, zone.bytes), 0);
        zone_start();
        CHECK(zone_matches(0, 16));
        CHECK_EQ(zio_handler_stop(&zone.handler), 0);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    atomic_store(&released, true);
    pthread_join(thread, NULL);
    CHECK_EQ(status, 0);
    CHECK(zone_matches(0, 16));
}

static void destroy_leaves_nothing_behind(void) {
    zone_open(4);
    for (int i = 0; i < 3; i++) {
        zone_start();
        CHECK(zone_matches((size_t)i, 1));
        CHECK_EQ(zio_handler_stop(&zone.handler), 0);
        zio_handler_destroy(&zone.handler);
        CHECK(!zone.handler.stack && !zone.handler.tls && !zone.handler.doorbell);
    }
}

static void failed_start_leaves_nothing_behind(void) {
    zone_open(4);
    struct zio_uffd closed = zone.uffd;
    closed.fd = -1;
    CHECK_EQ(zio_handler_start(&zone.handler, &closed, &zone_ops), ZIO_EBADF);
    CHECK_EQ(thread_count(), 1);
    zone_start();
    CHECK(zone_matches(0, 4));
}

static const struct test tests[] = {
#define TEST(name)                                                                                 \
    { #name, name }
    TEST(touch_is_filled),
    TEST(kernel_access_is_filled),
    TEST(no_thread_before_start_nor_after_stop),
    TEST(served_after_all_descriptors_are_closed),
    TEST(lost_descriptor_comes_back_by_stop_and_start),
    TEST(peer_sees_end_of_file),
    TEST(only_the_userfaultfd_is_open_in_the_thread),
    TEST(pthread_exit_in_main_ends_the_process),
    TEST(unshare_and_setns_work_after_stop),
    TEST(process_is_single_threaded_as_soon_as_stop_returns),
    TEST(setns_works_while_the_thread_runs),
    TEST(no_restart_after_a_new_pid_namespace),
    TEST(thread_follows_setuid),
    TEST(signals_are_delivered_elsewhere),
    TEST(setuid_of_a_threaded_program_does_not_hang),
    TEST(descriptor_table_and_directory_are_not_shared),
    TEST(child_of_fork_starts_its_own),
    TEST(child_of_fork_starts_its_own_on_the_stack_of_a_busy_one),
    TEST(destroy_leaves_nothing_behind),
    TEST(failed_start_leaves_nothing_behind),
};
TEST_MAIN(tests)
