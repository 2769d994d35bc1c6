/* Opening a userfaultfd under seccomp filters, some of which kill (TRAPS 5). */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "zone.h"

static struct zio_uffd uffd;
static struct zio_uffd_reason reason;

static void install_filter(long number, uint32_t action) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof program / sizeof program[0], program};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        SKIP("seccomp: %s", strerror(errno));
}

static void survives_a_filter(long number, uint32_t action) {
    require_userfaultfd(&uffd, 0);
    install_filter(number, action);
    struct zio_uffd next;
    CHECK_EQ(zio_uffd_open(&next, NULL, ZIO_FEATURE_DEVICE, &reason), ZIO_EPERM);
    CHECK(strstr(reason.text, "seccomp"));
    CHECK_EQ(waitpid(-1, NULL, __WALL), -1); /* no child is left for the program to find */
    CHECK_EQ(errno, ECHILD);
}

static void filter_that_kills_for_userfaultfd_is_survived(void) {
    survives_a_filter(SYS_userfaultfd, SECCOMP_RET_KILL_PROCESS);
}

static void filter_that_kills_the_thread_is_survived(void) {
    survives_a_filter(SYS_close_range, SECCOMP_RET_KILL_THREAD);
}

static void filter_that_kills_for_poll_is_survived(void) {
    survives_a_filter(SYS_ppoll, SECCOMP_RET_KILL_PROCESS);
}

static void filter_that_refuses_is_survived(void) {
    survives_a_filter(SYS_userfaultfd, SECCOMP_RET_ERRNO | EPERM);
}

static void filter_that_refuses_what_replaces_a_read_is_survived(void) {
    survives_a_filter(SYS_readv, SECCOMP_RET_ERRNO | EPERM);
}

static void filters_are_counted(void) {
    int before = zio_seccomp_filters();
    CHECK(before >= 0);
    for (int i = 1; i <= 3; i++) {
        install_filter(SYS_swapon, SECCOMP_RET_KILL_PROCESS);
        CHECK_EQ(zio_seccomp_filters(), before + i);
    }
}

static atomic_int sigsys_seen;

static void note_sigsys(int number) {
    atomic_store(&sigsys_seen, number);
}

static void trap_handler_of_the_program_is_not_run(void) {
    signal(SIGSYS, note_sigsys);
    survives_a_filter(SYS_userfaultfd, SECCOMP_RET_TRAP);
    CHECK_EQ(atomic_load(&sigsys_seen), 0);
}

static void harmless_filter_changes_nothing(void) {
    require_userfaultfd(&uffd, 0);
    install_filter(SYS_swapon, SECCOMP_RET_KILL_PROCESS);
    double start = now_ms();
    CHECK_EQ(zio_uffd_open(&zone.uffd, NULL, 0, &reason), 0);
    printf("opening under a filter: %.0f us\n", (now_ms() - start) * 1e3);
    CHECK_EQ(waitpid(-1, NULL, __WALL), -1);
    CHECK_EQ(zio_handler_start(&zone.handler, &zone.uffd, &zone_ops), 0);
}

/* As mincore answers on a kernel with pages of 16 or 64 KiB. */
static void pages_of_another_size_are_the_reason(void) {
    install_filter(SYS_mincore, SECCOMP_RET_ERRNO | EINVAL);
    for (uint32_t disabled = 0; disabled <= ZIO_FEATURE_SYSCALL; disabled += ZIO_FEATURE_SYSCALL) {
        CHECK_EQ(zio_uffd_open(&uffd, NULL, disabled, &reason), ZIO_EINVAL);
        CHECK(strstr(reason.text, "memory pages are not 4 KiB here"));
    }
}

static const struct test tests[] = {
#define TEST(name)                                                                                 \
    { #name, name }
    TEST(filter_that_kills_for_userfaultfd_is_survived),
    TEST(filter_that_kills_the_thread_is_survived),
    TEST(filter_that_kills_for_poll_is_survived),
    TEST(filter_that_refuses_is_survived),
    TEST(filter_that_refuses_what_replaces_a_read_is_survived),
    TEST(filters_are_counted),
    TEST(trap_handler_of_the_program_is_not_run),
    TEST(harmless_filter_changes_nothing),
    TEST(pages_of_another_size_are_the_reason),
};
TEST_MAIN(tests)
