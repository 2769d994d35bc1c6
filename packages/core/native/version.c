/*
 * The version of core's C interface. A provider loaded at run time compares it with the one it was
 * compiled against.
 */
#include "zio/version.h"

int zio_core_abi_version(void) {
    return ZIO_CORE_ABI_VERSION;
}
