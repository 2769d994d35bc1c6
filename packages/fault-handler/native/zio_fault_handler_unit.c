/*
 * All of the fault handler as one translation unit (unit_core.c apart), for libraries that carry it
 * inside them. A test compares this list with the directory.
 */
#include "fault_handler_version.c"
