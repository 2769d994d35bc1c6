// The Node binding of the fault handler.
#include <napi.h>

extern "C" {
#include "zio/fault_handler_version.h"
#include "zio/version.h"
}

static Napi::Value AbiVersion(const Napi::CallbackInfo& info)
{
    return Napi::Number::New(info.Env(), zio_fault_handler_abi_version());
}

static Napi::Value CoreAbiVersion(const Napi::CallbackInfo& info)
{
    return Napi::Number::New(info.Env(), zio_core_abi_version());
}

static Napi::Object Init(Napi::Env env, Napi::Object exports)
{
    exports.Set("abiVersion", Napi::Function::New(env, AbiVersion, "abiVersion"));
    exports.Set("coreAbiVersion", Napi::Function::New(env, CoreAbiVersion, "coreAbiVersion"));
    return exports;
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)
