/* A thread's own part of putting handlers off: signal_hold.c and signals.c share it. */
#ifndef ZIO_SIGNAL_HOLD_H
#define ZIO_SIGNAL_HOLD_H

#include <stdbool.h>
#include <stdint.h>

/* Whether sections may go without blocking signals at all. */
void zio__may_hold(bool may);

/* Whether the calling thread is in a section that does not block them. */
bool zio__is_holding(void);

/* In such a section, in a handler: all signals are blocked when the handler returns, until the end
 * of the section. `interrupted`: where the kernel will find the mask to restore. */
void zio__hold_until_end(uint64_t *interrupted);

/* From here on a handler of ours may come for this signal. */
void zio__expect_frame_of(int number);

#endif
