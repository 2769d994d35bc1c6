/* Case 14: poll, select and epoll tell the same about descriptors whose data goes in and out of
 * views: no data that is kept back, no edge that is lost or comes twice. */
#include "channels.h"
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>

enum { OLD = 1, NEW = 2 };
#define SIZE (128 * KIB)

static int events_of(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, 0) == 1 ? p.revents : 0;
}
static int selected(int fd) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    return select(fd + 1, &set, NULL, NULL, &(struct timeval){0, 0});
}
static int waiting(int fd) {
    int count = -1;
    ioctl(fd, FIONREAD, &count);
    return count;
}
static int edge(int epoll) {
    struct epoll_event event = {0};
    return epoll_wait(epoll, &event, 1, 0) == 1 ? (int)event.events : 0;
}

/* A part is read, then the rest: readiness and the count of waiting bytes in between. */
static void level(void) {
    struct channel channels[] = {unix_pair(SOCK_STREAM), inet_pair(SOCK_STREAM), wide_pipe()};
    for (int kind = 0; kind < 3; kind++) {
        struct channel c = channels[kind];
        int epoll = epoll_create1(0);
        struct epoll_event event = {.events = EPOLLIN};
        epoll_ctl(epoll, EPOLL_CTL_ADD, c.in, &event);
        byte *at = viewed(SIZE, OLD), *from = viewed(SIZE, NEW);
        EXPECT(events_of(c.in, POLLIN), 0);
        EXPECT(selected(c.in), 0);
        EXPECT(edge(epoll), 0);
        write_all(c.out, from, SIZE);
        while (kind == 1 && waiting(c.in) < (int)SIZE)
            pause_ms(1);
        EXPECT(edge(epoll), EPOLLIN);
        static const size_t parts[] = {1, 20000, 65536, 30000};
        size_t done = 0;
        for (int i = 0; i < 4; i++) {
            EXPECT(read(c.in, at + done, parts[i]), parts[i]);
            done += parts[i];
            EXPECT(events_of(c.in, POLLIN), POLLIN);
            EXPECT(selected(c.in), 1);
            EXPECT(edge(epoll), EPOLLIN);
            EXPECT(waiting(c.in), SIZE - done);
        }
        if (kind < 2)
            EXPECT(recv(c.in, at + done, 10000, MSG_PEEK), 10000);
        EXPECT(waiting(c.in), SIZE - done);
        EXPECT(read(c.in, at + done, SIZE - done), SIZE - done);
        EXPECT(waiting(c.in), 0);
        EXPECT(events_of(c.in, POLLIN), 0);
        EXPECT(selected(c.in), 0);
        EXPECT(edge(epoll), 0);
        EXPECT_BYTES(at, SIZE, NEW, 0);
        close(epoll);
        close_channel(c);
    }
}

/* Edges: one for each arrival, none for what was there already. */
static void edges(void) {
    struct channel channels[] = {unix_pair(SOCK_STREAM), wide_pipe()};
    for (int kind = 0; kind < 2; kind++) {
        struct channel c = channels[kind];
        int epoll = epoll_create1(0);
        struct epoll_event event = {.events = EPOLLIN | EPOLLET};
        epoll_ctl(epoll, EPOLL_CTL_ADD, c.in, &event);
        fcntl(c.in, F_SETFL, O_NONBLOCK);
        byte *at = viewed(SIZE, OLD), *from = viewed(SIZE, NEW);
        EXPECT(edge(epoll), 0);
        for (int round = 0; round < 4; round++) {
            write_all(c.out, from, SIZE);
            EXPECT(edge(epoll), EPOLLIN);
            EXPECT(edge(epoll), 0);
            EXPECT(read(c.in, at, 40000), 40000);
            EXPECT(edge(epoll), 0);
            write_all(c.out, from, 1000);
            EXPECT(edge(epoll), EPOLLIN);
            EXPECT(read(c.in, at + 40000, SIZE - 40000), SIZE - 40000);
            EXPECT(read(c.in, at, SIZE), 1000);
            EXPECT_ERROR(EAGAIN, read(c.in, at, SIZE));
            EXPECT(edge(epoll), 0);
            EXPECT_BYTES(at, 1000, NEW, 0);
            EXPECT_BYTES(at + 1000, SIZE - 1000, NEW, 1000);
        }
        close(epoll);
        close_channel(c);
    }
}

