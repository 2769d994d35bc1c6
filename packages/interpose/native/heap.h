/* The program's allocator: whether its blocks can be measured, and glibc's habit of giving freed
 * memory back with every large message.
 * Thread-safe but for zio__heap_set_up. */
#ifndef ZIO_HEAP_H
#define ZIO_HEAP_H

#include <stdatomic.h>
#include <stdbool.h>

/* In the constructor, once the functions behind the hooks are known. */
void zio__heap_set_up(void);
/* After a large input: its buffers are worth keeping. Async-signal-safe. */
void zio__heap_wish(void);

/* A wish that was not seen to yet. */
extern _Atomic bool zio__heap_wished;
/* Sees to it. Not in a signal handler, nor inside the allocator: it takes the allocator's locks. The
 * free hook is such a place, because free(3) itself may not be called elsewhere. */
void zio__heap_keep(void);

#endif
