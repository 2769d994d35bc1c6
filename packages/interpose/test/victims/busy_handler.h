/* A signal handler that touches a view, copies one, and does IO of its own,
 * while the main program does the same all the time. */
#ifndef BUSY_HANDLER_H
#define BUSY_HANDLER_H
#include "channels.h"

enum { OTHER = 3 };
#define SIZE (256 * KIB)

static atomic_int handled;
static byte *handler_from, *handler_to;
static struct channel handler_channel;

static void on_signal(int number, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    if (sigaction(number, &action, NULL))
        die("sigaction");
}

static void busy_handler(int number) {
    (void)number;
    int saved = errno;
    size_t where = (size_t)handled * 7919 % (SIZE - 64 * KIB);
    if (handler_from[where] != byte_of(OTHER, where))
        failures++;
    copy(handler_to + where, handler_from + where, 32 * KIB);
    if (write(handler_channel.out, handler_to + where, 32 * KIB) != 32 * (ssize_t)KIB)
        failures++;
    if (read(handler_channel.in, handler_to, 32 * KIB) != 32 * (ssize_t)KIB)
        failures++;
    if (difference(handler_to, 32 * KIB, OTHER, where) != -1)
        failures++;
    handled++;
    errno = saved;
}

#endif
