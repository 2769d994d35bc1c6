/* The live counters of one process: a file of mode 0600, mapped shared, that other
 * programs read while the process runs. The page describes itself: a reader takes names
 * and values from it and needs no list of its own, so a newer library and an older reader
 * (or the reverse) understand each other as long as ZIO_STATS_VERSION agrees.
 *
 * Layout: struct zio_stats_header, then counter_count structs zio_stats_counter, one cache
 * line each (counters of different threads' interest do not share a line). Little-endian
 * as the machine. Values are cumulative unless the kind says gauge. Writers use relaxed
 * atomics; a reader may see counters of slightly different moments. */
#ifndef ZIO_STATS_H
#define ZIO_STATS_H

#include <stdatomic.h>
#include <stdint.h>

#define ZIO_STATS_MAGIC UINT64_C(0x315441545354495a) /* bytes "ZIOSTAT1" but for order */
#define ZIO_STATS_VERSION 1

enum zio_stats_kind { ZIO_STATS_COUNTER = 0, ZIO_STATS_GAUGE = 1 };

struct zio_stats_header {
  uint64_t magic;
  uint32_t version;
  uint32_t header_bytes;  /* offset of the first counter: 256 */
  uint32_t counter_bytes; /* 64 */
  uint32_t counter_count;
  int32_t pid;
  int32_t parent_pid;
  uint64_t start_ticks; /* /proc/PID/stat field 22: tells a recycled pid */
  uint64_t reserved[2];
  char policy[16];
  char state[64];   /* "idle", "active", or why not: "unavailable: ..." */
  char command[104]; /* /proc/self/comm and what fits, NUL-terminated */
};

struct zio_stats_counter {
  char name[47]; /* JSON path, for example "elidedBytes" or "fallbacks.pinned-page" */
  uint8_t kind;
  _Atomic uint64_t value;
  uint64_t reserved;
};

_Static_assert(sizeof(struct zio_stats_header) <= 256,
               "the header fits in 256 bytes");
_Static_assert(sizeof(struct zio_stats_counter) == 64, "one cache line a counter");

#endif
