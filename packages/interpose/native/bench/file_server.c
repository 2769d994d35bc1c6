/* Serves one file over TCP, chunk by chunk, in the way that --method names: whoever sends 8 bytes
 * gets the whole file. One thread serves one connection. Prints `port N` when it listens; ends by a
 * signal. Knows nothing of zIO. */
#include "../demo/command_line.h"
#include "../demo/usage_clock.h"
#include "ring.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *path = "", *method = "read";
static long chunk_bytes = 64 << 10, cpu = -1;
static size_t file_bytes;

static const struct option_row options[] = {
    {"--file", "PATH", "what to serve", NULL, &path, NULL},
    {"--method", "", "how (read)", NULL, &method,
     "read|mmap|sendfile|splice|zerocopy|uring-zerocopy"},
    {"--chunk", "BYTES", "of each call (64K)", &chunk_bytes, NULL, NULL},
    {"--cpu", "N", "run on this core only", &cpu, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};

struct connection {
    int socket, file, pipe[2];
    unsigned char *buffers; /* as long as the file, so that a chunk may wait for its completion */
    struct ring ring;
};

static void fail(const char *what) {
    fprintf(stderr, "zio-file-server: %s: %m\n", what);
    exit(1);
}

static int send_all(int socket, const unsigned char *data, size_t length, int flags) {
    while (length > 0) {
        ssize_t n = send(socket, data, length, MSG_NOSIGNAL | flags);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        data += n;
        length -= (size_t)n;
    }
    return 1;
}

static int by_read(struct connection *connection, size_t at, size_t length) {
    return pread(connection->file, connection->buffers, length, (off_t)at) == (ssize_t)length &&
           send_all(connection->socket, connection->buffers, length, 0);
}

static int by_sendfile(struct connection *connection, size_t at, size_t length) {
    off_t offset = (off_t)at;
    while (length > 0) {
        ssize_t n = sendfile(connection->socket, connection->file, &offset, length);
        if (n <= 0)
            return 0;
        length -= (size_t)n;
    }
    return 1;
}

static int by_splice(struct connection *connection, size_t at, size_t length) {
    off_t offset = (off_t)at;
    while (length > 0) {
        ssize_t n = splice(connection->file, &offset, connection->pipe[1], NULL, length, 0);
        if (n <= 0)
            return 0;
        length -= (size_t)n;
        while (n > 0) {
            ssize_t out = splice(connection->pipe[0], NULL, connection->socket, NULL, (size_t)n, 0);
            if (out <= 0)
                return 0;
            n -= out;
        }
    }
    return 1;
}

/* Each chunk has a place of its own: its pages are the kernel's until the completion. */
static int by_zerocopy(struct connection *connection, size_t at, size_t length) {
    unsigned char *chunk = connection->buffers + at;
    return pread(connection->file, chunk, length, (off_t)at) == (ssize_t)length &&
           send_all(connection->socket, chunk, length, MSG_ZEROCOPY);
}

static int by_ring(struct connection *connection, size_t at, size_t length) {
    unsigned char *chunk = connection->buffers + at;
    return pread(connection->file, chunk, length, (off_t)at) == (ssize_t)length &&
           ring_send_zerocopy(&connection->ring, connection->socket, chunk, length);
}

/* Takes the completions that are there; waits for one where `wait`. */
static void reap_completions(int socket, int wait) {
    struct pollfd polled = {.fd = socket};
    unsigned char control[128];
    struct msghdr message = {.msg_control = control, .msg_controllen = sizeof control};
    if (wait)
        poll(&polled, 1, 100);
    while (recvmsg(socket, &message, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0)
        message.msg_controllen = sizeof control;
}

static int serve_by_mmap(struct connection *connection) {
    unsigned char *data = mmap(NULL, file_bytes, PROT_READ, MAP_SHARED, connection->file, 0);
    int good = data != MAP_FAILED;
    for (size_t at = 0; good && at < file_bytes; at += (size_t)chunk_bytes) {
        size_t left = file_bytes - at;
        size_t length = left < (size_t)chunk_bytes ? left : (size_t)chunk_bytes;
        good = send_all(connection->socket, data + at, length, 0);
    }
    return good && munmap(data, file_bytes) == 0;
}

typedef int (*chunk_sender)(struct connection *connection, size_t at, size_t length);

static chunk_sender chosen_sender(void) {
    return strcmp(method, "read") == 0       ? by_read
           : strcmp(method, "sendfile") == 0 ? by_sendfile
           : strcmp(method, "splice") == 0   ? by_splice
           : strcmp(method, "zerocopy") == 0 ? by_zerocopy
                                             : by_ring;
}

static int serve_file(struct connection *connection) {
    if (strcmp(method, "mmap") == 0)
        return serve_by_mmap(connection);
    chunk_sender sender = chosen_sender();
    for (size_t at = 0; at < file_bytes; at += (size_t)chunk_bytes) {
        size_t left = file_bytes - at;
        if (!sender(connection, at, left < (size_t)chunk_bytes ? left : (size_t)chunk_bytes))
            return 0;
    }
    if (sender == by_zerocopy)
        reap_completions(connection->socket, 0);
    return 1;
}

static void *serve(void *argument) {
    struct connection *connection = argument;
    int one = 1;
    char request[8];
    size_t room = file_bytes + (size_t)chunk_bytes;
    setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connection->file = open(path, O_RDONLY | O_CLOEXEC);
    if (connection->file < 0 || pipe2(connection->pipe, O_CLOEXEC) != 0 ||
        posix_memalign((void **)&connection->buffers, 4096, room) != 0)
        fail("a connection cannot be served");
    fcntl(connection->pipe[1], F_SETPIPE_SZ, (int)chunk_bytes);
    memset(connection->buffers, 1, room);
    if (strcmp(method, "zerocopy") == 0 &&
        setsockopt(connection->socket, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof one) != 0)
        fail("SO_ZEROCOPY");
    if (strcmp(method, "uring-zerocopy") == 0 && !ring_open(&connection->ring))
        fail("io_uring");
    while (recv(connection->socket, request, sizeof request, MSG_WAITALL) == sizeof request)
        if (!serve_file(connection))
            break;
    if (strcmp(method, "zerocopy") == 0)
        reap_completions(connection->socket, 1);
    close(connection->socket);
    return NULL;
}

int main(int argc, char **argv) {
    parse_options(argc, argv, options);
    struct stat status;
    if (stat(path, &status) != 0 || chunk_bytes < 1)
        fail("--file");
    file_bytes = (size_t)status.st_size;
    if (cpu >= 0)
        pin_to_cpu(argv[0], cpu);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 64) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0)
        fail("cannot listen");
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        struct connection *connection = calloc(1, sizeof *connection);
        pthread_t thread;
        if (!connection)
            fail("no memory");
        connection->socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection->socket < 0 || pthread_create(&thread, NULL, serve, connection) != 0)
            fail("a connection cannot be accepted");
        pthread_detach(thread);
    }
}
