// What the kernel offers this process, tried out at the moment of the call.
#pragma once
#include <napi.h>

// capabilities(disabled: number): see NativeCapabilities in native-types.ts.
Napi::Value Capabilities(const Napi::CallbackInfo &info);
// parseFeatures(list: string): the mask, or -1 - (offset of the unknown word).
Napi::Value ParseFeatures(const Napi::CallbackInfo &info);
// [name, bit, what is lost] of everything that can be masked.
Napi::Value FeatureTable(Napi::Env env);
