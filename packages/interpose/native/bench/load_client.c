/* Loads a Redis, memcached, HTTP or file server: reads and writes over some connections, one
 * request under way on each, keys chosen uniformly or by a Zipfian distribution with 0.99, as
 * YCSB's. Each connection has keys of its own and knows what they hold, and checks what it reads.
 * Takes the CPU time of the servers' processes (all their threads) around the timed part. Prints
 * one line of JSON; exit status 1 when something was wrong. */
#include "../demo/command_line.h"
#include "../demo/usage_clock.h"
#include "load_content.h"
#include "load_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 64, MAX_SERVERS = 16, KEY_BYTES = 256 };

static const char *host = "127.0.0.1", *protocol_name = "redis", *distribution = "uniform";
static const char *verify = "sample", *path = "/", *content_path = "", *server_pids = "";
static long port, value_bytes = 64 << 10, key_count = 100, max_operations = 1000, warmup = 100;
static long write_percent, connections = 1, seed = 1, cpu = -1;

static const struct option_row options[] = {
    {"--host", "ADDRESS", "IPv4 address of the server (127.0.0.1)", NULL, &host, NULL},
    {"--port", "N", "port of the server", &port, NULL, NULL},
    {"--protocol", "", "what it speaks (redis)", NULL, &protocol_name, "redis|memcached|http|file"},
    {"--value", "BYTES", "length of every value, a multiple of 8 (64K)", &value_bytes, NULL, NULL},
    {"--keys", "N", "keys of each connection, stored first (100)", &key_count, NULL, NULL},
    {"--operations", "N", "of each connection after the warm-up (1000)", &max_operations, NULL,
     NULL},
    {"--warmup", "N", "operations of each connection that are not timed (100)", &warmup, NULL,
     NULL},
    {"--writes", "PERCENT", "share of operations that write (0)", &write_percent, NULL, NULL},
    {"--distribution", "", "of the keys (uniform)", NULL, &distribution, "uniform|zipfian"},
    {"--connections", "N", "connections, one thread each (1)", &connections, NULL, NULL},
    {"--path", "PATH", "what to ask an HTTP server for (/)", NULL, &path, NULL},
    {"--content", "FILE", "what an HTTP or file server must answer", NULL, &content_path, NULL},
    {"--server-pids", "LIST", "processes whose CPU time counts", NULL, &server_pids, NULL},
    {"--verify", "", "every byte, one word a page, nothing (sample)", NULL, &verify,
     "all|sample|none"},
    {"--seed", "N", "seed of the choices (1)", &seed, NULL, NULL},
    {"--cpu", "N", "run on this core only", &cpu, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};

struct session {
    pthread_t thread;
    int socket;
    long number;
    uint64_t random, *generations, *latencies_ns;
    unsigned char *value, *reply;
    const char *error;
};

static struct session sessions[MAX_CONNECTIONS];
static pthread_barrier_t warmed_up, started, ended;
static enum protocol protocol;
static enum content_check check;
static unsigned char *content;
static clockid_t server_clocks[MAX_SERVERS];
static int servers;
static double *key_weights;

static void fail(const char *what) {
    fprintf(stderr, "zio-load-client: %s\n", what);
    exit(1);
}

static void *allocate(size_t bytes) {
    void *block = NULL;
    if (posix_memalign(&block, 4096, bytes + 8) != 0)
        fail("no memory");
    memset(block, 0, bytes + 8);
    return block;
}

static double uniform(struct session *session) {
    session->random += UINT64_C(0x9e3779b97f4a7c15);
    return (double)(content_mix(session->random) >> 11) / 9007199254740992.0;
}

/* 1 / rank^0.99, without libm: of that the shipped programs could have an old version only. */
static double zipfian_weight(double rank) {
    double x = rank, log = 0, power = 1, term = 1;
    for (; x > 1.5; x /= 2)
        log += 0.69314718055994530942;
    double y = (x - 1) / (x + 1), odd = y;
    for (int i = 1; i < 40; i += 2, odd *= y * y)
        log += 2 * odd / i;
    for (int i = 1; i < 20; i++)
        power += term *= 0.01 * log / i; /* rank^0.01 */
    return power / rank;
}

/* The weights of the keys added up. */
static void prepare_keys(void) {
    key_weights = allocate((size_t)key_count * sizeof *key_weights);
    double sum = 0;
    for (long i = 0; i < key_count; i++)
        key_weights[i] = sum += zipfian_weight((double)i + 1);
}

static long zipfian(struct session *session) {
    double wanted = uniform(session) * key_weights[key_count - 1];
    long low = 0, high = key_count - 1;
    while (low < high) {
        long middle = (low + high) / 2;
        if (key_weights[middle] <= wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static long choose_key(struct session *session) {
    return strcmp(distribution, "zipfian") == 0 ? zipfian(session)
                                                : (long)(uniform(session) * (double)key_count);
}

static uint64_t key_identity(const struct session *session, long key) {
    return (uint64_t)session->number * 1000003 + (uint64_t)key;
}

static const char *store(struct session *session, long key) {
    char name[KEY_BYTES];
    uint64_t generation = ++session->generations[key];
    snprintf(name, sizeof name, "key:%04ld:%08ld", session->number, key);
    content_fill(session->value, (size_t)value_bytes, key_identity(session, key), generation,
                 check);
    return protocol_set(protocol, session->socket, name, session->value, (size_t)value_bytes);
}

static int is_file_content(const unsigned char *value) {
    size_t bytes = (size_t)value_bytes, step = check == CONTENT_ALL ? bytes : 4096;
    if (!content || check == CONTENT_NONE)
        return 1;
    for (size_t at = 0; at < bytes; at += step) {
        size_t length = check == CONTENT_ALL ? bytes : bytes - at < 8 ? bytes - at : 8;
        if (memcmp(value + at, content + at, length) != 0)
            return 0;
    }
    return 1;
}

static const char *fetch(struct session *session, long key) {
    char name[KEY_BYTES];
    const unsigned char *value;
    int keyed = protocol == PROTOCOL_REDIS || protocol == PROTOCOL_MEMCACHED;
    snprintf(name, sizeof name, "key:%04ld:%08ld", session->number, key);
    const char *error = protocol_get(protocol, session->socket, keyed ? name : path, session->reply,
                                     (size_t)value_bytes, &value);
    if (error)
        return error;
    int right = keyed ? content_is_right(value, (size_t)value_bytes, key_identity(session, key),
                                         session->generations[key], check)
                      : is_file_content(value);
    return right ? NULL : "wrong data";
}

static const char *operate(struct session *session) {
    long key = choose_key(session);
    return uniform(session) * 100 < (double)write_percent ? store(session, key)
                                                          : fetch(session, key);
}

static void *run_session(void *argument) {
    struct session *session = argument;
    for (long key = 0; key < key_count && !session->error; key++)
        if (protocol == PROTOCOL_REDIS || protocol == PROTOCOL_MEMCACHED)
            session->error = store(session, key);
    for (long i = 0; i < warmup && !session->error; i++)
        session->error = operate(session);
    pthread_barrier_wait(&warmed_up);
    pthread_barrier_wait(&started);
    for (long i = 0; i < max_operations && !session->error; i++) {
        uint64_t from = now_ns();
        session->error = operate(session);
        session->latencies_ns[i] = now_ns() - from;
    }
    pthread_barrier_wait(&ended);
    return NULL;
}

static void open_session(struct session *session, long number) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    session->number = number;
    session->random = (uint64_t)(seed * 1000 + number);
    session->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1 || session->socket < 0 ||
        connect(session->socket, (struct sockaddr *)&address, sizeof address) != 0)
        fail("cannot connect");
    struct timeval patience = {.tv_sec = 30};
    setsockopt(session->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(session->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    session->generations = allocate((size_t)key_count * sizeof(uint64_t));
    session->latencies_ns = allocate((size_t)max_operations * sizeof(uint64_t));
    session->value = allocate((size_t)value_bytes);
    session->reply = allocate((size_t)value_bytes + PROTOCOL_OVERHEAD);
}

static void find_servers(void) {
    char *end;
    for (const char *at = server_pids; *at; at = *end == ',' ? end + 1 : end) {
        long pid = strtol(at, &end, 10);
        if (end == at || servers == MAX_SERVERS ||
            clock_getcpuclockid((pid_t)pid, &server_clocks[servers++]) != 0)
            fail("--server-pids names no processes");
    }
}

static uint64_t servers_cpu_ns(void) {
    uint64_t sum = 0;
    for (int i = 0; i < servers; i++)
        sum += clock_ns(server_clocks[i]);
    return sum;
}

static void read_content(void) {
    FILE *file = *content_path ? fopen(content_path, "rb") : NULL;
    if (!*content_path)
        return;
    content = allocate((size_t)value_bytes);
    if (!file || fread(content, 1, (size_t)value_bytes, file) != (size_t)value_bytes)
        fail("--content is no file of that length");
    fclose(file);
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void print_result(uint64_t wall_ns, uint64_t server_ns, uint64_t client_ns) {
    long count = max_operations * connections;
    uint64_t *all = allocate((size_t)count * sizeof *all);
    for (long i = 0; i < connections; i++)
        memcpy(all + i * max_operations, sessions[i].latencies_ns,
               (size_t)max_operations * sizeof *all);
    qsort(all, (size_t)count, sizeof *all, compare);
    printf("{\"version\":1,\"operations\":%ld,\"preparedOperations\":%ld,\"wallNs\":%lu", count,
           (warmup + key_count) * connections, wall_ns);
    printf(",\"serverCpuNs\":%lu,\"clientCpuNs\":%lu,\"verify\":\"%s\"", server_ns, client_ns,
           verify);
    printf(",\"latencyNs\":{\"p50\":%lu,\"p90\":%lu,\"p99\":%lu,\"p999\":%lu,\"max\":%lu}}\n",
           all[(count - 1) * 500 / 1000], all[(count - 1) * 900 / 1000],
           all[(count - 1) * 990 / 1000], all[(count - 1) * 999 / 1000], all[count - 1]);
}

int main(int argc, char **argv) {
    parse_options(argc, argv, options);
    if (port < 1 || port > 65535 || !protocol_parse(protocol_name, &protocol) || value_bytes < 8 ||
        value_bytes % 8 != 0 || key_count < 1 || max_operations < 1 || connections < 1 ||
        connections > MAX_CONNECTIONS || max_operations > 10000000 || key_count > 10000000) {
        fprintf(stderr,
                "%s: --port is needed; values of a multiple of 8 bytes; at most %d "
                "connections\n",
                argv[0], MAX_CONNECTIONS);
        return 2;
    }
    check = strcmp(verify, "all") == 0      ? CONTENT_ALL
            : strcmp(verify, "sample") == 0 ? CONTENT_SAMPLE
                                            : CONTENT_NONE;
    if (cpu >= 0)
        pin_to_cpu(argv[0], cpu);
    prepare_keys();
    find_servers();
    read_content();
    pthread_barrier_init(&warmed_up, NULL, (unsigned)connections + 1);
    pthread_barrier_init(&started, NULL, (unsigned)connections + 1);
    pthread_barrier_init(&ended, NULL, (unsigned)connections + 1);
    for (long i = 0; i < connections; i++)
        open_session(&sessions[i], i);
    for (long i = 0; i < connections; i++)
        if (pthread_create(&sessions[i].thread, NULL, run_session, &sessions[i]) != 0)
            fail("cannot start a thread");
    pthread_barrier_wait(&warmed_up);
    uint64_t server_ns = servers_cpu_ns();
    struct usage from = usage_now();
    pthread_barrier_wait(&started);
    pthread_barrier_wait(&ended);
    struct usage to = usage_now();
    server_ns = servers_cpu_ns() - server_ns;
    int failed = 0;
    for (long i = 0; i < connections; i++) {
        pthread_join(sessions[i].thread, NULL);
        if (sessions[i].error && ++failed)
            fprintf(stderr, "zio-load-client: connection %ld: %s\n", i, sessions[i].error);
    }
    print_result(to.wall_ns - from.wall_ns, server_ns,
                 to.user_ns + to.system_ns - from.user_ns - from.system_ns);
    return failed ? 1 : 0;
}
