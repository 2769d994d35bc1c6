// Lazily filled ArrayBuffers. The memory is shared by a handle (numbers, early disposal) and the
// ArrayBuffer's finalizer; it goes when the ArrayBuffer does, or when it is disposed of. Each env
// has its own objects.
#pragma once
#include <napi.h>

// See NativeBinding in native-types.ts for arguments and results.
Napi::Value LazyRegionOfMemory(const Napi::CallbackInfo &info);
Napi::Value LazyRegionOfFile(const Napi::CallbackInfo &info);
Napi::Value LazyRegionStats(const Napi::CallbackInfo &info);
Napi::Value LazyRegionDispose(const Napi::CallbackInfo &info);
