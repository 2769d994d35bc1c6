/* The policy: is it likely to pay to direct an input into an origin? A site is the return address
 * of an input hook; views carry its number through every copy, so that what is saved and what is
 * touched is put to the account of the input that began it.
 * Constant memory, no lock. Thread-safe, async-signal-safe. */
#ifndef ZIO_POLICY_H
#define ZIO_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sites have numbers below this. */
enum { ZIO__POLICY_SITES = 4096 };

void zio__policy_set_up(void);
/* The smallest call that the policy wants to hear of, in bytes. */
size_t zio__policy_threshold(void);

/* The number of a site, 1 and up; 0 when there is no room for it: such calls are left alone
 * by `learn`. */
uint16_t zio__policy_site(uintptr_t return_address);
/* Before an input: direct it into an origin? */
bool zio__policy_redirects(uint16_t site);
/* Before one that is directed there; 0: the calling thread ends. In a child of fork. */
void zio__policy_receives(uint16_t site);
void zio__policy_after_fork(void);
/* After one that was directed there, of which `copied` bytes could not be views; after one that
 * went to the bytes of the last. */
void zio__policy_received(uint16_t site, size_t copied);
void zio__policy_overwrote(uint16_t site);
/* Bytes of its input that went to a pool's log by reference. */
void zio__policy_logged(uint16_t site, size_t bytes);

/* Around the moving of bytes that a copy of views comes down to, and around a copy that is elided
 * (`ends` only if it was): some are timed. */
struct zio__timed {
    uint64_t began;
    uint16_t site; /* 0: this one is not */
};
struct zio__timed zio__policy_copy_begins(void);
void zio__policy_copy_ends(struct zio__timed timed, size_t bytes);
struct zio__timed zio__policy_elision_begins(void);
void zio__policy_elision_ends(struct zio__timed timed);

#endif
