/*
 * All of the pool as one translation unit (unit_core.c apart), for libraries that carry it inside
 * them. A test compares this list with the directory.
 */
#include "crc32c.c"
#include "nvm_apply.c"
#include "nvm_attach.c"
#include "nvm_blocks.c"
#include "nvm_create.c"
#include "nvm_files.c"
#include "nvm_follow.c"
#include "nvm_inspect.c"
#include "nvm_log.c"
#include "nvm_map.c"
#include "nvm_open.c"
#include "nvm_persist.c"
#include "nvm_place.c"
#include "nvm_probe.c"
#include "nvm_problem.c"
#include "nvm_read.c"
#include "nvm_scan.c"
#include "nvm_stage.c"
#include "nvm_super.c"
