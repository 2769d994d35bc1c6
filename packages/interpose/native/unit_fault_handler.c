/* @zio/fault-handler, compiled into this library. */
#include "zio_fault_handler_unit.c"
