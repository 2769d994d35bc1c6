/* How long a site rests, on a clock of the test's: CPU time goes by as it says. */
#include <stdio.h>
#include <time.h>
#include <zio/syscall.h>

static uint64_t cpu;

static long clock_of_test(long number, long id, struct timespec *time) {
    if (number != SYS_clock_gettime || id != CLOCK_PROCESS_CPUTIME_ID)
        return -1;
    time->tv_sec = (time_t)(cpu / 1000000000);
    time->tv_nsec = (long)(cpu % 1000000000);
    return 0;
}

#undef zio_syscall
#define zio_syscall clock_of_test
#include "policy_rest.c"

enum { MICROSECOND = 1000, EACH = 10 * MICROSECOND, PAUSE = 256 };

static int failures;

static void expect(const char *what, uint64_t is, uint64_t least, uint64_t most) {
    if (is >= least && is <= most)
        return;
    printf("%s: %llu, expected %llu to %llu\n", what, (unsigned long long)is,
           (unsigned long long)least, (unsigned long long)most);
    failures++;
}

/* Inputs of a site at which each costs so much. */
static void inputs(uint64_t count, uint64_t each) {
    cpu += count * each;
}

/* A try of `count` inputs, each dearer than usual; then the site settles. */
static void try(struct zio__rest *rest, uint64_t count, uint64_t each, uint64_t loss) {
    for (uint64_t i = 0; i < count; i++) {
        zio__rest_input(rest);
        inputs(1, each);
    }
    zio__rest_left_alone(rest, loss);
    inputs(ZIO__REST_SETTLING, EACH);
    zio__rest_begin(rest, PAUSE);
}

/* The inputs that pass before the site may be tried again. */
static uint64_t rest_of(struct zio__rest *rest) {
    uint64_t passed = PAUSE;
    inputs(PAUSE, EACH);
    for (uint32_t more; (more = zio__rest_more(rest)) != 0; passed += more)
        inputs(more, EACH);
    return passed;
}

int main(void) {
    struct zio__rest rest = {0};
    cpu = 50 * 1000 * MICROSECOND;
    try(&rest, 10, EACH, 1);
    expect("a try that cost nothing", rest_of(&rest), PAUSE, PAUSE);

    try(&rest, 10, EACH, 100 * MICROSECOND);
    expect("a try that the account says cost 100 us", rest_of(&rest), 2000, 2000 + PAUSE);

    try(&rest, 10, EACH + 50 * MICROSECOND, 100 * MICROSECOND);
    expect("one that took 500 us", rest_of(&rest), 10000, 10000 + PAUSE);

    try(&rest, 10, EACH + 100000 * MICROSECOND, 10 * MICROSECOND);
    expect("one beside which the program did something else", rest_of(&rest), 320000,
           320000 + PAUSE);

    try(&rest, 10, EACH, 100 * MICROSECOND);
    zio__rest_loses(&rest, 200 * MICROSECOND);
    expect("one whose views cost on", rest_of(&rest), 6000, 6000 + PAUSE);

    zio__rest_input(&rest);
    zio__rest_forget(&rest);
    try(&rest, 10, EACH + 50 * MICROSECOND, 100 * MICROSECOND);
    expect("a site that was in credit before", rest_of(&rest), 2000, 2000 + PAUSE);

    inputs(1000000, EACH);
    zio__rest_end(&rest);
    try(&rest, 10, EACH, 100 * MICROSECOND);
    expect("a site that was called back", rest_of(&rest), 2000, 2000 + PAUSE);
    if (failures == 0)
        printf("rests hold\n");
    return failures != 0;
}
