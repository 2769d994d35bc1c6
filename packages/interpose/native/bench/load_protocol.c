/* Requests and replies; see load_protocol.h. */
#include "load_protocol.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>

int protocol_parse(const char *name, enum protocol *protocol) {
    static const char *const names[] = {"redis", "memcached", "http", "file"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0) {
            *protocol = (enum protocol)i;
            return 1;
        }
    return 0;
}

static const char *send_parts(int socket, struct iovec *parts, size_t count) {
    while (count > 0) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
        ssize_t n = sendmsg(socket, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return "the request could not be sent";
        while (count > 0 && (size_t)n >= parts->iov_len) {
            n -= (ssize_t)parts->iov_len;
            parts++;
            count--;
        }
        if (count > 0) {
            parts->iov_base = (char *)parts->iov_base + n;
            parts->iov_len -= (size_t)n;
        }
    }
    return NULL;
}

static ssize_t receive(int socket, unsigned char *to, size_t room) {
    ssize_t n;
    do
        n = recv(socket, to, room, 0);
    while (n < 0 && errno == EINTR);
    return n;
}

const char *protocol_set(enum protocol protocol, int socket, const char *key,
                         const unsigned char *value, size_t bytes) {
    char head[256];
    int length = protocol == PROTOCOL_REDIS
                     ? snprintf(head, sizeof head, "*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%zu\r\n",
                                strlen(key), key, bytes)
                     : snprintf(head, sizeof head, "set %s 0 0 %zu\r\n", key, bytes);
    struct iovec parts[3] = {
        {head, (size_t)length}, {(void *)(size_t)value, bytes}, {(char[]){"\r\n"}, 2}};
    const char *error = send_parts(socket, parts, 3);
    if (error)
        return error;
    const char *expected = protocol == PROTOCOL_REDIS ? "+OK\r\n" : "STORED\r\n";
    size_t wanted = strlen(expected), got = 0;
    while (got < wanted) {
        ssize_t n = receive(socket, (unsigned char *)head + got, wanted - got);
        if (n <= 0)
            return "the server closed the connection";
        got += (size_t)n;
    }
    return memcmp(head, expected, wanted) == 0 ? NULL : "the server did not store a value";
}

static const char *send_get(enum protocol protocol, int socket, const char *key) {
    char head[512];
    int length;
    if (protocol == PROTOCOL_REDIS)
        length = snprintf(head, sizeof head, "*2\r\n$3\r\nGET\r\n$%zu\r\n%s\r\n", strlen(key), key);
    else if (protocol == PROTOCOL_MEMCACHED)
        length = snprintf(head, sizeof head, "get %s\r\n", key);
    else if (protocol == PROTOCOL_HTTP)
        length = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", key);
    else
        length = snprintf(head, sizeof head, "send it\n");
    struct iovec part = {head, (size_t)length};
    return send_parts(socket, &part, 1);
}

/* The length of the reply's head once it is there, 0 before; -1 when it tells of no value. */
static long parse_head(enum protocol protocol, const unsigned char *reply, size_t got,
                       size_t *value_bytes) {
    const char *ending = protocol == PROTOCOL_HTTP ? "\r\n\r\n" : "\r\n";
    const char *text = (const char *)reply;
    const unsigned char *end = memmem(reply, got, ending, strlen(ending));
    if (!end)
        return got < PROTOCOL_OVERHEAD ? 0 : -1;
    if (protocol == PROTOCOL_REDIS && text[0] == '$' && text[1] != '-') {
        *value_bytes = strtoul(text + 1, NULL, 10);
    } else if (protocol == PROTOCOL_MEMCACHED && strncmp(text, "VALUE ", 6) == 0) {
        while (end[-1] != ' ')
            end--;
        *value_bytes = strtoul((const char *)end, NULL, 10);
        end = memmem(reply, got, ending, strlen(ending));
    } else if (protocol == PROTOCOL_HTTP && strncmp(text, "HTTP/1.1 200", 12) == 0) {
        const char *line = text;
        while (strncasecmp(line, "Content-Length:", 15) != 0) {
            line = memmem(line, (size_t)((const char *)end - line), "\r\n", 2);
            if (!line)
                return -1;
            line += 2;
        }
        *value_bytes = strtoul(line + 15, NULL, 10);
    } else {
        return -1;
    }
    return (long)(end - reply) + (long)strlen(ending);
}

const char *protocol_get(enum protocol protocol, int socket, const char *key, unsigned char *reply,
                         size_t bytes, const unsigned char **value) {
    static const size_t tails[] = {2, 7, 0, 0};
    const char *error = send_get(protocol, socket, key);
    size_t got = 0, value_bytes = bytes;
    long head = protocol == PROTOCOL_FILE ? 0 : -2;
    while (!error && (head == -2 || got < (size_t)head + bytes + tails[protocol])) {
        ssize_t n = receive(socket, reply + got, bytes + PROTOCOL_OVERHEAD - got);
        if (n <= 0)
            return "the server closed the connection";
        got += (size_t)n;
        if (head != -2)
            continue;
        long parsed = parse_head(protocol, reply, got, &value_bytes);
        if (parsed < 0 || value_bytes != bytes)
            return "the reply holds no value of that size";
        head = parsed > 0 ? parsed : -2;
    }
    if (error)
        return error;
    *value = reply + head;
    return got == (size_t)head + bytes + tails[protocol] ? NULL : "the reply is too long";
}
