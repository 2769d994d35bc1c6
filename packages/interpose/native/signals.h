/* Handlers of the program's that wait for the end of a locked section. Every handler that the kernel
 * knows is ours then, and calls the program's; one that comes in a section blocks all signals until
 * its end, sends itself the signal again, and returns. So a section needs no system call to keep
 * signals off. Where that is not certain it blocks them: a handler was installed in a way that no hook sees,
 * or for a real-time signal, of which the order would change; the thread may be cancelled at any
 * instruction; or a signal's frame might not find its stack resident.
 *
 * Nothing is done to a program's handlers before its first large input, or after zIO has ended. */
#ifndef ZIO_INTERPOSE_SIGNALS_H
#define ZIO_INTERPOSE_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <zio/signals.h>

/* The sections' way to keep signals off. */
extern const struct zio_signal_keeper zio__signal_keeper;

/* What a program asks of one signal: bit n - 1 of the mask is signal n. */
struct zio__action {
    uintptr_t handler; /* or SIG_DFL, SIG_IGN */
    uint64_t mask;
    unsigned long flags;
};

/* Does what sigaction(2) does by whatever means the program chose, and gives the system's answer.
 * `next` may be NULL; *previous is always written on success. */
typedef long (*zio__issue_action)(void *context, int number, const struct zio__action *next,
                                  struct zio__action *previous);

/* sigaction(2) for the program: 0, or a negative errno. *previous: as the program knows it.
 * Async-signal-safe; errno is the issuer's. */
long zio__signal_action(int number, const struct zio__action *next, struct zio__action *previous,
                        zio__issue_action issue, void *context);

/* Makes every handler that is installed ours, or finds one whose origin it does not know: then
 * sections block signals from here on. Before the first section, and in a child again. */
void zio__signals_take_over(void);
/* Gives the program's handlers back to the kernel: no section is entered any more. */
void zio__signals_hand_back(void);
void zio__signals_after_fork(void);

/* Threads may run that share storage with others: sections block signals from here on. */
void zio__signals_never_put_off(void);
/* The calling thread may be cancelled at any instruction. */
void zio__signals_may_be_cancelled(void);
/* The calling thread has another alternate stack, or none. */
void zio__signals_stack_changed(void);

/* The alternate stack of the calling thread as zio__has_stack knows it; *bytes 0: there is none. */
uintptr_t zio__signal_stack(size_t *bytes);

#endif
