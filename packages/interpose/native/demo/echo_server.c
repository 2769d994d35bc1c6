/* A small TCP server of the kind that zIO is for, without any knowledge of it: receives a
 * message, copies it from buffer to buffer, sends the last copy back. One thread serves one
 * connection. Prints `port N` when it listens and one line of JSON about itself when it ends. */
#include "command_line.h"
#include "usage_clock.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAGE = 4096, MAX_COPIES = 64, MAX_CONNECTIONS = 256 };

static const char *host = "127.0.0.1";
static const char *allocation = "page";
static const char *touch_mode = "read";
static const char *touch_order = "sequential";
static long port, message_bytes = 512 << 10, copies, skew_bytes, touched_pages;
static long touched_percent, in_turn = 1;
static long connections = 1, warmup_messages, max_messages, max_seconds = 60, cpu = -1;

static const struct option_row options[] = {
    {"--host", "ADDRESS", "IPv4 address to listen on (127.0.0.1)", NULL, &host, NULL},
    {"--port", "N", "port to listen on, 0 for any (0)", &port, NULL, NULL},
    {"--message", "BYTES", "length of every message (512K)", &message_bytes, NULL, NULL},
    {"--copies", "N", "copies from buffer to buffer before the answer (0)", &copies, NULL, NULL},
    {"--in-turn", "N", "without copies: receive into so many buffers in turn (1)", &in_turn, NULL,
     NULL},
    {"--alloc", "", "where the buffers come from (page)", NULL, &allocation, "page|malloc"},
    {"--skew", "BYTES", "each buffer starts this much further into its block (0)", &skew_bytes,
     NULL, NULL},
    {"--touch", "PAGES", "pages of the last copy touched per message, spread (0)", &touched_pages,
     NULL, NULL},
    {"--touch-percent", "N", "share of its pages of which every word is touched (0)",
     &touched_percent, NULL, NULL},
    {"--touch-order", "", "from the first page on, or others each time (sequential)", NULL,
     &touch_order, "sequential|random"},
    {"--touch-mode", "", "how they are touched (read)", NULL, &touch_mode, "read|write"},
    {"--connections", "N", "clients to serve, then end (1)", &connections, NULL, NULL},
    {"--warmup", "N", "messages of each connection before accounting starts (0)", &warmup_messages,
     NULL, NULL},
    {"--messages", "N", "end after so many messages in all, 0 for no bound (0)", &max_messages,
     NULL, NULL},
    {"--seconds", "N", "end after this time, 0 for no bound (60)", &max_seconds, NULL, NULL},
    {"--cpu", "N", "run on this core only", &cpu, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};

struct connection {
    pthread_t thread;
    int socket;
    unsigned long messages;
    unsigned char *blocks[MAX_COPIES + 1];
    unsigned char *buffers[MAX_COPIES + 1];
};

static struct connection served[MAX_CONNECTIONS];
static atomic_ulong total_messages, receive_calls, send_calls, truncated_messages;
static pthread_mutex_t accounting = PTHREAD_MUTEX_INITIALIZER;
static struct usage first_usage, last_usage;
static unsigned long accounted_from; /* total_messages when first_usage was taken */
static int ended_fd; /* eventfd: a connection ended, or a signal asks the program to end */
static volatile sig_atomic_t stop_requested;
static volatile unsigned char touch_sink;
static uint32_t *page_order; /* the pages of a message in the order of --touch-order */

static void fail(const char *what) {
    fprintf(stderr, "zio-echo-server: %s: %m\n", what);
    exit(1);
}

static void request_stop(int signal_number) {
    (void)signal_number;
    int saved = errno;
    uint64_t one = 1;
    stop_requested = 1;
    ssize_t written = write(ended_fd, &one, sizeof one);
    (void)written;
    errno = saved;
}

static long buffer_count(void) {
    return copies + in_turn;
}

static void allocate_buffers(struct connection *connection) {
    for (long i = 0; i < buffer_count(); i++) {
        size_t bytes = (size_t)(message_bytes + i * skew_bytes);
        void *block = NULL;
        if (strcmp(allocation, "malloc") == 0)
            block = malloc(bytes);
        else if (posix_memalign(&block, PAGE, bytes) != 0)
            block = NULL;
        if (!block)
            fail("no memory for the buffers");
        /* Pages are there before the first message, as in a server that has run for a while. */
        memset(block, 1, bytes);
        connection->blocks[i] = block;
        connection->buffers[i] = (unsigned char *)block + i * skew_bytes;
    }
}

/* 1 when the whole message is there, 0 at the end of the stream or after an error. */
static int receive_message(int socket, unsigned char *buffer) {
    size_t length = (size_t)message_bytes, got = 0;
    while (got < length) {
        ssize_t n = recv(socket, buffer + got, length - got, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            if (got > 0)
                atomic_fetch_add_explicit(&truncated_messages, 1, memory_order_relaxed);
            return 0;
        }
        atomic_fetch_add_explicit(&receive_calls, 1, memory_order_relaxed);
        got += (size_t)n;
    }
    return 1;
}

static int send_message(int socket, const unsigned char *buffer) {
    size_t length = (size_t)message_bytes, sent = 0;
    while (sent < length) {
        ssize_t n = send(socket, buffer + sent, length - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        atomic_fetch_add_explicit(&send_calls, 1, memory_order_relaxed);
        sent += (size_t)n;
    }
    return 1;
}

/* Touches a byte in each of `touched_pages` pages, evenly spread; the bytes stay what they are. */
static void touch_pages(unsigned char *buffer) {
    int writes = strcmp(touch_mode, "write") == 0;
    for (long i = 0; i < touched_pages; i++) {
        volatile unsigned char *byte = buffer + (message_bytes / touched_pages) * i;
        if (writes)
            *byte = *byte;
        else
            touch_sink = *byte;
    }
}

static void order_pages(void) {
    size_t pages = (size_t)message_bytes / PAGE;
    uint64_t state = 1;
    page_order = calloc(pages + 1, sizeof *page_order);
    if (!page_order)
        fail("no memory for the order of pages");
    for (size_t i = 0; i < pages; i++)
        page_order[i] = (uint32_t)i;
    for (size_t i = pages; strcmp(touch_order, "random") == 0 && i-- > 1;) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        size_t other = (size_t)(state >> 33) % (i + 1);
        uint32_t swap = page_order[i];
        page_order[i] = page_order[other];
        page_order[other] = swap;
    }
}

/* Touches every word of `touched_percent` of the pages; the bytes stay what they are. */
static void touch_whole_pages(unsigned char *buffer, unsigned long message) {
    size_t pages = (size_t)message_bytes / PAGE, wanted = pages * (size_t)touched_percent / 100;
    size_t first = strcmp(touch_order, "random") == 0 ? message * 61 % (pages + 1) : 0;
    int writes = strcmp(touch_mode, "write") == 0;
    for (size_t i = 0; i < wanted; i++) {
        volatile uint64_t *word =
            (volatile uint64_t *)(void *)(buffer + (size_t)page_order[(first + i) % pages] * PAGE);
        uint64_t sum = 0;
        for (size_t at = 0; at < PAGE / sizeof *word; at++)
            if (writes)
                word[at] = word[at];
            else
                sum += word[at];
        touch_sink = (unsigned char)sum;
    }
}

static void start_accounting(void) {
    pthread_mutex_lock(&accounting);
    first_usage = usage_now();
    accounted_from = atomic_load(&total_messages);
    atomic_store(&receive_calls, 0);
    atomic_store(&send_calls, 0);
    pthread_mutex_unlock(&accounting);
}

static void *serve(void *argument) {
    struct connection *connection = argument;
    size_t length = (size_t)message_bytes;
    allocate_buffers(connection);
    for (long first = 0;; first = (first + 1) % in_turn) {
        unsigned char **buffers = connection->buffers + first;
        if (!receive_message(connection->socket, buffers[0]))
            break;
        for (long i = 0; i < copies; i++)
            memcpy(buffers[i + 1], buffers[i], length);
        if (touched_pages)
            touch_pages(buffers[copies]);
        if (touched_percent)
            touch_whole_pages(buffers[copies], connection->messages++);
        if (!send_message(connection->socket, buffers[copies]))
            break;
        unsigned long done = atomic_fetch_add(&total_messages, 1) + 1;
        if (done == (unsigned long)(warmup_messages * connections))
            start_accounting();
        if (max_messages && done >= (unsigned long)max_messages)
            request_stop(0);
    }
    pthread_mutex_lock(&accounting);
    last_usage = usage_now();
    pthread_mutex_unlock(&accounting);
    shutdown(connection->socket, SHUT_RDWR);
    for (long i = 0; i < buffer_count(); i++)
        free(connection->blocks[i]);
    uint64_t one = 1;
    if (write(ended_fd, &one, sizeof one) != sizeof one)
        fail("eventfd");
    return NULL;
}

static int listen_on_port(void) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t length = sizeof address;
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        fprintf(stderr, "zio-echo-server: '%s' is no IPv4 address\n", host);
        exit(2);
    }
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, MAX_CONNECTIONS) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0)
        fail("cannot listen");
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static void accept_connection(int listener, struct connection *connection) {
    int one = 1;
    connection->socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection->socket < 0)
        fail("accept");
    setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    errno = pthread_create(&connection->thread, NULL, serve, connection);
    if (errno)
        fail("thread");
}

