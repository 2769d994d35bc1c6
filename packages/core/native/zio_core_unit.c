/*
 * All of core as one translation unit, for libraries that carry core inside them: they compile one
 * local unit_core.c that includes this file through core's `native` include directory.
 * A test compares this list with the directory.
 */
#include "arena.c"
#include "clone.c"
#include "error.c"
#include "lock.c"
#include "origin.c"
#include "version.c"
#include "view_check.c"
#include "view_map.c"
#include "view_node.c"
#include "view_tree.c"
