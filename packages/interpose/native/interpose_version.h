/* The version of the interface between libzio.so, zio-launch, the addon and the TypeScript of this package. */
#ifndef ZIO_INTERPOSE_VERSION_H
#define ZIO_INTERPOSE_VERSION_H

#define ZIO_INTERPOSE_ABI_VERSION 0

#endif
