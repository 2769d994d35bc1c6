/* System calls in three ways: by libc's function of that name (which a hook sees), by syscall(3)
 * (which a hook may see), and by the instruction itself (DIRECT). */
#ifndef ZIO_FUZZ_DIRECT_H
#define ZIO_FUZZ_DIRECT_H
#include "direct_call.h"
#include <sys/syscall.h>

enum { BY_NAME, BY_SYSCALL, BY_INSTRUCTION, WAYS_TO_CALL };

#endif
