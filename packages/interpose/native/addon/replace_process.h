// Becoming another program, as the same process.
#ifndef ZIO_ADDON_REPLACE_PROCESS_H
#define ZIO_ADDON_REPLACE_PROCESS_H

#include <napi.h>

// replaceProcess(path, arguments, environment, descriptors): execve that leaves these descriptors open, besides those that
// stay open anyway. Returns a negative errno, if at all.
Napi::Value ReplaceProcess(const Napi::CallbackInfo& info);

#endif
