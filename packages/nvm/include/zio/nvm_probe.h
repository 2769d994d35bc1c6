/* What a place would make of a pool. */
#ifndef ZIO_NVM_PROBE_H
#define ZIO_NVM_PROBE_H

#include <zio/nvm.h>

/* Makes a file without a name in the directory, looks, and lets it go. *medium is an enum
 * zio_nvm_medium; *flush a static string, as in the stats of a pool. Errors as zio_nvm_create. */
int zio_nvm_probe(const char *directory, enum zio_nvm_medium *medium, const char **flush,
                  struct zio_nvm_problem *problem);

#endif
