/* The version of the fault handler's C interface. */
#include "zio/fault_handler_version.h"

int zio_fault_handler_abi_version(void)
{
    return ZIO_FAULT_HANDLER_ABI_VERSION;
}
