/* Error codes of the data plane: one list that yields the enum, the messages and
 * (through a generated file) the TypeScript union. Functions return 0 or a negative
 * code; codes are the kernel's errno values so that a failed system call needs no
 * translation, and the list names those a caller is expected to tell apart. */
#ifndef ZIO_ERROR_H
#define ZIO_ERROR_H

#include <errno.h>

#define ZIO_ERRORS(X)                                                                    \
  X(ENOMEM, "out of memory, or the memory limit is reached")                             \
  X(EAGAIN, "the address space is changing; copy instead, or try again later")           \
  X(EINVAL, "an argument is out of range or not aligned")                                \
  X(ENOSYS, "this kernel does not offer the operation")                                  \
  X(EPERM, "not permitted to use userfaultfd")                                           \
  X(EBADF, "the userfaultfd descriptor was closed by the program")                       \
  X(EBUSY, "the page is pinned, shared with a child, or registered elsewhere")           \
  X(EEXIST, "the page is already present")                                               \
  X(ENOENT, "the range is not mapped, or not registered")                                \
  X(ESRCH, "the process that owns the memory is gone")                                   \
  X(ENOTSUP, "this kind of memory cannot hold views")

enum zio_error {
#define ZIO_ERROR_ENUM(code, text) ZIO_##code = -(code),
  ZIO_ERRORS(ZIO_ERROR_ENUM)
#undef ZIO_ERROR_ENUM
};

/* The text of a code, a static string; never NULL. Async-signal-safe. */
const char *zio_error_message(int code);

#endif
