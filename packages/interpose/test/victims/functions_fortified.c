/* flags: -O2 -D_FORTIFY_SOURCE=2 */
/* functions.c with the compiler's own versions of the copies and the checked forms where it knows a size. */
#include "functions.c"
