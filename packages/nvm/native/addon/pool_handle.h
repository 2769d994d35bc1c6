// The functions of the addon; src/native-types.ts says what each takes and gives.
#ifndef ZIO_NVM_ADDON_POOL_HANDLE_H
#define ZIO_NVM_ADDON_POOL_HANDLE_H

#include <napi.h>

Napi::Value Probe(const Napi::CallbackInfo &info);
Napi::Value Create(const Napi::CallbackInfo &info);
Napi::Value Open(const Napi::CallbackInfo &info);
Napi::Value Close(const Napi::CallbackInfo &info);
Napi::Value Resize(const Napi::CallbackInfo &info);
Napi::Value Attach(const Napi::CallbackInfo &info);
Napi::Value Detach(const Napi::CallbackInfo &info);
Napi::Value Append(const Napi::CallbackInfo &info);
Napi::Value Read(const Napi::CallbackInfo &info);
Napi::Value Sync(const Napi::CallbackInfo &info);
Napi::Value Digest(const Napi::CallbackInfo &info);
Napi::Value Stats(const Napi::CallbackInfo &info);
Napi::Value FileBytes(const Napi::CallbackInfo &info);
Napi::Value Inspect(const Napi::CallbackInfo &info);
Napi::Value ProblemTable(Napi::Env env);

#endif
