/* The rule of the published system (OSDI'22), so that it can be measured beside `learn`: every input
 * and copy of the threshold and more, until the pages that were touched exceed 6 % of the bytes
 * whose copies were elided; then never again. The paper keeps the account of a buffer, here it is
 * that of a site. Constant memory, no lock; may run on the handler thread. */
#ifndef ZIO_POLICY_PAPER_H
#define ZIO_POLICY_PAPER_H

#include <stdbool.h>
#include <stdint.h>

void zio__policy_paper_set_up(void);
bool zio__policy_paper_redirects(uint16_t site);

#endif
