/* Origins whose memory lies in the pool that files are logged in, so that writes of what they hold
 * are logged by reference. What is logged stays as it is until the log is done with it: the origin
 * is held so long, and thus neither handed out again nor overwritten. */
#ifndef ZIO_NVM_ORIGINS_H
#define ZIO_NVM_ORIGINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zio/origin.h>

/* This process writes to a file that is logged: its input shall land in the pool from now on.
 * Signals are blocked. */
void zio__nvm_origins_start(void);

/* An origin of the pool, as zio_origin_acquire; NULL: they are not wanted, or the pool is full
 * (counted). */
struct zio_origin *zio__nvm_origin_acquire(size_t bytes);
/* Whether a thread may go on filling the origin, or should have another one. */
bool zio__nvm_origin_suits(const struct zio_origin *origin);

/* What the origin's memory is to the provider; 0: it is plain memory, or may be changing. The caller
 * holds it. */
uint64_t zio__origin_token(const struct zio_origin *origin);
/* Bytes of it were logged. Signals are blocked. */
void zio__origin_was_logged(struct zio_origin *origin, uint64_t sequence);

/* The memory of those that are held for the log. */
size_t zio__nvm_origins_held_bytes(void);
/* How many are in use by more than the log: views show them, threads fill them. Signals are
 * blocked. */
size_t zio__nvm_origins_in_use(void);
/* No further one is handed out: the pool is about to be closed. */
void zio__nvm_origins_stop(void);
/* None is in use: those that the log needs and what is free are forgotten, and go with the pool.
 * Signals are blocked. */
void zio__nvm_origins_end(void);

void zio__nvm_origins_before_fork(void);
void zio__nvm_origins_after_fork(bool child);

#endif
