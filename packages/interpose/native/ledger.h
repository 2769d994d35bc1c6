/* What calls of each thread hold while they copy or send. A call that never comes back (a handler
 * left it by longjmp) would hold it for ever; the next ones give it up. */
#ifndef ZIO_LEDGER_H
#define ZIO_LEDGER_H

#include <zio/tracker.h>

extern const struct zio_tracker_ledger zio__ledger;

extern __thread uint32_t zio__ledger_used;
void zio__ledger_reclaim(void);

/* Before a call that will hold something; no lock may be held. */
static inline void zio__ledger_tidy(void) {
    if (__builtin_expect(zio__ledger_used > UINT32_C(0xff), 0))
        zio__ledger_reclaim();
}

/* The calling thread ends: nothing that it held is needed. */
void zio__ledger_thread_ends(void);

#endif
