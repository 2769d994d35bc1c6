/* The version of the interposer's control interface, looked up by name in a running process. */
#include "interpose_version.h"

#include "zio/fault_handler_version.h"
#include "zio/version.h"

__attribute__((visibility("default"))) int zio_interpose_abi_version(void);

int zio_interpose_abi_version(void) {
    return ZIO_INTERPOSE_ABI_VERSION + zio_core_abi_version() + zio_fault_handler_abi_version();
}
