/* What zIO's steps cost on a machine, in nanoseconds: what the policy `learn` reckons with. `zio
 * calibrate` measures them; ZIO_COSTS sets them. */
#ifndef ZIO_COSTS_H
#define ZIO_COSTS_H

#include <stdint.h>

/* X("word in ZIO_COSTS", field, default, "meaning"). The defaults were measured on a virtual Xeon of 2.5 GHz. */
/* clang-format off */
#define ZIO_COST_LIST(X) \
  X("copy", copy, 4000, "memcpy of 64 KiB, in a copy of less than 256 KiB") \
  X("copy-large", copy_large, 4900, "memcpy of 64 KiB, in a larger copy") \
  X("elide", elide, 1300, "making the views of a copy") \
  X("input", input, 5000, "redirecting an input, publishing its views and presenting them") \
  X("overwrite", overwrite, 700, "an input that went to the bytes of the last") \
  X("fault", fault, 18000, "a fault on a view") \
  X("page", page, 1500, "each page that a fault fills")
/* clang-format on */

struct zio__costs {
#define ZIO_COST_FIELD(word, field, nanoseconds, meaning) uint32_t field;
    ZIO_COST_LIST(ZIO_COST_FIELD)
#undef ZIO_COST_FIELD
};

#endif
