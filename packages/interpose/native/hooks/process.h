/* What the hooks on processes share. */
#ifndef ZIO_HOOKS_PROCESS_H
#define ZIO_HOOKS_PROCESS_H

#include <stdbool.h>

/* Around whatever makes a process with a copy of our memory: as pthread_atfork's handlers, which
 * glibc runs for fork(3) only. */
void zio__before_fork(void);
void zio__after_fork(bool child, bool shares_descriptors);

/* Before a seccomp filter is installed. */
void zio__before_seccomp(void);
/* Before memory is spliced into a pipe. */
void zio__before_vmsplice(void);

#endif
