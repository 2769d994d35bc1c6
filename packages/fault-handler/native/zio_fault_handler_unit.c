/*
 * All of the fault handler as one translation unit (unit_core.c apart), for libraries that carry it
 * inside them. A test compares this list with the directory.
 */
#include "descriptor.c"
#include "fault_handler_version.c"
#include "features.c"
#include "handler.c"
#include "handler_queue.c"
#include "handler_thread.c"
#include "kept.c"
#include "mapping.c"
#include "seccomp.c"
#include "tracker.c"
#include "tracker_claim.c"
#include "tracker_compact.c"
#include "tracker_fill.c"
#include "tracker_kept.c"
#include "tracker_overlap.c"
#include "tracker_place.c"
#include "tracker_ranges.c"
#include "tracker_section.c"
#include "uffd.c"
#include "uffd_open.c"
