/* The interface version of the running code is the one of its headers. */
#include "zio/version.h"

int main(void) {
    return zio_core_abi_version() == ZIO_CORE_ABI_VERSION ? 0 : 1;
}
