/* The client of the demo's echo server: sends messages of seeded, varying content, receives them
 * back and checks what came. Sending and receiving share one thread and a poll, so messages may be
 * larger than any socket buffer. Prints one line of JSON; exit status 1 when a byte was wrong. */
#include "command_line.h"
#include "usage_clock.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAGE = 4096, WORD = sizeof(uint64_t), MAX_CONNECTIONS = 256, MAX_PIPELINE = 64 };

static const char *host = "127.0.0.1";
static const char *verify = "sample";
static long port, message_bytes = 512 << 10, seed = 1, pipeline = 1;
static long connections = 1, warmup_messages, max_messages = 1000, max_seconds = 60, cpu = -1;

static const struct option_row options[] = {
    {"--host", "ADDRESS", "IPv4 address of the server (127.0.0.1)", NULL, &host, NULL},
    {"--port", "N", "port of the server", &port, NULL, NULL},
    {"--message", "BYTES", "length of every message (512K)", &message_bytes, NULL, NULL},
    {"--messages", "N", "messages of each connection after the warm-up (1000)", &max_messages, NULL,
     NULL},
    {"--seconds", "N", "send no more after this time, 0 for no bound (60)", &max_seconds, NULL,
     NULL},
    {"--warmup", "N", "messages of each connection that are not timed (0)", &warmup_messages, NULL,
     NULL},
    {"--connections", "N", "connections, one thread each (1)", &connections, NULL, NULL},
    {"--pipeline", "N", "messages under way at once on a connection (1)", &pipeline, NULL, NULL},
    {"--verify", "", "every byte, one changing word a page, nothing (sample)", NULL, &verify,
     "all|sample|none"},
    {"--seed", "N", "seed of the content (1)", &seed, NULL, NULL},
    {"--cpu", "N", "run on this core only", &cpu, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};

struct session {
    pthread_t thread;
    int socket;
    uint64_t seed, deadline_ns, first_ns, last_ns;
    long sent, received;        /* whole messages */
    size_t sent_part, got_part; /* bytes of the message under way */
    unsigned char *outgoing, *incoming;
    uint64_t started_ns[MAX_PIPELINE];
    uint64_t *latencies_ns; /* of timed messages */
    long timed;
    const char *error;                                /* of a system call or the stream */
    long wrong_messages, wrong_message, wrong_offset; /* the first wrong byte */
};

static struct session sessions[MAX_CONNECTIONS];

/* The finaliser of splitmix64: word `index` of message `message`. */
static inline uint64_t content_word(uint64_t seed_, long message, size_t index) {
    uint64_t z = (seed_ << 40) + (uint64_t)message * UINT64_C(0x9e3779b97f4a7c15) + index + 1;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* The words that change from message to message: all of them, or one in each page, at a place
 * that moves. */
struct stride {
    size_t first, step, words;
};

static struct stride checked_words(long message) {
    size_t words = (size_t)message_bytes / WORD, page = PAGE / WORD;
    if (strcmp(verify, "all") == 0)
        return (struct stride){0, 1, words};
    if (strcmp(verify, "none") == 0)
        return (struct stride){words, 1, words};
    size_t first = (size_t)message * 17 % page;
    return (struct stride){first < words ? first : 0, page, words};
}

static void fill_message(struct session *session) {
    uint64_t *words = (uint64_t *)(void *)session->outgoing;
    struct stride at = checked_words(session->sent);
    for (size_t i = at.first; i < at.words; i += at.step)
        words[i] = content_word(session->seed, session->sent, i);
    if (at.step == 1)
        for (size_t i = at.words * WORD; at.first == 0 && i < (size_t)message_bytes; i++)
            session->outgoing[i] = (unsigned char)((size_t)session->sent + i);
}

/* What came is compared with the generator, not with what was sent. */
static long first_wrong_offset(const struct session *session) {
    const uint64_t *words = (const uint64_t *)(const void *)session->incoming;
    struct stride at = checked_words(session->received);
    for (size_t i = at.first; i < at.words; i += at.step)
        if (words[i] != content_word(session->seed, session->received, i))
            return (long)(i * WORD);
    if (at.step == 1)
        for (size_t i = at.words * WORD; at.first == 0 && i < (size_t)message_bytes; i++)
            if (session->incoming[i] != (unsigned char)((size_t)session->received + i))
                return (long)i;
    return -1;
}

static int may_send(struct session *session) {
    if (session->sent_part > 0)
        return 1;
    return session->sent - session->received < pipeline &&
           session->sent < warmup_messages + max_messages && now_ns() < session->deadline_ns;
}

static int send_some(struct session *session) {
    if (session->sent_part == 0) {
        fill_message(session);
        session->started_ns[session->sent % pipeline] = now_ns();
        if (session->sent == warmup_messages)
            session->first_ns = session->started_ns[session->sent % pipeline];
    }
    ssize_t n = send(session->socket, session->outgoing + session->sent_part,
                     (size_t)message_bytes - session->sent_part, MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    session->sent_part += (size_t)n;
    if (session->sent_part == (size_t)message_bytes) {
        session->sent_part = 0;
        session->sent++;
    }
    return 0;
}

static int receive_some(struct session *session) {
    ssize_t n = recv(session->socket, session->incoming + session->got_part,
                     (size_t)message_bytes - session->got_part, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (n == 0) {
        session->error = "the server closed the connection";
        return -1;
    }
    session->got_part += (size_t)n;
    if (session->got_part < (size_t)message_bytes)
        return 0;
    session->last_ns = now_ns();
    if (session->received >= warmup_messages)
        session->latencies_ns[session->timed++] =
            session->last_ns - session->started_ns[session->received % pipeline];
    long offset = first_wrong_offset(session);
    if (offset >= 0 && session->wrong_messages++ == 0) {
        session->wrong_message = session->received;
        session->wrong_offset = offset;
    }
    session->got_part = 0;
    session->received++;
    return 0;
}

static void *run_session(void *argument) {
    struct session *session = argument;
    for (;;) {
        int sending = may_send(session);
        if (!sending && session->received == session->sent)
            return NULL;
        struct pollfd polled = {.fd = session->socket,
                                .events = (short)(POLLIN | (sending ? POLLOUT : 0))};
        int ready = poll(&polled, 1, 30000);
        if (ready == 0)
            session->error = "no answer for 30 s";
        if (ready <= 0 && errno != EINTR)
            break;
        if ((polled.revents & POLLOUT) && send_some(session) != 0)
            break;
        if ((polled.revents & (POLLIN | POLLHUP | POLLERR)) && receive_some(session) != 0)
            break;
    }
    if (!session->error)
        session->error = strerror(errno);
    return NULL;
}

static void *allocate(size_t bytes) {
    void *block = NULL;
    if (posix_memalign(&block, PAGE, bytes) != 0) {
        fprintf(stderr, "zio-echo-client: no memory\n");
        exit(1);
    }
    memset(block, 0, bytes);
    return block;
}

static void open_session(struct session *session, long number) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    size_t bytes = ((size_t)message_bytes + WORD - 1) / WORD * WORD;
    session->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1 || session->socket < 0 ||
        connect(session->socket, (struct sockaddr *)&address, sizeof address) != 0 ||
        fcntl(session->socket, F_SETFL, O_NONBLOCK) != 0) {
        fprintf(stderr, "zio-echo-client: cannot connect to %s port %ld: %m\n", host, port);
        exit(1);
    }
    setsockopt(session->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    session->seed = (uint64_t)(seed + number);
    session->deadline_ns =
        max_seconds ? now_ns() + (uint64_t)max_seconds * 1000000000u : UINT64_MAX;
    session->outgoing = allocate(bytes);
    session->incoming = allocate(bytes);
    session->latencies_ns = allocate(((size_t)max_messages + 1) * sizeof(uint64_t));
}

static int compare_latencies(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t *gather_latencies(long *count) {
    for (long i = 0; i < connections; i++)
        *count += sessions[i].timed;
    uint64_t *all = allocate(((size_t)*count + 1) * sizeof(uint64_t)), *end = all;
    for (long i = 0; i < connections; i++) {
        memcpy(end, sessions[i].latencies_ns, (size_t)sessions[i].timed * sizeof(uint64_t));
        end += sessions[i].timed;
    }
    qsort(all, (size_t)*count, sizeof(uint64_t), compare_latencies);
    return all;
}

static uint64_t permille(const uint64_t *sorted, long count, long part) {
    return count ? sorted[(count - 1) * part / 1000] : 0;
}

/* The number of sessions that failed. */
static int print_result(const struct usage *from) {
    long count = 0, received = 0, wrong = 0;
    int failed = 0;
    uint64_t first_ns = UINT64_MAX, last_ns = 0, *latencies = gather_latencies(&count);
    for (long i = 0; i < connections; i++) {
        struct session *session = &sessions[i];
        received += session->received;
        wrong += session->wrong_messages;
        if (session->timed && session->first_ns < first_ns)
            first_ns = session->first_ns;
        if (session->timed && session->last_ns > last_ns)
            last_ns = session->last_ns;
        if (session->error)
            fprintf(stderr, "zio-echo-client: connection %ld: %s\n", i, session->error);
        if (session->wrong_messages)
            fprintf(
                stderr,
                "zio-echo-client: connection %ld: %ld wrong messages, the first %ld at byte %ld\n",
                i, session->wrong_messages, session->wrong_message, session->wrong_offset);
        failed += session->error || session->wrong_messages;
    }
    struct usage to = usage_now();
    uint64_t wall_ns = count ? last_ns - first_ns : 0;
    double seconds = (double)(wall_ns ? wall_ns : 1) / 1e9;
    printf(
        "{\"version\":1,\"messages\":%ld,\"received\":%ld,\"wrongMessages\":%ld,\"verify\":\"%s\"",
        count, received, wrong, verify);
    printf(",\"bytes\":%ld,\"wallNs\":%lu,\"messagesPerSecond\":%.1f,\"bytesPerSecond\":%.0f",
           count * message_bytes, wall_ns, (double)count / seconds,
           (double)count * (double)message_bytes / seconds);
    printf(",\"cpuNs\":%lu", to.user_ns + to.system_ns - from->user_ns - from->system_ns);
    printf(",\"latencyNs\":{\"p50\":%lu,\"p90\":%lu,\"p99\":%lu,\"p999\":%lu,\"max\":%lu}}\n",
           permille(latencies, count, 500), permille(latencies, count, 900),
           permille(latencies, count, 990), permille(latencies, count, 999),
           permille(latencies, count, 1000));
    return failed;
}

int main(int argc, char **argv) {
    parse_options(argc, argv, options);
    if (port < 1 || port > 65535 || message_bytes < 1 || pipeline < 1 || pipeline > MAX_PIPELINE ||
        connections < 1 || connections > MAX_CONNECTIONS || max_messages > 10000000) {
        fprintf(stderr, "%s: --port is needed; at most %d connections, %d messages under way\n",
                argv[0], MAX_CONNECTIONS, MAX_PIPELINE);
        return 2;
    }
    if (cpu >= 0)
        pin_to_cpu(argv[0], cpu);
    for (long i = 0; i < connections; i++)
        open_session(&sessions[i], i);
    struct usage from = usage_now();
    for (long i = 0; i < connections; i++)
        if (pthread_create(&sessions[i].thread, NULL, run_session, &sessions[i]) != 0) {
            fprintf(stderr, "%s: cannot start a thread\n", argv[0]);
            return 1;
        }
    for (long i = 0; i < connections; i++)
        pthread_join(sessions[i].thread, NULL);
    return print_result(&from) ? 1 : 0;
}
