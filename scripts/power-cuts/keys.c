/* The workload of scripts/power-cuts.mjs on Redis: sets numbered values, some at a time, and prints the number of the last
 * that Redis has acknowledged. After a power cut it says up to which number everything is there: each key must hold the
 * newest value up to that number, and every byte of it must be right.
 *
 * usage: keys check|append SOCKET SEED */
#include <sys/socket.h>
#include <sys/un.h>
#include <string.h>
#include <unistd.h>

#include "../../packages/core/test/native/check.h"
#include "say.h"

enum { KEYS = 100, LONGEST = 200000, MOST_AT_ONCE = 6 };

static uint64_t seed;
static FILE *server;

/* Every third is long enough to be taken by reference. */
static size_t length_of(uint64_t number) {
    uint64_t state = seed ^ (number * 0x9e3779b97f4a7c15);
    return 16 + (number % 3 ? random_below(&state, 2000) : random_below(&state, LONGEST));
}

/* The number itself comes first. */
static void fill(unsigned char *to, uint64_t number) {
    uint64_t state = seed ^ number;
    size_t length = length_of(number);
    memcpy(to, &number, 8);
    for (size_t i = 8; i < length; i += 8) {
        uint64_t word = random_next(&state);
        memcpy(to + i, &word, length - i < 8 ? length - i : 8);
    }
}

static void connect_to(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    for (int attempt = 0; attempt < 1200; attempt++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
            server = fdopen(fd, "r+");
            return;
        }
        close(fd);
        usleep(50000);
    }
    SAY("zio-problem redis does not listen");
    exit(1);
}

static void expect_line(const char *wanted) {
    char line[256];
    ASSERT(fgets(line, sizeof line, server) != NULL);
    if (strncmp(line, wanted, strlen(wanted)) != 0) {
        line[strcspn(line, "\r\n")] = 0;
        SAY("zio-problem redis says %s", line);
        exit(1);
    }
}

/* While Redis loads its file it answers that it does. */
static void wait_until_loaded(void) {
    char line[256];
    do {
        fprintf(server, "PING\r\n");
        fflush(server);
        ASSERT(fgets(line, sizeof line, server) != NULL);
        usleep(50000);
    } while (line[0] != '+');
}

/* The number that a key holds, 0 where there is none. */
static uint64_t number_at(unsigned key) {
    static unsigned char found[LONGEST + 32], wanted[LONGEST + 32];
    char line[64];
    fprintf(server, "GET key:%u\r\n", key);
    fflush(server);
    ASSERT(fgets(line, sizeof line, server) != NULL);
    long length = strtol(line + 1, NULL, 10);
    if (length < 0)
        return 0;
    ASSERT_COMPARE(length, <=, LONGEST + 16);
    ASSERT_EQUAL(fread(found, 1, (size_t)length + 2, server), length + 2);
    uint64_t number;
    memcpy(&number, found, 8);
    fill(wanted, number);
    if (number % KEYS != key || (size_t)length != length_of(number) || memcmp(found, wanted, (size_t)length) != 0) {
        SAY("zio-wrong key %u has %ld bytes that are not those of number %llu", key, length,
            (unsigned long long)number);
        exit(1);
    }
    return number;
}

static uint64_t check(void) {
    uint64_t found[KEYS], highest = 0;
    for (unsigned key = 0; key < KEYS; key++) {
        found[key] = number_at(key);
        highest = found[key] > highest ? found[key] : highest;
    }
    for (unsigned key = 0; key < KEYS; key++) {
        uint64_t newest = highest - (highest + KEYS - key) % KEYS;
        if (newest > highest) /* none yet */
            newest = 0;
        if (found[key] != newest) {
            SAY("zio-wrong key %u holds %llu, though %llu is there and so should be %llu", key,
                (unsigned long long)found[key], (unsigned long long)highest, (unsigned long long)newest);
            exit(1);
        }
    }
    SAY("zio-found %llu", (unsigned long long)highest);
    return highest;
}

static void set(uint64_t number) {
    static unsigned char value[LONGEST + 32];
    char key[32];
    int key_bytes = snprintf(key, sizeof key, "key:%llu", (unsigned long long)(number % KEYS));
    fill(value, number);
    fprintf(server, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%zu\r\n", key_bytes, key, length_of(number));
    fwrite(value, 1, length_of(number), server);
    fwrite("\r\n", 1, 2, server);
}

int main(int count, char **arguments) {
    if (count != 4)
        return 2;
    seed = strtoull(arguments[3], NULL, 10);
    connect_to(arguments[2]);
    wait_until_loaded();
    uint64_t number = check(), state = seed + number;
    while (arguments[1][0] == 'a') {
        unsigned some = 1 + (unsigned)random_below(&state, MOST_AT_ONCE);
        for (unsigned i = 0; i < some; i++)
            set(++number);
        fflush(server);
        for (unsigned i = 0; i < some; i++)
            expect_line("+OK");
        SAY("zio-acknowledged %llu", (unsigned long long)number);
    }
    fprintf(server, "SHUTDOWN NOSAVE\r\n");
    fflush(server);
    return 0;
}
