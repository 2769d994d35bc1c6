/* @zio/core, compiled into this library. */
#include "zio_core_unit.c"
