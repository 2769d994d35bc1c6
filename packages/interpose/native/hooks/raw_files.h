/* Raw system calls on files, while files are followed. */
#ifndef ZIO_HOOKS_RAW_FILES_H
#define ZIO_HOOKS_RAW_FILES_H

#include <stdbool.h>

/* Makes the call by the hook of the same meaning, with libc's result and errno. False: there is none,
 * and nothing was done. */
bool zio__raw_on_files(long number, const long *arguments, long *result);

#endif