/* A nonblocking server in one thread: edge-triggered epoll both ways, echoing from views. */
struct client {
    int fd;
    unsigned stream;
};
static void *talk(void *argument) {
    struct client *c = argument;
    byte *out = stream_bytes(SIZE, c->stream, 0);
    for (int i = 0; i < 6; i++) {
        write_all(c->fd, out, SIZE);
        EXPECT_STREAM(c->fd, SIZE, c->stream, 0);
    }
    shutdown(c->fd, SHUT_WR);
    char end;
    EXPECT(read(c->fd, &end, 1), 0);
    return NULL;
}
static void server(void) {
    enum { CLIENTS = 4 };
    struct {
        struct channel c;
        byte *in, *out;
        size_t from, to;
        int ended;
    } s[CLIENTS];
    struct client clients[CLIENTS];
    pthread_t threads[CLIENTS];
    int epoll = epoll_create1(0), open_clients = CLIENTS;
    for (unsigned i = 0; i < CLIENTS; i++) {
        s[i].c = i % 2 ? inet_pair(SOCK_STREAM) : unix_pair(SOCK_STREAM);
        int small = 30000;
        setsockopt(s[i].c.in, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
        s[i].in = region(SIZE), s[i].out = region(SIZE), s[i].from = s[i].to = 0, s[i].ended = 0;
        fcntl(s[i].c.in, F_SETFL, O_NONBLOCK);
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                    .data.u32 = i};
        epoll_ctl(epoll, EPOLL_CTL_ADD, s[i].c.in, &event);
        clients[i] = (struct client){s[i].c.out, 30 + i};
        threads[i] = start(talk, &clients[i]);
    }
    while (open_clients) {
        struct epoll_event events[8];
        int count = epoll_wait(epoll, events, 8, 5000);
        if (count <= 0) {
            EXPECT(count, 1); /* an edge was lost */
            return;
        }
        for (int e = 0; e < count; e++) {
            unsigned i = events[e].data.u32;
            for (;;) {
                if (s[i].from < s[i].to) {
                    ssize_t n = write(s[i].c.in, s[i].out + s[i].from, s[i].to - s[i].from);
                    if (n < 0)
                        break;
                    s[i].from += (size_t)n;
                    continue;
                }
                ssize_t n = s[i].ended ? -1 : read(s[i].c.in, s[i].in, SIZE);
                if (n < 0)
                    break;
                if (n == 0) {
                    s[i].ended = 1;
                    shutdown(s[i].c.in, SHUT_WR);
                    open_clients--;
                    break;
                }
                copy(s[i].out, s[i].in, (size_t)n);
                s[i].from = 0, s[i].to = (size_t)n;
            }
        }
    }
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
}

/* SO_RCVLOWAT, SIOCOUTQ and hang-up. */
static void counts(void) {
    struct channel c = inet_pair(SOCK_STREAM), local = unix_pair(SOCK_STREAM), pipe = wide_pipe();
    int low = 50000;
    byte *at = viewed(SIZE, OLD), *from = viewed(SIZE, NEW);
    setsockopt(c.in, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low);
    write_all(c.out, from, 30000);
    while (waiting(c.in) < 30000)
        pause_ms(1);
    EXPECT(events_of(c.in, POLLIN), 0);
    write_all(c.out, from + 30000, 30000);
    while (waiting(c.in) < 60000)
        pause_ms(1);
    EXPECT(events_of(c.in, POLLIN), POLLIN);
    EXPECT(recv(c.in, at, SIZE, 0), 60000);
    EXPECT_BYTES(at, 60000, NEW, 0);
    EXPECT_BYTES(at + 60000, SIZE - 60000, OLD, 60000);
    write_all(local.out, from, 20000), write_all(pipe.out, from, 20000);
    close(local.out), close(pipe.out);
    EXPECT(events_of(local.in, POLLIN), POLLIN | POLLHUP);
    EXPECT(events_of(pipe.in, POLLIN), POLLIN | POLLHUP);
    EXPECT(read(local.in, at, SIZE), 20000);
    EXPECT(read(pipe.in, at, SIZE), 20000);
    EXPECT(events_of(local.in, POLLIN), POLLIN | POLLHUP);
    EXPECT(events_of(pipe.in, POLLIN), POLLHUP);
    EXPECT(read(local.in, at, SIZE), 0);
    EXPECT(read(pipe.in, at, SIZE), 0);
    EXPECT_BYTES(at, 20000, NEW, 0);
}

SUBCASES({"level", level}, {"edges", edges}, {"server", server}, {"counts", counts})
