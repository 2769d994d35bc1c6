/* Which threads are at work for zIO, for the one who must know that none is: a filter that comes
 * over all threads kills for system calls that only zIO makes. */
#ifndef ZIO_PRESENCE_H
#define ZIO_PRESENCE_H

#include <stdbool.h>

/* Before a hook does more than the plain call. False: zIO has ended, there is nothing to do and
 * nothing to leave. Async-signal-safe; makes no system call. */
bool zio__enter(void);
void zio__leave(void);

/* Around a call of the program's that may wait for ever, between the two above. */
void zio__begin_wait(void);
void zio__end_wait(void);

/* Waits, for a bounded time, until no other thread is between enter and leave, but in a wait. zIO
 * has been turned off. */
void zio__await_absence(void);

void zio__presence_after_fork(void);

#endif
