/* DIRECT(number, ...): a system call that no hook sees. */
#include "../../native/fuzz/direct_call.h"
