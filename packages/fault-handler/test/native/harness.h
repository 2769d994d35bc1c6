/* A test program holds named tests; each runs in a process of its own:
 *   PROGRAM --list      the names, one a line
 *   PROGRAM NAME        runs one; exit status 0 passed, 77 skipped (reason on stdout), 1 failed */
#ifndef ZIO_TEST_HARNESS_H
#define ZIO_TEST_HARNESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct test {
    const char *name;
    void (*run)(void);
};

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s is false\n", __FILE__, __LINE__, #condition);               \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

#define CHECK_EQ(actual, expected)                                                                 \
    do {                                                                                           \
        long long actual_value = (long long)(actual), expected_value = (long long)(expected);      \
        if (actual_value != expected_value) {                                                      \
            fprintf(stderr, "%s:%d: %s is %lld, expected %s (%lld)\n", __FILE__, __LINE__,         \
                    #actual, actual_value, #expected, expected_value);                             \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

#define SKIP(...)                                                                                  \
    do {                                                                                           \
        printf(__VA_ARGS__);                                                                       \
        putchar('\n');                                                                             \
        exit(77);                                                                                  \
    } while (0)

static inline double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static inline int run_tests(int argc, char **argv, const struct test *tests, size_t count) {
    if (argc != 2)
        return 2;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(argv[1], "--list") == 0) {
            puts(tests[i].name);
        } else if (strcmp(argv[1], tests[i].name) == 0) {
            tests[i].run();
            fflush(stdout);
            _exit(0); /* some tests leave a process in which the leak checker cannot run */
        }
    }
    return strcmp(argv[1], "--list") == 0 ? 0 : 2;
}

#define TEST_MAIN(tests)                                                                           \
    int main(int argc, char **argv) {                                                              \
        return run_tests(argc, argv, tests, sizeof(tests) / sizeof(tests)[0]);                     \
    }

#endif
