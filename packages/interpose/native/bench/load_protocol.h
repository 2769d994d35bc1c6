/* One request and its reply in the protocols of the load client: Redis, memcached, HTTP, and the
 * file server's own (8 bytes ask, the file comes back). Blocking sockets; owns no memory. */
#ifndef ZIO_BENCH_LOAD_PROTOCOL_H
#define ZIO_BENCH_LOAD_PROTOCOL_H

#include <stddef.h>

enum protocol { PROTOCOL_REDIS, PROTOCOL_MEMCACHED, PROTOCOL_HTTP, PROTOCOL_FILE };

/* Of a reply's head and tail together. */
enum { PROTOCOL_OVERHEAD = 4096 };

int protocol_parse(const char *name, enum protocol *protocol);
/* NULL when the key was stored, or what went wrong. */
const char *protocol_set(enum protocol protocol, int socket, const char *key,
                         const unsigned char *value, size_t bytes);
/* `reply` has room for `bytes` + PROTOCOL_OVERHEAD; *value points to the value within it. `key` is
 * the path for HTTP. NULL when a value of just `bytes` came, or what went wrong. */
const char *protocol_get(enum protocol protocol, int socket, const char *key, unsigned char *reply,
                         size_t bytes, const unsigned char **value);

#endif
