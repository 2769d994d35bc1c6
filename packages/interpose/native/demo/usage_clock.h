/* What a demo program reads about itself: time, CPU time and page faults of the whole process
 * (threads that a preloaded library started are in it), and the core it is pinned to. */
#ifndef ZIO_DEMO_USAGE_CLOCK_H
#define ZIO_DEMO_USAGE_CLOCK_H

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

struct usage {
    uint64_t wall_ns;
    uint64_t user_ns, system_ns;
    uint64_t voluntary_switches, involuntary_switches;
    uint64_t minor_faults, major_faults;
};

static inline uint64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t now_ns(void) {
    return clock_ns(CLOCK_MONOTONIC);
}

static inline struct usage usage_now(void) {
    struct rusage self;
    getrusage(RUSAGE_SELF, &self);
    return (struct usage){
        .wall_ns = now_ns(),
        .user_ns =
            (uint64_t)self.ru_utime.tv_sec * 1000000000u + (uint64_t)self.ru_utime.tv_usec * 1000u,
        .system_ns =
            (uint64_t)self.ru_stime.tv_sec * 1000000000u + (uint64_t)self.ru_stime.tv_usec * 1000u,
        .voluntary_switches = (uint64_t)self.ru_nvcsw,
        .involuntary_switches = (uint64_t)self.ru_nivcsw,
        .minor_faults = (uint64_t)self.ru_minflt,
        .major_faults = (uint64_t)self.ru_majflt,
    };
}

/* Before any thread is started, so that all of them inherit it. */
static inline void pin_to_cpu(const char *program, long cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        fprintf(stderr, "%s: cannot run on CPU %ld: %m\n", program, cpu);
        exit(2);
    }
}

#endif
