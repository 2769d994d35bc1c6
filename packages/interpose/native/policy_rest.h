/* How long a site that was left alone rests before it is tried again: long enough that what a try
 * costs is at most one part in ZIO__REST_FACTOR of the CPU time of the process.
 * A try costs more than the account says of it: caches, pages that have to come back, what the
 * kernel does for views. So it is measured too: the CPU time of the process while the site was tried,
 * and some inputs on, against as many inputs while it rested.
 * No lock: what two threads change at once may be lost, and makes a rest a little too long or too
 * short. Thread-safe, async-signal-safe. All zero: never tried. */
#ifndef ZIO_POLICY_REST_H
#define ZIO_POLICY_REST_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    ZIO__REST_FACTOR = 200,
    ZIO__REST_SETTLING = 16, /* inputs after a try that still count as part of it */
};

struct zio__rest {
    _Atomic uint64_t tried;   /* when the try began, in CPU time of the process; 0: not known */
    _Atomic uint64_t began;   /* when the rest began; 0: the site is being tried, or settles */
    _Atomic uint64_t loss;    /* ns: what the account says that the try cost */
    _Atomic uint32_t inputs;  /* of the try */
    _Atomic uint32_t rested;  /* inputs let pass since `began`, once the question is asked */
};

/* An input is about to be directed into an origin. */
void zio__rest_input(struct zio__rest *rest);
/* The site is in credit: there is no try to account for. */
void zio__rest_forget(struct zio__rest *rest);
/* The site is left alone, having lost so much. */
void zio__rest_left_alone(struct zio__rest *rest, uint64_t loss);
/* It still costs: views that it brought are touched, or overwritten. */
void zio__rest_loses(struct zio__rest *rest, uint64_t loss);
/* It has settled, and rests for so many inputs, at least. */
void zio__rest_begin(struct zio__rest *rest, uint32_t inputs);
/* They have passed. Returns how many more are to; 0: the site may be tried again, the rest has ended. */
uint32_t zio__rest_more(struct zio__rest *rest);
/* The rest ends for another reason. With the next input another try begins. */
void zio__rest_end(struct zio__rest *rest);

#endif