/* Accepts `connections` clients and waits until each has gone, the time is up or a signal came. */
static void serve_clients(int listener) {
    long accepted = 0;
    unsigned long ended = 0;
    uint64_t deadline = max_seconds ? now_ns() + (uint64_t)max_seconds * 1000000000u : 0;
    while (ended < (unsigned long)connections && !stop_requested) {
        struct pollfd polled[2] = {
            {.fd = ended_fd, .events = POLLIN},
            {.fd = accepted < connections ? listener : -1, .events = POLLIN},
        };
        uint64_t now = now_ns();
        if (deadline && now >= deadline)
            break;
        int wait_ms = deadline ? (int)((deadline - now) / 1000000u) + 1 : -1;
        if (poll(polled, 2, wait_ms) < 0 && errno != EINTR)
            fail("poll");
        uint64_t count;
        if ((polled[0].revents & POLLIN) && read(ended_fd, &count, sizeof count) == sizeof count)
            ended += count;
        if (polled[1].revents & POLLIN)
            accept_connection(listener, &served[accepted++]);
    }
    for (long i = 0; i < accepted; i++)
        shutdown(served[i].socket, SHUT_RDWR);
    for (long i = 0; i < accepted; i++)
        pthread_join(served[i].thread, NULL);
}

static void print_result(void) {
    unsigned long messages = atomic_load(&total_messages) - accounted_from;
    const struct usage *from = &first_usage, *to = &last_usage;
    uint64_t user_ns = to->user_ns - from->user_ns, system_ns = to->system_ns - from->system_ns;
    printf("{\"version\":1,\"messages\":%lu,\"warmupMessages\":%lu,\"bytes\":%lu", messages,
           accounted_from, messages * (unsigned long)message_bytes);
    printf(",\"copies\":%ld,\"messageBytes\":%ld,\"touchedPages\":%ld,\"connections\":%ld", copies,
           message_bytes, touched_pages, connections);
    printf(",\"cpuNs\":%lu,\"userNs\":%lu,\"systemNs\":%lu,\"wallNs\":%lu", user_ns + system_ns,
           user_ns, system_ns, to->wall_ns - from->wall_ns);
    printf(",\"voluntarySwitches\":%lu,\"involuntarySwitches\":%lu",
           to->voluntary_switches - from->voluntary_switches,
           to->involuntary_switches - from->involuntary_switches);
    printf(",\"minorFaults\":%lu,\"majorFaults\":%lu", to->minor_faults - from->minor_faults,
           to->major_faults - from->major_faults);
    printf(",\"receiveCalls\":%lu,\"sendCalls\":%lu,\"truncatedMessages\":%lu}\n",
           atomic_load(&receive_calls), atomic_load(&send_calls), atomic_load(&truncated_messages));
    fflush(stdout);
}

int main(int argc, char **argv) {
    parse_options(argc, argv, options);
    if (port > 65535 || message_bytes < 1 || copies > MAX_COPIES || touched_pages > message_bytes ||
        touched_percent > 100 || (touched_percent && skew_bytes % (long)sizeof(uint64_t)) ||
        connections < 1 || connections > MAX_CONNECTIONS || in_turn < 1 ||
        (in_turn > 1 && copies > 0) || in_turn > MAX_COPIES) {
        fprintf(
            stderr,
            "%s: message at least 1 byte, at most %d copies and %d connections; buffers in turn "
            "only without copies\n",
            argv[0], MAX_COPIES, MAX_CONNECTIONS);
        return 2;
    }
    if (cpu >= 0)
        pin_to_cpu(argv[0], cpu);
    order_pages();
    ended_fd = eventfd(0, EFD_CLOEXEC);
    if (ended_fd < 0)
        fail("eventfd");
    struct sigaction stop = {.sa_handler = request_stop};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    int listener = listen_on_port();
    first_usage = last_usage = usage_now();
    serve_clients(listener);
    close(listener);
    print_result();
    return 0;
}
