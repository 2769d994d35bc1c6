/* The version of core's C interface: raised whenever a struct or function of these headers changes. */
#ifndef ZIO_VERSION_H
#define ZIO_VERSION_H

#define ZIO_CORE_ABI_VERSION 0

/* The version that the running code was compiled with. Any thread, async-signal-safe. */
int zio_core_abi_version(void);

#endif
