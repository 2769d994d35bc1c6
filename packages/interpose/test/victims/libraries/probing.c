/* A library that asks for a function that is not there, before libzio.so has found its own: the text of
 * the error is freed by whoever calls dlsym next. */
#include <dlfcn.h>

static void *volatile found; /* no tail call: dlsym looks where it was called */

__attribute__((constructor(101))) static void probe(void) {
    found = dlsym(RTLD_DEFAULT, "nobody_has_this");
}
