/* The policy: for each IO and copy, is elision likely to pay? Sites are return addresses of
 * hooks. Constant memory, no lock. Numbers are 16-bit site tags that views carry, so that a
 * fault is charged to the site that made the view; 0 is "unknown". Thread-safe,
 * async-signal-safe. */
#ifndef ZIO_POLICY_H
#define ZIO_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void zio__policy_set_up(void);
/* The smallest call that the policy wants to hear of, in bytes. */
size_t zio__policy_threshold(void);

uint16_t zio__policy_site(uintptr_t return_address);
/* Before an input of up to `length` bytes: direct it into an origin? */
bool zio__policy_redirects(uint16_t site, size_t length);
/* After it: what came of `length` requested bytes. */
void zio__policy_received(uint16_t site, size_t length, size_t received);
/* Before a copy of viewed memory: by views? */
bool zio__policy_elides(uint16_t site, size_t length);
void zio__policy_elided(uint16_t site, size_t bytes);

#endif
