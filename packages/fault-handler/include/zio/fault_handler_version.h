/* The version of the fault handler's C interface: raised whenever its headers change. */
#ifndef ZIO_FAULT_HANDLER_VERSION_H
#define ZIO_FAULT_HANDLER_VERSION_H

#define ZIO_FAULT_HANDLER_ABI_VERSION 0

/* The version that the running code was compiled with. Any thread, async-signal-safe. */
int zio_fault_handler_abi_version(void);

#endif
